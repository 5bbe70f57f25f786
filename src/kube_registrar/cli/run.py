"""`kube-registrar run`: the operator, until it is told to stop."""

from functools import partial

from kube_registrar.cli.composition import operate
from kube_registrar.cli.running import until_signal
from kube_registrar.declared.settings import Configuration


def run(configuration: Configuration) -> None:
    """Run until SIGTERM or SIGINT. Stopping deregisters nothing: the pods live on.

    Raises UserError, in a group if several parts were at work, for what a person must change.
    """
    until_signal(partial(operate, configuration), "stopping; nothing is deregistered")
