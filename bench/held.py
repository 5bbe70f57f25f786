"""What must not take live pods out of the registry: lists that lack them, mistakes in configuration, dead nodes.

python -m bench.held [--seconds 60] [--vanish 500] [--whole]

Each case has an operator and a registry of its own. Nothing may be deregistered while it is watched; somebody must say
why; and then the right thing must follow an approval, or what was changed being restored. What is held for what is
written, or for nodes, is held for 300 s: the rows say how much of them was watched. With --whole two cases more are
watched until the hold is over and after: nothing may go before its end, and all must go then.
"""

import argparse
import functools
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.crowd import Crowd, Member, declare
from bench.ground import ground
from bench.table import Row, run

from kube_registrar.planning.brake import STANDING_SECONDS
from kube_registrar.planning.evidence import UNSEEN
from kube_registrar.testing.api import STRATEGIC_PATCH, ApiError
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.fault_rules import Hide, gets, lists
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator, environment
from tests.scenarios.place import OURS, Place, install_kinds
from tests.scenarios.registry import Registry, deregistered

LABEL = "bench"
PODS = 100
NODES = 20
MARGIN_SECONDS = 5.0
"""So long before the end of a hold it is counted what has gone: it begins a moment after the deed."""
AFTER_SECONDS = 30.0
"""So long after the end of a hold everything must have gone."""
KINDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
BLOCKED = "kube_registrar_deletions_blocked_total"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--vanish", type=int, default=500)
    parser.add_argument("--whole", action="store_true")
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.seconds, asked.vanish, whole=asked.whole))


def rows(seconds: float = 60.0, vanish: int = 500, *, whole: bool = False) -> Iterator[Row]:
    """Measure each case on one control plane."""
    with ground() as (place, folder):
        place.plane.make_nodes(NODES, managed=False)
        yield _vanished(place, folder / "vanished", seconds, vanish)
        for case in (_mistyped, _service_deleted, _kind_deleted, _unreachable):
            yield case(place, folder / case.__name__.strip("_"), seconds)
        for name, cause in (("mistyped", _mistype), ("unreachable", _lose_nodes)) if whole else ():
            yield _whole(place, folder / f"{name}-whole", cause)


@dataclass(slots=True)
class _Case:
    """100 pods in one registry service that selects them, all registered, and the operator that did it."""

    place: Place
    operator: Operator
    pods: list[Member]

    def stays(self, seconds: float) -> int:
        """Return how many instances went within that time."""
        time.sleep(seconds)
        return len(deregistered(self.operator.data))

    def said(self, kind: str = "RegistryService", name: str = "web") -> str:
        """Wait until a condition says what is held, and return its message."""
        return str(self.place.wait_condition(kind, name, "DeletionsHeld", "True")["message"])

    def says_no_more(self, kind: str = "RegistryService", name: str = "web") -> None:
        """Wait until nothing is held."""
        self.place.wait_condition(kind, name, "DeletionsHeld", "False")

    def blocked(self) -> str:
        """Return the lines of the metric that tell of held instances."""
        lines = self.operator.probe("/metrics")[1].splitlines()
        return "; ".join(line for line in lines if line.startswith(BLOCKED))


@contextmanager
def _case(place: Place, folder: Path, pods: int = PODS, kubeconfig: Path | None = None) -> Iterator[_Case]:
    """Have the pods registered in a place of their own; at the end clear it."""
    folder.mkdir()
    here = Place(place.plane).make()
    operator = Operator(folder, kubeconfig or place.plane.kubeconfig)
    members = [
        Member(here.namespace, f"web-{number:03}", f"node-{3 + number % NODES}", labels={LABEL: "web"})
        for number in range(pods)
    ]
    try:
        declare(here, ["web"], selector={"matchLabels": {LABEL: "web"}}, port="http")
        Crowd(here.plane).make(members, large=False)
        operator.start()
        Registry(operator.endpoint, here.registry_namespace).expect("web", {member.name for member in members})
        yield _Case(here, operator, members)
        print(f"  {folder.name}: {operator.unexpected() or 'nothing unexpected'} in the log", flush=True)
    finally:
        operator.kill()
        here.clear()


def _vanished(place: Place, folder: Path, seconds: float, vanish: int) -> Row:
    """Hide pods from every list, and end the watch so that the operator lists anew."""
    folder_of_proxy = folder.with_name("proxy")
    folder_of_proxy.mkdir()
    with FaultProxy.before(place.plane) as proxy:
        kubeconfig = proxy.write_kubeconfig(folder_of_proxy / "kubeconfig")
        with _case(place, folder, vanish + PODS, kubeconfig) as case:
            hidden = {member.name for member in case.pods[:vanish]}
            proxy.add(Hide(lists("pods"), hidden=lambda pod: pod["metadata"]["name"] in hidden))
            proxy.calls.clear()
            proxy.expire("pods")
            gone = case.stays(seconds)
            asked = {call.name for call in proxy.calls if gets("pods")(call)}
            said = _lines(case.operator, UNSEEN.why)
    print(f"  {len(asked)} pods were asked for; said: {said[:1]}", flush=True)
    return Row(
        f"{vanish} pods vanish from a relist, a GET still finds them: deregistered within {seconds:.0f} s",
        "0, and said why",
        f"{gone}; {'said' if said else 'not said'}",
        gone == 0 and bool(said),
    )


def _mistyped(place: Place, folder: Path, seconds: float) -> Row:
    """Mistype the selector, and approve."""
    with _case(place, folder) as case:
        _mistype(case)
        said = case.said()
        gone = case.stays(seconds)
        began = time.monotonic()
        _approve(case.place)
        wait_until(lambda: len(deregistered(case.operator.data)) == len(case.pods), "what was approved to go")
        then = f"approved, all went within {time.monotonic() - began:.1f} s"
        return _row("a RegistryService's selector is mistyped", seconds, gone, said, then)


