"""What goes wrong: watches, the API server, the registry, the process itself; and others who write."""

import math
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Refused, Retryable, Unreachable
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK
from tests.engine.model.asks import CHECKED, REFS
from tests.engine.model.line import ADDED
from tests.engine.model.machine import LONGEST_LATE, Machine
from tests.engine.model.pods import PodRules, clear_asks, names
from tests.engine.model.truth import KINDS

operations = st.sampled_from([Op.REGISTER, Op.DEREGISTER, Op.SET_HEALTH, Op.INSTANCES, Op.FIND])
writes = st.sampled_from([Op.REGISTER, Op.DEREGISTER])
errors = st.sampled_from([Retryable("busy", after=3.0), Refused("quota"), Unreachable("down")])
times = st.sampled_from(range(1, 4))
# Nothing is drawn from open ranges: Hypothesis would try numbers of ours there, other ones with each module imported.
lates = st.sampled_from([0.1, 2.0, 5.0, 20.0, 60.0, 90.0, 150.0, LONGEST_LATE])
troubles = st.one_of(
    st.tuples(st.just("fail"), operations, errors, times),
    st.tuples(st.just("lose_reply"), writes, st.none(), times),
    st.tuples(st.just("lose_request"), writes, st.none(), times),
    st.tuples(st.just("straggle"), writes, lates, times),
    st.tuples(st.just("delay"), operations, st.sampled_from([0.1, 1.0, 3.0, 10.0, 30.0]), times),
)
DOWN = Unreachable("no route to host")
moments = st.sampled_from([0.1, 0.3, 1.0, 5.0])
whiles = st.sampled_from([10.0, 30.0, 100.0])
pauses = st.dictionaries(st.sampled_from(KINDS), st.sampled_from([0.1, 3.0]), max_size=3)


class TimeRules(Machine):
    """Time passes."""

    @rule(seconds=moments)
    def a_moment(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule(seconds=whiles)
    def a_while(self, seconds: float) -> None:
        self.pass_time(seconds)


class TroubleRules(TimeRules, PodRules):
    """The registry, the watches and the API server fail, and the process is killed."""

    @rule(trouble=troubles, name=names)
    def trouble(self, trouble: tuple[str, Op, Any, int], name: str) -> None:
        """Let the next operations go wrong; and let one be called for."""
        self.make_trouble(*trouble)
        pod = self.truth.pod(name)
        if pod is not None:
            self.edit(name, ready=not pod.ready)

    def make_trouble(self, what: str, op: Op, detail: Any, count: int) -> None:
        details = () if detail is None else (detail,)
        getattr(self.registry.faults, what)(op, *details, times=count)
        if what == "straggle":
            self.lands_at = math.inf
            self.tampered()
        if what == "delay":
            self.is_slow = True
            self.registry.faults._delays.sort(key=lambda delay: delay.left is None)  # before what is slow for good

    @rule(name=names, annotations=clear_asks, late=lates, seconds=moments)
    def come_and_go(self, name: str, annotations: dict[str, str], late: float, seconds: float) -> None:
        """Let a pod be made and deleted while its register, which timed out, is still to land."""
        self.make_trouble("straggle", Op.REGISTER, late, 1)
        self.do(self.truth.make_pod, name, 0, annotations=annotations)
        self.pass_time(seconds)
        self.do(self.truth.pods.pop, ("default", name))

    def tampered(self) -> None:
        """Note that what the registry holds may not be what any replica knows."""
        for replica in self.replicas:
            replica.line.is_tampered = True

    @rule(seconds=st.sampled_from([20.0, 200.0]))
    def the_registry_is_down(self, seconds: float) -> None:
        """Be out of reach for so long that its circuit opens."""
        for op in (Op.REGISTER, Op.DEREGISTER, Op.SET_HEALTH, Op.INSTANCES, Op.FIND):
            self.registry.faults.fail(op, DOWN, times=None)
        self.pass_time(seconds)
        faults = self.registry.faults._faults
        faults[:] = [fault for fault in faults if fault.error is not DOWN]

    @rule(fails=st.booleans())
    def the_api_server(self, fails: bool) -> None:
        for replica in self.replicas:
            replica.view.lookup_error = RuntimeError("503") if fails else None

    @rule()
    def cut(self) -> None:
        for replica in self.replicas:
            replica.view.is_cut = True

    @rule(anew=st.booleans())
    def connect_again(self, anew: bool) -> None:
        """Watch on from where it was cut; or list anew, for that is no longer known."""
        for replica in self.replicas:
            if anew:
                replica.view.hidden.clear()
                self.run(replica.view.list_anew())
            else:
                self.do(replica.view.resume)

    @rule(pauses=pauses, misses=st.booleans())
    def restart(self, pauses: dict[str, float], misses: bool) -> None:
        """Kill the process and start it anew; its first lists take their time."""
        if not self.may_end():
            return
        self.run(self.leader.stop())
        if misses:
            self.change_unseen()
        self.run(self.leader.begin(pauses, leads=True))

    def change_unseen(self) -> None:
        """Let something happen while nobody watches: a pod goes, and another has its address."""
        for key, pod in list(self.truth.pods.items())[:1]:
            del self.truth.pods[key]
            self.truth.make_pod("job-0", 0, annotations=pod.annotations, ips=pod.ips)


class OtherWriters(TroubleRules):
    """Somebody else writes to the registry."""

    @precondition(lambda self: self.is_wild)
    @rule(
        service=st.sampled_from(REFS), number=st.sampled_from(range(10)), deed=st.sampled_from(["drop", "spoil", "add"])
    )
    def somebody_else(self, service: ServiceRef, number: int, deed: str) -> None:
        self.tampered()
        own = sorted(self._own(service), key=lambda each: each.id)
        if own:
            self.write_to(service, own[number % len(own)], deed)

    def write_to(self, service: ServiceRef, found: Instance, deed: str) -> None:
        """Have somebody else write to an instance of ours."""
        self.needs_resync = True
        if deed == "drop":
            self.registry.drop(service, found.id)
            return
        written = ADDED if deed == "add" else {keys.IPV4: "10.9.9.9"}
        self.registry.put(service, replace(found, attributes={**found.attributes, **written}))
        if deed == "add":
            for replica in self.replicas:
                replica.line.added(service, found.id)

    @precondition(lambda self: self.is_wild)
    @rule(name=names, number=st.sampled_from(range(6)))
    def add_just_before_a_change(self, name: str, number: int) -> None:
        """Add something to the instances of a pod that must be written anew the next moment."""
        self.tampered()
        for service in REFS:
            for found in self._own(service):
                if found.attributes[keys.POD] == name:
                    self.write_to(service, found, "add")
        self.edit(name, ips=(self.truth.free_address(name, number),))

    @precondition(lambda self: self.is_wild)
    @rule(service=st.sampled_from(REFS))
    def delete_registry_service_of(self, service: ServiceRef) -> None:
        """Delete a service of the registry, and make it again."""
        self.needs_resync = True
        self.tampered()
        for instance_id in list(self.registry.held(service)):
            self.registry.drop(service, instance_id)
        self.registry._memory.remove(service)
        self.pass_time(1.0)
        self.registry.add(builders.service_spec(ref=service, custom_health=service == CHECKED))
        if service == FLASK:
            for instance_id, attributes in self.foreign.items():
                self.registry.put(FLASK, Instance(instance_id, attributes))
