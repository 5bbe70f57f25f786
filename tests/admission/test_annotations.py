"""What is wrong with annotations is said at apply time, in the operator's words where the API server can decide."""

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from kube_registrar.declared.annotations import read_annotations
from kube_registrar.model.records import ANNOTATION_PREFIX
from kube_registrar.testing.api import ApiError
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.admission.policies import LABEL, cases, namespace, narrowed, rendered, thing, warnings
from tests.chart.helm import Helm, Json

CASES = cases()
OWNERS = (
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
    "Service",
)
WRONG = {f"{ANNOTATION_PREFIX}service": "Flask App"}
UNKNOWN = {f"{ANNOTATION_PREFIX}servce": "test-namespace/flask-app"}
RIGHT = {f"{ANNOTATION_PREFIX}service": "test-namespace/flask-app"}
POLICIES = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies"


@pytest.fixture(scope="module")
def plane(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """The control plane with the policies of both actions.

    What CEL cannot reckon, because it costs too much as well, would be let pass by them; here it is refused.
    """
    helm = Helm(tmp_path_factory.mktemp("helm"))
    applied = []
    for action in ("Warn", "Deny"):
        for each in narrowed(rendered(helm, {"validation": {"action": action}}), action.lower()):
            if "failurePolicy" in each["spec"]:
                assert each["spec"]["failurePolicy"] == "Ignore"
                each["spec"]["failurePolicy"] = "Fail"
            control_plane.apply([each])
            applied.append(each)
    yield control_plane
    for each in applied:
        plural = "bindings" if each["kind"].endswith("Binding") else "policies"
        root = POLICIES.removesuffix("policies")
        control_plane.api.delete(f"{root}{'policy' if plural == 'bindings' else ''}{plural}/{each['metadata']['name']}")


@pytest.fixture(scope="module")
def warn(plane: ControlPlane) -> str:
    """A Kubernetes namespace where what is wrong is told."""
    name = namespace(plane, **{LABEL: "warn"})
    wait_until(lambda: warnings(plane, name, "Deployment", WRONG), "the malformed to be told")
    wait_until(lambda: warnings(plane, name, "Deployment", UNKNOWN), "the unknown to be told")
    wait_until(lambda: warnings(plane, name, "Pod", WRONG), "the malformed to be told of pods")
    return name


@pytest.fixture(scope="module")
def deny(plane: ControlPlane) -> str:
    """A Kubernetes namespace where what is wrong is refused."""
    name = namespace(plane, **{LABEL: "deny"})

    def is_refused() -> bool:
        try:
            warnings(plane, name, "Deployment", WRONG)
        except ApiError:
            return True
        return False

    wait_until(is_refused, "the malformed to be refused")
    wait_until(lambda: warnings(plane, name, "Deployment", UNKNOWN), "the unknown to be told")
    wait_until(lambda: warnings(plane, name, "Pod", WRONG), "the malformed to be told of pods")
    return name


def said(warned: Sequence[str]) -> list[str]:
    """Return what is said by policies of ours, without their names."""
    return [each.split("' with binding '")[1].split("': ", 1)[1] for each in warned]


def refusal(plane: ControlPlane, where: str, kind: str, annotations: Mapping[str, str]) -> str:
    """Return what is said of an object that is refused."""
    with pytest.raises(ApiError) as caught:
        warnings(plane, where, kind, annotations)
    return caught.value.message.split(" denied request: ", 1)[1]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_case_is_told_as_it_says_in_the_operators_words(case: Json, plane: ControlPlane, warn: str) -> None:
    assert case["why"]
    told = [] if case["apply"] == "notDecidable" else [case["message"]]
    assert said(warnings(plane, warn, "Deployment", case["annotations"])) == told


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_case_is_refused_where_that_is_wished_if_it_says_so_but_never_a_pod(
    case: Json, plane: ControlPlane, deny: str
) -> None:
    if case["apply"] == "refused":
        assert refusal(plane, deny, "Deployment", case["annotations"]) == case["message"]
    else:
        told = [case["message"]] if case["apply"] == "warned" else []
        assert said(warnings(plane, deny, "Deployment", case["annotations"])) == told
    told = [] if case["apply"] == "notDecidable" else [case["message"]]
    assert said(warnings(plane, deny, "Pod", case["annotations"])) == told


def test_each_of_the_three_occurs_and_nothing_else() -> None:
    assert {case["apply"] for case in CASES.values()} == {"refused", "warned", "notDecidable"}
    assert len([case for case in CASES.values() if case["apply"] != "notDecidable"]) >= 30


@pytest.mark.parametrize("kind", OWNERS)
def test_every_owner_of_pods_and_every_service_is_looked_at(
    kind: str, plane: ControlPlane, warn: str, deny: str
) -> None:
    (told,) = said(warnings(plane, warn, kind, WRONG))
    assert told.startswith("annotation kube-registrar.dev/service is 'Flask App': without a slash")
    assert refusal(plane, deny, kind, WRONG) == told
    (told,) = said(warnings(plane, deny, kind, UNKNOWN))
    assert "Did you mean kube-registrar.dev/service?" in told
    assert warnings(plane, deny, kind, RIGHT) == []
    assert warnings(plane, deny, kind, {}) == []


def test_publish_belongs_on_services_and_a_wrong_one_is_told_with_what_was_meant(
    plane: ControlPlane, warn: str
) -> None:
    publish = f"{ANNOTATION_PREFIX}publish"
    assert warnings(plane, warn, "Service", {**RIGHT, publish: "ClusterIP"}) == []
    (told,) = said(warnings(plane, warn, "Deployment", {**RIGHT, publish: "ClusterIP"}))
    assert "It belongs on a Service." in told
    for wrong in ("clusterIp", "x", " "):
        (told,) = said(warnings(plane, warn, "Service", {**RIGHT, publish: wrong}))
        (problem,) = read_annotations({"service": "a/b", "publish": wrong}, of_service=True).problems
        assert told == str(problem)


def test_what_a_controller_makes_is_not_looked_at_again(plane: ControlPlane, deny: str) -> None:
    path, body = thing("ReplicaSet", WRONG)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "u", "controller": True}
    body["metadata"]["ownerReferences"] = [owner]
    assert plane.api.warned("POST", f"{path.format(deny)}?dryRun=All", body) == []


