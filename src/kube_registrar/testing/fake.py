"""A registry in memory that records what it is asked and fails when told to.

It keeps every rule of `kube_registrar.registries.port`, and the contract suite runs over it. Nothing happens by
itself: time is the clock's, faults are those that the test put into `faults`.

    registry = FakeRegistry(clock=clock)
    registry.add(namespace_spec())
    registry.add(service_spec())
    registry.faults.lose_reply(Op.REGISTER)
    ...
    assert [call.change.instance_id for call in registry.asked(Op.REGISTER)] == ["flask-app-0"]
    assert set(registry.held(service)) == {"flask-app-0"}
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from kube_registrar.model.changes import Change, Deregister, Outcome, Register, SetHealth
from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.selection import select
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, NamespaceType, RecordType, ServiceSpec, Setting
from kube_registrar.registries.port import Capabilities, Found
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.runtime.concurrency import as_they_finish
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.faults import Faults, Op
from kube_registrar.testing.memory import Effect, Memory

Answer = TypeVar("Answer")

LIKE_CLOUD_MAP = Capabilities(
    namespace_types=frozenset(NamespaceType),
    record_types=frozenset(RecordType),
    custom_health=True,
    watches=False,
    max_instances=1_000,
    max_attributes=30,
    max_attribute_characters=5_000,
    max_attribute_value=1_024,
    tags=True,
    health_checks=True,
    heeds=frozenset(Setting),
    lists_tags=True,
)
"""What the fake can do unless told otherwise."""

_WRITES = frozenset({Op.ENSURE, Op.REMOVE, Op.REGISTER, Op.DEREGISTER, Op.SET_HEALTH})


@dataclass(frozen=True, slots=True)
class Call:
    """One thing that was asked, at monotonic time `at`, whatever came of it. `change` only where it was one."""

    at: float
    op: Op
    about: NamespaceRef | ServiceRef | None
    change: Change | None = None


@dataclass(frozen=True, slots=True)
class _Straggler:
    """An effect that nobody waits for any more."""

    due: float
    pair: tuple[ServiceRef, InstanceId] | None
    effect: Callable[[], object]


class FakeRegistry:
    """A `kube_registrar.registries.port.Registry` for tests, and a `Watching` one where its capabilities say so."""

    def __init__(
        self,
        name: RegistryName = DEFAULT_REGISTRY,
        clock: Clock | None = None,
        capabilities: Capabilities = LIKE_CLOUD_MAP,
        fence: Fence | None = None,
    ) -> None:
        self.name = name
        self.capabilities = capabilities
        self.faults = Faults()
        self.calls: list[Call] = []
        """Everything that was asked, in order."""
        self.health_seconds = 0.0
        """A status that was accepted is applied after so long: half a minute in Cloud Map."""
        self._clock = clock or SystemClock()
        self._fence = fence or Fence(self._clock)
        self._memory = Memory(capabilities, self._clock.monotonic)
        self._stragglers: list[_Straggler] = []
        self._unresolved: Counter[tuple[ServiceRef, InstanceId]] = Counter()
        self._watchers: list[asyncio.Queue[ServiceRef | None]] = []

    # What a test says and asks. None of it counts as a call.

    @property
    def history(self) -> list[Effect]:
        """Every write of an instance that took effect, in order."""
        self._land()
        return self._memory.history

    def add(self, spec: NamespaceSpec | ServiceSpec, creator: str | None = None) -> Found:
        """Put a registry namespace or service there, made by `creator` or by somebody unknown."""
        return self._memory.create(spec, creator)

    def put(self, service: ServiceRef, instance: Instance) -> None:
        """Write an instance as somebody else would, past all faults and rules."""
        self._memory.write(service, instance, foreign=True)
        self.hint(service)

    def drop(self, service: ServiceRef, instance_id: InstanceId) -> None:
        """Remove an instance as somebody else would; nothing happens if it is gone."""
        self._memory.erase(service, instance_id, foreign=True)
        self.hint(service)

    def held(self, service: ServiceRef) -> dict[InstanceId, Instance]:
        """Return what the service holds now; NotFound if there is no such service."""
        self._land()
        return self._memory.instances(service)

    def asked(self, op: Op, about: NamespaceRef | ServiceRef | None = None) -> list[Call]:
        """Return the calls of this kind, only those about this namespace or service if one is given."""
        return [call for call in self.calls if call.op is op and about in {None, call.about}]

    def hint(self, service: ServiceRef | None) -> None:
        """Tell all that watch to look at `service` again; None: at all of them."""
        for queue in self._watchers:
            queue.put_nowait(service)

    # The port.

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces, or all services of one."""
        return await self._answer(Op.FIND, parent, lambda: self._memory.find(parent))

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, use it or update it."""
        return await self._answer(Op.ENSURE, spec.ref, lambda: self._memory.ensure(spec, creator, policy))

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it if it is empty; what is gone is done."""
        await self._answer(Op.REMOVE, ref, lambda: self._memory.remove(ref))

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances."""
        return await self._answer(Op.INSTANCES, service, lambda: tuple(self._memory.instances(service).values()))

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer a discovery as Cloud Map does."""

        def answer() -> Sequence[Instance]:
            return select(tuple(self._memory.instances(query.service).values()), query)

        return await self._answer(Op.DISCOVER, query.service, answer)

    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Send the changes and yield an outcome for each, in the order of confirmation.

        What is under way when the iterator is closed takes effect at its time all the same.
        """
        return as_they_finish(self._apply(service, change) for change in changes)

    async def changed(self) -> AsyncIterator[ServiceRef | None]:
        """Yield a hint for each write from now on, whoever made it."""
        queue: asyncio.Queue[ServiceRef | None] = asyncio.Queue()
        self._watchers.append(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.remove(queue)

    # How it is done.

    async def _apply(self, service: ServiceRef, change: Change) -> Outcome:
        op = {Register: Op.REGISTER, Deregister: Op.DEREGISTER}.get(type(change), Op.SET_HEALTH)
        try:
            await self._answer(op, service, lambda: self._change(service, change), change)
        except RegistryError as error:
            return Outcome(change, error)
        return Outcome(change)

    def _change(self, service: ServiceRef, change: Change) -> None:
        if isinstance(change, SetHealth) and self.health_seconds:
            self._memory.check_health(service, change.instance_id, change.health)
            self._leave(self._clock.monotonic() + self.health_seconds, None, partial(self._apply_late, service, change))
            return
        self._memory.change(service, change)
        self.hint(service)
        if isinstance(change, Deregister) and self._unresolved[service, change.instance_id]:
            raise Unreachable(f"a register of {change.instance_id} in {service} may still land", doubtful=True)

    def _apply_late(self, service: ServiceRef, change: Change) -> None:
        self._memory.change(service, change)
        self.hint(service)

    async def _answer(
        self,
        op: Op,
        about: NamespaceRef | ServiceRef | None,
        effect: Callable[[], Answer],
        change: Change | None = None,
    ) -> Answer:
        self._land()
        if op in _WRITES:
            self._fence.check(f"{op} of {about}")  # a request that is not sent is no call
        self.calls.append(Call(self._clock.monotonic(), op, about, change))
        subject = change.instance_id if change else None
        seconds, fault = self.faults.take_delay(op, subject), self.faults.take_fault(op, subject)
        pair = (about, change.instance_id) if isinstance(about, ServiceRef) and isinstance(change, Register) else None
        if seconds:
            await self._pass(seconds, pair, effect if fault is None or fault.effect_after == 0 else None)
        if fault is None:
            return effect()
        if fault.effect_after == 0:
            effect()
        elif fault.effect_after is not None:
            self._leave(self._clock.monotonic() + fault.effect_after, pair, effect)
        raise fault.error

    async def _pass(
        self, seconds: float, pair: tuple[ServiceRef, InstanceId] | None, effect: Callable[[], object] | None
    ) -> None:
        """Let an operation take its time; if its caller goes away, its effect comes at its time all the same."""
        due = self._clock.monotonic() + seconds
        if pair:
            self._unresolved[pair] += 1
        try:
            await self._clock.sleep(seconds)
        except asyncio.CancelledError:
            if effect is not None:
                self._leave(due, pair, effect)
            raise
        finally:
            if pair:
                self._unresolved[pair] -= 1
        self._land()

    def _leave(self, due: float, pair: tuple[ServiceRef, InstanceId] | None, effect: Callable[[], object]) -> None:
        if pair:
            self._unresolved[pair] += 1
        self._stragglers.append(_Straggler(due, pair, effect))

    def _land(self) -> None:
        """Let stragglers take effect whose time has come. Everything that looks calls this first."""
        now = self._clock.monotonic()
        for straggler in sorted((each for each in self._stragglers if each.due <= now), key=lambda each: each.due):
            self._stragglers.remove(straggler)
            if straggler.pair:
                self._unresolved[straggler.pair] -= 1
            try:
                straggler.effect()
            except RegistryError:  # nobody waits for the answer
                continue
