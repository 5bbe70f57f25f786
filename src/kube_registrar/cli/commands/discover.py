"""`kube-registrar discover`: what a client of a registry sees."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from kube_registrar.cli.listing.asking import asked, registry_options
from kube_registrar.cli.options import seconds_option
from kube_registrar.declared import shorthand
from kube_registrar.model.errors import RegistryError, UserError
from kube_registrar.model.instances import HealthFilter, Instance, Query
from kube_registrar.model.refs import NamespaceRef, ServiceRef

if TYPE_CHECKING:
    from kube_registrar.cli.listing.changes import Seen
    from kube_registrar.registries.port import Registry

_HEALTH = [word.value.lower().replace("_", "-") for word in HealthFilter]
LEAST_SECONDS, SECONDS = 0.2, 2.0


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
@click.option("-w", "--watch", is_flag=True, help="Go on, and show each change as a line of its own, until Ctrl-C.")
@seconds_option("--interval", SECONDS, "How often --watch asks.", click.FloatRange(min=LEAST_SECONDS))
@seconds_option("--wait", 0.0, "Ask again until there is one, for so long at most; exit code 1 if there is none then.")
@registry_options
def command(
    *,
    namespace: str,
    service: str,
    query: Sequence[str],
    optional: Sequence[str],
    health: str,
    output: str,
    watch: bool,
    interval: float,
    wait: float,
    **flags: object,
) -> None:
    """Ask a registry for the instances of a service.

    NAMESPACE and SERVICE are the registry's. Without --registry it is AWS Cloud Map. The embedded registry of a running
    operator speaks Cloud Map's API too: ask it at the address that `run` prints, by default

    \b
      kube-registrar discover test-namespace flask-app -q stage=dev --endpoint-url http://127.0.0.1:8081
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    parameters, filtered = _parameters("--query", query), HealthFilter(health.upper().replace("-", "_"))
    optionally = _parameters("--optional", optional)

    async def ask() -> None:
        async with asked(flags) as registry:
            about = ServiceRef(NamespaceRef(registry.name, namespace), service)
            wish = Query(about, parameters, optionally, filtered)
            found = await (_awaited(registry, wish, wait) if wait else _found(registry, wish))
            _show(found, about, output)
            if watch:
                await _watch(registry, wish, found, output, interval)

    asyncio.run(ask())


def _parameters(flag: str, texts: Sequence[str]) -> dict[str, str]:
    try:
        return {key: value for text in texts for key, value in shorthand.parse(text)}
    except shorthand.ShorthandError as error:
        raise click.UsageError(f"{flag}: {error}") from None


async def _found(registry: "Registry", wish: Query) -> Sequence[Instance]:
    return sorted(await registry.discover(wish), key=lambda instance: instance.id)


async def _awaited(registry: "Registry", wish: Query, seconds: float) -> Sequence[Instance]:
    """Ask until something is found; the service may not be made yet. Raises UserError when the time is over."""
    from kube_registrar.runtime.clock import SystemClock  # noqa: PLC0415 - help does not need it

    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    trouble = ""
    while True:
        try:
            if found := await _found(registry, wish):
                return found
        except RegistryError as error:
            trouble = f" ({error})"
        if clock.monotonic() >= deadline:
            name = f"{wish.service.namespace.name}/{wish.service.name}"
            raise UserError(
                f"{name} has no such instances after {seconds:g} s{trouble}: kube-registrar explain says why"
            )
        await clock.sleep(LEAST_SECONDS)


def _show(found: Sequence[Instance], service: ServiceRef, output: str) -> None:
    from kube_registrar.cli.listing import showing  # noqa: PLC0415 - help does not need it

    if output == showing.JSON:
        showing.as_json("Instances", [showing.discovered_json(instance, service) for instance in found])
        return
    is_wide = output == showing.WIDE
    headings = [*showing.INSTANCE, *(showing.WHERE_FROM if is_wide else ())]
    rows = [showing.instance_row(instance, is_wide=is_wide) for instance in found]
    showing.shown(f"{service.namespace.name}/{service.name}", headings, rows, "has no such instances")


async def _watch(registry: "Registry", wish: Query, found: Sequence[Instance], output: str, interval: float) -> None:
    """Ask again and again, and print what is different. A registry that fails is said once, and asked again."""
    from kube_registrar.cli.listing.changes import by_id, changes  # noqa: PLC0415 - a single answer does not need it

    before, trouble = by_id(found), ""
    while True:
        await asyncio.sleep(interval)
        try:
            after = by_id(await _found(registry, wish))
        except RegistryError as error:
            if not trouble:
                click.echo(f"{error}; it is asked again", err=True)
            trouble = str(error)
            continue
        if trouble:
            click.echo(f"registry {registry.name} answers again", err=True)
        for seen in changes(before, after):
            click.echo(_line(seen, wish.service, output))
        before, trouble = after, ""


def _line(seen: "Seen", service: ServiceRef, output: str) -> str:
    from kube_registrar.cli.listing import showing  # noqa: PLC0415 - help does not need it

    when = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if output == showing.JSON:
        told: Mapping[str, object] = {
            "Time": when,
            "Event": seen.event.value,
            "Instance": showing.discovered_json(seen.instance, service),
        }
        return json.dumps(told)
    cells = showing.instance_row(seen.instance, is_wide=output == showing.WIDE)
    return "   ".join([f"{when} {seen.event.sign}", *(cell or "-" for cell in cells)])
