"""`kube-registrar explain`: where an object stands on its way into a registry."""

import sys

import click
from click.shell_completion import CompletionItem

from kube_registrar.cli.kinds import KINDS, kind_of
from kube_registrar.cli.looking.options import TIMED_OUT, looking_options
from kube_registrar.cli.options import configured
from kube_registrar.cli.tables import colours

STOPPED = 2


def _complete(ctx: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the kind from what is known here, and the name from the cluster, if that answers at once."""
    kind, slash, name = incomplete.partition("/")
    if not slash:
        return [CompletionItem(f"{each.names[0]}/") for each in KINDS if each.names[0].startswith(incomplete)]
    found = kind_of(kind)
    if found is None:
        return []
    from kube_registrar.cli.looking.completing import names  # noqa: PLC0415 - kinds do not need it

    given = {key: ctx.params.get(key) for key in ("kubeconfig", "context")}
    namespace = str(ctx.params.get("namespace") or "default")
    return [CompletionItem(f"{kind}/{each}") for each in names(found, namespace, given) if each.startswith(name)]


@click.command("explain")
@click.argument("object", metavar="KIND/NAME", shell_complete=_complete)
@click.option(
    "-n", "--namespace", default="default", show_default=True, metavar="NAMESPACE", help="Its Kubernetes namespace."
)
@looking_options
def command(*, object: str, namespace: str, output: str, timeout: float, **flags: object) -> int:  # noqa: A002 - the argument's name
    """Show the gates on an object's way into a registry.

    They lie between what it asks for and the instance that clients find; the first one that it fails says what to do.
    KIND is pod, service, registryservice, registrynamespace, deployment, statefulset, daemonset or job, or kubectl's
    short name of it. A workload is explained by its pods. Takes the settings of `run`, and changes nothing. Ends with
    0 if all is well, 2 if something fails or waits, 1 if it cannot be told, 124 if --timeout was not enough.

    \b
      kube-registrar explain deploy/flask-app -n shop --registry cloudmap --region eu-west-1
      kube-registrar explain pod/flask-app-0 --registry cloudmap --endpoint-url http://127.0.0.1:8081
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    kind_text, slash, name = object.partition("/")
    kind = kind_of(kind_text)
    if not slash or not name or kind is None:
        known = ", ".join(each.names[0] for each in KINDS)
        raise click.UsageError(f"{object!r} is not KIND/NAME, such as pod/flask-app-0; known kinds are {known}")
    import asyncio  # noqa: PLC0415 - help does not need it

    from kube_registrar.cli.looking.configuring import looked_at  # noqa: PLC0415 - help does not need it
    from kube_registrar.cli.looking.explaining import explained  # noqa: PLC0415 - see above
    from kube_registrar.cli.looking.stage import late  # noqa: PLC0415 - see above
    from kube_registrar.cli.looking.telling import shown  # noqa: PLC0415 - see above

    configuration = looked_at(configured(flags))
    with late(TIMED_OUT):
        found = asyncio.run(explained(configuration, kind, namespace, name, timeout))
    click.echo(shown(found, form=output, is_terminal=sys.stdout.isatty(), colours=colours()))
    return 0 if found.explanation.stopped_at is None else STOPPED
