"""Where the demo plays: a control plane of its own on this machine, or a cluster of the user's."""

import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from kube_registrar.cli import data
from kube_registrar.cli.demo.kube import Kube, Manifest, in_namespace, is_ours, name_of
from kube_registrar.cli.demo.stage import Stage
from kube_registrar.model.errors import UserError

DEMO_NAMESPACE = "kube-registrar-demo"
_LOCAL_SECONDS = 60.0
# Pods of a real cluster pull an image first.
_REMOTE_SECONDS = 300.0
_GONE_SECONDS = 30.0
_LOOK_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Ground:
    """A cluster to play on.

    `kubectl`: the command to paste that talks to it. `patience`: seconds that a step may take. `borrowed`: it is the
    user's own.
    """

    kube: Kube
    kubeconfig: str | None
    context: str | None
    namespace: str
    kubectl: str
    patience: float
    borrowed: bool = False

    @property
    def crds(self) -> Sequence[Manifest]:
        """The custom resource definitions."""
        return data.manifests(data.CRDS)

    @property
    def quickstart(self) -> Sequence[Manifest]:
        """The objects of examples/quickstart, in this ground's Kubernetes namespace."""
        return [in_namespace(manifest, self.namespace) for manifest in data.manifests(data.QUICKSTART)]

    def clear(self) -> None:
        """Remove the objects of our kinds from a borrowed cluster, while the operator runs: it has finalizers on them.

        A RegistryService goes before the RegistryNamespace that it is in.
        """
        if self.borrowed:
            ours = [manifest for manifest in self.quickstart if manifest["kind"].startswith("Registry")]
            for manifest in sorted(ours, key=lambda one: str(one["kind"]), reverse=True):
                _remove(self.kube, manifest)


@contextmanager
def local(stage: Stage) -> Iterator[Ground]:
    """Run a control plane on this machine; nothing of it stays. Raises UserError where it cannot be had."""
    from kube_registrar.testing import binaries  # noqa: PLC0415 - a cluster of one's own does not need it
    from kube_registrar.testing.control_plane import ControlPlane  # noqa: PLC0415 - see above
    from kube_registrar.testing.errors import GroundError  # noqa: PLC0415 - see above

    stage.step("A real Kubernetes control plane on this machine")
    stage.say(
        "etcd, kube-apiserver, controllers and scheduler; kwok plays the nodes. The first time it is built: minutes."
    )
    began = time.monotonic()
    plane = ControlPlane()
    try:
        binaries.build()
        plane.start()
    except GroundError as error:
        raise UserError(f"the local control plane does not start: {error}") from None
    try:
        stage.say(f"ready at {plane.url} after {time.monotonic() - began:.1f} s")
        kubeconfig = str(plane.kubeconfig)
        kube = Kube(kubeconfig, None)
        kubectl = f"{shutil.which('kubectl') or plane.parts.binaries['kubectl']} --kubeconfig {kubeconfig}"
        yield Ground(kube, kubeconfig, None, "default", kubectl, _LOCAL_SECONDS)
        kube.close()
    finally:
        plane.stop()


@contextmanager
def remote(stage: Stage, kubeconfig: str | None, context: str) -> Iterator[Ground]:
    """Play on the cluster of a context. What the demo makes there is removed at the end, and nothing else is touched.

    Raises UserError where an object of the demo's name is there that the demo did not make.
    """
    stage.step(f"Your cluster, context {context}")
    kube = Kube(kubeconfig, context)
    kubectl = f"kubectl --context {context}{f' --kubeconfig {kubeconfig}' if kubeconfig else ''}"
    ground = Ground(kube, kubeconfig, context, DEMO_NAMESPACE, kubectl, _REMOTE_SECONDS, borrowed=True)
    _refuse_to_touch_others(ground)
    stage.say(
        f"at {kube.server}; everything is made in the Kubernetes namespace {DEMO_NAMESPACE} and removed afterwards"
    )
    kube.apply(_namespace())
    try:
        yield ground
    finally:
        stage.step("Clean up")
        for manifest in (_namespace(), *ground.crds):
            _remove(kube, manifest)
        stage.say("nothing is left behind")
        kube.close()


def _namespace() -> Manifest:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": DEMO_NAMESPACE}}


def _refuse_to_touch_others(ground: Ground) -> None:
    for manifest in (*ground.crds, _namespace(), *ground.quickstart):
        found = ground.kube.get(manifest)
        if found is not None and not is_ours(found):
            raise UserError(
                f"{name_of(manifest)} exists on {ground.kube.server}, and this demo did not make it: choose a cluster "
                "without kube-registrar with --context, or leave --context out for a control plane on this machine"
            )


def _remove(kube: Kube, manifest: Manifest) -> None:
    """Delete what the demo made, and wait until it is gone."""
    found = kube.get(manifest)
    if found is None or not is_ours(found):
        return
    kube.delete(manifest)
    gone = wait(lambda: kube.get(manifest) is None, _GONE_SECONDS)
    if not gone and manifest["kind"].startswith("Registry"):
        # Only an operator that has ended leaves a finalizer, and nothing in its temporary registry needs it.
        kube.patch(manifest, {"metadata": {"finalizers": None}})
        gone = wait(lambda: kube.get(manifest) is None, _GONE_SECONDS)
    if not gone:
        raise UserError(f"{name_of(manifest)} is being deleted from {kube.server}, but is not gone yet: look after it")


def wait(condition: Callable[[], bool], seconds: float) -> bool:
    """Look until the condition holds or the time is over, and return whether it holds."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(_LOOK_SECONDS)
    return True
