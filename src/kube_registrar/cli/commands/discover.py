"""`kube-registrar discover`: what a client of a registry sees."""

import asyncio
import json
import os
from collections.abc import Mapping, Sequence

import click

from kube_registrar.cli.loopback import on_this_machine
from kube_registrar.cli.options import configured, settings_options
from kube_registrar.cli.tables import table
from kube_registrar.declared import shorthand
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import UserError
from kube_registrar.model.instances import HealthFilter, Instance, Query
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef

_HEALTH = [word.value.lower().replace("_", "-") for word in HealthFilter]


@click.command("discover")
@click.argument("namespace")
@click.argument("service")
@click.option(
    "-q", "--query", multiple=True, metavar="KEY=VALUE,…", help="Only instances with all of these attributes."
)
@click.option(
    "--optional", multiple=True, metavar="KEY=VALUE,…", help="Of those, the ones with these too, if there are any."
)
@click.option(
    "--health", type=click.Choice(_HEALTH), default="healthy", show_default=True, help="Which states to show."
)
@click.option(
    "-o",
    "--output",
    type=click.Choice(["table", "wide", "json"]),
    default="table",
    show_default=True,
    help="wide adds where an instance comes from; json is the shape of the aws command line.",
)
@settings_options("registry", "endpoint_url", "region", "log_level")
def command(
    *,
    namespace: str,
    service: str,
    query: Sequence[str],
    optional: Sequence[str],
    health: str,
    output: str,
    **flags: object,
) -> None:
    """Ask a registry for the instances of a service.

    NAMESPACE and SERVICE are the registry's. Without --registry it is AWS Cloud Map. The embedded registry of a running
    operator speaks Cloud Map's API too: ask it at the address that `run` prints, by default

    \b
      kube-registrar discover test-namespace flask-app -q stage=dev --endpoint-url http://127.0.0.1:8081
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    asked = Query(
        service=ServiceRef(NamespaceRef(DEFAULT_REGISTRY, namespace), service),
        parameters=_parameters("--query", query),
        optional_parameters=_parameters("--optional", optional),
        health=HealthFilter(health.upper().replace("-", "_")),
    )
    from kube_registrar.runtime import logs  # noqa: PLC0415 - help does not need it

    configuration = _configuration(flags)
    logs.configure(configuration.log_format, configuration.log_level)
    entry = on_this_machine(configuration.registries[configuration.default_registry])
    found = asyncio.run(_discover(entry, asked))
    if output == "json":
        click.echo(json.dumps({"Instances": [_json(instance, asked) for instance in found]}, indent=2))
    elif found:
        click.echo(_table(found, is_wide=output == "wide"))
    else:
        click.echo(f"{namespace}/{service} has no such instances", err=True)


def _parameters(flag: str, texts: Sequence[str]) -> dict[str, str]:
    try:
        return {key: value for text in texts for key, value in shorthand.parse(text)}
    except shorthand.ShorthandError as error:
        raise click.UsageError(f"{flag}: {error}") from None


def _configuration(flags: Mapping[str, object]) -> Configuration:
    """Return the settings; their default registry is the one to ask: Cloud Map, where none is given."""
    is_given = flags["registry"] or flags["config"]
    is_given = is_given or {"KUBE_REGISTRAR_REGISTRY", "KUBE_REGISTRAR_CONFIG"} & os.environ.keys()
    configuration = configured(flags if is_given else {**flags, "registry": "cloudmap"})
    if configuration.default_registry not in configuration.registries:
        raise UserError("no registry is configured: try --registry cloudmap with --region or --endpoint-url")
    if configuration.registries[configuration.default_registry].kind == "embedded":
        raise UserError(
            "the embedded registry lives inside the operator that runs it: ask that through its API, with "
            "--registry cloudmap --endpoint-url http://127.0.0.1:8081 (run says the address)"
        )
    return configuration


async def _discover(entry: RegistryEntry, asked: Query) -> Sequence[Instance]:
    from kube_registrar.registries.loading import load  # noqa: PLC0415 - help does not need it
    from kube_registrar.runtime.clock import SystemClock  # noqa: PLC0415 - see above

    async with load(entry.kind)(entry.options, DEFAULT_REGISTRY, SystemClock()) as registry:
        return sorted(await registry.discover(asked), key=lambda instance: instance.id)


def _json(instance: Instance, asked: Query) -> dict[str, object]:
    return {
        "InstanceId": instance.id,
        "NamespaceName": asked.service.namespace.name,
        "ServiceName": asked.service.name,
        "HealthStatus": instance.health.value,
        "Attributes": dict(instance.attributes),
    }


def _table(found: Sequence[Instance], *, is_wide: bool) -> str:
    headings = ["INSTANCE", "ADDRESS", "PORT", "HEALTH", "ATTRIBUTES"]
    if is_wide:
        headings += ["CLUSTER", "POD", "WORKLOAD", "ZONE"]
    return table(headings, [_row(instance, is_wide=is_wide) for instance in found])


def _row(instance: Instance, *, is_wide: bool) -> list[str]:
    given = instance.attributes
    addresses = [given[key] for key in (keys.IPV4, keys.IPV6) if key in given]
    custom = ",".join(f"{key}={value}" for key, value in sorted(given.items()) if not keys.is_reserved(key))
    row = [instance.id, ",".join(addresses), given.get(keys.PORT, ""), instance.health.value, custom]
    if is_wide:
        pod = f"{given[keys.NAMESPACE]}/{given.get(keys.POD, '')}" if keys.NAMESPACE in given else ""
        cluster = given.get(keys.CLUSTER) or given.get(keys.CLUSTER_UID, "")
        row += [cluster, pod, given.get(keys.WORKLOAD, ""), given.get(keys.AVAILABILITY_ZONE, "")]
    return row
