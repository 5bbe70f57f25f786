"""The demo from its first step to its last, with everything ended and removed in whatever way it ends."""

import signal
import tempfile
import time
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path

from kube_registrar.cli.demo import ground as grounds
from kube_registrar.cli.demo.client import NAMESPACE, SERVICE, Client
from kube_registrar.cli.demo.ground import Ground
from kube_registrar.cli.demo.operator import Operator, program
from kube_registrar.cli.demo.stage import Stage, stage
from kube_registrar.cli.demo.story import DEV_NEXT, Story
from kube_registrar.model.errors import UserError

_LOOK_SECONDS = 0.5


def play(*, context: str | None, kubeconfig: str | None, keep: bool) -> None:
    """Play the demo. Raises a KubeRegistrarError that names the step if anything did not happen."""
    if kubeconfig and not context:
        raise UserError("--kubeconfig needs --context: without one the demo plays on a control plane of its own")
    shown = stage()
    # An end that is asked for must clean up as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    began = time.monotonic()
    with ExitStack() as stack:
        stack.callback(shown.settle)
        ground = stack.enter_context(_ground(shown, context, kubeconfig))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="kube-registrar-demo-")))
        story = Story(ground, shown)
        story.apply_definitions()
        operator = Operator(
            folder,
            kubeconfig=ground.kubeconfig,
            context=ground.context,
            watched=ground.namespace if ground.borrowed else None,
        )
        stack.callback(operator.stop)
        stack.callback(ground.clear)
        registry = story.start_operator(operator)
        story.apply_quickstart(operator, registry)
        story.discover(operator, registry)
        story.roll_over(operator, registry)
        story.scale_down(operator, registry)
        shown.step(f"All of it happened, in {time.monotonic() - began:.1f} s")
        if keep:
            _keep(shown, ground, operator, registry)
        else:
            _what_next(shown, is_borrowed=ground.borrowed)


def _ground(shown: Stage, context: str | None, kubeconfig: str | None) -> AbstractContextManager[Ground]:
    return grounds.remote(shown, kubeconfig, context) if context else grounds.local(shown)


def _keep(shown: Stage, ground: Ground, operator: Operator, registry: Client) -> None:
    """Say how to look at it, and wait for Ctrl-C, or for the operator's end."""
    shown.say("It stays until Ctrl-C. In another terminal:")
    discover = f"{program()} discover {NAMESPACE} {SERVICE} -q {DEV_NEXT}"
    kubectl = f"{ground.kubectl} --namespace {ground.namespace}"
    shown.command(f"{discover} --endpoint-url {registry.endpoint}")
    shown.command(f"{kubectl} get registrynamespaces,registryservices,pods")
    shown.command(f"{kubectl} scale deployment flask-app-dev --replicas=5")
    shown.command(f"curl {operator.address('probes')}/metrics")
    with suppress(KeyboardInterrupt):
        while True:
            operator.check()
            time.sleep(_LOOK_SECONDS)


def _what_next(shown: Stage, *, is_borrowed: bool) -> None:
    shown.say("What to try next:")
    shown.say(f"- the same, left running to play with: {program()} demo --keep (or make demo ARGS=--keep)")
    if not is_borrowed:
        shown.say(f"- the same on a cluster of yours: {program()} demo --context NAME")
    shown.say("- your own pods: README.md, “On your own cluster”, and docs/annotations.md")
