"""The same scenarios, unchanged, on every kind of registry: what the operator promises, it promises on each of them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from kube_registrar.model.instances import Instance
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.rights import suite as rights
from tests.scenarios.harness import Operator
from tests.scenarios.judge import Judge
from tests.scenarios.kinds import KINDS, Kind, killed, opened_kind, written
from tests.scenarios.place import Place, install_kinds

pytestmark = [pytest.mark.every_registry, pytest.mark.timeout(180)]

SERVICE = "flask-app"
FOREIGN = {"AWS_INSTANCE_IPV4": "192.0.2.1", "AWS_INSTANCE_PORT": "80", "owner": "somebody-else"}
DEAD = "dddddddd-0000-4000-8000-000000000000"


@pytest.fixture(scope="module", params=KINDS)
def kind(
    request: pytest.FixtureRequest, plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Kind]:
    """A registry of each kind, with an operator that runs for all tests."""
    folder = tmp_path_factory.mktemp(request.param)
    with opened_kind(request.param, folder, rights.operator_kubeconfig(plane)) as kind:
        yield kind
        assert kind.operator.unexpected() == []


@pytest.fixture(scope="module")
def judge(kind: Kind) -> Iterator[Judge]:
    """Whoever looks into it."""
    with Judge(kind.options) as judge:
        yield judge


@pytest.fixture(scope="module")
def other_plane() -> Iterator[ControlPlane]:
    """Another cluster."""
    with ControlPlane(nodes=1) as plane:
        install_kinds(plane)
        yield plane


class Held:
    """One registry service, as it is held."""

    def __init__(self, judge: Judge, place: Place) -> None:
        self._judge = judge
        self._where = (place.registry_namespace, SERVICE)

    def now(self) -> Mapping[str, Instance]:
        return self._judge.instances(*self._where)

    def expect(self, *names: str) -> Mapping[str, Instance]:
        return self._judge.expect(*self._where, set(names))

    def expect_attributes(self, name: str, **wanted: str) -> Mapping[str, str]:
        return self._judge.expect_attributes(*self._where, name, **wanted)

    def watching(self, *names: str) -> Any:
        return self._judge.watching(*self._where, set(names))

    def register(self, id_: str, attributes: Mapping[str, str]) -> None:
        self._judge.register(*self._where, id_, attributes)

    def deregister(self, id_: str) -> None:
        self._judge.deregister(*self._where, id_)


@pytest.fixture
def held(judge: Judge, kind: Kind, place: Place) -> Held:
    """The registry service of this test, which is declared."""
    assert kind.operator.child.poll() is None, "a test before this one has left no operator"
    place.declare(SERVICE)
    return Held(judge, place)


def test_ready_pods_are_instances_with_attributes_and_leave_while_they_are_not_ready(held: Held, place: Place) -> None:
    place.pod("a", SERVICE, attributes="stage=dev,version=1.0.0")
    place.pod("b", SERVICE, attributes="stage=prod")
    place.unready_pod("never", SERVICE)
    found = held.expect("a", "b")
    given, pod = found["a"].attributes, place.get("Pod", "a")
    assert (given["stage"], given["version"], found["b"].attributes["stage"]) == ("dev", "1.0.0", "prod")
    assert given["AWS_INSTANCE_IPV4"] == pod["status"]["podIP"]
    assert given["AWS_INSTANCE_PORT"] == str(pod["spec"]["containers"][0]["ports"][0]["containerPort"])
    assert given["KUBE_POD_UID"] == pod["metadata"]["uid"]

    place.set_status("b", ready=False)
    held.expect("a")
    place.set_status("b", ready=True)
    assert held.expect("a", "b")["b"].id == found["b"].id
    place.annotate("a", attributes="stage=test")
    assert "version" not in held.expect_attributes("a", stage="test")
    place.delete("Pod", "b")
    held.expect("a")


def test_a_kill_and_a_start_take_no_live_pod_out_and_what_went_meanwhile_leaves(
    kind: Kind, held: Held, place: Place
) -> None:
    stay = ("stays-0", "stays-1", "stays-2")
    for name in (*stay, "goes"):
        place.pod(name, SERVICE)
    before = held.expect(*stay, "goes")
    with held.watching(*stay) as watched:
        wait_until(lambda: watched.answers > 0, "a first look")
        kind.kill()
        place.delete("Pod", "goes", now=True)
        place.pod("comes", SERVICE)
        kind.operator.start()
        after = held.expect(*stay, "comes")
        answers = watched.answers
        wait_until(lambda: watched.answers > answers + 5, "a last look")
    assert watched.missing == []
    assert {name: after[name].id for name in stay} == {name: before[name].id for name in stay}


def test_an_end_takes_nothing_out(kind: Kind, held: Held, place: Place) -> None:
    place.pod("a", SERVICE)
    held.expect("a")
    with held.watching("a") as watched:
        assert kind.operator.end() == 0
        kind.operator.start()
        place.pod("b", SERVICE)
        held.expect("a", "b")
    assert watched.missing == []


def test_what_somebody_else_wrote_stays(held: Held, place: Place) -> None:
    place.pod("a", SERVICE, attributes="version=1")
    own = held.expect("a")["a"]
    held.register("foreign", FOREIGN)
    for number in range(2, 6):  # in the very moment of a change of ours, and no list has told of it
        held.register(own.id, {**held.now()["a"].attributes, f"canary-{number}": "yes"})
        place.annotate("a", attributes=f"version={number}")
        given = held.expect_attributes("a", version=str(number))
        canaries = {key for key in given if key.startswith("canary-")}
        assert (canaries, given["KUBE_ATTRIBUTES"]) == ({f"canary-{n}" for n in range(2, number + 1)}, "version")
    place.delete("Pod", "a", now=True)
    assert held.expect("foreign")["foreign"].attributes == FOREIGN


def test_a_registry_service_is_made_and_removed(held: Held, place: Place, judge: Judge) -> None:
    place.plane.apply([place.registry_service_manifest("short-lived", deletionPolicy="Delete")])
    assert place.wait_condition("RegistryService", "short-lived", "Ready", "True")["reason"] == "Created"
    assert set(judge.services(place.registry_namespace)) == {SERVICE, "short-lived"}
    place.delete("RegistryService", "short-lived")
    place.wait_gone("RegistryService", "short-lived")
    assert judge.services(place.registry_namespace) == [SERVICE]
    # What is retained, which is the default, is there when its object is not.
    place.delete("RegistryService", SERVICE)
    place.wait_gone("RegistryService", SERVICE)
    assert judge.services(place.registry_namespace) == [SERVICE]
    assert held.now() == {}


@pytest.fixture
def other_place(place: Place, other_plane: ControlPlane) -> Iterator[Place]:
    """The same names in another cluster."""
    other = Place(other_plane, place.namespace, place.registry_namespace).make()
    yield other
    other.clear()


@pytest.fixture
def other_operator(kind: Kind, other_place: Place) -> Iterator[Operator]:
    """The other cluster's operator, on the same registry; it is not started."""
    folder = kind.folder / "other"
    folder.mkdir()
    config = written(folder / "operator.yaml", kind.options)
    operator = Operator(
        folder, other_place.plane.kubeconfig, "--cluster-name", "green",
        config=config, variables=kind.variables, is_warm=True,
    )  # fmt: skip
    yield operator
    operator.kill()
    assert operator.unexpected() == []


