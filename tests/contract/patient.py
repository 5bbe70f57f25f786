"""Whoever asks a registry and, as the engine does, asks again when it fails or nobody knows what became of it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from typing import TypeVar

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Conflict, NotLeading, Retryable, Unreachable, Withdrawn
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Capabilities, Found, Registry, Withdrawing

TRIES = 20

Answer = TypeVar("Answer")


class Patient:
    """A registry that is asked again. It passes on what no second try would mend."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    @property
    def name(self) -> RegistryName:
        return self._registry.name

    @property
    def capabilities(self) -> Capabilities:
        return self._registry.capabilities

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        return await _again(lambda: self._registry.find(parent))

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        return await _again(lambda: self._registry.ensure(spec, creator, policy))

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        await _again(lambda: self._registry.remove(ref))

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        return await _again(lambda: self._registry.instances(service))

    async def discover(self, query: Query) -> Sequence[Instance]:
        return await _again(lambda: self._registry.discover(query))

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        assert isinstance(self._registry, Withdrawing)
        self._registry.withdraw(service, instances)

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        left: Sequence[Change] = changes
        for number in range(1, TRIES + 1):
            again: list[Change] = []
            must_look = False
            async for outcome in self._registry.apply(service, left):
                overtaken = isinstance(outcome.error, Conflict)  # perhaps by what it sent itself, and lost sight of
                if (overtaken or _may_mend(outcome.error)) and number < TRIES:
                    again.append(outcome.change)
                    must_look |= overtaken
                else:
                    yield outcome
            left = again
            if not left:
                return
            if must_look:
                await self.instances(service)


async def _again(ask: Callable[[], Awaitable[Answer]]) -> Answer:
    for _ in range(TRIES - 1):
        try:
            return await ask()
        except (Retryable, Unreachable) as error:
            if not _may_mend(error):
                raise
    return await ask()


def _may_mend(error: Exception | None) -> bool:
    return isinstance(error, Retryable | Unreachable) and not isinstance(error, NotLeading | Withdrawn)
