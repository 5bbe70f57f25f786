"""`kube-registrar services`: the registry services of one registry namespace, or of all."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from kube_registrar.cli.listing.asking import asked, registry_options
from kube_registrar.cli.listing.showing import JSON, WIDE, as_json, output_option, service_json, service_row, shown
from kube_registrar.model.refs import NamespaceRef
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec

if TYPE_CHECKING:
    from kube_registrar.registries.port import Found, Registry


@click.command("services")
@click.argument("namespace", required=False)
@output_option
@registry_options
def command(*, namespace: str | None, output: str, **flags: object) -> None:
    """List the registry services of a registry.

    Those of NAMESPACE, or of every registry namespace. RECORDS are DNS record types with their time to live in seconds.
    Without --registry it is AWS Cloud Map; of the embedded registry of a running operator, give --endpoint-url.
    """

    async def ask() -> None:
        async with asked(flags) as registry:
            found = await _found(registry, namespace)
            if output == JSON:
                as_json("Services", [service_json(*each) for each in found])
                return
            is_wide = output == WIDE
            headings = ["NAMESPACE", "SERVICE", "RECORDS", "HEALTH-CHECK", "ID"]
            headings += ["ROUTING", "ARN", "DESCRIPTION"] if is_wide else []
            rows = [service_row(*each, is_wide=is_wide) for each in found]
            shown(namespace or f"registry {registry.name}", headings, rows, "has no registry services")

    asyncio.run(ask())


async def _found(registry: "Registry", namespace: str | None) -> Sequence[tuple["Found", ServiceSpec]]:
    if namespace is not None:
        parents = [NamespaceRef(registry.name, namespace)]
    else:
        specs = [each.spec for each in await registry.find(None)]
        parents = sorted({spec.ref for spec in specs if isinstance(spec, NamespaceSpec)})
    listed = [each for parent in parents for each in await registry.find(parent)]
    ordered = sorted(listed, key=lambda each: (str(each.spec.ref), each.id))
    return [(each, each.spec) for each in ordered if isinstance(each.spec, ServiceSpec)]
