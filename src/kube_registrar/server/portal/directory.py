"""The registry namespaces and services of a registry, by id and by ARN: Cloud Map's requests name them so."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from kube_registrar.model.cloudmap import arns
from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.model.errors import NotFound
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Found, Registry
from kube_registrar.runtime.clock import Clock

ACCOUNT: Final = "000000000000"
"""The account in ARNs: a registry without accounts has one all the same, for clients take ARNs apart."""
REGION: Final = "us-east-1"
"""The Region in ARNs where a request was not signed for one."""
T = TypeVar("T", bound="Known | KnownService")

KEEP_SECONDS: Final = 2.0
"""How long what was read is believed: what is not in it is looked for at once."""


@dataclass(frozen=True, slots=True)
class Known:
    """A registry namespace, with its services in the order of their ids."""

    found: Found
    spec: NamespaceSpec
    services: Sequence["KnownService"]


@dataclass(frozen=True, slots=True)
class KnownService:
    """A registry service and the namespace that it is in."""

    found: Found
    spec: ServiceSpec
    namespace: Found


async def read(registry: Registry) -> Sequence[Known]:
    """Return everything that a registry has, in the order of ids. A namespace that goes meanwhile is left out."""
    listed = [each for each in await registry.find(None) if isinstance(each.spec, NamespaceSpec)]
    found = await asyncio.gather(*(_with_services(registry, each) for each in sorted(listed, key=lambda one: one.id)))
    return [each for each in found if each is not None]


async def _with_services(registry: Registry, found: Found) -> Known | None:
    assert isinstance(found.spec, NamespaceSpec)  # noqa: S101 - `read` has looked
    try:
        listed = await registry.find(found.spec.ref)
    except NotFound:
        return None
    services = [KnownService(each, each.spec, found) for each in listed if isinstance(each.spec, ServiceSpec)]
    return Known(found, found.spec, sorted(services, key=lambda one: one.found.id))


class Directory:
    """What was read last, read again where it is too old or lacks what is asked for. Errors are those of the port."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self._registry = registry
        self._clock = clock
        self._lock = asyncio.Lock()
        self._read_at = float("-inf")
        self._known: Sequence[Known] = ()
        self._namespaces: Mapping[str, Known] = {}
        self._services: Mapping[str, KnownService] = {}
        """Both by id, and by the ARN that the registry itself has given."""

    async def all(self, *, since: float | None = None) -> Sequence[Known]:
        """Return everything, as it was at `since` (monotonic) or later; without it, not older than KEEP_SECONDS."""
        least = self._clock.monotonic() - KEEP_SECONDS if since is None else since
        async with self._lock:
            if self._read_at < least:
                began = self._clock.monotonic()
                self._known = await read(self._registry)
                self._read_at = began
                services = [service for namespace in self._known for service in namespace.services]
                self._namespaces = {key: each for each in self._known for key in _keys(each.found)}
                self._services = {key: each for each in services for key in _keys(each.found)}
            return self._known

    async def namespace(self, field: str, value: str) -> Known:
        """Return the namespace that an id or ARN names. Raises CloudMapError NamespaceNotFound."""
        found = await self._looked_up(field, value, "namespace", lambda: self._namespaces)
        if found is None:
            raise CloudMapError("NamespaceNotFound", f"There is no namespace {value!r}")
        return found

    async def service(self, field: str, value: str) -> KnownService:
        """Return the service that an id or ARN names. Raises CloudMapError ServiceNotFound."""
        found = await self._looked_up(field, value, "service", lambda: self._services)
        if found is None:
            raise CloudMapError("ServiceNotFound", f"There is no service {value!r}")
        return found

    async def resource(self, field: str, value: str) -> Found:
        """Return what an ARN names. Raises CloudMapError ResourceNotFoundException."""
        identifier = arns.any_resource(field, value, ACCOUNT) or value
        for since in (None, self._clock.monotonic()):
            await self.all(since=since)
            for known in (self._namespaces, self._services):
                if (found := known.get(value) or known.get(identifier)) and f":{_kind(found)}/" in value:
                    return found.found
        raise CloudMapError("ResourceNotFoundException", f"There is no resource {value!r}")

    async def place_of(self, kind: str, value: str) -> str | None:
        """Return the name of the namespace that a `namespace`, a `service` or a `resource` is or is in, if any."""
        try:
            match kind:
                case "namespace":
                    return (await self.namespace("Id", value)).spec.ref.name
                case "service":
                    return (await self.service("Id", value)).spec.ref.namespace.name
                case "resource":
                    spec = (await self.resource("ResourceARN", value)).spec
                    return spec.ref.name if isinstance(spec, NamespaceSpec) else spec.ref.namespace.name
        except CloudMapError:
            return None  # The operation itself says what is wrong with it.
        return None

    async def _looked_up(self, field: str, value: str, kind: str, index: Callable[[], Mapping[str, T]]) -> T | None:
        """Look in what is known, and where it is not there, in what there is now."""
        identifier = arns.plain_id(field, value, kind, ACCOUNT) or value
        for since in (None, self._clock.monotonic()):
            await self.all(since=since)
            if found := index().get(value) or index().get(identifier):
                return found
        return None


def _keys(found: Found) -> Sequence[str]:
    return (found.id, found.arn) if found.arn else (found.id,)


def _kind(known: Known | KnownService) -> str:
    return "namespace" if isinstance(known, Known) else "service"
