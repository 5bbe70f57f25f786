"""All benches, one after the other, and one table.

python -m bench.all [short | long | all | NAME …]

`short` takes some ten minutes, `long` forty. One that fails is a row that is not met, and the next one begins.
"""

import argparse
import functools
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence

from bench import (
    cloud_map,
    cold_start,
    consul,
    dns,
    etcd,
    failover,
    fuzz,
    held,
    idle,
    latency,
    many_pods,
    members,
    outages,
    registry,
    rollout,
    scale_to_zero,
    two_clusters,
    watching,
)
from bench.table import Row, run

SHORT: dict[str, Callable[[], Iterable[Row]]] = {
    "cold-start": cold_start.rows,
    "latency": latency.rows,
    "watching": watching.rows,
    "rollout": rollout.rows,
    "scale-to-zero": scale_to_zero.rows,
    "failover": failover.rows,
    "cloud-map": cloud_map.short_rows,
    "registry": registry.rows,
    "dns": dns.rows,
}
LONG: dict[str, Callable[[], Iterable[Row]]] = {
    "many-pods": many_pods.rows,
    "held": held.rows,
    "outages": outages.rows,
    "idle": idle.rows,
    "consul": consul.rows,
    "etcd": etcd.rows,
    "members": members.rows,
    "two-clusters-etcd": functools.partial(two_clusters.rows, "etcd"),
    "two-clusters-consul": functools.partial(two_clusters.rows, "consul"),
    "cloud-map-long": cloud_map.long_rows,
    "fuzz": fuzz.rows,
}
GROUPS = {"short": list(SHORT), "long": list(LONG), "all": [*SHORT, *LONG]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    known = [*GROUPS, *SHORT, *LONG]
    parser.add_argument("what", nargs="*", default=["all"], help=f"any of {', '.join(known)}")
    what = parser.parse_args().what
    if unknown := [name for name in what if name not in known]:
        parser.error(f"there is no bench {', '.join(unknown)}; known are {', '.join(known)}")
    chosen = [name for asked in what for name in GROUPS.get(asked, [asked])]
    return run(functools.partial(rows, chosen))


def rows(names: Sequence[str]) -> Iterator[Row]:
    """Measure each, whatever becomes of the others."""
    for name in names:
        print(f"{name}:", flush=True)
        try:
            yield from (SHORT | LONG)[name]()
        except Exception as error:  # noqa: BLE001 - it is told, and the next bench begins
            traceback.print_exc()
            yield Row(name, "", f"failed: {str(error).partition(chr(10))[0]}", met=False)


if __name__ == "__main__":
    sys.exit(main())
