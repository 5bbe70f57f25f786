"""The Lease and the election on a real API server, straight and through a fault proxy. Times are a fifth."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, suppress

import pytest

from kube_registrar.cluster.election import Elector, Terms
from kube_registrar.cluster.errors import ApiConflict, ApiError
from kube_registrar.cluster.lease import ApiLease, Lease, micro_time, own_namespace
from kube_registrar.cluster.session import Session
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Answer, Reset, everything, watches, writes
from kube_registrar.testing.watched import eventually

SHORT = Terms(lease=2, renew_deadline=1.2, retry=0.4, goodbye=1.0)

NewReplica = Callable[..., "Replica"]


class Replica:
    """An elector on a real Lease, and whether its work runs."""

    def __init__(self, session: Session, namespace: str, name: str) -> None:
        self.leads = False
        self.fence = Fence(session.clock)
        self.lease = ApiLease(session, namespace, "test")
        self.elector = Elector(self.lease, name, self.fence, session.clock, terms=SHORT)
        self._task = asyncio.create_task(self.elector.run(self._lead))

    async def _lead(self) -> None:
        self.leads = True
        try:
            await asyncio.Event().wait()
        finally:
            self.leads = False

    async def stop(self) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task


@pytest.fixture
async def replica(direct: Session, kube_namespace: str) -> AsyncIterator[NewReplica]:
    made: list[Replica] = []

    def new(name: str, session: Session = direct) -> Replica:
        made.append(Replica(session, kube_namespace, name))
        return made[-1]

    yield new
    for each in made:
        await each.stop()


def spec(control_plane: ControlPlane, namespace: str) -> dict[str, object]:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases/test"
    found: dict[str, object] = control_plane.api.get(path)["spec"]
    return found


async def test_a_lease_is_made_written_over_what_was_read_and_read(direct: Session, kube_namespace: str) -> None:
    store = ApiLease(direct, kube_namespace, "test")
    assert await store.read() is None
    now = micro_time(1_700_000_000.5)
    made = await store.write(Lease("first", 10, now, now, 0))
    assert made == Lease("first", 10, "2023-11-14T22:13:20.500000Z", "2023-11-14T22:13:20.500000Z", 0)
    assert await store.read() == made
    with pytest.raises(ApiConflict):
        await store.write(Lease("second", 10, now, now, 0))
    released = await store.write(Lease("", 1, now, now, 0, made.body))
    assert (released.holder, released.seconds) == ("", 1)
    with pytest.raises(ApiConflict):
        await store.write(Lease("second", 10, now, now, 1, made.body))


async def test_what_others_put_into_the_lease_stays(
    direct: Session, control_plane: ControlPlane, kube_namespace: str, replica: NewReplica
) -> None:
    path = f"/apis/coordination.k8s.io/v1/namespaces/{kube_namespace}/leases"
    control_plane.api.post(path, {"metadata": {"name": "test", "labels": {"team": "web"}}})
    first = replica("first")
    await eventually(lambda: first.leads, "the first to lead")
    assert control_plane.api.get(f"{path}/test")["metadata"]["labels"] == {"team": "web"}


async def test_a_watch_tells_of_this_lease_as_it_is_and_after_each_change(direct: Session, kube_namespace: str) -> None:
    store, other = ApiLease(direct, kube_namespace, "test"), ApiLease(direct, kube_namespace, "other")
    await other.write(Lease("somebody", 10, micro_time(1.0), micro_time(1.0), 0))
    made = await store.write(Lease("first", 10, micro_time(1.0), micro_time(1.0), 0))
    async with aclosing(store.watch()) as leases, asyncio.timeout(30):
        assert await anext(leases) == made
        released = await store.write(Lease("", 1, micro_time(1.0), micro_time(2.0), 0, made.body))
        assert await anext(leases) == released
        await direct.delete(f"/apis/coordination.k8s.io/v1/namespaces/{kube_namespace}/leases/test")
        assert await anext(leases) is None


async def test_a_stop_hands_over(control_plane: ControlPlane, kube_namespace: str, replica: NewReplica) -> None:
    first = replica("first")
    await eventually(lambda: first.leads, "the first to lead")
    second = replica("second")
    assert spec(control_plane, kube_namespace)["leaseTransitions"] == 0
    await first.stop()
    assert not first.leads
    await eventually(lambda: second.leads, "the second to lead")
    found = spec(control_plane, kube_namespace)
    assert (found["holderIdentity"], found["leaseDurationSeconds"], found["leaseTransitions"]) == ("second", 2, 1)
    await second.stop()
    found = spec(control_plane, kube_namespace)
    assert (found.get("holderIdentity", ""), found["leaseDurationSeconds"]) == ("", 1)


async def test_one_that_cannot_renew_stops_by_itself_and_another_takes_over(
    proxy: FaultProxy, session: Session, replica: NewReplica
) -> None:
    first = replica("first", session)
    await eventually(lambda: first.leads, "the first to lead")
    second = replica("second")
    cut = proxy.add(Reset(everything))
    await eventually(lambda: not first.leads, "the first to stop")
    assert not first.fence.admits(0.0)
    await eventually(lambda: second.leads, "the second to lead")
    proxy.remove(cut)
    await eventually(lambda: bool(first.elector._told_leader), "the first to see who leads")
    assert not first.leads


async def test_errors_of_writes_for_a_while_cost_no_leadership(
    proxy: FaultProxy, session: Session, replica: NewReplica
) -> None:
    first = replica("first", session)
    await eventually(lambda: first.leads, "the first to lead")
    rule = proxy.add(Answer(writes("leases"), status=500, message="etcd is away", times=1))
    await eventually(lambda: rule.times == 0, "a renewal to fail")
    seen = first.elector._seen
    await eventually(lambda: first.elector._seen != seen, "the next renewal")
    assert first.leads


async def test_without_the_right_to_watch_it_goes_by_reading(
    proxy: FaultProxy, session: Session, replica: NewReplica
) -> None:
    proxy.add(Answer(watches("leases"), status=403, reason="Forbidden", message="no watch"))
    first = replica("first")
    await eventually(lambda: first.leads, "the first to lead")
    second = replica("second", session)
    await eventually(lambda: bool(second.elector._told_leader), "the second to see who leads")
    await first.stop()
    await eventually(lambda: second.leads, "the second to lead")


async def test_a_namespace_that_is_not_there_is_an_error_and_not_a_missing_lease(direct: Session) -> None:
    store = ApiLease(direct, "no-such-namespace", "test")
    with pytest.raises(ApiError, match='namespaces "no-such-namespace" not found'):
        await store.write(Lease("first", 10, micro_time(1.0), micro_time(1.0), 0))


def test_the_namespace_of_the_pod_is_that_of_its_account(tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("account")
    assert own_namespace(folder / "namespace") == "default"
    for text, expected in (("shop\n", "shop"), ("", "default"), ("../x", "default")):
        (folder / "namespace").write_text(text)
        assert own_namespace(folder / "namespace") == expected