def test_two_clusters_in_one_registry_service_leave_each_other_alone(
    kind: Kind, held: Held, place: Place, other_place: Place, other_operator: Operator
) -> None:
    for name in ("ours-stays", "ours-goes"):
        place.pod(name, SERVICE)
    held.expect("ours-stays", "ours-goes")
    held.register("foreign", FOREIGN)
    other_operator.start()
    other_place.declare(SERVICE)
    assert other_place.condition("RegistryService", SERVICE, "Ready")["reason"] == "Adopted"
    for name in ("theirs-stays", "theirs-goes"):
        other_place.pod(name, SERVICE)
    both = held.expect("ours-stays", "ours-goes", "theirs-stays", "theirs-goes", "foreign")
    assert both["theirs-stays"].attributes["KUBE_CLUSTER"] == "green"
    assert both["theirs-stays"].attributes["KUBE_CLUSTER_UID"] != both["ours-stays"].attributes["KUBE_CLUSTER_UID"]

    with held.watching("ours-stays", "theirs-stays", "foreign") as watched:
        kind.kill()
        place.delete("Pod", "ours-goes", now=True)
        other_place.delete("Pod", "theirs-goes", now=True)
        kind.operator.start()
        held.expect("ours-stays", "theirs-stays", "foreign")
        killed(other_operator)
        place.pod("ours-comes", SERVICE)
        other_place.pod("theirs-comes", SERVICE)
        other_operator.start()
        after = held.expect("ours-stays", "ours-comes", "theirs-stays", "theirs-comes", "foreign")
    assert watched.missing == []
    assert [name for name in ("ours-stays", "theirs-stays", "foreign") if after[name] != both[name]] == []


