"""A registry that could not be opened: whoever asks it for anything is told why."""

from collections.abc import AsyncIterator, Sequence
from typing import Final

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Unreachable
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, NamespaceType, RecordType, ServiceSpec, Setting
from kube_registrar.registries.port import Capabilities, Found

UNKNOWN: Final = Capabilities(
    namespace_types=frozenset(NamespaceType),
    record_types=frozenset(RecordType),
    custom_health=True,
    watches=False,
    tags=True,
    health_checks=True,
    heeds=frozenset(Setting),
)
"""Nobody knows what it could do, so nothing is refused for that."""


class Absent:
    """A `Registry` that is not there. Every request is Unreachable with this sentence, and none is in doubt."""

    def __init__(
        self,
        name: RegistryName,
        why: str,
        next_step: str = ", and start this process again",
        *,
        can: Capabilities = UNKNOWN,
    ) -> None:
        """`why` has no period; what is to be done, or is done, follows it. `can`: what it will be able to do."""
        self.name = name
        self.capabilities = can
        self._why = f"{why}{next_step}"

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:  # noqa: ARG002 - the port's
        """Raise Unreachable."""
        raise self._error()

    async def ensure(
        self,
        spec: NamespaceSpec | ServiceSpec,  # noqa: ARG002 - the port's
        creator: str,  # noqa: ARG002 - see above
        policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT,  # noqa: ARG002 - see above
    ) -> Found:
        """Raise Unreachable."""
        raise self._error()

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:  # noqa: ARG002 - the port's
        """Raise Unreachable."""
        raise self._error()

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:  # noqa: ARG002 - the port's
        """Raise Unreachable."""
        raise self._error()

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:  # noqa: ARG002
        """Yield Unreachable for each change."""
        for change in changes:
            yield Outcome(change, self._error())

    async def discover(self, query: Query) -> Sequence[Instance]:  # noqa: ARG002 - the port's
        """Raise Unreachable."""
        raise self._error()

    def _error(self) -> Unreachable:
        return Unreachable(self._why)
