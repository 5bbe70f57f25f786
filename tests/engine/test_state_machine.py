"""Everything at once: whatever happens, no pod that wants its instance loses it, and in the end all is as it should be.

At every deregistration the ground checks that the pod is not alive and asking for just that. At quiet points, with
everything healed, the own instances are exactly those of the live ready pods that ask, and no other was touched.
"""

import asyncio
import math
from collections.abc import Callable, Coroutine
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Refused, Retryable, Unreachable
from kube_registrar.model.instances import Instance
from kube_registrar.model.records import BarePod, Pod
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
from kube_registrar.planning.brake import STANDING_SECONDS
from kube_registrar.planning.compare import is_true_to
from kube_registrar.sources.pods import wish_of
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, OTHER, Ground

NAMES = ("web-0", "web-1", "web-2", "api-0")
ADDRESSES = [f"10.0.0.{number}" for number in range(1, 7)]
SERVICES = (FLASK, OTHER)
LONGEST_LATE = 250.0
CALM_SECONDS = 100.0
"""The longest backoff, and what comes after it; doubts are looked into no less often."""
RESYNC_SECONDS = 1_500.0
"""Two resyncs: only they find what others wrote, and what a predecessor sent may land after the first."""

asked = st.sampled_from(
    [
        {"service": "test-namespace/flask-app"},
        {"service": "test-namespace/flask-app", "attributes": "stage=dev"},
        {"service": "test-namespace/flask-app", "attributes": "stage=prod,colour=red"},
        {"service": "test-namespace/flask-app", "port": "9090"},
        {"service": "test-namespace/other"},
        {"service": "test-namespace/flask-app,test-namespace/other"},
    ]
)
nonsense = st.sampled_from(
    [
        {"service": "///"},
        {"service": "test-namespace/nowhere"},
        {"service": "test-namespace/flask-app", "attributes": "stage"},
        {"service": "test-namespace/flask-app,test-namespace/nowhere"},
    ]
)
names = st.sampled_from(NAMES)
operations = st.sampled_from([Op.REGISTER, Op.DEREGISTER, Op.INSTANCES, Op.FIND])
writes = st.sampled_from([Op.REGISTER, Op.DEREGISTER])
errors = st.sampled_from([Retryable("busy", after=3.0), Refused("quota"), Unreachable("down")])
times = st.integers(1, 3)
changes = st.one_of(
    st.builds(dict, ready=st.booleans()),
    st.builds(dict, ready=st.booleans()),
    st.builds(dict, annotations=asked),
    st.builds(dict, annotations=nonsense),
    st.just({"terminating": True}),
    st.sampled_from([{"phase": "Failed", "ready": False}, {"phase": "Succeeded", "ready": False}]),
)
troubles = st.one_of(
    st.tuples(st.just("fail"), operations, errors, times),
    st.tuples(st.just("lose_reply"), writes, st.none(), times),
    st.tuples(st.just("lose_request"), writes, st.none(), times),
    st.tuples(st.just("straggle"), writes, st.floats(0.1, LONGEST_LATE), times),
    st.tuples(st.just("delay"), operations, st.floats(0.1, 30.0), times),
)