def test_commands_say_the_same_on_each(kind: Kind, held: Held, place: Place) -> None:
    namespace, kube = place.registry_namespace, ("--kubeconfig", str(place.plane.kubeconfig))

    def told(*args: str, code: int = 0) -> Any:
        done = kind.run(*args)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    place.pod("a", SERVICE, attributes="stage=dev")
    place.pod("b", SERVICE, attributes="stage=prod")
    place.unready_pod("waits", SERVICE)
    own = held.expect("a", "b")["a"]

    found = told("discover", namespace, SERVICE, "-q", "stage=prod", "-o", "json")
    assert [each["Attributes"]["KUBE_POD"] for each in found["Instances"]] == ["b"]
    listed = told("instances", namespace, SERVICE, "-o", "json")["Instances"]
    assert {each["Attributes"]["KUBE_POD"]: each["Attributes"]["stage"] for each in listed} == {"a": "dev", "b": "prod"}
    assert told("plan", "-n", place.namespace, "-o", "json", *kube)["changes"] == []
    assert told("explain", "pod/a", "-n", place.namespace, "-o", "json", *kube) != {}
    assert "waits" in json.dumps(told("explain", "pod/waits", "-n", place.namespace, "-o", "json", *kube, code=2))

    # A cluster that is dead, in the same service: seen, and taken out when that is asked for, alone.
    held.register("dead", {**own.attributes, "KUBE_CLUSTER_UID": DEAD, "KUBE_POD": "dead"})
    gone = ("gc", "--cluster", DEAD, "-o", "json", *kube)
    told(*gone, "--dry-run", code=2)
    held.expect("a", "b", "dead")
    told(*gone, "--yes")
    held.expect("a", "b")


def test_plan_says_what_an_operator_would_do_that_is_away(kind: Kind, held: Held, place: Place) -> None:
    place.pod("edited", SERVICE, attributes="stage=dev")
    place.pod("stays", SERVICE)
    own = held.expect("edited", "stays")["edited"]
    kind.kill()
    place.pod("new", SERVICE)
    with Judge(kind.alone) as judge:
        alone = Held(judge, place)
        alone.register(own.id, {**own.attributes, "stage": "prod"})
    kube = ("--kubeconfig", str(place.plane.kubeconfig))
    done = kind.run("plan", "-n", place.namespace, "-o", "json", *kube, alone=True)
    assert done.returncode == 2, done.stdout + done.stderr
    told = {each["name"]: each["action"] for each in json.loads(done.stdout)["changes"]}
    assert sorted(told.values()) == ["Register", "Update"]
    assert told[own.id] == "Update"
    with Judge(kind.alone) as judge:
        assert set(Held(judge, place).now()) == {"edited", "stays"}, "plan writes nothing"
    kind.operator.start()
    held.expect_attributes("edited", stage="dev")
    held.expect("edited", "stays", "new")
