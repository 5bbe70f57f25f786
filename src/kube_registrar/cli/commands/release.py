"""`kube-registrar release`: takes the operator's finalizers from our objects."""

import asyncio

import click

from kube_registrar.cli.options import configured, seconds_option, settings_options


@click.command("release")
@click.option("--stop", metavar="NAMESPACE/NAME", help="First scale this Deployment, the operator's, to nothing.")
@click.option("--gate-policy", default="", metavar="NAME", help="Before that, remove the policy that adds the gate.")
@click.option("--gates/--no-gates", default=True, help="Whether to list what carries the readiness gate still.")
@seconds_option("--timeout", 60.0, "How long all of it may take.", click.FloatRange(min=1.0))
@settings_options("watch_namespaces", "kubeconfig", "context", "log_level")
def command(*, stop: str | None, gate_policy: str, gates: bool, timeout: float, **flags: object) -> None:
    """Take the operator's finalizers away, before an uninstall.

    The operator puts one on a RegistryNamespace or RegistryService whose deletion has to remove something from a
    registry. Once it runs no more, whoever deletes such an object waits for nobody. So this is done first; the chart
    does it by itself. The objects stay, and so does everything in registries. An operator that is installed again goes
    on with them.

    \b
      kube-registrar release --stop kube-registrar/kube-registrar
      kube-registrar release --watch-namespace shop
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    deployment = _split(stop) if stop else None
    configuration = configured(flags)
    from kube_registrar.cli import releasing  # noqa: PLC0415 - it speaks HTTP, and help does not need it
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above

    logs.configure(configuration.log_format, configuration.log_level)
    work = releasing.Work(deployment, configuration.watch_namespaces, gate_policy, gates)
    released = asyncio.run(releasing.release(configuration.kubeconfig, configuration.context, work, timeout))
    for each in released.objects:
        click.echo(f"released {each}: what it made stays in the registry")
    click.echo(f"{len(released.objects)} released; no finalizer of ours is left")
    for each in released.gated:
        is_pod = each.startswith("Pod ")
        waits = "waits at the readiness gate" if is_pod else "carries the readiness gate: its new pods wait"
        click.echo(f"{each} {waits} until an operator runs, or the gate is taken out")
    if released.unknown:
        click.echo(f"what carries the readiness gate is not known: {released.unknown}")


def _split(text: str) -> tuple[str, str]:
    namespace, slash, name = text.partition("/")
    if not (namespace and slash and name) or "/" in name:
        raise click.UsageError(f"--stop is {text!r}, and the NAMESPACE/NAME of a Deployment is needed")
    return namespace, name
