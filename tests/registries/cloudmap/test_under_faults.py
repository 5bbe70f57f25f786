"""Against a server that throttles, fails, delays and loses replies: nothing is lost, and outcomes are true."""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Conflict, Unreachable
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.model.simulation import simulation
from kube_registrar.registries import cloudmap, embedded
from kube_registrar.registries.embedded.registry import EmbeddedRegistry
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve
from kube_registrar.testing.builders import namespace_spec, service_ref, service_spec
from kube_registrar.testing.contract.base import apply, deregister, listed, must, register

SERVICE = service_ref()
TRIES = 60


@dataclass
class Place:
    """The backend under test, the truth behind the wire, and what was asked over it, by operation and status."""

    registry: Registry
    truth: EmbeddedRegistry
    calls: Counter[tuple[str, int]] = field(default_factory=Counter)

    async def ids(self) -> set[str]:
        return {each.id for each in await self.truth.instances(SERVICE)}

    async def until_done(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        """Apply, and apply again what was not confirmed; return all outcomes that were errors."""
        failures, left = list[Outcome](), list(changes)
        for _ in range(TRIES):
            outcomes = await apply(self.registry, SERVICE, *left)
            failed = [outcome for outcome in outcomes.values() if outcome.error]
            if not failed:
                return failures
            failures += failed
            left = [outcome.change for outcome in failed]
        raise AssertionError(f"after {TRIES} tries these are left: {failed}")


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


async def open_place(stack: AsyncExitStack, folder: Path, simulated: str, rates: Mapping[str, str]) -> Place:
    """Serve an embedded registry with these troubles, and open the backend before it."""
    clock = SystemClock()
    kept = {"data": folder, "customHealthDelaySeconds": 0, "simulate": simulated}
    truth = await stack.enter_async_context(embedded.open_registry(kept, DEFAULT_REGISTRY, clock))
    await truth.ensure(namespace_spec(), "test")
    await truth.ensure(service_spec(), "test")
    calls = Counter[tuple[str, int]]()

    @web.middleware
    async def count(request: web.Request, handler: Callable[[web.Request], object]) -> web.StreamResponse:
        response: web.StreamResponse = await handler(request)  # type: ignore[misc]
        calls[request.headers["X-Amz-Target"].rpartition(".")[2], response.status] += 1
        return response

    application = app(truth, simulation(simulated), clock)
    application.middlewares.append(count)
    port = await stack.enter_async_context(serve(application, "127.0.0.1", 0))
    config = {"region": "us-east-1", "endpointUrl": f"http://127.0.0.1:{port}", "rates": rates, "pollSeconds": 0.01}
    registry = await stack.enter_async_context(cloudmap.open_registry(config, DEFAULT_REGISTRY, clock))
    return Place(registry, truth, calls)


def registers(count: int) -> Sequence[Change]:
    return [register(f"i-{number}") for number in range(count)]


def deregisters(count: int) -> Sequence[Change]:
    return [deregister(f"i-{number}") for number in range(count)]


FAST = dict.fromkeys(["RegisterInstance", "DeregisterInstance", "GetOperation", "ListInstances"], "100000/100000")


async def test_within_the_rates_of_cloud_map_nothing_is_throttled(stack: AsyncExitStack, tmp_path: Path) -> None:
    place = await open_place(stack, tmp_path, "throttle=50/100,throttle.GetOperation=100/200", {})
    await must(place.registry, SERVICE, *registers(150))
    assert len(await place.ids()) == 150
    assert place.calls["RegisterInstance", 200] == 150
    assert {status for _, status in place.calls} == {200}


async def test_what_is_throttled_is_slowed_for_and_never_lost(stack: AsyncExitStack, tmp_path: Path) -> None:
    place = await open_place(stack, tmp_path, "throttle.RegisterInstance=40/10", {"GetOperation": "1000/1000"})
    await must(place.registry, SERVICE, *registers(70))
    assert len(await place.ids()) == 70
    assert place.calls["RegisterInstance", 200] == 70
    throttled = place.calls["RegisterInstance", 400]
    # The burst of ours is 90: what left before the first throttle was seen is thrown back, then hardly anything is.
    assert 0 < throttled < 140


async def test_faults_of_the_server_lose_nothing(stack: AsyncExitStack, tmp_path: Path) -> None:
    place = await open_place(stack, tmp_path, "faults=0.2,seed=1", FAST)
    failures = await place.until_done(registers(60))
    assert failures
    assert all(isinstance(each.error, Unreachable) and each.error.doubtful for each in failures)
    assert await place.ids() == {f"i-{number}" for number in range(60)}
    assert set(await listed(place.registry, SERVICE)) == await place.ids()


async def test_lost_replies_are_doubtful_and_lose_nothing(stack: AsyncExitStack, tmp_path: Path) -> None:
    place = await open_place(stack, tmp_path, "lost-replies=0.15,seed=2", FAST)
    outcomes = await apply(place.registry, SERVICE, *registers(60))
    lost = [outcome for outcome in outcomes.values() if outcome.error]
    assert lost
    assert all(isinstance(each.error, Unreachable) and each.error.doubtful for each in lost)
    assert {name for name, outcome in outcomes.items() if not outcome.error} <= await place.ids()
    await place.until_done([outcome.change for outcome in lost])
    assert len(await place.ids()) == 60
    await place.until_done(deregisters(60))
    assert await place.ids() == set()


async def test_operations_that_fail_late_are_told_and_did_nothing(stack: AsyncExitStack, tmp_path: Path) -> None:
    place = await open_place(stack, tmp_path, "operation-delay=5ms-40ms,late-failure=0.3,seed=3", FAST)
    outcomes = await apply(place.registry, SERVICE, *registers(60))
    confirmed = {name for name, outcome in outcomes.items() if not outcome.error}
    assert confirmed == await place.ids()
    assert 0 < len(confirmed) < 60
    assert not any(isinstance(outcome.error, Unreachable) for outcome in outcomes.values())
    await place.until_done(registers(60))
    assert len(await place.ids()) == 60


async def test_all_troubles_at_once_lose_nothing(stack: AsyncExitStack, tmp_path: Path) -> None:
    troubles = (
        "latency=0ms-5ms,operation-delay=5ms-50ms,late-failure=0.1,throttle=200/50,faults=0.1,lost-replies=0.1,seed=4"
    )
    place = await open_place(stack, tmp_path, troubles, {})
    failures = await place.until_done(registers(80))
    assert {type(each.error) for each in failures} >= {Unreachable}
    assert await place.ids() == {f"i-{number}" for number in range(80)}
    assert set(await listed(place.registry, SERVICE)) == await place.ids()
    await place.until_done([*deregisters(40), *(register(f"i-{number}", {"v": "2"}) for number in range(40, 80))])
    found = await listed(place.registry, SERVICE)
    assert {name: attributes.get("v") for name, attributes in found.items()} == {
        f"i-{number}": "2" for number in range(40, 80)
    }


async def test_what_somebody_else_is_writing_is_waited_for_and_never_overwritten_unseen(
    stack: AsyncExitStack, tmp_path: Path
) -> None:
    place = await open_place(stack, tmp_path, "operation-delay=1500ms", FAST)  # theirs is under way when ours is sent
    await listed(place.registry, SERVICE)
    [service] = await place.truth.find(SERVICE.namespace)
    request = {"ServiceId": service.id, "InstanceId": "a", "Attributes": {"foreign": "yes"}}
    await place.truth.execute("RegisterInstance", request)
    [outcome] = (await apply(place.registry, SERVICE, register("a", {"stage": "prod"}))).values()
    assert isinstance(outcome.error, Conflict)
    there = (await listed(place.registry, SERVICE))["a"]
    assert there == {"foreign": "yes"}, "theirs has landed when ours is told to look"
    await must(place.registry, SERVICE, register("a", {**there, "stage": "prod"}))
    assert (await listed(place.registry, SERVICE))["a"]["foreign"] == "yes"
    assert sum(number for (name, _), number in place.calls.items() if name == "RegisterInstance") == 2
