"""The Cloud Map backend against an endpoint that is as strict as AWS: throttled, slow, and failing.

python -m bench.cloud_map [create | exist | evict | quiet | idle | chaos …]

The endpoint is an embedded registry in a process of its own. It answers after 20 ms, takes 50 requests a second and 100
at once of each operation, creates services at 5 a second and 50 at once, and carries operations out in 0.3 to 1 s. What
was sent, and when, is what that process noted.
"""

import argparse
import functools
import itertools
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from bench.crowd import Crowd, Member, declare
from bench.ground import ground, percentile, used
from bench.idle import AFTER_START_SECONDS, calls_between, next_resync, populate
from bench.outages import Pods, found
from bench.registry_process import RegistryProcess
from bench.table import Row, run

from kube_registrar.registries.embedded.history import history
from kube_registrar.sync.following import SPREAD_SECONDS
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import DEREGISTER, REGISTER, changes

SLOW = "latency=20ms,operation-delay=0.3s-1s"
STRICT = f"{SLOW},throttle=50/100,throttle.GetOperation=100/200,throttle.CreateService=5/50"
ONE_BUCKET = f"{STRICT},throttle.RegisterInstance+DeregisterInstance=50/100"
TROUBLES = f"{SLOW},faults=0.2,hangs=0.05,seed=5"

SPAN_BAR = 1.15 * 18
CALLS_BAR, THROTTLES_BAR = 1.10, 0.01
SENT_BAR, EVICTED_BAR, CONVERGED_BAR = 0.150, 3.0, 60.0
IDLE_BAR, IDLE_HEALTH_BAR = 12.0, 22.0

_MAKING = {
    "CreateHttpNamespace", "CreateService", "GetNamespace", "GetService", "ListNamespaces", "ListServices",
    "ListTagsForResource", "TagResource",
}  # fmt: skip
_CALM = "calm"
_REGISTERED = 'kube_registrar_instances{registry="default",state="registered"}'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", nargs="*", help=f"any of {', '.join(_PARTS)}; all of them by default")
    what = parser.parse_args().what
    if unknown := [part for part in what if part not in _PARTS]:
        parser.error(f"there is no part {', '.join(unknown)}; known are {', '.join(_PARTS)}")
    return run(functools.partial(rows, what or list(_PARTS)))


def short_rows() -> Iterator[Row]:
    """Measure what needs no minutes of waiting."""
    return rows(["create", "exist", "evict", "quiet"])


def long_rows() -> Iterator[Row]:
    """Measure the rest."""
    return rows(["idle", "chaos"])


def rows(parts: Sequence[str]) -> Iterator[Row]:
    """Measure these parts, each on a ground of its own."""
    for part in parts:
        yield from _PARTS[part]()


@contextmanager
def _scene(simulate: str) -> Iterator[tuple[Place, RegistryProcess, Operator]]:
    """Give a place, a registry that runs, and an operator that does not."""
    with ground() as (place, folder):
        registry = RegistryProcess(Path(folder) / "registry", simulate).start()
        operator = Operator(folder, place.plane.kubeconfig, endpoint=registry.url)
        try:
            yield place, registry, operator
        finally:
            operator.kill()
            registry.stop()


def _create(pods: int = 1000, services: int = 100) -> Iterator[Row]:
    """Start cold: the services are made in the same time."""
    with _scene(STRICT) as (place, registry, operator):
        populate(place, pods, services)
        began = time.time()
        operator.start()
        _until_registered(operator, pods)
        what = f"{pods} pods in {services} services that are created, operator cold"
        yield from _burst(what, registry, began, pods, reads=services)
        print(f"  {used(operator)}", flush=True)


def _exist(pods: int = 1000, services: int = 100) -> Iterator[Row]:
    """Have pods become Ready as fast as the API server takes that; the operator runs, the services are there."""
    with _scene(STRICT) as (place, registry, operator):
        names = [f"service-{number}" for number in range(services)]
        crowd, members = Crowd(place.plane), _members(place, names, pods)
        declare(place, names)
        crowd.make(members, large=False)
        crowd.set_ready(members, ready=False)
        operator.start()
        for name in names:
            place.wait_condition("RegistryService", name, "Ready", "True")
        wait_until(_is_quiet_for(registry, 6.0), "the second reading to be over", seconds=60, every=0.5)
        began = time.time()
        crowd.set_ready(members, ready=True)
        print(f"  all are Ready after {time.time() - began:.1f} s", flush=True)
        _until_registered(operator, pods)
        yield from _burst(f"{pods} pods in {services} services that exist", registry, began, pods, reads=services)
        print(f"  {used(operator)}", flush=True)


