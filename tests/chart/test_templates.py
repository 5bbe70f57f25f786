"""What the chart renders, by its values."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.cluster.preflight import RIGHTS, lease_rights
from kube_registrar.declared import yamlfile
from kube_registrar.declared.configuration import configuration
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.cloudmap import options as cloudmap
from kube_registrar.registries.consul import options as consul
from kube_registrar.registries.embedded import options as embedded
from tests.chart.helm import CHART, CI, Helm, Json, is_hook, one, read, rendered

WORKLOADS = {"Deployment", "StatefulSet", "Job", "Pod"}
CLUSTER_SCOPED = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "RegistryNamespace"}
READS: Mapping[str, Callable[[Mapping[str, object], RegistryName], object]] = {
    "cloudmap": cloudmap.read_options,
    "consul": consul.read_options,
    "embedded": embedded.options,
}
TESTED = {f"{name}-values" for name in ("default", "embedded-everything", "cloudmap", "registries")}
CLOUDMAP: Json = {"mode": "cloudmap", "cloudmap": {"region": "eu-west-1"}}


@pytest.fixture
def helm(tmp_path: Path) -> Helm:
    return Helm(tmp_path)


def test_there_are_at_least_six_sets_of_values_to_try() -> None:
    assert len(CI) >= 6


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_helm_lint_has_nothing_to_say(helm: Helm, values: Path) -> None:
    done = helm.run("lint", "--strict", CHART, "--values", values)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not re.search("WARN|ERROR", done.stdout + done.stderr), done.stdout + done.stderr


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_operator_and_registry_take_the_configuration_that_is_rendered(helm: Helm, values: Path) -> None:
    objects = rendered(values)
    texts = [one["data"]["config.yaml"] for one in objects if "config.yaml" in one.get("data", {})]
    assert texts
    for text in texts:
        found = configuration({}, {}, yamlfile.read("config.yaml", text))
        assert found.default_registry in found.registries
        assert found.log_format == "json"
        for entry in found.registries.values():
            # Files are those of a volume.
            options = {key: each for key, each in entry.options.items() if not key.endswith("File")}
            READS[entry.kind](options, RegistryName("default"))


@pytest.mark.parametrize("values", CI, ids=lambda path: path.stem)
def test_every_pod_keeps_to_the_restricted_standard(helm: Helm, values: Path) -> None:
    pods = [pod_of(each) for each in rendered(values) if each["kind"] in WORKLOADS]
    assert pods
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["enableServiceLinks"] is False
        for container in pod["containers"]:
            context = container["securityContext"]
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert {"requests", "limits"} <= container["resources"].keys()


def pod_of(found: Json) -> Json:
    """Return the spec of a workload's pods."""
    spec: Json = found["spec"] if found["kind"] == "Pod" else found["spec"]["template"]["spec"]
    return spec