def test_what_was_stored_before_can_be_changed_but_not_into_something_else_that_is_wrong(
    plane: ControlPlane, deny: str
) -> None:
    where = namespace(plane)  # no policy is for it yet
    path, body = thing("Deployment", WRONG)
    collection = path.format(where)
    plane.api.post(collection, body)
    plane.api.patch(f"/api/v1/namespaces/{where}", {"metadata": {"labels": {LABEL: "deny"}}})

    def is_watched() -> bool:
        try:
            plane.api.post(f"{collection}?dryRun=All", {**body, "metadata": {"name": "other"}})
        except ApiError:
            return True
        return False

    wait_until(is_watched, "the policies to be for this namespace")
    assert plane.api.warned("PATCH", f"{collection}/web", {"spec": {"replicas": 2}}) == []
    other = {"spec": {"template": {"metadata": {"annotations": {f"{ANNOTATION_PREFIX}port": "0"}}}}}
    with pytest.raises(ApiError, match=r"denied request: annotation kube-registrar\.dev/service is"):
        plane.api.patch(f"{collection}/web", other)
    right = {"spec": {"template": {"metadata": {"annotations": RIGHT}}}}
    assert plane.api.warned("PATCH", f"{collection}/web", right) == []


LONGEST = {
    "fifty references": {"service": ",".join(f"{'n' * 1_000}/{'s' * 60}{n}" for n in range(50))},
    "as many references as an object can hold": {"service": "," * 200_000},
    "a wrong one at the end": {"service": ",".join([*(f"{'n' * 1_000}/{'s' * 60}{n}" for n in range(49)), "A B"])},
    "thirty attributes": {"service": "a/b", "attributes": ",".join(f"key{n}={'v' * 250}" for n in range(30))},
    "short attributes": {"service": "a/b", "attributes": ",".join(f"k{n}=v" for n in range(1_000))},
    "attributes of forms": {"service": "a/b", "attributes": ",".join(f"k{n}=$(x)$(y)" for n in range(300))},
    "the longest attributes that are read": {"service": "a/b", "attributes": "a=" + "\\," * 4_000},
    "longer ones": {"service": "a/b", "attributes": "a=" + "," * 200_000},
    "blanks": {"service": "a/b", "attributes": " " * 200_000},
    "the longest JSON that is read": {"service": "a/b", "attributes": json.dumps({"k": "v" * 8_000})},
    "many keys in JSON": {"service": "a/b", "attributes": json.dumps({f"KUBE_{n}": "$(x)" for n in range(50)})},
    "more keys in JSON than are read": {"service": "a/b", "attributes": json.dumps({f"k{n}": "" for n in range(600)})},
    "JSON that never ends": {"service": "a/b", "attributes": '{"a":"b",' * 800},
    "quotes": {"service": "a/b", "attributes": 'a="' * 2_000},
    "a long port": {"service": "a/b", "port": "9" * 200_000},
    "a long word": {"service": "a/b", "register": "x" * 200_000},
    "a long list": {"service-registries": "[" * 200_000},
    "many unknown keys": {"service": "a/b", **{f"{'y' * 50}{n}": "" for n in range(400)}},
}


