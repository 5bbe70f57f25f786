"""`kube-registrar plan`: what would change."""

import click

from kube_registrar.cli.looking.options import TIMED_OUT, looking_options
from kube_registrar.cli.options import configured
from kube_registrar.cli.tables import colours

CHANGES = 2


@click.command("plan")
@click.option(
    "-n", "--namespace", default="", metavar="NAMESPACE", help="Only what concerns this Kubernetes namespace."
)
@click.option(
    "--service", default="", metavar="NAMESPACE/SERVICE", help="Only this registry service, with or without REGISTRY:."
)
@looking_options
def command(*, namespace: str, service: str, output: str, timeout: float, **flags: object) -> int:
    """Say what run would change, and change nothing.

    It takes the settings of `run` and reads the cluster and the registries as they are now. Ends with 0 if nothing
    would change, 2 if something would, 1 if something could not be read, 124 if --timeout was not enough.

    The embedded registry of a running operator is read through its API, for the operator holds its folder:

    \b
      kube-registrar plan --registry cloudmap --endpoint-url http://127.0.0.1:8081
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    import asyncio  # noqa: PLC0415 - help does not need it

    from kube_registrar.cli.looking.configuring import looked_at  # noqa: PLC0415 - help does not need it
    from kube_registrar.cli.looking.planning import planned  # noqa: PLC0415 - see above
    from kube_registrar.cli.looking.rendering import shown  # noqa: PLC0415 - see above
    from kube_registrar.cli.looking.stage import late  # noqa: PLC0415 - see above

    configuration = looked_at(configured(flags))
    with late(TIMED_OUT):
        found = asyncio.run(planned(configuration, timeout))
    found = found.only(kube_namespace=namespace, service=service)
    click.echo(shown(found, form=output, colours=colours()))
    for trouble in found.troubles:
        click.echo(f"kube-registrar: {trouble}", err=True)
    return 1 if found.troubles else CHANGES if found.changes_anything else 0
