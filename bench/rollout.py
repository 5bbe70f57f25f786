"""Rolling updates: how many pods are live, ready and discoverable at every moment.

python -m bench.rollout [--runs 3]

A Deployment of 10 replicas is rolled by a new annotation, three times in each of three ways. What counts is judged from
a recorded watch of the API server, replayed on one clock with the registry's own history (bench/recording.py).
"""

import argparse
import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ground import ground, percentile
from bench.recording import Recording, Span, kept, longest_below, replay, samples
from bench.table import Row, run

from kube_registrar.model.records import GATE
from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry

REPLICAS = 10
BEYOND_SECONDS = 0.1
SLOW = "operation-delay=2s"
AFTER_SECONDS = 3.0
"""How long after the roll-out is complete it is looked at still."""


@dataclass(frozen=True, slots=True)
class Rolled:
    """One roll-out. `latency`: from Ready to discoverable, p99, seconds; of pods that were Ready first."""

    fewest: int
    below: float
    latency: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=3)
    return run(functools.partial(rows, parser.parse_args().runs))


def rows(runs: int = 3) -> Iterator[Row]:
    """Roll in each of the ways."""
    with ground() as (place, folder):
        rolled = _roll_out(place, folder / "waits", runs, min_ready=2)
        fewest = min(one.fewest for one in rolled)
        what = f"rolling update of {REPLICAS} replicas, maxUnavailable 0"
        yield Row(
            f"{what}, minReadySeconds 2: live, ready and discoverable at every 50 ms, the fewest of {runs} runs",
            f"≥ {REPLICAS}",
            str(fewest),
            fewest >= REPLICAS,
        )
        rolled = _roll_out(place, folder / "hurries", runs, min_ready=0)
        worst = max(rolled, key=lambda one: one.below - one.latency)
        yield Row(
            f"{what}, minReadySeconds 0, no gate: longest time below {REPLICAS}, worst of {runs} runs",
            f"≤ that run's p99 from Ready to discoverable + {BEYOND_SECONDS * 1000:.0f} ms",
            f"{worst.below * 1000:.0f} ms",
            all(one.below <= one.latency + BEYOND_SECONDS for one in rolled),
            f"p99 {worst.latency * 1000:.0f} ms",
        )
        yield _gated(place, folder / "gated", runs, what)


def _gated(place: Place, folder: Path, runs: int, what: str) -> Row:
    """Roll pods with our readiness gate on a registry that is slow."""
    what = f"{what}, readiness gate, a registry that takes 2 s an operation: at every 50 ms, the fewest of {runs} runs"
    rolled = _roll_out(place, folder, runs, min_ready=0, gate=True)
    fewest = min(one.fewest for one in rolled)
    return Row(what, f"≥ {REPLICAS}", str(fewest), fewest >= REPLICAS)


def _roll_out(place: Place, folder: Path, runs: int, *, min_ready: int, gate: bool = False) -> list[Rolled]:
    folder.mkdir()
    name = folder.name
    operator = Operator(folder, place.plane.kubeconfig, *(("--simulate", SLOW) if gate else ())).start()
    try:
        place.declare(name)
        manifest = _manifest(place, name, min_ready=min_ready, gate=gate)
        with Recording(place) as recording:
            _apply(place, recording, manifest, name, 0)
            pods = place.rolled_out(name)
            Registry(operator.endpoint, place.registry_namespace).expect(name, pods)
            rolled = []
            for number in range(1, runs + 1):
                began = time.time()
                _apply(place, recording, manifest, name, number)
                ended = time.time()
                wait_until(lambda: time.time() > ended + AFTER_SECONDS, "the last of it", seconds=60)  # noqa: B023
                rolled.append(_judged(operator, recording, name, began))
                print(f"  {name}, run {number}: {ended - began:.1f} s, {rolled[-1]}", flush=True)
            return rolled
    finally:
        operator.kill()
        place.delete("Deployment", name)
        wait_until(lambda: not place.pods(f"app={name}"), "its pods to be gone")


def _manifest(place: Place, name: str, *, min_ready: int, gate: bool) -> dict[str, Any]:
    gates: dict[str, Any] = {"readinessGates": [{"conditionType": GATE}]} if gate else {}
    manifest = deployment_manifest(name, place.namespace, replicas=REPLICAS, annotations=place.asks(name), **gates)
    manifest["spec"] |= {
        "minReadySeconds": min_ready,
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": REPLICAS}},
    }
    return manifest


def _apply(place: Place, recording: Recording, manifest: dict[str, Any], name: str, number: int) -> None:
    """Roll, and wait until that is complete and the recording has heard all of it."""
    manifest["spec"]["template"]["metadata"]["annotations"]["example.com/revision"] = str(number)
    place.plane.apply(manifest)
    place.rolled_out(name)
    wait_until(lambda: len(place.list("Pod", f"app={name}")) == REPLICAS, "the old pods to be gone", seconds=60)
    recording.wait(place.pods(f"app={name}"))


def _judged(operator: Operator, recording: Recording, name: str, began: float) -> Rolled:
    effects = [one for one in kept(operator.data) if one.pod.startswith(f"{name}-")]
    spans: list[Span] = replay(list(recording.heard), effects, since=began, until=time.time())
    found = {one.pod: one.at for one in effects if one.found}
    ready = {pod: at for pod, at in recording.ready_since().items() if at >= began}
    latency = [max(0.0, found[pod] - at) for pod, at in ready.items()]
    return Rolled(min(samples(spans)), longest_below(spans, REPLICAS), percentile(latency, 0.99))


if __name__ == "__main__":
    sys.exit(main())