def rules(objects: Sequence[Json], kinds: Sequence[str], namespace: str | None = None) -> set[tuple[str, ...]]:
    """Return group, resource, verb and name of all that roles of these kinds grant the operator."""
    found: set[tuple[str, ...]] = set()
    for each in objects:
        if each["kind"] not in kinds or is_hook(each) or re.search("-(view|edit)$", each["metadata"]["name"]):
            continue
        if namespace not in {None, each["metadata"].get("namespace")}:
            continue
        for rule in each["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        found |= {(group, resource, verb, name) for name in rule.get("resourceNames", [""])}
    return found


def test_with_a_list_of_namespaces_only_what_a_registry_namespace_needs_is_cluster_scoped(helm: Helm) -> None:
    objects = helm.objects(values={**CLOUDMAP, "watchNamespaces": ["shop", "pay"]})
    scoped = [each for each in objects if "namespace" not in each["metadata"] and not is_hook(each)]
    assert {each["kind"] for each in scoped} == CLUSTER_SCOPED - {"RegistryNamespace"}
    asked = {right_of(right) for right in RIGHTS if not right.namespaced}
    assert rules(objects, ["ClusterRole"]) == asked
    hooks = [each for each in objects if is_hook(each) and each["kind"] == "ClusterRole"]
    assert [each["rules"][0]["resources"] for each in hooks] == [["registrynamespaces"]]


def test_each_namespace_of_the_list_has_exactly_what_the_operator_asks_for_there(helm: Helm) -> None:
    objects = helm.objects(values={**CLOUDMAP, "watchNamespaces": ["shop", "pay"]})
    asked = {right_of(right) for right in RIGHTS if right.namespaced}
    for namespace in ("shop", "pay"):
        assert rules(objects, ["Role"], namespace) == asked | {("", "pods/status", "patch", "")}
    assert rules(objects, ["Role"], "default") == {
        ("events.k8s.io", "events", verb, "") for verb in ("create", "patch")
    }
    election = lease_rights("kube-registrar", "kube-registrar")
    assert rules(objects, ["Role"], "kube-registrar") == {right_of(right) for right in election}


def right_of(right: Any) -> tuple[str, ...]:
    """Return a right of the preflight as RBAC says it."""
    return (right.group, f"{right.resource}/{right.subresource}".rstrip("/"), right.verb, right.name)


def test_no_role_grants_secrets_and_pods_status_needs_the_gate(helm: Helm) -> None:
    for values in CI:
        for each in rendered(values):
            resources = [resource for rule in each.get("rules") or [] for resource in rule["resources"]]
            assert "secrets" not in resources
    without = helm.objects(values={**CLOUDMAP, "readinessGate": {"enabled": False}})
    assert not [right for right in rules(without, ["ClusterRole", "Role"]) if right[1] == "pods/status"]


def test_those_who_view_and_edit_namespaces_get_what_concerns_our_kinds(helm: Helm) -> None:
    objects = helm.objects()
    edit = one(objects, "ClusterRole", "kube-registrar-edit")
    assert edit["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
    assert {resource for rule in edit["rules"] for resource in rule["resources"]} == {"registryservices"}
    view = one(objects, "ClusterRole", "kube-registrar-view")
    assert view["metadata"]["labels"]["rbac.authorization.k8s.io/aggregate-to-view"] == "true"
    assert {verb for rule in view["rules"] for verb in rule["verbs"]} == {"get", "list", "watch"}


def test_two_replicas_and_a_disruption_budget_are_the_default_and_one_has_none(helm: Helm) -> None:
    objects = helm.objects(values=CLOUDMAP)
    assert one(objects, "Deployment")["spec"]["replicas"] == 2
    assert one(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    alone = helm.objects(values={**CLOUDMAP, "replicas": 1})
    assert "PodDisruptionBudget" not in {each["kind"] for each in alone}


def test_crds_are_kept_unless_that_is_switched_off_and_left_out_if_they_are(helm: Helm) -> None:
    kept = [each for each in helm.objects() if each["kind"] == "CustomResourceDefinition"]
    assert [each["metadata"]["annotations"]["helm.sh/resource-policy"] for each in kept] == ["keep", "keep"]
    for found in kept:
        original = yaml.safe_load((CHART.parent / "crds" / f"{found['spec']['names']['plural']}.yaml").read_text())
        assert found["spec"] == original["spec"]
    loose = helm.objects(values={"crds": {"keep": False}})
    assert "annotations" not in one(loose, "CustomResourceDefinition", kept[0]["metadata"]["name"])["metadata"]
    assert not [each for each in helm.objects(values={"crds": {"enabled": False}}) if "Definition" in each["kind"]]


def test_kinds_of_the_prometheus_operator_are_rendered_where_the_cluster_has_them(helm: Helm) -> None:
    wanted: Json = {each: {"enabled": True} for each in ("serviceMonitor", "podMonitor", "prometheusRule")}
    kinds = {"ServiceMonitor", "PodMonitor", "PrometheusRule"}

    def kinds_of(*arguments: str, mode: str = "skipIfMissing") -> set[str]:
        objects = helm.objects(*arguments, values={"metrics": {"renderMode": mode, **wanted}})
        return {each["kind"] for each in objects} & kinds

    served = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in sorted(kinds)]
    assert kinds_of() == set()
    assert kinds_of(*served) == kinds
    assert kinds_of(mode="alwaysRender") == kinds
    values = "metrics: {renderMode: failIfMissing, podMonitor: {enabled: true}}"
    done = helm.run("template", "x", CHART, "--values", "-", stdin=values)
    assert done.returncode != 0
    assert "does not serve monitoring.coreos.com/v1/PodMonitor" in done.stderr


def test_the_registry_serves_its_api_under_both_names_that_sdks_ask(helm: Helm) -> None:
    objects = helm.objects()
    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}
    assert services["data-kube-registrar-registry"] == services["kube-registrar-registry"]
    assert {port["protocol"] for port in services["kube-registrar-dns"]["ports"]} == {"UDP", "TCP"}
    stateful = one(objects, "StatefulSet")
    assert stateful["spec"]["replicas"] == 1
    assert stateful["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"] == "Retain"


def test_the_key_of_the_operator_is_one_that_the_registry_knows(helm: Helm) -> None:
    secret = one(helm.objects(), "Secret")["stringData"]
    (known,) = yaml.safe_load(secret["keys.yaml"])
    assert known == {
        "accessKeyID": secret["accessKeyID"],
        "secretAccessKey": secret["secretAccessKey"],
        "role": "admin",
    }
    again = one(helm.objects(), "Secret")["stringData"]
    assert again["secretAccessKey"] != secret["secretAccessKey"]


def test_in_cloud_map_mode_nothing_stands_in_the_way_of_the_credentials_of_the_pod(helm: Helm) -> None:
    role = {"eks.amazonaws.com/role-arn": "arn:aws:iam::111111111111:role/kube-registrar"}
    objects = helm.objects(values={**CLOUDMAP, "serviceAccount": {"annotations": role}})
    assert one(objects, "ServiceAccount", "kube-registrar")["metadata"]["annotations"] == role
    (container,) = pod_of(one(objects, "Deployment"))["containers"]
    # IRSA's webhook and Pod Identity add variables and a volume; a key of ours would win over both.
    assert "env" not in container
    assert {each["kind"] for each in objects}.isdisjoint({"StatefulSet", "Secret"})


def test_helm_test_is_there_where_it_can_pass(helm: Helm) -> None:
    def tested(**values: object) -> bool:
        return any("-test" in each["metadata"]["name"] for each in helm.objects(values={**CLOUDMAP, **values}))

    assert tested()
    assert tested(watchNamespaces=["kube-registrar", "shop"])
    assert not tested(watchNamespaces=["shop"])
    assert not tested(policy="observe")


def test_the_hook_of_an_uninstall_is_bounded_whatever_happens_to_it(helm: Helm) -> None:
    objects = helm.objects(values={**CLOUDMAP, "uninstall": {"timeoutSeconds": 30}, "watchNamespaces": ["shop"]})
    job = one(objects, "Job")
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert job["spec"]["activeDeadlineSeconds"] == 90
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == [
        "release",
        "--stop=kube-registrar/kube-registrar",
        "--timeout=30",
        "--watch-namespace=shop",
    ]
    assert "Job" not in {each["kind"] for each in helm.objects(values={"uninstall": {"releaseObjects": False}})}


def test_the_hook_may_take_the_gates_policy_away_and_list_who_carries_the_gate_and_no_more(helm: Helm) -> None:
    def granted(**values: object) -> set[tuple[str, ...]]:
        objects = helm.objects(values={**CLOUDMAP, **values})
        role = one(objects, "ClusterRole", "kube-registrar-release")
        return {
            (resource, verb, *rule.get("resourceNames", []))
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }

    ours = {(f"registry{kind}", verb) for kind in ("namespaces", "services") for verb in ("list", "patch")}
    owners = ("deployments", "statefulsets", "daemonsets", "replicasets", "replicationcontrollers", "cronjobs", "pods")
    policy = {
        (f"mutatingadmission{each}", "delete", "kube-registrar-readiness-gate")
        for each in ("policies", "policybindings")
    }
    without: Json = {"readinessGate": {"enabled": False}}
    assert granted(**without) == ours
    assert granted() == ours | {(each, "list") for each in owners}
    gate: Json = {"admission": {"renderMode": "alwaysRender", "readinessGate": {"enabled": True}}}
    assert granted(**gate) == granted() | policy
    arguments = {
        name: one(helm.objects(values={**CLOUDMAP, **values}), "Job")["spec"]["template"]["spec"]["containers"][0][
            "args"
        ]
        for name, values in {"gate": gate, "without": without}.items()
    }
    assert "--gate-policy=kube-registrar-readiness-gate" in arguments["gate"]
    assert "--no-gates" in arguments["without"]


def test_policies_are_rendered_where_they_are_served_and_are_cluster_scoped(helm: Helm) -> None:
    def kinds_of(*arguments: str, **values: object) -> set[str]:
        wanted: Json = {"admission": {"readinessGate": {"enabled": True}, **values}}
        objects = helm.objects(*arguments, values={**CLOUDMAP, **wanted})
        return {each["kind"] for each in objects if "AdmissionPolicy" in each["kind"]}

    group = "admissionregistration.k8s.io/v1"
    validating = {"ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"}
    mutating = {"MutatingAdmissionPolicy", "MutatingAdmissionPolicyBinding"}
    assert kinds_of() == set()
    assert kinds_of(f"--api-versions={group}/ValidatingAdmissionPolicy") == validating
    both = [f"--api-versions={group}/{kind}AdmissionPolicy" for kind in ("Validating", "Mutating")]
    assert kinds_of(*both) == validating | mutating
    assert kinds_of(renderMode="alwaysRender") == validating | mutating
    assert kinds_of(renderMode="alwaysRender", validation={"enabled": False}) == mutating
    assert kinds_of(*both, "--set=watchNamespaces={shop}") == set()


def test_pods_are_never_refused_and_others_only_where_that_is_said(helm: Helm) -> None:
    for action in ("Warn", "Deny"):
        values: Json = {"admission": {"renderMode": "alwaysRender", "validation": {"action": action}}}
        bindings = [each for each in helm.objects(values=values) if each["kind"].endswith("PolicyBinding")]
        actions = {each["metadata"]["name"]: each["spec"]["validationActions"] for each in bindings}
        assert actions == {
            "kube-registrar-pods": ["Warn"],
            "kube-registrar-owners": [action],
            "kube-registrar-unknown": ["Warn"],
        }
        refused = one(bindings, "ValidatingAdmissionPolicyBinding", "kube-registrar-owners")["spec"]["matchResources"]
        assert "pods" not in [resource for rule in refused["resourceRules"] for resource in rule["resources"]]


def test_network_policies_let_out_to_dns_api_server_and_registry_alone(helm: Helm) -> None:
    objects = helm.objects(values={"networkPolicy": {"enabled": True, "apiServer": {"cidrs": ["10.0.0.1/32"]}}})
    operator = one(objects, "NetworkPolicy", "kube-registrar")["spec"]
    ports = [sorted(str(port["port"]) for port in rule["ports"]) for rule in operator["egress"]]
    assert ports == [["53", "53"], ["443", "6443"], ["api"]]
    (checks,) = one(objects, "NetworkPolicy", "kube-registrar-registry")["spec"]["egress"]
    assert [each["ipBlock"]["except"] for each in checks["to"]] == [
        ["127.0.0.0/8", "169.254.0.0/16"],
        ["::1/128", "fe80::/10"],
    ]


SERVED: Json = {
    "mode": "registries",
    "registries": {"edge": {"kind": "consul"}, "cloud": {"kind": "cloudmap", "region": "eu-west-1"}},
    "servedRegistry": "edge",
    "served": {"accessKeysSecrets": ["clients"], "dns": {"enabled": True}},
}


def test_a_registry_is_served_by_the_operators_pods_under_both_names_that_sdks_use(helm: Helm) -> None:
    objects = helm.objects(values=SERVED)
    config = yaml.safe_load(one(objects, "ConfigMap", "kube-registrar")["data"]["config.yaml"])
    assert (config["servedRegistry"], config["apiListen"], config["dnsListen"]) == (
        "edge",
        "0.0.0.0:8081",
        "0.0.0.0:5353",
    )
    pod = one(objects, "Deployment")["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"] for port in container["ports"]}
    services = {each["metadata"]["name"]: each["spec"] for each in objects if each["kind"] == "Service"}
    assert services.keys() == {
        "kube-registrar-metrics",
        "kube-registrar-served",
        "data-kube-registrar-served",
        "kube-registrar-dns",
    }
    for spec in services.values():
        assert spec["selector"].items() <= pod["metadata"]["labels"].items()
        assert {port["targetPort"] for port in spec["ports"]} <= ports
    keys = one_named(pod["spec"]["volumes"], "keys")
    assert keys["projected"]["sources"] == [{"secret": {"name": "clients"}}]
    mounted = {each["mountPath"] for each in container["volumeMounts"]}
    assert config["accessKeys"] in mounted
    assert "servedRegistry" not in str(helm.objects(values={**SERVED, "servedRegistry": "", "served": {}}))