@pytest.mark.parametrize("annotations", LONGEST.values(), ids=LONGEST.keys())
def test_no_value_costs_more_than_the_api_server_gives(
    annotations: Mapping[str, str], plane: ControlPlane, warn: str
) -> None:
    # An expression that costs too much is an error, and errors are refusals here.
    for told in said(warnings(plane, warn, "Pod", prefixed(annotations))):
        assert told in told_by_operator(annotations)


def prefixed(annotations: Mapping[str, str]) -> dict[str, str]:
    return {f"{ANNOTATION_PREFIX}{key}": each for key, each in annotations.items()}


def told_by_operator(annotations: Mapping[str, str]) -> list[str]:
    return [str(problem) for problem in read_annotations(annotations).problems]


PIECES = {
    "service": ["a/b", "a", "A", "/", ":", ",", " ", "arn:", "x:a/b", "_", "-", ".", "ü", "'", '"', "\\", "a" * 64],
    "port": ["http", "80", ":", "web:", "0", "65536", "A", " ", "-", "\t", "'", "000080", "a" * 16],
    "attributes": [
        *("a=b", "c=", ",", "\\,", "\\", '"', "'", "=", "[", "{", " ", "\n", "$(", ")", "$$(", "$", "x y", "AWS_", "é"),
        *("REGION=", "metadata.name", "$(spec.nodeName)", "v" * 1_025, "k" * 256, "d='e,f'", 'g="h",', "\t", "{a"),
    ],
    "register": ["true", "false", "no", " ", "'"],
}


@pytest.mark.parametrize("seed", range(12))
def test_the_api_server_never_says_what_the_operator_does_not(seed: int, plane: ControlPlane, warn: str) -> None:
    chance = random.Random(seed)
    told = 0
    for _ in range(25):
        key = chance.choice(["service", "port", "attributes", "attributes", "attributes", "register"])
        value = "".join(chance.choices(PIECES[key], k=chance.randint(1, 6)))
        annotations = {"service": "a/b", key: value}
        words = said(warnings(plane, warn, "Pod", prefixed(annotations)))
        assert set(words) <= set(told_by_operator(annotations)), annotations
        if value.isascii() and value.isprintable() and not value.strip().startswith("{"):
            assert bool(words) is bool(told_by_operator(annotations)), annotations
        told += len(words)
    assert told


KEYS = [
    "a",
    "b",
    "KUBE_POD",
    "AWS_X",
    "REGION",
    "",
    " ",
    "a b",
    "a,b",
    "k" * 256,
    "KUBE_" + "k" * 255,
    "'",
    "{",
    "}",
    ":",
]
VALUES = ["", "v", " v", "$(x)", "$(x", "$$(", "$(spec.nodeName)", "v" * 1_025, "'", ",", ":", "}", "{"]
BETWEEN = ["", " ", "\n"]


@pytest.mark.parametrize("seed", range(4))
def test_of_attributes_in_json_the_api_server_says_what_the_operator_says(
    seed: int, plane: ControlPlane, warn: str
) -> None:
    chance = random.Random(seed)
    told = 0
    for _ in range(25):

        def written(words: Sequence[str]) -> str:
            return f'{chance.choice(BETWEEN)}"{chance.choice(words)}"{chance.choice(BETWEEN)}'

        pairs = [f"{written(KEYS)}:{written(VALUES)}" for _ in range(chance.randint(1, 3))]
        annotations = {"service": "a/b", "attributes": f"{{{','.join(pairs)}}}"}
        words = said(warnings(plane, warn, "Pod", prefixed(annotations)))
        assert set(words) <= set(told_by_operator(annotations)), annotations
        assert bool(words) is bool(told_by_operator(annotations)), annotations
        told += len(words)
    assert told


def test_the_api_server_finds_no_mistake_in_the_policies(plane: ControlPlane, warn: str) -> None:
    def checked() -> Sequence[Json]:
        found = [each.get("status", {}) for each in plane.api.get(POLICIES)["items"]]
        return [each["typeChecking"] for each in found if "typeChecking" in each]

    wait_until(lambda: len(checked()) == 4, "the types of the expressions to be checked", seconds=90)
    assert [each.get("expressionWarnings", []) for each in checked()] == [[]] * 4


def test_the_file_of_the_chart_is_made_from_the_operators_rules() -> None:
    import runpy  # noqa: PLC0415 - of this test alone

    tool = runpy.run_path(str(Path(__file__).parents[2] / "tools" / "render_admission.py"))
    assert tool["FILE"].read_text() == tool["rendered"]()
