"""`kube-registrar instances`: every instance that a registry service holds, as its owner sees it."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kube_registrar.cli.listing.asking import asked, registry_options
from kube_registrar.cli.listing.showing import (
    INSTANCE,
    JSON,
    WHERE_FROM,
    WIDE,
    as_json,
    discovered_json,
    instance_row,
    output_option,
    shown,
)
from kube_registrar.model.refs import NamespaceRef, ServiceRef

if TYPE_CHECKING:
    from kube_registrar.model.instances import Instance
    from kube_registrar.registries.port import Registry


@click.command("instances")
@click.argument("namespace")
@click.argument("service", required=False)
@output_option
@registry_options
def command(*, namespace: str, service: str | None, output: str, **flags: object) -> None:
    """List all instances of a registry service.

    Without SERVICE those of every service of NAMESPACE; healthy or not. It reads them in full (ListInstances), as the
    operator does, where `discover` asks what clients are answered. Without --registry it is AWS Cloud Map; of the
    embedded registry of a running operator, give --endpoint-url.
    """

    async def ask() -> None:
        async with asked(flags) as registry:
            found = await _found(registry, NamespaceRef(registry.name, namespace), service)
            if output == JSON:
                as_json("Instances", [discovered_json(instance, ref) for ref, instance in found])
                return
            is_wide = output == WIDE
            rows = [[ref.name, *instance_row(instance, is_wide=is_wide)] for ref, instance in found]
            headings = ["SERVICE", *INSTANCE, *(WHERE_FROM if is_wide else ())]
            shown(f"{namespace}/{service}" if service else namespace, headings, rows, "has no instances")

    asyncio.run(ask())


async def _found(
    registry: "Registry", namespace: NamespaceRef, service: str | None
) -> Sequence[tuple[ServiceRef, "Instance"]]:
    names = [service] if service else sorted({each.spec.ref.name for each in await registry.find(namespace)})
    refs = [ServiceRef(namespace, name) for name in names]
    held = [(ref, await registry.instances(ref)) for ref in refs]
    return [(ref, each) for ref, instances in held for each in sorted(instances, key=lambda one: one.id)]