def one_named(things: Sequence[Json], name: str) -> Json:
    """Return the one of this name."""
    (found,) = [each for each in things if each["name"] == name]
    return found


def test_a_digest_wins_over_a_tag(helm: Helm) -> None:
    digest = "sha256:" + "0" * 64
    objects = helm.objects(values={"image": {"repository": "r/i", "tag": "v1", "digest": digest}})
    images = {
        container["image"] for each in objects if each["kind"] in WORKLOADS for container in pod_of(each)["containers"]
    }
    assert images == {f"r/i@{digest}"}


def test_whatever_is_added_stands_in_the_pod(helm: Helm) -> None:
    objects = helm.objects("--values", str(CHART / "ci" / "extras-values.yaml"))
    deployment = one(objects, "Deployment", "registrar")
    pod = pod_of(deployment)
    (container,) = pod["containers"]
    assert container["args"][-1] == "--resync-seconds=300"
    assert [each["name"] for each in container["env"]] == ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]
    assert container["volumeMounts"][-1] == {"name": "more", "mountPath": "/more"}
    assert pod["topologySpreadConstraints"][0]["whenUnsatisfiable"] == "DoNotSchedule"
    assert one(objects, "ConfigMap", "extra")["data"] == {"release": "kube-registrar"}
    assert one(objects, "ConfigMap", "extra-text")


