"""A registry whose requests are counted and timed, whatever the backend."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.refs import RegistryName, ServiceRef
from kube_registrar.registries.delegate import Delegate
from kube_registrar.registries.limits import Limited
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.metrics import Metrics


class Metered(Delegate):
    """Counts every call in `metrics`, as what the limiter of the delegate does, if it has one."""

    def __init__(self, registry: Registry, metrics: Metrics, clock: Clock) -> None:
        super().__init__(registry)
        self._metrics = metrics
        self._clock = clock
        metrics.expect(registry.name)
        if isinstance(registry, Limited):
            registry.limiter.observer = _LimitsMetered(registry.name, metrics)

    def _asking(self, operation: str) -> AbstractContextManager[None]:
        return self._metrics.request(self.name, operation)

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


_OPERATIONS: dict[type, str] = {Register: "register", Deregister: "deregister"}


@dataclass(frozen=True, slots=True)
class _LimitsMetered:
    registry: RegistryName
    metrics: Metrics

    def waited(self, operation: str, seconds: float) -> None:
        self.metrics.ratelimit_wait.labels(self.registry, operation).observe(seconds)

    def throttled(self, operation: str) -> None:
        self.metrics.registry_throttled.labels(self.registry, operation).inc()
