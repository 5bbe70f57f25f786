"""What the engine needs of any registry: six methods, and a stream of hints where the registry has one.

The port is experimental until 1.0; `PORT_VERSION` rises when it changes. A backend is an entry point of the group
`kube_registrar.registries`: an async context manager `open(config, name, clock, fence)`, so there is no half-open
registry. Version 2 brought the fence, version 3 tags and the owner that they record, version 4 that another package
says the version that its backend was written for (`written_for`), and more capabilities.
Rules, held by the contract suite in `kube_registrar.testing.contract`:

- Reads never write, and an answer is whole (every page) or an error.
- `apply` yields one outcome for each change, in the order of confirmation, and raises for none of them. It is given
  at most one change an instance. An outcome without error is durable in the registry. Closing the iterator early
  leaves changes whose outcome is unknown; the engine treats them as doubtful.
- Deregistering what is gone succeeds, unless a register of that pair may still land: then its outcome is
  `Unreachable(doubtful=True)`.
- An instance of which the registry shows clients something else than it holds is listed, and is not whole; registering
  it as it is repairs that.
- Registering is an upsert. What `apply` is given replaces all attributes of the instance. Where somebody else has
  written the instance meanwhile, as far as the registry can tell, the outcome is Conflict and nothing was written: it
  is listed anew, and planned on that, so that attributes of others are carried along.
- Tags that begin with `kube-registrar/` record whose the settings are (`model.ownership`), where a registry has tags:
  `ensure` updates for that owner alone, and for the creator where none is recorded. Tags that nobody asks for stay.
- Errors are those of `kube_registrar.model.errors` and no others.
- Several replicas may share a registry, and one of them leads. Each write (`apply`, `ensure`, `remove`) asks the fence
  just before it is sent, in the thread that sends it, and has a time-out below `fence.WRITE_SECONDS`. What the fence
  does not admit is not sent, and fails with NotLeading. Reads do not ask.
"""

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import InstanceId, NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, NamespaceType, RecordType, ServiceSpec, Setting
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence

PORT_VERSION = 4
ENTRY_POINT_GROUP = "kube_registrar.registries"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a registry can do. The engine asks for these, never for names. None: no limit."""

    namespace_types: frozenset[NamespaceType]
    record_types: frozenset[RecordType]
    custom_health: bool
    watches: bool
    max_instances: int | None = None
    """Instances in one registry service."""
    max_attributes: int | None = None
    """Custom attributes (all but `AWS_*`) of one instance."""
    max_attribute_characters: int | None = None
    """Keys and values of all attributes of one instance together, `AWS_*` included."""
    max_attribute_value: int | None = None
    """Characters in one attribute value."""
    tags: bool = False
    """Whether registry namespaces and services have tags."""
    health_checks: bool = False
    """Whether it checks by itself whether instances are healthy, as Route 53 does."""
    lists_tags: bool = False
    """Whether `find` tells the tags, and not `ensure` alone."""
    answers_dns: bool = False
    """Whether clients resolve its names already, by a DNS server that belongs to it."""
    transactions: bool = False
    """Whether each write is guarded by what was read and listed: of two writers at once, none loses what the other
    wrote. `registries.versions` helps with that."""
    heeds: frozenset[Setting] = frozenset()
    """Settings that mean something there, of those that not every registry has. The others are said in conditions."""


@dataclass(frozen=True, slots=True)
class Found:
    """A registry namespace or service that exists.

    `created_by` is the token that its creator gave to `ensure`, where the registry keeps one: it makes adoption
    free of races. Lists need not tell tags or creators; what `ensure` returns does.
    """

    spec: NamespaceSpec | ServiceSpec
    id: str
    arn: str | None = None
    created_by: str | None = None


class Registry(Protocol):
    """A place that holds registry namespaces, registry services and instances."""

    @property
    def name(self) -> RegistryName:
        """Its configured name."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    async def find(self, parent: NamespaceRef | None) -> Sequence[Found]:
        """Return all registry namespaces (`None`), or all services of one. NotFound if it is not there."""

    async def ensure(
        self, spec: NamespaceSpec | ServiceSpec, creator: str, policy: CreationPolicy = CreationPolicy.CREATE_OR_ADOPT
    ) -> Found:
        """Make it, or use what is there, or update what is its owner's; return once the registry confirmed it.

        Idempotent: the same creator asking again gets the same thing. What is somebody else's is returned as it
        is and never changed. Raises Conflict where `policy` is Create and somebody else made it, or where what
        is there has another type or other records; NotFound where `policy` is Adopt, or the spec has an ARN, and
        nothing is there.
        """

    async def remove(self, ref: NamespaceRef | ServiceRef) -> None:
        """Remove it and return once confirmed; what is gone is done. Conflict when it is not empty."""

    async def instances(self, service: ServiceRef) -> Sequence[Instance]:
        """Return all instances by the strongest read there is. NotFound if the service is not there."""

    def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        """Send the changes and yield an outcome for each."""

    async def discover(self, query: Query) -> Sequence[Instance]:
        """Answer a discovery as a client of this registry would see it; never the truth to reconcile from."""


@runtime_checkable
class Withdrawing(Protocol):
    """A registry in which changes may wait for a while before they are sent, and can be taken back until then."""

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        """Drop the changes of these that were not sent yet: their outcome is Withdrawn. Others go on."""


@runtime_checkable
class Watching(Protocol):
    """A registry whose capabilities say that it watches."""

    def changed(self) -> AsyncIterator[ServiceRef | None]:
        """Yield a hint for each service to look at again; None: all of them."""


Opener = TypeVar("Opener", bound=Callable[..., object])


def written_for(version: int, can: Capabilities | None = None) -> Callable[[Opener], Opener]:
    """Mark an entry point with the version of the port that its backend was written for: a number, not PORT_VERSION.

    A backend of another version is not opened. Every package but this one must say it. `can`: what its registries can
    do, as far as no option changes that, for `kube-registrar registries`, which opens none.
    """

    def mark(opener: Opener) -> Opener:
        opener.port_version = version  # type: ignore[attr-defined]  # functions take attributes
        opener.capabilities = can  # type: ignore[attr-defined]  # see above
        return opener

    return mark


def for_one_process(opener: Opener) -> Opener:
    """Mark an entry point whose registry can be open in one process only: no replica and no command shares it."""
    opener.one_process = True  # type: ignore[attr-defined]  # functions take attributes
    return opener


class OpenRegistry(Protocol):
    """What an entry point is: opens a registry with the options of its configuration entry.

    Raises UserError, naming the option, what was found and what is allowed.
    """

    def __call__(
        self, config: Mapping[str, object], name: RegistryName, clock: Clock, fence: Fence | None = None
    ) -> AbstractAsyncContextManager[Registry]:
        """Return a context that holds the open registry. Without a fence every write may begin.

        Behind one that `is_shut` nothing is written at all, nor anything kept alive: the policy is `observe`.
        """
        ...
