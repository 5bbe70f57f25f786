"""What the wire needs of a registry: Cloud Map's operations, through one method; and two more that make it fast."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from kube_registrar.model.cloudmap.begun import Begun
from kube_registrar.model.cloudmap.discovered import Discovered


@runtime_checkable
class Catalog(Protocol):
    """A registry that speaks in Cloud Map's operations."""

    @property
    def operations(self) -> frozenset[str]:
        """The operations it knows, such as RegisterInstance. The wire refuses all others."""

    async def execute(self, operation: str, request: Mapping[str, Any], region: str | None = None) -> Mapping[str, Any]:
        """Carry out an operation and return its answer: members as in the API reference, times in Unix seconds.

        `request` was checked against `model.cloudmap.shapes`. `region` is the one that the caller signed for; it
        stands in the ARNs of the answer. Raises model.cloudmap.errors.CloudMapError and nothing else. A change
        that was answered is durable.
        """
        ...


@runtime_checkable
class Discovering(Protocol):
    """A catalog whose answers to discoveries can be kept: it knows when they change."""

    def discovered(self, operation: str, request: Mapping[str, Any]) -> Discovered:
        """Look up what DiscoverInstances or DiscoverInstancesRevision would answer; at once, as it is in memory.

        `request` was checked against `model.cloudmap.shapes`. Raises CloudMapError.
        """
        ...


@runtime_checkable
class Writing(Protocol):
    """A catalog that can begin a write at once, and tells later when it is stored: no task is needed for each."""

    def begin(self, operation: str, request: Mapping[str, Any]) -> Begun:
        """Begin RegisterInstance or DeregisterInstance, with the answers and errors of `Catalog.execute`.

        `request` was checked against `model.cloudmap.shapes`. Raises CloudMapError if nothing was begun.
        """
        ...