@pytest.mark.parametrize("values", CI[::2], ids=lambda path: path.stem)
def test_the_notes_are_short_and_say_the_next_command(helm: Helm, values: Path) -> None:
    done = helm.said("install", "demo", CHART, "--dry-run=client", "--output", "json", "--values", values)
    notes = json.loads(done)["info"]["notes"].strip().splitlines()
    assert len(notes) <= 12
    assert any("kubectl rollout status deployment/" in line for line in notes)
    assert any("helm test demo" in line for line in notes) == (values.stem in TESTED)


def test_no_name_is_too_long_whatever_the_release_is_called(helm: Helm) -> None:
    long = "x" * 53
    text = helm.said("template", long, CHART, "-n", "n" * 63)
    for each in read(text):
        limit = 253 if each["kind"] in CLUSTER_SCOPED | {"Role", "RoleBinding", "Secret", "ConfigMap"} else 63
        assert len(each["metadata"]["name"]) <= limit, each["metadata"]["name"]
        assert all(len(str(value)) <= 63 for value in each["metadata"]["labels"].values())


def test_what_artifact_hub_shows_is_what_the_chart_has() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    told = {key.removeprefix("artifacthub.io/"): yaml.safe_load(text) for key, text in chart["annotations"].items()}
    crds = [yaml.safe_load(path.read_text()) for path in sorted((CHART / "files" / "crds").glob("*.yaml"))]
    assert [(each["name"], each["kind"]) for each in told["crds"]] == [
        (crd["metadata"]["name"], crd["spec"]["names"]["kind"]) for crd in crds
    ]
    assert all({"version", "displayName", "description"} < each.keys() for each in told["crds"])
    assert [each["kind"] for each in told["crdsExamples"]] == [each["kind"] for each in told["crds"]]
    images = [each["image"] for each in told["images"]]
    assert images == [f"ghcr.io/kube-registrar/kube-registrar:{chart['appVersion']}"]
    assert all(link["url"].startswith("https://") for link in told["links"])
