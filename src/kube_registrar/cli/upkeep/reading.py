"""Opens the configured registries and reads all instances in them that some cluster owns."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from kube_registrar.cli.loopback import on_this_machine
from kube_registrar.cli.upkeep.selection import Entry, entry_of
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import InUse, NotFound, UserError
from kube_registrar.model.refs import NamespaceRef, RegistryName, registry_of
from kube_registrar.model.specs import HealthCheckType, ServiceSpec
from kube_registrar.registries import opening
from kube_registrar.registries.contained import Contained
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock, SystemClock

SERVICES_AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Where:
    """Where to look: names of registries, a registry namespace, a registry service; empty: all of them."""

    registries: Sequence[str] = ()
    namespace: str = ""
    service: str = ""


def chosen(configuration: Configuration, where: Where) -> Mapping[RegistryName, RegistryEntry]:
    """Return the registries to look into. Raises UserError where there are none, or none of that name."""
    if not configuration.registries:
        raise UserError(
            "no registry is configured: try --registry cloudmap with --region or --endpoint-url, "
            "or list registries in the file of --config"
        )
    for name in where.registries:
        if name not in configuration.registries:
            known = ", ".join(sorted(configuration.registries))
            raise UserError(f"--registry-name is {name!r}, which no registry is called: there is {known}")
    names = where.registries or configuration.registries
    return {RegistryName(name): configuration.registries[name] for name in names}


@asynccontextmanager
async def opened(
    entries: Mapping[RegistryName, RegistryEntry], clock: Clock | None = None
) -> AsyncIterator[Mapping[RegistryName, Registry]]:
    """Open registries. Raises UserError; where an operator holds an embedded one, it says how that one is asked."""
    async with AsyncExitStack() as stack:
        found = {}
        for name, entry in entries.items():
            entry = on_this_machine(entry)  # noqa: PLW2901 - the same entry, with what the SDK asks for
            context = opening.opened(entry.kind, entry.options, name, clock or SystemClock())
            try:
                found[name] = Contained(await stack.enter_async_context(context))
            except InUse as error:
                said = str(error).rpartition(": ")[0]
                raise UserError(
                    f"{said}: if that is a running operator, ask it through its API, with "
                    "--registry cloudmap --endpoint-url http://127.0.0.1:8081 (run says the address)"
                ) from None
        yield found


async def survey(registries: Mapping[RegistryName, Registry], where: Where) -> Sequence[Entry]:
    """Read every instance that some cluster owns, in order. Raises RegistryError if anything cannot be read."""
    at_once = asyncio.Semaphore(SERVICES_AT_ONCE)
    found: list[Entry] = []
    async with asyncio.TaskGroup() as group:
        for registry in registries.values():
            group.create_task(_survey(registry, where, at_once, found))
    return sorted(found, key=lambda entry: (entry.service, entry.instance.id))


async def _survey(registry: Registry, where: Where, at_once: asyncio.Semaphore, found: list[Entry]) -> None:
    for spec in [one.spec for one in await registry.find(None)]:
        if isinstance(spec, ServiceSpec) or where.namespace not in {"", spec.ref.name}:
            continue
        services = await _services(registry, spec.ref)
        async with asyncio.TaskGroup() as group:
            for service in services:
                if where.service in {"", service.ref.name}:
                    group.create_task(_read(registry, service, at_once, found))


async def _services(registry: Registry, namespace: NamespaceRef) -> Sequence[ServiceSpec]:
    try:
        listed = await registry.find(namespace)
    except NotFound:  # removed a moment ago, and with it all that was in it
        return []
    return [one.spec for one in listed if isinstance(one.spec, ServiceSpec)]


async def _read(registry: Registry, service: ServiceSpec, at_once: asyncio.Semaphore, found: list[Entry]) -> None:
    custom = service.health_check is HealthCheckType.CUSTOM
    try:
        async with at_once:
            listed = await registry.instances(service.ref)
    except NotFound:
        return
    read = (entry_of(service.ref, instance, custom_health=custom) for instance in listed)
    found += [entry for entry in read if entry is not None]


def registries_of(entries: Sequence[Entry]) -> Sequence[RegistryName]:
    """Return the names of the registries in which these instances are, in order."""
    return sorted({registry_of(entry.service) for entry in entries})
