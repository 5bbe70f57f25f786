"""How long nobody writes when the leader is killed, stopped, or stands still, with many pods and a change pending.

python -m bench.failover [--pods 1000] [--services 100] [--simulate SWITCHES]

Two replicas share a registry in this process, each by an address of its own, so it is known who asked what and when. It
is as slow and as strict as Cloud Map unless told otherwise. A change is pending each time: one pod goes and one comes.
Bars: 15 s from a kill to the next write, 2 s from a stop; nothing is sent by a leader that wakes after its lease, and
what it had sent before is repaired within 5 s; no live pod is ever deregistered. Exit code 1 if one is not kept.
"""

import argparse
import functools
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench.cold_start import populate
from bench.ground import ground, used
from bench.table import Row, run

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered
from tests.scenarios.shared import Door, SharedRegistry, shared_registry

KILL_BAR, STOP_BAR, REPAIR_BAR = 15.0, 2.0, 5.0
LIKE_CLOUD_MAP = "operation-delay=0.3s-1s,throttle=50/100"
SERVICE = "service-0"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--services", type=int, default=100)
    parser.add_argument("--simulate", default=LIKE_CLOUD_MAP)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.services, asked.simulate))


def rows(pods: int = 1000, services: int = 100, simulate: str = LIKE_CLOUD_MAP) -> Iterator[Row]:
    """Kill, stop and suspend the leader, one after the other."""
    with ground() as (place, folder), shared_registry(folder / "shared", 2, simulate) as shared:
        began = time.monotonic()
        populate(place, services, pods // services)
        print(f"  {pods} pods in {services} services are Ready after {time.monotonic() - began:.1f} s")
        bench = _Bench(place, folder, shared)
        try:
            bench.begin(pods)
            yield bench.kill(f"leader killed -9 with {pods} pods and a change pending")
            yield bench.stop()
            yield from bench.stand_still()
            yield bench.no_live_pod_went()
            print(f"  the leader at the end: {used(bench.leader)}")
        finally:
            bench.end()


class _Bench:
    """Two replicas; `leader` leads."""

    def __init__(self, place: Place, folder: Path, shared: SharedRegistry) -> None:
        self._place = place
        self._data = shared.data
        self._registry = Registry(shared.doors[0].url, place.registry_namespace)
        lease = f"lease-{secrets.token_hex(4)}"
        self._doors: dict[Operator, Door] = {}
        for number, door in enumerate(shared.doors):
            (folder / str(number)).mkdir()
            operator = Operator(folder / str(number), place.plane.kubeconfig, "--lease-name", lease, endpoint=door.url)
            self._doors[operator] = door
        self.leader, self.standby = self._doors
        self._changes = 0
        self._gone: set[str] = set()

    def begin(self, pods: int) -> None:
        """Start both, and wait until all pods are registered."""
        began = time.monotonic()
        self.leader.start()
        wait_until(lambda: self.leader.metric("kube_registrar_leader") == 1, "the first one to lead")
        self.standby.start()
        registered = 'kube_registrar_instances{registry="default",state="registered"}'
        wait_until(lambda: self.leader.metric(registered) == pods, "all pods to be registered", seconds=300, every=0.5)
        print(f"  all {pods} registered after {time.monotonic() - began:.1f} s")
        self._place.pod("goes-0", SERVICE)
        self._wait_for("goes-0", is_there=True)

    def kill(self, what: str) -> Row:
        """Kill the leader."""
        began = time.monotonic()
        self.leader.kill()
        change = self._change()
        wrote = self._first_write(self.standby, began)
        self._settle(change)
        print(f"  killed -9: next write after {wrote:.2f} s, all made after {_since(began)}")
        self._swap()
        return Row(f"{what}: next write by the standby", f"≤ {KILL_BAR:g} s", f"{wrote:.2f} s", wrote <= KILL_BAR)

    def stop(self) -> Row:
        """Stop the leader as a roll-out does."""
        began = time.monotonic()
        self.leader.child.signal(signal.SIGTERM)
        change = self._change()
        wrote = self._first_write(self.standby, began)
        assert self.leader.end(None) == 0
        ended = _since(began)
        self._settle(change)
        print(
            f"  stopped: next write after {wrote:.2f} s, all made after {_since(began)}; "
            f"the old process had ended after at most {ended}"
        )
        self._swap()
        return Row(
            "leader stopped gracefully: next write by the standby",
            f"≤ {STOP_BAR:g} s",
            f"{wrote:.2f} s",
            wrote <= STOP_BAR,
        )

    def stand_still(self) -> Iterator[Row]:
        """Stop the leader with SIGSTOP, let it go on past its lease, and play a write that it had sent before."""
        old, began = self.leader, time.monotonic()
        old.child.signal(signal.SIGSTOP)
        change = self._change()
        wrote = self._first_write(self.standby, began)
        repaired = self._repair()
        since = time.monotonic()
        old.child.signal(signal.SIGCONT)
        self._settle(change)
        wait_until(lambda: old.metric("kube_registrar_leader") == 0, "the old leader to know")
        change = self._change()
        self._settle(change)
        late = self._doors[old].writes(since)
        self.leader, self.standby = self.standby, self.leader
        what = "leader stopped with SIGSTOP past its lease"
        yield Row(f"{what}: next write by the standby", f"≤ {KILL_BAR:g} s", f"{wrote:.2f} s", wrote <= KILL_BAR)
        yield Row(f"{what}, then SIGCONT: requests that it sends anew", "0", str(len(late)), not late)
        yield Row(
            f"{what}: a live pod that its last request took out is back",
            f"≤ {REPAIR_BAR:g} s",
            f"{repaired:.2f} s",
            repaired <= REPAIR_BAR,
        )

    def no_live_pod_went(self) -> Row:
        """Only those pods were deregistered that went, and the one whose straggler was played."""
        wrong = set(deregistered(self._data)) - self._gone
        return Row("in all of these: live pods that were deregistered", "0", str(len(wrong)), not wrong)

    def end(self) -> None:
        """Kill both."""
        for operator in self._doors:
            operator.kill()

    def _swap(self) -> None:
        """Let the one that ended come back and stand by."""
        self.leader, self.standby = self.standby, self.leader
        self.standby.start()

    def _change(self) -> tuple[str, str]:
        """Have one pod go and one come; return their names."""
        gone, came = f"goes-{self._changes}", f"goes-{self._changes + 1}"
        self._changes += 1
        self._gone.add(gone)
        self._place.delete("Pod", gone, now=True)
        self._place.pod(came, SERVICE)
        return gone, came

    def _settle(self, change: tuple[str, str]) -> None:
        gone, came = change
        self._wait_for(came, is_there=True)
        self._wait_for(gone, is_there=False)

    def _wait_for(self, pod: str, *, is_there: bool) -> None:
        wait_until(
            lambda: bool(self._registry.instances(SERVICE, KUBE_POD=pod)) is is_there,
            f"{pod} to be {'found' if is_there else 'gone'}",
            seconds=60,
        )

    def _first_write(self, operator: Operator, since: float) -> float:
        door = self._doors[operator]
        wrote = wait_until(lambda: door.wrote_at(since), "the next leader to write", seconds=60, every=0.01)
        return wrote - since

    def _repair(self) -> float:
        """Take a live pod out, as a request of the old leader that was on its way would; wait until it is back."""
        instance = next(
            one for one in self._registry.instances(SERVICE) if one["Attributes"]["KUBE_POD"].startswith(SERVICE)
        )
        pod = str(instance["Attributes"]["KUBE_POD"])
        self._gone.add(pod)
        began = time.monotonic()
        self._registry.api.deregister_instance(
            ServiceId=self._registry.service_id(SERVICE), InstanceId=instance["InstanceId"]
        )
        self._wait_for(pod, is_there=False)
        self._wait_for(pod, is_there=True)
        return time.monotonic() - began


def _since(began: float) -> str:
    return f"{time.monotonic() - began:.2f} s"


if __name__ == "__main__":
    sys.exit(main())
