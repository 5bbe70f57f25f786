"""Each way to install it works as a whole, upgrades and comes back: what is registered stays, whoever is exchanged."""

import json
from pathlib import Path

import pytest
import yaml

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import ROOT
from tests.chart.kubelet import Kubelet
from tests.chart.releases.release import (
    LONG,
    PREVIOUS,
    Release,
    cloudmap,
    is_registered,
    operator_key,
    quickstart,
    remove_objects,
    volume,
)
from tests.scenarios.place import GROUP
from tests.scenarios.registry import Registry, deregistered
from tests.scenarios.server import Server
from tests.server.access.certificates import certificate

pytestmark = pytest.mark.extended


def registries(release: Release) -> list[str]:
    """Return the pods of the registry that there were so far, in order."""
    return [each.pod for each in list(release.kubelet.started.values()) if each.component == "registry"]


def test_the_registry_of_a_release_keeps_its_data_and_its_key_through_upgrade_and_rollback(
    release: Release, plane: ControlPlane, tmp_path: Path
) -> None:
    plane.apply([volume(tmp_path)])
    release.do("install", "--set", "replicas=1", chart=PREVIOUS)
    first = release.wait_leader()
    key = operator_key(plane, release.namespace)
    with quickstart(plane):
        registry = Registry(f"http://{release.kubelet.registry}:8081", "test-namespace", *key)
        wait_until(lambda: is_registered(registry, 3), lambda: f"the quickstart's pods; {release.logs()}", seconds=LONG)
        identifier = registry.service_id("flask-app")

        # Another log level is the registry's too: its pod is exchanged, which its volume outlives.
        release.do("upgrade", "--set", "replicas=1,log.level=debug")
        second = release.wait_leader(first)
        wait_until(lambda: len(registries(release)) > 1, "the registry's pod to be exchanged", seconds=LONG)
        wait_until(
            lambda: is_registered(registry, 3),
            lambda: f"the upgraded registry to answer; {release.logs()}",
            seconds=LONG,
        )
        assert operator_key(plane, release.namespace) == key

        before = len(registries(release))
        release.do("rollback", "1")
        release.wait_leader(second)
        wait_until(lambda: len(registries(release)) > before, "its pod to be exchanged again", seconds=LONG)
        wait_until(
            lambda: is_registered(registry, 3), lambda: f"the former registry to answer; {release.logs()}", seconds=LONG
        )
        assert operator_key(plane, release.namespace) == key
        assert registry.service_id("flask-app") == identifier, "it is the same data"
        release.do("uninstall")
        remove_objects(plane)
    claims = f"/api/v1/namespaces/{release.namespace}/persistentvolumeclaims"
    plane.api.delete(f"{claims}/data-kube-registrar-registry-0")


def test_a_release_for_several_registries_registers_in_those_that_are_named(
    release: Release, plane: ControlPlane, server: Server, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    with Server(tmp_path / "other") as other:
        values = cloudmap(server.endpoint) | {"mode": "registries", "defaultRegistry": "dev"}
        del values["cloudmap"]
        kinds = {"kind": "cloudmap", "region": "us-east-1"}
        values["registries"] = {
            "dev": {**kinds, "endpointUrl": server.endpoint},
            "prod": {**kinds, "endpointUrl": other.endpoint, "policy": "observe"},
        }
        file = tmp_path / "values.yaml"
        file.write_text(yaml.safe_dump(values))
        release.do("install", "--values", str(file))
        leader = release.wait_leader()
        with quickstart(plane):
            registry = Registry(server.endpoint, "test-namespace")
            wait_until(lambda: is_registered(registry, 3), lambda: f"its pods; {release.logs()}", seconds=LONG)
            release.do("test")
            values["registries"]["prod"]["policy"] = "sync"
            file.write_text(yaml.safe_dump(values))
            release.do("upgrade", "--values", str(file))
            second = release.wait_leader(leader)
            release.do("rollback")
            release.wait_leader(second)
            assert is_registered(registry, 3)
            assert deregistered(server.data, "test-namespace") == []
            release.do("uninstall")
            assert is_registered(registry, 3)
            remove_objects(plane)


def test_a_registry_with_a_certificate_is_trusted_by_the_operator_and_by_nobody_who_does_not_know_it(
    release: Release, plane: ControlPlane, tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path, names=("registry.localhost", release.kubelet.registry))
    data = {"tls.crt": cert.read_text(), "tls.key": key.read_text(), "ca.crt": cert.read_text()}
    metadata = {"name": "registry-tls", "namespace": release.namespace}
    plane.apply([{"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": data}])
    release.do("install", "--set", "replicas=1,embedded.tls.secretName=registry-tls,embedded.persistence.enabled=false")
    release.wait_leader()
    url = f"https://{release.kubelet.registry}:8081"
    with quickstart(plane):
        registry = Registry(url, "test-namespace", *operator_key(plane, release.namespace), ca_file=cert)
        wait_until(lambda: is_registered(registry, 3), lambda: f"the quickstart's pods; {release.logs()}", seconds=LONG)
        release.do("uninstall")
        remove_objects(plane)


def test_what_kustomize_makes_runs(plane: ControlPlane, tmp_path: Path) -> None:
    namespace = "kube-registrar"
    access = {"accessKeyID": "AKIAOPERATOR00000001", "secretAccessKey": "the-secret-of-this-test-of-forty-letters"}
    file = json.dumps([{**access, "role": "admin"}])
    secret = {"name": "kube-registrar-operator-key", "namespace": namespace}
    plane.apply(
        [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}},
            {"apiVersion": "v1", "kind": "Secret", "metadata": secret, "stringData": {**access, "keys.yaml": file}},
            volume(tmp_path),
        ]
    )
    kinds = [f"{plural}.{GROUP}" for plural in ("registryservices", "registrynamespaces")]
    plane.kubectl("delete", "crd", *kinds, "--ignore-not-found")  # those of a release are kept, as helm's
    overlay = str(ROOT / "deploy" / "overlays" / "embedded")
    with Kubelet(plane, namespace, tmp_path / "pods") as kubelet:
        plane.kubectl("apply", "--server-side", "--kustomize", overlay)
        with quickstart(plane):
            registry = Registry(f"http://{kubelet.registry}:8081", "test-namespace", *access.values())
            wait_until(lambda: is_registered(registry, 3), lambda: f"the pods; {kubelet.logs()}", seconds=LONG)
            remove_objects(plane)
        plane.kubectl("delete", "--kustomize", overlay, "--wait=false")
    assert not [each.pod for each in kubelet.started.values() if "Traceback" in each.text()]
    assert kubelet.errors == []
