"""A user scales 100 pods to zero: how soon each instance is out after its pod's termination began.

python -m bench.scale_to_zero [--pods 100] [--runs 3]

From a recorded watch and the registry's own history, as bench/rollout.py.
"""

import argparse
import functools
import statistics
import sys
from collections.abc import Iterator

from bench.ground import ground
from bench.recording import Recording, kept
from bench.table import Row, run

from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry

BAR_SECONDS = 1.0
BLOCKED = "kube_registrar_deletions_blocked_total"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pods", type=int, default=100)
    parser.add_argument("--runs", type=int, default=3)
    asked = parser.parse_args()
    return run(functools.partial(rows, asked.pods, asked.runs))


def rows(pods: int = 100, runs: int = 3) -> Iterator[Row]:
    """Scale to zero."""
    with ground() as (place, folder):
        operator = Operator(folder, place.plane.kubeconfig).start()
        try:
            place.declare("web")
            worst = [_scale(place, operator, pods) for _ in range(runs)]
            held = BLOCKED in operator.probe("/metrics")[1].replace(f"# HELP {BLOCKED}", "").replace(
                f"# TYPE {BLOCKED}", ""
            )
        finally:
            operator.kill()
    median = statistics.median(worst)
    yield Row(
        f"scale to zero by the user, {pods} pods: the last instance out after its pod's termination, median of {runs}",
        f"≤ {BAR_SECONDS:g} s, none held by the brake",
        f"{median * 1000:.0f} ms (worst {max(worst) * 1000:.0f} ms), {'some' if held else 'none'} held",
        max(worst) <= BAR_SECONDS and not held,
    )


def _scale(place: Place, operator: Operator, pods: int) -> float:
    """Return how long the slowest instance stayed after its pod's termination began."""
    registry = Registry(operator.endpoint, place.registry_namespace)
    with Recording(place) as recording:
        names = place.deployment("web", "web", pods)
        registry.expect("web", names)
        recording.wait(names)
        place.plane.api.patch(place.path("Deployment", "web"), {"spec": {"replicas": 0}})
        registry.expect("web", set())
        recording.wait(set())
        ended = recording.ended()
    out = {one.pod: one.at for one in kept(operator.data) if not one.found}
    late = [out[pod] - ended[pod] for pod in names]
    print(f"  {len(names)} pods: median {statistics.median(late) * 1000:.0f} ms, max {max(late) * 1000:.0f} ms")
    return max(late)


if __name__ == "__main__":
    sys.exit(main())
