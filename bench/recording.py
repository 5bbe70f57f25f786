"""What the API server said of pods and when, as one watch heard it, to be replayed beside the registry's own history.

Both clocks are this machine's. Nobody is polled: a poll would see neither what is short nor which came first.
"""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.watch import BareWatch

from kube_registrar.registries.embedded.history import history
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.place import Place
from tests.scenarios.registry import DEREGISTER, REGISTER

SAMPLE_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class Heard:
    """A pod as it was from `at` (Unix seconds) on. `lives`: it is there, not terminating and has not ended."""

    at: float
    pod: str
    lives: bool
    ready: bool


class Recording(threading.Thread):
    """Watches the pods of a place while it is entered; those that were there before are unknown to it."""

    def __init__(self, place: Place) -> None:
        super().__init__(name="recording", daemon=True)
        self.heard: list[Heard] = []
        self._ends = False
        self._events = BareWatch(place.plane, f"/api/v1/namespaces/{place.namespace}/pods")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends = True  # the thread is a daemon, and its watch ends with the control plane

    def run(self) -> None:
        """Note what is said."""
        for event in self._events:
            at = time.time()
            if self._ends:
                return
            pod = event["object"]
            there = event["type"] != "DELETED" and "deletionTimestamp" not in pod["metadata"]
            lives = there and pod["status"].get("phase") not in {"Succeeded", "Failed"}
            conditions = pod["status"].get("conditions", ())
            ready = any((one["type"], one["status"]) == ("Ready", "True") for one in conditions)
            self.heard.append(Heard(at, pod["metadata"]["name"], lives, ready))

    def wait(self, pods: set[str]) -> None:
        """Wait until it has heard that exactly these pods live."""
        wait_until(
            lambda: self.living() == pods,
            lambda: f"the recording to be as the cluster is; it has {sorted(self.living() ^ pods)[:3]} wrong",
        )

    def living(self) -> set[str]:
        """Return the pods that live by now."""
        last = {one.pod: one.lives for one in list(self.heard)}
        return {pod for pod, lives in last.items() if lives}

    def ready_since(self) -> dict[str, float]:
        """Return since when each pod was Ready first."""
        found: dict[str, float] = {}
        for one in list(self.heard):
            if one.ready and one.lives:
                found.setdefault(one.pod, one.at)
        return found

    def ended(self) -> dict[str, float]:
        """Return when each pod was first heard to be terminating or gone."""
        found: dict[str, float] = {}
        for one in list(self.heard):
            if not one.lives:
                found.setdefault(one.pod, one.at)
        return found


@dataclass(frozen=True, slots=True)
class Kept:
    """What the registry's history tells of a pod at a time: it is found, or no longer."""

    at: float
    pod: str
    found: bool


def kept(data: Path) -> list[Kept]:
    """Return what took effect in a registry, the oldest first."""
    owners: dict[tuple[str, str], str] = {}
    effects = []
    for entry in history(data):
        key = (entry.service, entry.instance_id)
        if entry.operation == REGISTER:
            owners[key] = entry.attributes.get("KUBE_POD", entry.instance_id)
        if entry.operation in {REGISTER, DEREGISTER} and entry.status == "SUCCESS":
            effects.append(Kept(entry.updated, owners.get(key, ""), entry.operation == REGISTER))
    return sorted(effects, key=lambda one: one.at)


@dataclass(frozen=True, slots=True)
class Span:
    """So many pods were live, ready and discoverable, from `begins` until `ends` (Unix seconds)."""

    begins: float
    ends: float
    count: int


def replay(heard: Sequence[Heard], effects: Sequence[Kept], *, since: float, until: float) -> list[Span]:
    """Put both on one clock; return how many pods were live, ready and discoverable, without gaps."""
    spans, at, count = [], since, 0
    good, found = set[str](), set[str]()
    events: list[Heard | Kept] = [*heard, *effects]
    for one in sorted(events, key=lambda one: one.at):
        if one.at > at:
            spans.append(Span(at, min(one.at, until), count))
            at = one.at
        there, holds = (found, one.found) if isinstance(one, Kept) else (good, one.lives and one.ready)
        (there.add if holds else there.discard)(one.pod)
        count = len(good & found)
        if at >= until:
            return spans
    return [*spans, Span(at, until, count)]


def samples(spans: Sequence[Span]) -> Iterator[int]:
    """Return the count at every 50 ms."""
    at = spans[0].begins
    for span in spans:
        while at < span.ends:
            yield span.count
            at += SAMPLE_SECONDS


def longest_below(spans: Sequence[Span], wanted: int) -> float:
    """Return for how many seconds on end there were fewer than `wanted`, at most."""
    longest, since = 0.0, None
    for span in spans:
        if span.count >= wanted:
            since = None
            continue
        since = span.begins if since is None else since
        longest = max(longest, span.ends - since)
    return longest