def _burst(what: str, registry: RegistryProcess, began: float, pods: int, *, reads: int) -> Iterator[Row]:
    """Judge what was sent for so many registrations. `reads`: how many lists belong to the start."""
    # Services that are read in a leader's first seconds are read twice (docs/decisions/0007): the second time counts.
    noted = registry.noted(began)
    registers = [one for one in noted if one.operation == "RegisterInstance" and one.is_accepted]
    seconds = sorted(Counter(int(one.answered - began) for one in registers).items())
    print(f"  accepted, second by second: {[number for _, number in seconds]}", flush=True)
    span = max(one.answered for one in registers) - min(one.answered for one in registers)
    lost = pods - len({one.instance_id for one in registers})
    yield Row(f"{what}: first to last RegisterInstance accepted", f"≤ {SPAN_BAR:.1f} s", f"{span:.1f} s", _met(span))
    yield Row(f"{what}: never registered", "0", str(lost), lost == 0)
    throttled = sum(one.status == _BAD_REQUEST for one in noted) / len(noted)
    yield Row(f"{what}: calls refused", f"≤ {THROTTLES_BAR:.0%} of all", f"{throttled:.2%}", throttled <= THROTTLES_BAR)
    counted = Counter(one.operation for one in noted)
    calls = sum(number for name, number in counted.items() if name not in _MAKING)
    calls -= min(counted["ListInstances"], reads)
    print(f"  {dict(counted)}", flush=True)
    each = calls / pods
    yield Row(
        f"{what}: API calls a registration, beyond {reads} lists and making services",
        f"≤ {CALLS_BAR:.2f}",
        f"{each:.3f}",
        each <= CALLS_BAR,
    )


_BAD_REQUEST = 400


def _met(span: float) -> bool:
    return span <= SPAN_BAR


def _evict(waiting: int = 900, dying: int = 100) -> Iterator[Row]:
    """Let pods die while others, selected all at once, wait to be registered; with a bucket each and with one."""
    for simulate, buckets in ((STRICT, "a bucket each"), (ONE_BUCKET, "one bucket for both writes")):
        with _scene(simulate) as (place, registry, operator):
            names = [f"service-{number}" for number in range(10)]
            crowd, ill = Crowd(place.plane), _members(place, names, dying)
            late = [Member(place.namespace, f"late-{n:04}", labels={"app": "late"}) for n in range(waiting)]
            declare(place, names)
            crowd.make([*ill, *late])
            operator.start()
            _until_registered(operator, dying)
            began = time.time()
            path = place.path("RegistryService", "").rstrip("/")
            selects = {"selector": {"matchLabels": {"app": "late"}}, "port": "http"}
            place.plane.api.post(path, place.registry_service_manifest("late", **selects))
            wait_until(lambda: registry.noted(began, "RegisterInstance"), "the first to be registered", every=0.02)  # noqa: B023
            died = time.time()
            crowd.delete(ill)
            dead = time.time()
            _until_registered(operator, waiting)
            sent = registry.noted(died, "DeregisterInstance")
            last = max(one.came for one in sent if one.is_accepted)
            ahead = sum(one.is_accepted for one in registry.noted(began, "RegisterInstance") if one.came < died)
            refused = sum(one.status == _BAD_REQUEST for one in registry.noted(began))
            between = sum(died < one.came < last for one in registry.noted(died, "RegisterInstance"))
            print(
                f"  {buckets}: {ahead} were registered before, {between} between; {refused} calls refused", flush=True
            )
        took, whole = last - dead, len({one.instance_id for one in sent}) == dying
        yield Row(
            f"{dying} pods die while {waiting - ahead} wait to be registered, {buckets}: the last of them sent",
            f"≤ {EVICTED_BAR:g} s after all were deleted",
            f"{took:.2f} s ({last - died:.2f} s after the first was)",
            whole and took <= EVICTED_BAR,
        )


def _quiet(pods: int = 100) -> Iterator[Row]:
    """Make one pod after another Ready, then delete one after another."""
    with _scene(STRICT) as (place, registry, operator):
        operator.start()
        place.declare("flask-app")
        names = [f"quiet-{number:04}" for number in range(pods)]
        for name in names:
            place.unready_pod(name, "flask-app")
        ready = [
            _sent(registry, "RegisterInstance", name, lambda: place.set_status(name, ready=True))  # noqa: B023
            for name in names
        ]
        _until_registered(operator, pods)
        gone = [_sent(registry, "DeregisterInstance", name, lambda: place.delete("Pod", name)) for name in names]  # noqa: B023
        print(f"  {dict(registry.requests())}", flush=True)
    for what, seconds in (
        ("Ready until RegisterInstance is sent", ready),
        ("deletion begins until DeregisterInstance is sent", gone),
    ):
        yield _sent_row(f"{what}, quiet system", seconds)


def _sent_row(what: str, seconds: Sequence[float]) -> Row:
    p99 = percentile(seconds, 0.99)
    return Row(
        f"{what}, p99 of {len(seconds)} pods",
        f"≤ {SENT_BAR * 1000:.0f} ms",
        f"{p99 * 1000:.0f} ms (median {percentile(seconds, 0.5) * 1000:.0f} ms)",
        p99 <= SENT_BAR,
    )


