"""A registry whose faults stay its own: whatever its backend does against the port becomes an error of the port.

A raise that is no error of the model, an answer of another type, fewer outcomes than changes, a hang: each is
Unreachable with one sentence that names the registry and what it did: conditions, events and the log say it, its
circuit opens, and nothing else is touched. What such a change has done nobody knows: it is doubtful.

What cannot be contained is code that blocks the event loop, or does not let itself be cancelled.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from typing import Final, TypeVar, cast

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import RegistryError, Unreachable
from kube_registrar.model.instances import Health, Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.limits import Limited
from kube_registrar.registries.port import Capabilities, Found, Registry, Watching, Withdrawing

HANG_SECONDS: Final = 120.0
"""How long there may be no answer, and no further outcome."""
LIMITED_HANG_SECONDS: Final = 900.0
"""The same, where requests wait for their turn in a limiter."""

T = TypeVar("T")


def patience(registry: Registry) -> float:
    """Return how long a registry may take to answer, in seconds."""
    return LIMITED_HANG_SECONDS if isinstance(registry, Limited) else HANG_SECONDS


class Contained:
    """A `Registry` that delegates. Its errors are those of the port, its answers what the port says they are."""

    def __init__(self, registry: Registry, seconds: float | None = None) -> None:
        """`seconds`: how long there may be no answer; without it, as `patience` says."""
        self.delegate_to(registry, seconds)

    def delegate_to(self, registry: Registry, seconds: float | None = None) -> None:
        """Ask this one from now on; `seconds` as above."""
        self._registry = registry
        self._seconds = seconds or patience(registry)

    @property
    def name(self) -> RegistryName:
        """Its configured name."""
        return self._registry.name

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._registry.capabilities

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """See `Registry.find`."""
        kind = NamespaceSpec if parent is None else ServiceSpec
        return await self._asked("find", lambda: self._registry.find(parent), lambda found: _all_found(found, kind))

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """See `Registry.ensure`."""
        return await self._asked(
            "ensure",
            lambda: self._registry.ensure(spec, creator, policy),
            lambda found: _is_found(found, type(spec)),
            writes=True,
        )

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """See `Registry.remove`."""
        await self._asked("remove", lambda: self._registry.remove(ref), lambda found: found is None, writes=True)

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """See `Registry.instances`."""
        return await self._asked("instances", lambda: self._registry.instances(service), _are_instances)

    async def discover(self, query: Query) -> Sequence[Instance]:
        """See `Registry.discover`."""
        return await self._asked("discover", lambda: self._registry.discover(query), _are_instances)

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """See `Registry.apply`: there is an outcome for each change, whatever the backend does."""
        left = {change.instance_id: change for change in changes}
        wrong = "ended without an outcome for each change"
        try:
            async with aclosing(cast("_Outcomes", self._registry.apply(service, changes))) as outcomes:
                while left:
                    async with asyncio.timeout(self._seconds):
                        outcome = await anext(outcomes, None)
                    if outcome is None:
                        break
                    if found := self._wrong_with(outcome, left):
                        wrong = found
                        break
                    del left[outcome.change.instance_id]
                    yield outcome
        except GeneratorExit:
            left.clear()  # nobody listens any more
            raise
        except TimeoutError:
            wrong = f"has had no further outcome for {self._seconds:g} s"
        except Exception as error:  # noqa: BLE001 - whatever a backend raises
            wrong = f"raised {type(error).__name__}: {error}"
        for change in left.values():
            yield Outcome(change, self._fault("apply", wrong, doubtful=True))

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        """See `Withdrawing.withdraw`; nothing where changes are sent at once."""
        if isinstance(self._registry, Withdrawing):
            self._registry.withdraw(service, instances)

    async def changed(self) -> AsyncIterator[ServiceRef | None]:
        """See `Watching.changed`; nothing ever where the registry does not watch."""
        if not isinstance(self._registry, Watching):
            await asyncio.Event().wait()
            return
        try:
            async for hint in self._registry.changed():
                if hint is not None and not isinstance(hint, ServiceRef):
                    raise TypeError(f"it yielded a {type(hint).__name__}")
                yield hint
        except RegistryError:
            raise
        except Exception as error:
            raise self._fault("changed", f"raised {type(error).__name__}: {error}") from error

    async def _asked(
        self, method: str, ask: Callable[[], Awaitable[T]], fits: Callable[[object], bool], *, writes: bool = False
    ) -> T:
        try:
            async with asyncio.timeout(self._seconds):
                answer = await ask()
        except RegistryError:
            raise
        except TimeoutError:
            raise self._fault(method, f"has not answered for {self._seconds:g} s", doubtful=writes) from None
        except Exception as error:
            raise self._fault(method, f"raised {type(error).__name__}: {error}", doubtful=writes) from error
        if not fits(answer):
            raise self._fault(method, f"answered with {_shown(answer)}, which the port does not allow", doubtful=writes)
        return answer

    def _wrong_with(self, outcome: object, left: Mapping[InstanceId, Change]) -> str:
        """Return what is wrong with an outcome; empty if nothing is."""
        if not isinstance(outcome, Outcome):
            return f"yielded {_shown(outcome)}, which is no Outcome"
        if not _is_error(outcome.error):
            return f"yielded the error {_shown(outcome.error)}, which is none of the port"
        is_asked = _is_change(outcome.change) and left.get(outcome.change.instance_id) == outcome.change
        return "" if is_asked else f"yielded an outcome of {_shown(outcome.change)}, which was not asked for"

    def _fault(self, method: str, wrong: str, *, doubtful: bool = False) -> Unreachable:
        return Unreachable(
            f"the backend of registry {self.name} does not keep the contract of registries: {method} {wrong}. "
            "That is a fault of the package that brings it: install another version, or tell those who make it",
            doubtful=doubtful,
        )


class _Outcomes(AsyncIterator[Outcome]):
    """What `apply` gives, as far as it is closed here."""

    async def aclose(self) -> None:
        """Close it."""


def _is_error(error: object) -> bool:
    return error is None or isinstance(error, RegistryError)


def _is_change(change: object) -> bool:
    return isinstance(change, Change)


def _all_found(answer: object, kind: type) -> bool:
    return _is_list(answer) and all(_is_found(each, kind) for each in cast("Sequence[object]", answer))


def _is_found(answer: object, kind: type) -> bool:
    return isinstance(answer, Found) and isinstance(answer.spec, kind) and isinstance(answer.id, str)


def _are_instances(answer: object) -> bool:
    return _is_list(answer) and all(_is_instance(each) for each in cast("Sequence[object]", answer))


def _is_instance(each: object) -> bool:
    return isinstance(each, Instance) and _are_fields(each.id, each.health, each.attributes)


def _are_fields(identifier: object, health: object, attributes: object) -> bool:
    """A field may hold anything: dataclasses do not look."""
    if not (isinstance(identifier, str) and isinstance(health, Health) and isinstance(attributes, Mapping)):
        return False
    return all(isinstance(key, str) and isinstance(value, str) for key, value in attributes.items())


def _is_list(answer: object) -> bool:
    return isinstance(answer, Sequence) and not isinstance(answer, str | bytes)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - no message grows with what is wrong
