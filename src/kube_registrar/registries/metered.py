"""A registry whose requests are counted and timed, whatever the backend."""

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, ServiceSpec
from kube_registrar.registries.limits import Limited
from kube_registrar.registries.port import Capabilities, Found, Registry, Watching, Withdrawing
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.metrics import Metrics


class Metered:
    """A `Registry` that delegates every call and counts it in `metrics`, as what its limiter does, if it has one."""

    def __init__(self, registry: Registry, metrics: Metrics, clock: Clock) -> None:
        self._registry = registry
        self._metrics = metrics
        self._clock = clock
        metrics.expect(registry.name)
        if isinstance(registry, Limited):
            registry.limiter.observer = _LimitsMetered(registry.name, metrics)

    @property
    def name(self) -> RegistryName:
        """The delegate's configured name."""
        return self._registry.name

    @property
    def capabilities(self) -> Capabilities:
        """What the delegate can do."""
        return self._registry.capabilities

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """See `Registry.find`."""
        with self._metrics.request(self.name, "find"):
            return await self._registry.find(parent)

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """See `Registry.ensure`."""
        with self._metrics.request(self.name, "ensure"):
            return await self._registry.ensure(spec, creator, policy)

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """See `Registry.remove`."""
        with self._metrics.request(self.name, "remove"):
            await self._registry.remove(ref)

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """See `Registry.instances`."""
        with self._metrics.request(self.name, "instances"):
            return await self._registry.instances(service)

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """See `Registry.apply`; each change is one request, from the call to its outcome."""
        began = self._clock.monotonic()
        async for outcome in self._registry.apply(service, changes):
            operation = _OPERATIONS.get(type(outcome.change), "set_health")
            code = outcome.error.reason if outcome.error else "ok"
            self._metrics.registry_requests.labels(self.name, operation, code).inc()
            self._metrics.registry_request_duration.labels(self.name, operation).observe(
                self._clock.monotonic() - began
            )
            yield outcome

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        """See `Withdrawing.withdraw`; nothing where changes are sent at once."""
        if isinstance(self._registry, Withdrawing):
            self._registry.withdraw(service, instances)

    async def discover(self, query: Query) -> Sequence[Instance]:
        """See `Registry.discover`."""
        with self._metrics.request(self.name, "discover"):
            return await self._registry.discover(query)

    async def changed(self) -> AsyncGenerator[ServiceRef | None]:
        """See `Watching.changed`; no hint where the delegate does not watch."""
        if isinstance(self._registry, Watching):
            async with aclosing(self._registry.changed()) as hints:  # type: ignore[type-var]
                async for hint in hints:
                    yield hint


_OPERATIONS: dict[type, str] = {Register: "register", Deregister: "deregister"}


@dataclass(frozen=True, slots=True)
class _LimitsMetered:
    registry: RegistryName
    metrics: Metrics

    def waited(self, operation: str, seconds: float) -> None:
        self.metrics.ratelimit_wait.labels(self.registry, operation).observe(seconds)

    def throttled(self, operation: str) -> None:
        self.metrics.registry_throttled.labels(self.registry, operation).inc()
