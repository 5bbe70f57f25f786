"""`kube-registrar namespaces`: the registry namespaces that a registry has."""

import asyncio

import click

from kube_registrar.cli.listing.asking import asked, registry_options
from kube_registrar.cli.listing.showing import (
    JSON,
    WIDE,
    as_json,
    namespace_json,
    namespace_row,
    output_option,
    shown,
)
from kube_registrar.model.specs import NamespaceSpec


@click.command("namespaces")
@output_option
@registry_options
def command(*, output: str, **flags: object) -> None:
    """List the registry namespaces of a registry.

    Without --registry it is AWS Cloud Map; of the embedded registry of a running operator, give --endpoint-url.
    """

    async def ask() -> None:
        async with asked(flags) as registry:
            listed = sorted(await registry.find(None), key=lambda each: (str(each.spec.ref), each.id))
            found = [(each, each.spec) for each in listed if isinstance(each.spec, NamespaceSpec)]
            if output == JSON:
                as_json("Namespaces", [namespace_json(*each) for each in found])
                return
            is_wide = output == WIDE
            headings = ["NAMESPACE", "TYPE", "ID", *(("VPC", "ARN", "DESCRIPTION") if is_wide else ())]
            rows = [namespace_row(*each, is_wide=is_wide) for each in found]
            shown(f"registry {registry.name}", headings, rows, "has no registry namespaces")

    asyncio.run(ask())
