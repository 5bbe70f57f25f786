"""The chart on a real API server: all of it is taken, and a release lives, from its install to its uninstall.

Pods run as processes of this machine, by `kubelet`; helm's hooks too.
"""

import json
from pathlib import Path

import pytest
import yaml

from kube_registrar.model.records import GATE
from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import CI, ROOT, Json, rendered
from tests.chart.kubelet_logs import logs_served
from tests.chart.releases.release import (
    LONG,
    PREVIOUS,
    RELEASE,
    Release,
    cloudmap,
    is_registered,
    operator_key,
    quickstart,
    remove_objects,
    volume,
)
from tests.scenarios.place import GROUP, install_kinds
from tests.scenarios.registry import Registry, deregistered
from tests.scenarios.server import Server

APPLY = ("apply", "--server-side", "--dry-run=server", "--force-conflicts", "--warnings-as-errors", "--validate=strict")


def finalizers(plane: ControlPlane) -> list[str]:
    """Return the finalizers of all our objects."""
    found: list[str] = []
    for plural in ("registrynamespaces", "registryservices"):
        for item in plane.api.get(f"/apis/{GROUP}/v1alpha1/{plural}")["items"]:
            found += item["metadata"].get("finalizers", [])
    return found


def test_a_release_lives_from_install_to_uninstall_and_loses_no_registration(
    release: Release, plane: ControlPlane, server: Server, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(cloudmap(server.endpoint)))
    release.do("install", "--values", str(values), chart=PREVIOUS)
    before = release.wait_leader()
    with quickstart(plane):
        registry = Registry(server.endpoint, "test-namespace")
        wait_until(lambda: is_registered(registry, 3), "the quickstart's pods to be registered", seconds=LONG)
        # Another pod template, too; and boto3 finds through the operator what it finds in the registry.
        clients(plane, release.namespace)
        served = "servedRegistry=default,served.accessKeysSecrets={clients}"
        release.do("upgrade", "--values", str(values), "--set", f"resyncSeconds=300,{served}")
        first = release.wait_leader(before)
        asked = Registry(f"http://{first.address}:8081", "test-namespace", *CLIENT)
        wait_until(lambda: is_registered(asked, 3), "them to be discovered through the operator", seconds=LONG)
        release.do("test")
        assert is_registered(registry, 3)
        assert deregistered(server.data, "test-namespace") == []

        narrow = f"policy=upsert-only,watchNamespaces={{default,{release.namespace}}}"
        release.do("upgrade", "--values", str(values), "--set", narrow)
        second = release.wait_leader(first)
        plane.kubectl("scale", "deployment/flask-app-dev", "--replicas=4")
        wait_until(lambda: is_registered(registry, 4), "a pod more, with rights in some namespaces only", seconds=LONG)
        release.do("rollback")
        third = release.wait_leader(second)
        assert deregistered(server.data, "test-namespace") == []
        assert is_registered(registry, 4)

        plane.kubectl(
            "patch", "registryservice", "flask-app", "--type=merge", "-p", '{"spec":{"deletionPolicy":"Delete"}}'
        )
        wait_until(lambda: finalizers(plane), "the operator to put its finalizer on what it would remove")
        release.do("uninstall")
        assert "forbidden" not in third.text()
        assert finalizers(plane) == []
        assert is_registered(registry, 4)
        assert deregistered(server.data, "test-namespace") == []
        assert len(plane.api.get("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")["items"]) == 2
        remove_objects(plane)


@pytest.mark.extended
def test_an_uninstall_whose_hook_fails_ends_says_why_once_and_can_be_taken_back_or_tried_again(
    release: Release, plane: ControlPlane, server: Server, tmp_path: Path
) -> None:
    values = tmp_path / "values.yaml"
    more = {"uninstall": {"timeoutSeconds": 5}, "admission": {"readinessGate": {"enabled": True}}}
    values.write_text(yaml.safe_dump({**cloudmap(server.endpoint), **more}))
    policies = "/apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies"
    release.do("install", "--values", str(values))
    first = release.wait_leader()
    held = f"/api/v1/namespaces/{release.namespace}/pods/{first.pod}"
    plane.api.patch(held, {"metadata": {"finalizers": ["example.com/held"]}})
    with logs_served(plane, release.log_of):
        done = release.uninstall()
        assert done.returncode != 0
        why = f"the 5 s of --timeout were over while Deployment {release.namespace}/{RELEASE} was ending: stop the"
        assert done.stderr.count(why) == 1
        assert "Job/installed/kube-registrar-release not ready" in done.stderr
        assert plane.api.get(f"/apis/apps/v1/namespaces/{release.namespace}/deployments/{RELEASE}")
        assert plane.api.get(policies)["items"] == []

        release.do("rollback", "1")
        assert len(plane.api.get(policies)["items"]) == 1
        second = release.wait_leader(first)
        plane.api.patch(held, {"metadata": {"finalizers": None}})
        gated(plane, release.namespace)
        done = release.uninstall()
        assert done.returncode == 0, f"{done.stdout}{done.stderr}"
        assert "0 released; no finalizer of ours is left" in done.stderr
        assert f"Deployment {release.namespace}/gated carries the readiness gate" in done.stderr
        assert "[CustomResourceDefinition] registryservices.kube-registrar.dev" in done.stdout
        wait_until(lambda: second.child.poll() is not None, "the operator to end")
    plane.api.delete(f"/apis/apps/v1/namespaces/{release.namespace}/deployments/gated")