def _service_deleted(place: Place, folder: Path, seconds: float) -> Row:
    """Delete the RegistryService, and restore it."""
    with _case(place, folder) as case:
        here = case.place
        before = here.get("RegistryService", "web")["spec"]
        here.delete("RegistryService", "web")
        here.wait_gone("RegistryService", "web")
        said = case.said("RegistryNamespace", here.registry_namespace)
        gone = case.stays(seconds)
        _restore(here, before)
        return _row("a RegistryService is deleted", seconds, gone, said, _restored(case))


def _kind_deleted(place: Place, folder: Path, seconds: float) -> Row:
    """Delete the kind itself, and restore it with its object."""
    with _case(place, folder) as case:
        here = case.place
        before = here.get("RegistryService", "web")["spec"]
        kind = f"{KINDS}/registryservices.kube-registrar.dev"
        here.plane.api.delete(kind)
        wait_until(lambda: _is_gone(here, kind), "the kind to be gone", seconds=60)
        gone = case.stays(seconds)
        said = str(here.condition("RegistryNamespace", here.registry_namespace, "DeletionsHeld").get("message", ""))
        said = said or "; ".join(_lines(case.operator, "registryservices", "RegistryService")[-2:])
        install_kinds(here.plane)
        _restore(here, before)
        return _row("the CRD RegistryService is deleted", seconds, gone, said, _restored(case))


def _unreachable(place: Place, folder: Path, seconds: float) -> Row:
    """Let 20 nodes be unreachable, and come back."""
    with _case(place, folder) as case:
        here = case.place
        _lose_nodes(case)
        said = case.said()
        gone = case.stays(seconds)
        _nodes(here, "True")
        Crowd(here.plane).set_ready(case.pods, ready=True)
        return _row(f"{NODES} nodes are unreachable at once", seconds, gone, said, _restored(case))


def _whole(place: Place, folder: Path, deed: Callable[[_Case], None]) -> Row:
    """Watch a hold to its end, and what comes after."""
    with _case(place, folder) as case:
        began = time.monotonic()
        deed(case)
        said = case.said()
        gone = case.stays(began + STANDING_SECONDS - MARGIN_SECONDS - time.monotonic())
        wait_until(
            lambda: len(deregistered(case.operator.data)) == len(case.pods),
            "all to go once the hold is over",
            seconds=MARGIN_SECONDS + AFTER_SECONDS,
        )
        then = f"all went {time.monotonic() - began:.0f} s after the deed"
    return Row(
        f"{folder.name}: {PODS} live pods, out within {STANDING_SECONDS - MARGIN_SECONDS:.0f} s of the hold's "
        f"{STANDING_SECONDS:.0f} s; after it",
        "0, said why; all",
        f"{gone}; {'said' if said else 'not said'}; {then}",
        gone == 0 and bool(said),
    )


def _mistype(case: _Case) -> None:
    wrong = {"matchLabels": {LABEL: "wbe"}}
    case.place.plane.api.patch(case.place.path("RegistryService", "web"), {"spec": {"selector": wrong}})


def _lose_nodes(case: _Case) -> None:
    _nodes(case.place, "Unknown")
    Crowd(case.place.plane).set_ready(case.pods, ready=False, by_kubelet=False)


def _row(what: str, seconds: float, gone: int, said: str, then: str) -> Row:
    print(f"  {what}: {said}", flush=True)
    return Row(
        f"{what}, {PODS} live pods: out within the first {seconds:.0f} s of the hold's {STANDING_SECONDS:.0f} s",
        "0, said why, then the right thing",
        f"{gone}; {'said' if said else 'not said'}; {then}",
        gone == 0 and bool(said),
    )


def _restored(case: _Case) -> str:
    """Wait until nothing is held any more; return what has become of the instances.

    The RegistryNamespace tells it, for a RegistryService that was made anew never said that anything was held.
    """
    case.says_no_more("RegistryNamespace", case.place.registry_namespace)
    gone = len(deregistered(case.operator.data))
    found = len(Registry(case.operator.endpoint, case.place.registry_namespace).instances("web"))
    assert (found, gone) == (len(case.pods), 0), (found, gone)
    return f"restored, all {found} are there and none had gone"


def _approve(place: Place) -> None:
    command = ["approve", "registryservice/web", "-n", place.namespace, "--yes"]
    kubeconfig = ["--kubeconfig", str(place.plane.kubeconfig)]
    subprocess.run(
        [sys.executable, "-m", "kube_registrar", *command, *kubeconfig],
        env=environment(),
        check=True,
        capture_output=True,
        timeout=60,
    )


def _restore(place: Place, spec: dict[str, Any]) -> None:
    manifest = place.registry_service_manifest("web") | {"spec": spec}
    place.plane.api.post(f"{OURS}/namespaces/{place.namespace}/registryservices", manifest)


def _nodes(place: Place, ready: str) -> None:
    for number in range(3, 3 + NODES):
        body = {"status": {"conditions": [{"type": "Ready", "status": ready, "reason": "Bench"}]}}
        place.plane.api.patch(f"/api/v1/nodes/node-{number}/status", body, content_type=STRATEGIC_PATCH)


def _is_gone(place: Place, path: str) -> bool:
    try:
        place.plane.api.get(path)
    except ApiError as error:
        return error.status == 404
    return False


def _lines(operator: Operator, *words: str) -> Sequence[str]:
    """Return the lines of its log, warnings and worse first, that have one of these words."""
    texts = [str(line.get("message", "")) for line in operator.lines()]
    return [text for text in texts if any(word in text for word in words)]


if __name__ == "__main__":
    sys.exit(main())
