"""A right that is missing is named in one message, and all that does without it works on."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from kube_registrar.cluster import preflight
from kube_registrar.cluster.preflight import OPTIONAL, RIGHTS, lease_rights
from kube_registrar.cluster.session import open_session
from kube_registrar.model.errors import UserError
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, lists, watches
from kube_registrar.testing.waiting import wait_until
from tests.chart.helm import Helm
from tests.rights import auditing
from tests.rights.auditing import Account, Grant
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import GROUP, Place
from tests.scenarios.registry import Registry, deregistered


@dataclass(frozen=True, slots=True)
class Denied:
    """What is taken away, `verb resource`, and what is said of it."""

    rights: tuple[str, ...]
    said: str


NODES = Denied(("list nodes", "watch nodes"), "not allowed to list, watch nodes in all namespaces: zones are known")
EVENTS = Denied(
    ("create events", "patch events"), "not allowed to create, patch events.events.k8s.io in all namespaces: nothing is"
)
STATUSES = Denied(
    ("patch registrynamespaces/status", "patch registryservices/status"),
    f"not allowed to patch registrynamespaces.{GROUP}/status in all namespaces; patch registryservices.{GROUP}/status "
    "in all namespaces: RegistryNamespaces and RegistryServices do not show how they stand",
)


def lives(place: Place, registry: Registry, service: str = "web") -> None:
    """A service is made, and a pod comes and goes."""
    place.plane.apply([place.registry_namespace_manifest(), place.registry_service_manifest(service)])
    wait_until(lambda: registry.service_id(service), "the registry service to be made")
    place.pod(service, service)
    registry.expect(service, {service})
    place.delete("Pod", service, now=True)
    registry.expect(service, set())


def messages(operator: Operator, words: str) -> list[str]:
    """Return what was logged with these words."""
    return [str(line["message"]) for line in operator.lines() if words in str(line["message"])]


@pytest.mark.parametrize("denied", [NODES, EVENTS, STATUSES], ids=["nodes", "events", "statuses"])
def test_an_optional_right_that_is_missing_from_the_start_is_said_once_and_the_rest_works(
    plane: ControlPlane, helm: Helm, place: Place, new_operator: NewOperator, denied: Denied
) -> None:
    with auditing.bound(plane, Account.rendered(helm).without(*denied.rights)) as kubeconfig:
        operator = new_operator(kubeconfig=kubeconfig).start()
        lives(place, Registry(operator.endpoint, place.registry_namespace))
        assert len(messages(operator, denied.said)) == 1
        if denied is STATUSES:
            assert place.wait_event("web", "Created", kind="RegistryService").type == "Normal"
            assert "status" not in place.get("RegistryService", "web")
        assert operator.end() == 0


def test_a_right_without_which_nothing_could_be_told_for_certain_ends_the_start_in_a_sentence_that_names_it(
    plane: ControlPlane, helm: Helm, new_operator: NewOperator
) -> None:
    rights = [f"{verb} registryservices" for verb in ("get", "list", "watch", "patch")]
    with auditing.bound(plane, Account.rendered(helm).without(*rights)) as kubeconfig:
        operator = new_operator(kubeconfig=kubeconfig).start(wait=False)
        assert operator.child.wait(30) != 0
        verbs = ", ".join(each.split()[0] for each in rights)
        said = f"does not allow us to {verbs} registryservices.{GROUP} in all namespaces: grant it"
        assert said in operator.tail()


async def test_each_right_that_is_rendered_is_named_by_itself_where_it_is_missing_at_the_start(
    plane: ControlPlane, helm: Helm, caplog: pytest.LogCaptureFixture
) -> None:
    account = Account.rendered(helm)
    rights = (*RIGHTS, *lease_rights(account.namespace, account.name))
    optional = {right.what for group in OPTIONAL for right in group}
    with auditing.bound(plane, account) as kubeconfig:
        async with open_session(str(kubeconfig)) as session:

            async def said() -> str:
                caplog.clear()
                try:
                    await preflight.check(session, rights=rights)
                except UserError as error:
                    return str(error)
                return "".join(record.getMessage() for record in caplog.records)

            async def says(*words: str) -> bool:
                found = await said()
                return all(each in found for each in words) if words else not found

            for grant in sorted(account.granted() - GATE):
                account.take(plane, grant)
                where = f"namespace {grant.namespace}" if grant.namespace else "all namespaces"
                what = f"allow us to {grant.what} in {where}: grant it"
                if grant.what.partition(" ")[2] in optional:
                    what = f"not allowed to {grant.what} in {where}: "
                await eventually(lambda what=what: says(what), what)  # type: ignore[misc]
                account.give_back(plane, grant)
            await eventually(says, "nothing to be missing in the end")


GATE = {Grant("kube-registrar-readiness-gate", "", "", "pods/status", "patch")}
"""Asked of by pods that list the gate: what is said of it is tested in `scenarios/test_readiness_gate.py`."""


async def eventually(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait until it holds: the API server learns of a role a moment after it was written."""
    for _ in range(500):
        if await holds():
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"waited for: {what}")


WATCHED = ("pods", "services", "endpointslices", "namespaces", "registrynamespaces", "registryservices", "nodes")


@pytest.fixture
def proxy(plane: ControlPlane) -> Iterator[FaultProxy]:
    """A proxy before the API server, whose watches it can end."""
    with FaultProxy.before(plane) as proxy:
        yield proxy


def test_each_read_that_is_refused_while_it_runs_is_named_once_loses_nothing_and_goes_on(
    proxy: FaultProxy, place: Place, new_operator: NewOperator, tmp_path: Path
) -> None:
    operator = new_operator(kubeconfig=proxy.write_kubeconfig(tmp_path / "kubeconfig")).start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    lives(place, registry, "before")
    place.pod("stays", "before")
    registry.expect("before", {"stays"})
    for verb, matches, end in (("list", lists, proxy.expire), ("watch", watches, proxy.cut)):
        refused = [proxy.add(Answer(matches(each), status=403, reason="Forbidden", message="no")) for each in WATCHED]
        for plural in WATCHED:
            end(plural)
        for plural in WATCHED:
            said = f"not allowed to {verb} {plural}"
            (only,) = wait_until(lambda said=said: messages(operator, said), f"{said} to be said")  # type: ignore[misc]
            assert f"grant the verb '{verb}' on {plural}" in only
        for rule in refused:
            proxy.remove(rule)
        lives(place, registry, f"after-{verb}")
    assert deregistered(operator.data).count("stays") == 0
    assert set(registry.discover("before")) == {"stays"}


def test_rights_that_are_taken_away_while_it_runs_are_each_named_once_and_the_rest_works_on(
    plane: ControlPlane, helm: Helm, place: Place, new_operator: NewOperator
) -> None:
    account = Account.rendered(helm)
    with auditing.bound(plane, account) as kubeconfig:
        operator = new_operator(kubeconfig=kubeconfig).start()
        registry = Registry(operator.endpoint, place.registry_namespace)
        lives(place, registry, "before")
        taken: dict[str, Callable[[], list[str]]] = {
            "create events": lambda: messages(operator, 'cannot create resource "events"'),
            "patch registryservices/status": lambda: messages(operator, "grant registryservices/status to"),
            "patch registryservices": lambda: messages(operator, "not allowed to patch registryservices:"),
        }
        for number, (right, said) in enumerate(taken.items()):
            account.without(right).apply(plane)
            lives(place, registry, f"web-{number}")
            wait_until(said, lambda right=right: f"{right} to be named; {operator.tail()}")  # type: ignore[misc]
            assert len(said()) == 1