def _sent(registry: RegistryProcess, operation: str, pod: str, act: Callable[[], None]) -> float:
    """Act, and return how long after that the request for a pod came to the registry."""
    before = time.time() - 1.0
    act()
    acted = time.time()

    def came() -> float:
        about = [one.came for one in registry.noted(before, operation) if one.instance_id.startswith(f"{pod}-")]
        return about[0] if about else _hanging(registry, operation, pod)

    return max(0.0, wait_until(came, f"{operation} for {pod}", every=0.02) - acted)


def _hanging(registry: RegistryProcess, operation: str, pod: str) -> float:
    """Return when a request was taken whose answer never comes: it is noted only once it is answered. 0: it was not."""
    if operation != "RegisterInstance":
        return 0.0
    about = (one for one in history(registry.data) if one.operation == REGISTER)
    return next((one.created for one in about if one.instance_id.startswith(f"{pod}-")), 0.0)


def _idle(pods: int = 1000, services: int = 100) -> Iterator[Row]:
    """Count the calls of an operator that has nothing to do, over one whole period of the resync."""
    for bar, what, spec in (
        (IDLE_BAR, "without custom health", {}),
        (IDLE_HEALTH_BAR, "with custom health", {"healthCheck": {"type": "Custom"}}),
    ):
        with _scene(STRICT) as (place, registry, operator):
            populate(place, pods, services, **spec)
            operator.start()
            _until_registered(operator, pods)
            began = next_resync(registry, time.time() + AFTER_START_SECONDS)
            ended = next_resync(registry, began + SPREAD_SECONDS)
            calls, seconds = calls_between(registry, began, ended), ended - began
            print(f"  {what}: {dict(calls)}; {used(operator)}", flush=True)
        a_minute = calls.total() / seconds * 60
        yield Row(
            f"idle, {pods} registrations in {services} services {what}, {seconds:.0f} s: calls",
            f"≤ {bar:g} a minute",
            f"{a_minute:.1f}",
            a_minute <= bar,
        )


def _chaos(pods: int = 200, services: int = 20, seconds: float = 120.0) -> Iterator[Row]:
    """Change pods for two minutes while a fifth of all calls fails, and a twentieth is done and never answered."""
    with _scene(SLOW) as (place, registry, operator):
        crowd = Pods(place, pods, services)
        declare(place, [*crowd.services, _CALM])
        crowd.make()
        operator.start()
        _until_registered(operator, pods)
        registry.again(TROUBLES)
        until, calm = time.monotonic() + seconds, list[float]()
        while time.monotonic() < until:
            crowd.change()
            calm += _calm(place, registry, len(calm), min(until, time.monotonic() + 10.0))
        registry.again(SLOW)
        ended, wanted = time.monotonic(), crowd.wanted()
        wait_until(
            lambda: found(registry.data) == wanted,
            lambda: f"the registry to be right; {len(wanted.items() ^ found(registry.data).items())} are wrong",
            seconds=240,
            every=0.25,
        )
        took = time.monotonic() - ended
        gone = {change.uid for change in changes(registry.data) if change.type == DEREGISTER} - crowd.may_go
        what = f"20 % of calls fail and 5 % hang after success, for {seconds:.0f} s, half of {pods} pods changing"
        yield Row(f"{what}: converged", f"≤ {CONVERGED_BAR:g} s after its end", f"{took:.1f} s", took <= CONVERGED_BAR)
        yield Row(f"{what}: live ready pods deregistered", "0", str(len(gone)), not gone)
        yield _sent_row(f"{what}: Ready until RegisterInstance is first sent, in a service that is not changed", calm)


def _calm(place: Place, registry: RegistryProcess, first: int, until: float) -> Iterator[float]:
    """Make one pod after another Ready in a service that nothing else happens to; yield when each was sent."""
    for number in itertools.count(first):
        if time.monotonic() >= until:
            return
        name = f"calm-{number:04}"
        place.unready_pod(name, _CALM)
        yield _sent(registry, "RegisterInstance", name, lambda: place.set_status(name, ready=True))  # noqa: B023


def _members(place: Place, services: Sequence[str], pods: int) -> list[Member]:
    return [
        Member(place.namespace, f"web-{number:05}", annotations=place.asks(services[number % len(services)]))
        for number in range(pods)
    ]


def _until_registered(operator: Operator, pods: int) -> None:
    wait_until(
        lambda: operator.metric(_REGISTERED) == pods,
        lambda: f"{pods} to be registered; {operator.metric(_REGISTERED)} are",
        seconds=300,
        every=0.5,
    )


def _is_quiet_for(registry: RegistryProcess, seconds: float) -> Callable[[], bool]:
    return lambda: not registry.noted(time.time() - seconds)


_PARTS: dict[str, Callable[[], Iterator[Row]]] = {
    "create": _create,
    "exist": _exist,
    "evict": _evict,
    "quiet": _quiet,
    "idle": _idle,
    "chaos": _chaos,
}


if __name__ == "__main__":
    sys.exit(main())