def gated(plane: ControlPlane, namespace: str) -> None:
    """Make a Deployment without pods whose template has the readiness gate."""
    manifest = deployment_manifest("gated", namespace, replicas=0)
    manifest["spec"]["template"]["spec"]["readinessGates"] = [{"conditionType": GATE}]
    plane.apply(manifest)


@pytest.mark.extended
def test_an_uninstall_whose_hook_cannot_start_ends_in_time_and_goes_on_without_hooks(
    release: Release, plane: ControlPlane
) -> None:
    values = "mode=cloudmap,cloudmap.region=us-east-1,uninstall.timeoutSeconds=5,nodeSelector.no=such"
    release.do("install", "--set", values)  # no node fits, as if no image were there
    with logs_served(plane, release.log_of):
        done = release.uninstall("--timeout=90s")
    assert done.returncode != 0
    assert "Job/installed/kube-registrar-release not ready. status: Failed" in done.stderr
    release.do("uninstall", "--no-hooks")
    plane.kubectl("delete", "all,roles,rolebindings", "--all", "-n", release.namespace)


CLIENT = ("AKIACLIENT0000000001", "the-secret-of-a-client-of-this-test")


def clients(plane: ControlPlane, namespace: str) -> None:
    """Make the Secret with a client's access key."""
    file = json.dumps([{"accessKeyID": CLIENT[0], "secretAccessKey": CLIENT[1], "role": "read"}])
    metadata = {"name": "clients", "namespace": namespace}
    plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"clients.yaml": file}}])


def test_the_embedded_mode_registers_and_its_registry_goes_on_while_the_operator_is_upgraded(
    release: Release, plane: ControlPlane, tmp_path: Path
) -> None:
    plane.apply([volume(tmp_path)])
    release.do("install", "--set", "replicas=1,admission.readinessGate.enabled=true")
    policies = "/apis/admissionregistration.k8s.io/v1/{}admissionpolicies"
    for kind, count in (("validating", 2), ("mutating", 1)):
        assert len(plane.api.get(policies.format(kind))["items"]) == count
    first = release.wait_leader()
    key = operator_key(plane, release.namespace)
    with quickstart(plane):
        registry = Registry(f"http://{release.kubelet.registry}:8081", "test-namespace", *key)
        wait_until(lambda: is_registered(registry, 3), lambda: f"the quickstart's pods; {release.logs()}", seconds=LONG)
        release.do("test")

        release.do("upgrade", "--set", "replicas=1,resyncSeconds=300,admission.readinessGate.enabled=true")
        release.wait_leader(first)
        assert operator_key(plane, release.namespace) == key
        assert len([each for each in release.kubelet.started.values() if each.component == "registry"]) == 1
        assert is_registered(registry, 3)
        release.do("uninstall")
        assert not [each.pod for each in release.kubelet.started.values() if "forbidden" in each.text()]
        (hook,) = [each for each in release.kubelet.started.values() if "no finalizer of ours is left" in each.text()]
        assert "is not known" not in hook.text()
        assert plane.api.get(policies.format("mutating"))["items"] == []
        assert len(plane.api.get(f"/api/v1/namespaces/{release.namespace}/persistentvolumeclaims")["items"]) == 1
        remove_objects(plane)


@pytest.fixture(scope="module")
def all_kinds(plane: ControlPlane) -> ControlPlane:
    """The control plane with our kinds and those of the Prometheus operator, and the namespaces that values name."""
    install_kinds(plane)
    for kind in ("ServiceMonitor", "PodMonitor", "PrometheusRule"):
        plane.apply([prometheus_kind(kind)])
    for name in (RELEASE, "shop", "pay"):
        labels = {f"pod-security.kubernetes.io/{each}": "restricted" for each in ("enforce", "warn")}
        manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        plane.apply([manifest])
    return plane


def prometheus_kind(kind: str) -> Json:
    """Return a CRD that takes anything under that name."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    plural = f"{kind.lower()}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def test_the_api_server_takes_all_that_is_rendered_without_a_warning(all_kinds: ControlPlane) -> None:
    objects = [each for values in CI for each in rendered(values)]
    applied = all_kinds.kubectl(*APPLY, "--filename", "-", stdin="\n---\n".join(map(json.dumps, objects)))
    assert applied.count("serverside-applied") == len(objects)


@pytest.mark.parametrize("overlay", ["cloudmap", "embedded"])
def test_the_api_server_takes_what_kustomize_makes_without_a_warning(overlay: str, all_kinds: ControlPlane) -> None:
    said = all_kinds.kubectl(*APPLY, "--kustomize", str(ROOT / "deploy" / "overlays" / overlay))
    assert "deployment.apps/kube-registrar serverside-applied" in said