class EngineMachine(RuleBasedStateMachine):
    """One cluster, one registry, two services, four names."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.ground: Ground = self.run(self._made())
        self.uids = 0
        self.lands_at = 0.0
        """Until when a straggler may land."""
        self.needs_resync = False
        self.foreign = {InstanceId("foreign"): {"by": "hand"}, InstanceId("twin"): {keys.CLUSTER_UID: "another"}}

    async def _made(self) -> Ground:
        return Ground()

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def do(self, deed: Callable[..., object], *args: Any, **fields: Any) -> None:
        """Do something within the loop, and let it settle."""

        async def done() -> None:
            deed(*args, **fields)
            await self.ground.settle()

        self.run(done())

    @initialize(
        annotations=st.lists(asked, min_size=len(NAMES), max_size=len(NAMES)),
        is_wild=st.booleans(),
        slowness=st.sampled_from([0.0, 1.0, 7.0]),
    )
    def start(self, annotations: list[dict[str, str]], is_wild: bool, slowness: float) -> None:
        self.is_wild, self.slowness = is_wild, slowness
        self.slow_down()
        for instance_id, attributes in self.foreign.items():
            self.ground.registry.put(FLASK, Instance(instance_id, attributes))
        self.run(self.ground.start())
        for number, (name, wanted) in enumerate(zip(NAMES, annotations, strict=True)):
            self.create(name, wanted, ready=True, address=number)

    def slow_down(self) -> None:
        """Let every write take its time, so that much happens meanwhile."""
        for op in (Op.REGISTER, Op.DEREGISTER):
            self.ground.registry.faults.delay(op, self.slowness)

    def pod(self, name: str) -> Pod | BarePod | None:
        return self.ground.cluster.pods.get(("default", name))

    # Pods.

    @rule(name=names, annotations=asked, ready=st.booleans(), address=st.integers(0, 5))
    def create(self, name: str, annotations: dict[str, str], ready: bool, address: int) -> None:
        """Make a pod, or replace one under its name with a new UID; a free address is given out again at once."""
        others = [p for p in self.ground.cluster.pods.values() if isinstance(p, Pod) and p.name != name]
        free = [ip for ip in ADDRESSES if not any(ip in p.ips and not p.is_terminal for p in others)]
        self.uids += 1
        pod = builders.pod(
            name,
            uid=Uid(f"uid-{self.uids}"),
            annotations=annotations,
            ready=ready,
            ips=(free[address % len(free)],),
        )
        self.do(self.ground.cluster.apply, pod)

    @rule(name=names, change=changes)
    def change(self, name: str, change: dict[str, Any]) -> None:
        """Change a pod, if it is there; one that ended ended for good, and one without annotations gets some."""
        pod = self.pod(name)
        if isinstance(pod, BarePod) and "annotations" in change:
            made = builders.pod(name, uid=pod.uid, ips=(f"10.0.1.{NAMES.index(name)}",), ready=True, **change)
            self.do(self.ground.cluster.apply, made)
        elif isinstance(pod, Pod) and not (pod.is_terminal and "ready" in change):
            self.do(self.ground.cluster.edit, name, **change)

    @rule(name=names, change=changes)
    def change_too(self, name: str, change: dict[str, Any]) -> None:
        """Do what `change` does: it is what happens most."""
        self.change(name, change)

    @rule(name=names, seconds=st.sampled_from([0.1, 2.0]))
    def flap(self, name: str, seconds: float) -> None:
        """Become unready and ready again, faster than slow operations are."""
        self.change(name, {"ready": False})
        self.run(self.ground.advance(seconds))
        self.change(name, {"ready": True})

    @rule(name=names, deed=st.sampled_from(["delete", "lose", "bare", "hide"]))
    def go(self, name: str, deed: str) -> None:
        """Delete a pod, seen or not; take its annotations; or let the watch lose sight of it while it lives."""
        cluster = self.ground.cluster
        if self.pod(name) is None or (deed == "bare" and isinstance(self.pod(name), BarePod)):
            return
        if deed == "hide":
            if not self.is_wild:
                return
            self.needs_resync = True  # a pod that lives and that no watch tells of is asked about ever less
            cluster.hidden.add(("default", name))
            self.do(cluster.relist)
        else:
            self.do(getattr(cluster, deed), name)

    @rule(shown=st.booleans())
    def relist(self, shown: bool) -> None:
        if shown:
            self.ground.cluster.hidden.clear()
        self.do(self.ground.cluster.relist)

    # What goes wrong.

    @rule()
    def restart(self) -> None:
        if not self.ground.engine.is_quiet or self.lands_at:
            if not self.is_wild:
                return
            self.needs_resync = True
        self.run(self.ground.restart())

    @rule(fails=st.booleans())
    def the_api_server(self, fails: bool) -> None:
        self.ground.cluster.lookup_error = RuntimeError("503") if fails else None

    @rule(trouble=troubles)
    def trouble(self, trouble: tuple[str, Op, Any, int]) -> None:
        what, op, detail, count = trouble
        details = () if detail is None else (detail,)
        getattr(self.ground.registry.faults, what)(op, *details, times=count)
        if what == "straggle":
            self.lands_at = math.inf

    # Others who write.

    @precondition(lambda self: self.is_wild)
    @rule(service=st.sampled_from(SERVICES), number=st.integers(0, 9), deed=st.sampled_from(["drop", "spoil", "add"]))
    def somebody_else(self, service: ServiceRef, number: int, deed: str) -> None:
        self.needs_resync = True
        own = sorted(self.ground.own(service), key=lambda each: each.id)
        if not own:
            return
        found = own[number % len(own)]
        if deed == "drop":
            self.ground.registry.drop(service, found.id)
        else:
            added = {"weight": "5"} if deed == "add" else {keys.IPV4: "10.9.9.9"}
            self.ground.registry.put(service, replace(found, attributes={**found.attributes, **added}))

    @precondition(lambda self: self.is_wild)
    @rule(service=st.sampled_from(SERVICES))
    def delete_service(self, service: ServiceRef) -> None:
        """Delete a service that holds nothing foreign, and make it again."""
        self.needs_resync = True
        registry = self.ground.registry
        for instance_id in list(registry.held(service)):
            registry.drop(service, instance_id)
        registry._memory.remove(service)
        self.run(self.ground.advance(1.0))
        registry.add(builders.service_spec(ref=service))
        if service == FLASK:
            for instance_id, attributes in self.foreign.items():
                registry.put(FLASK, Instance(instance_id, attributes))

    # Time, and what must hold.

    @rule(seconds=st.sampled_from([0.1, 0.3, 1.0, 5.0]))
    def a_moment(self, seconds: float) -> None:
        self.run(self.ground.advance(seconds))

    @rule(seconds=st.sampled_from([10.0, 30.0, 100.0]))
    def a_while(self, seconds: float) -> None:
        self.run(self.ground.advance(seconds))

    @invariant()
    def no_pod_that_wants_its_instance_was_deregistered(self) -> None:
        assert self.ground.violations == []

    @invariant()
    def foreign_instances_are_as_they_were(self) -> None:
        if self.ground._task is not None:
            held = self.ground.registry.held(FLASK)
            assert {each: dict(held[each].attributes) for each in self.foreign if each in held} == self.foreign

    @rule()
    def calm(self) -> None:
        """Heal everything, wait, and look."""
        ground = self.ground
        ground.registry.faults.heal()
        ground.cluster.lookup_error = None
        self.relist(shown=True)
        late = LONGEST_LATE if self.lands_at else 0.0
        self.run(ground.advance(RESYNC_SECONDS if self.needs_resync else late + CALM_SECONDS))
        if ground.engine.holds.notices():
            self.run(ground.advance(STANDING_SECONDS + CALM_SECONDS))
        assert ground.engine.holds.notices() == {}, "something is held for ever, or taken for another cluster's"
        self.needs_resync, self.lands_at = False, 0.0
        self.slow_down()
        assert ground.engine.is_quiet
        for service in SERVICES:
            self._check(service)

    def _check(self, service: ServiceRef) -> None:
        ground = self.ground
        pods = [p for p in ground.cluster.pods.values() if isinstance(p, Pod)]
        wishes = {p.uid: wish_of(p, ground.engine.catalog.world) for p in pods}
        wanted = {r.instance.id: r.instance for w in wishes.values() for r in w.registrations if r.service == service}
        own = {each.id: each for each in ground.own(service)}
        held = {uid for uid, wish in wishes.items() if wish.holds(service)}
        assert wanted.keys() <= own.keys(), "a live ready pod is missing"
        left = {each.id for each in own.values() if each.attributes[keys.POD_UID] not in held}
        assert left <= wanted.keys(), "an instance has outlived its pod, or its pod's wish"
        assert all(is_true_to(own[each], instance) for each, instance in wanted.items())

    def teardown(self) -> None:
        if self.ground._task is not None:
            self.calm()
        self.run(self.ground.stop())
        self.loop.close()


EngineMachine.TestCase.settings = settings(
    max_examples=250, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
TestEngine = EngineMachine.TestCase
