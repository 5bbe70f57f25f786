"""`kube-registrar demo`: see it work."""

import click


@click.command("demo")
@click.option("--context", metavar="NAME", help="Play on the cluster of this context instead of a local one.")
@click.option("--kubeconfig", metavar="FILE", help="The kubeconfig that has the context.")
@click.option("--keep", is_flag=True, help="Leave all of it running until Ctrl-C.")
def command(*, context: str | None, kubeconfig: str | None, keep: bool) -> None:
    """See it work: pods become instances, roll over and go.

    It runs a real Kubernetes control plane on this machine (the first time it has to be built, which takes minutes and
    Go or a download of it), the operator with its embedded registry, and the objects of examples/quickstart.

    With --context it plays on a cluster of yours instead: everything is made in the Kubernetes namespace
    kube-registrar-demo and removed at the end, and it ends at once if kube-registrar is installed there already.
    """
    from kube_registrar.cli.demo.play import play  # noqa: PLC0415 - help does not need it

    play(context=context, kubeconfig=kubeconfig, keep=keep)
