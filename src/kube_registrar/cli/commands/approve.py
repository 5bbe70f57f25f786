"""`kube-registrar approve`: lets deregistrations go that are held."""

import asyncio
from collections.abc import Sequence

import click

from kube_registrar.cli.options import configured, settings_options

KINDS = {
    "registryservice": "RegistryService",
    "registryservices": "RegistryService",
    "regsvc": "RegistryService",
    "registrynamespace": "RegistryNamespace",
    "registrynamespaces": "RegistryNamespace",
    "regns": "RegistryNamespace",
}


@click.command("approve")
@click.argument("objects", nargs=-1, metavar="[KIND/NAME]…")
@click.option("-n", "--namespace", metavar="NAMESPACE", help="The Kubernetes namespace of RegistryServices.")
@click.option("--all", "everything", is_flag=True, help="All objects that hold something, or all of --namespace.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@settings_options("kubeconfig", "context", "log_level")
def command(*, objects: Sequence[str], namespace: str | None, everything: bool, yes: bool, **flags: object) -> int:
    """Let deregistrations go that are held for safety.

    kube-registrar holds them where too many would go at once. This shows what is held and asks. Just what is shown is
    let go, and nothing that is held later.

    \b
      kube-registrar approve registryservice/flask-app -n shop
      kube-registrar approve registrynamespace/test-namespace
      kube-registrar approve --all

    A RegistryService speaks for the pods of its own Kubernetes namespace, a RegistryNamespace for all.
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    if bool(objects) == everything:
        raise click.UsageError("name what to approve, such as registryservice/NAME, or say --all")
    named = [_named(text, namespace or "default") for text in objects]
    configuration = configured(flags)
    from kube_registrar.cli import approving  # noqa: PLC0415 - it speaks HTTP, and help does not need it
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above

    logs.configure(configuration.log_format, configuration.log_level)
    cluster = approving.Cluster(configuration.kubeconfig, configuration.context)
    found = asyncio.run(cluster.found(named) if named else cluster.all_held(namespace or ""))
    held = [each for each in found if each.count]
    for each in found:
        click.echo(approving.shown(each))
    if not held:
        click.echo("nothing is held", err=True)
        return 0
    if not yes and not click.confirm("Let them go?", err=True):
        click.echo("nothing was approved", err=True)
        return 1
    asyncio.run(cluster.approve(held))
    click.echo("approved: they go as soon as the operator reads it")
    return 0


def _named(text: str, namespace: str) -> tuple[str, str, str]:
    """Return kind, Kubernetes namespace and name. Raises UsageError."""
    word, _, name = text.partition("/")
    kind = KINDS.get(word.lower().removesuffix(".kube-registrar.dev"))
    if kind is None or not name or "/" in name:
        raise click.UsageError(f"{text!r} is not registryservice/NAME or registrynamespace/NAME")
    return (kind, namespace if kind == "RegistryService" else "", name)
