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
from kube_registrar.model.errors import Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Instance
from kube_registrar.model.records import BarePod, Pod
from kube_registrar.model.refs import InstanceId, ServiceRef, Uid
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

    @initialize()
    def start(self) -> None:
        for instance_id, attributes in self.foreign.items():
            self.ground.registry.put(FLASK, Instance(instance_id, attributes))
        self.run(self.ground.start())

    def pod(self, name: str) -> Pod | BarePod | None:
        return self.ground.cluster.pods.get(("default", name))

    def edit(self, name: str, **fields: Any) -> None:
        """Change a pod, if it is there and says anything."""
        if isinstance(self.pod(name), Pod):
            self.do(self.ground.cluster.edit, name, **fields)

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

    @rule(name=names, ready=st.booleans())
    def become(self, name: str, ready: bool) -> None:
        pod = self.pod(name)
        if isinstance(pod, Pod) and not pod.is_terminal:
            self.edit(name, ready=ready)

    @rule(name=names, annotations=asked | nonsense)
    def annotate(self, name: str, annotations: dict[str, str]) -> None:
        pod = self.pod(name)
        if isinstance(pod, BarePod):
            pod = builders.pod(name, uid=pod.uid, annotations=annotations, ips=(f"10.0.1.{NAMES.index(name)}",))
            self.do(self.ground.cluster.apply, pod)
        self.edit(name, annotations=annotations)

    @rule(name=names)
    def bare(self, name: str) -> None:
        if isinstance(self.pod(name), Pod):
            self.do(self.ground.cluster.bare, name)

    @rule(name=names)
    def terminate(self, name: str) -> None:
        self.edit(name, terminating=True)

    @rule(name=names, phase=st.sampled_from(["Failed", "Succeeded"]))
    def end(self, name: str, phase: str) -> None:
        self.edit(name, phase=phase, ready=False)

    @rule(name=names, seen=st.booleans())
    def delete(self, name: str, seen: bool) -> None:
        if self.pod(name) is not None:
            self.do(self.ground.cluster.delete if seen else self.ground.cluster.lose, name)

    @rule()
    def relist(self) -> None:
        self.do(self.ground.cluster.relist)

    # What goes wrong.

    @rule()
    def restart(self) -> None:
        self.needs_resync |= not self.ground.engine.is_quiet or self.ground.clock.monotonic() < self.lands_at
        self.run(self.ground.restart())

    @rule(fails=st.booleans())
    def the_api_server(self, fails: bool) -> None:
        self.ground.cluster.lookup_error = RuntimeError("503") if fails else None

    @rule(op=operations, error=errors, times=st.integers(1, 4))
    def fail(self, op: Op, error: RegistryError, times: int) -> None:
        self.ground.registry.faults.fail(op, error, times=times)

    @rule(op=writes, times=st.integers(1, 3))
    def lose_reply(self, op: Op, times: int) -> None:
        self.ground.registry.faults.lose_reply(op, times=times)

    @rule(op=writes, times=st.integers(1, 3))
    def lose_request(self, op: Op, times: int) -> None:
        self.ground.registry.faults.lose_request(op, times=times)

    @rule(op=writes, seconds=st.floats(0.1, LONGEST_LATE))
    def straggle(self, op: Op, seconds: float) -> None:
        self.ground.registry.faults.straggle(op, seconds)
        self.lands_at = math.inf

    @rule(op=operations, seconds=st.floats(0.1, 30.0), times=st.integers(1, 3))
    def delay(self, op: Op, seconds: float, times: int) -> None:
        self.ground.registry.faults.delay(op, seconds, times=times)

    # Others who write.

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

    @rule(seconds=st.sampled_from([0.3, 1.0, 5.0, 30.0, 100.0, 700.0]))
    def advance(self, seconds: float) -> None:
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
    @precondition(lambda self: self.ground._task is not None)
    def calm(self) -> None:
        """Heal everything, wait, and look."""
        ground = self.ground
        ground.registry.faults.heal()
        ground.cluster.lookup_error = None
        self.relist()
        late = LONGEST_LATE if self.lands_at else 0.0
        self.run(ground.advance(RESYNC_SECONDS if self.needs_resync else late + CALM_SECONDS))
        self.needs_resync, self.lands_at = False, 0.0
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
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
)
TestEngine = EngineMachine.TestCase
