"""What the watches of one replica were told of the cluster, and what they were not."""

from collections.abc import Iterable, Mapping
from typing import Any

from kube_registrar.model.records import BarePod, Pod, Unselected
from kube_registrar.sync.engine import KINDS as AWAITED
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.interest import Need
from kube_registrar.testing.clock import FakeClock
from tests.engine.harness import FakeCluster, Key
from tests.engine.model.oracle import Surroundings
from tests.engine.model.truth import KINDS, Truth

FETCH_SECONDS = 0.3
"""How long it takes to read what a watch passed over."""


class View(FakeCluster):
    """One replica's watches; direct reads show the truth, as those of any `FakeCluster` do."""

    def __init__(self, truth: Truth, clock: FakeClock) -> None:
        super().__init__()
        self.truth = truth
        self.clock = clock
        self.pods, self.services = truth.pods, truth.services  # type: ignore[assignment]
        self.told: dict[str, dict[Key, Any]] = {kind: {} for kind in KINDS}
        """What was told, in full, although the engine may have been told of it as unselected only."""
        self.passed_over: set[Key] = set()
        """Pods that the engine was told of as unselected."""
        self.fetch_failed = False
        """Whether what a watch passed over could not be read when that was tried last."""
        self.is_cut = False
        self.overlooked: set[Key] = set()
        """Pods that come, change and go unseen, until the next list."""
        self._synced: set[str] = set()
        self._reader: Engine | None = None

    # The life of the watches.

    async def list_all(self, engine: Engine, pauses: Mapping[str, float]) -> None:
        """Tell an engine all there is, kind by kind, as first lists do; `pauses`: how long each takes."""
        self._reader = engine
        self.told = {kind: {} for kind in KINDS}
        self.passed_over.clear()
        self.fetch_failed = False
        self.overlooked.clear()
        self._synced.clear()
        self.is_cut = False
        engine.interest.fetch = self._fetch
        for kind in KINDS:
            await self.clock.advance(pauses.get(kind, 0.0))
            engine.interest.begins(kind)
            self._follow(kind, seen=True)
            self._synced.add(kind)
            if kind in AWAITED:
                engine.synced(kind)
            await self.clock.settle()

    def disconnect(self) -> None:
        """Nobody watches from now on."""
        self._reader = None

    def follow(self) -> None:
        """Tell what has happened, unless the watches are cut."""
        if self._reader is not None and not self.is_cut:
            for kind in KINDS:
                self._follow(kind, seen=True)

    def resume(self) -> None:
        """Go on where the watches were cut."""
        self.is_cut = False
        self.follow()

    async def list_anew(self) -> None:
        """Tell all anew, as after a 410: of what went meanwhile nobody saw how it went."""
        if self._reader is None:
            return
        self.is_cut = False
        self.overlooked.clear()
        for kind in KINDS:
            self._follow(kind, seen=False, all_of_it=True)
            if kind in AWAITED:
                self._reader.synced(kind)
            await self.clock.settle()

    async def _fetch(self, need: Need) -> None:
        """Tell anew what a watch passed over: more than asked for does no harm."""
        await self.clock.sleep(FETCH_SECONDS)
        self.fetch_failed = self.lookup_error is not None
        if self.lookup_error is not None:
            raise self.lookup_error
        for key, thing in list(self.truth.of(need.kind).items()):
            if key not in self.overlooked:
                self._apply(need.kind, key, thing)

    # What is told.

    def _follow(self, kind: str, *, seen: bool, all_of_it: bool = False) -> None:
        told, there = self.told[kind], self.truth.of(kind)
        for key in [key for key in told if key not in there or (kind == "Pod" and key in self.hidden)]:
            if kind != "Pod" or key not in self.overlooked or key in self.hidden:
                self._gone(kind, told.pop(key), seen=seen and key not in self.hidden)
        for key, thing in list(there.items()):
            is_overlooked = kind == "Pod" and (key in self.overlooked or key in self.hidden)
            if not is_overlooked and (all_of_it or told.get(key) != thing):
                self._apply(kind, key, thing)

    def _apply(self, kind: str, key: Key, thing: Any) -> None:
        before = self.told[kind].get(key)
        if before is not None and before.uid != thing.uid:
            self._gone(kind, before, seen=True)
        self.told[kind][key] = thing
        engine = self._reader
        if engine is None:
            return
        match kind:
            case "Pod":
                engine.pod_applied(self._selected_pod(engine, thing))
            case "Namespace":
                engine.intake.namespace_applied(thing)
            case "Node":
                engine.intake.node_applied(thing)
            case "Service":
                selected = thing.annotations or engine.interest.service(thing.namespace, thing.name, {})
                engine.intake.service_applied(thing if selected else _unselected(thing))
            case "EndpointSlice":
                selected = engine.interest.slices(thing.namespace, thing.service, {})
                engine.intake.slice_applied(thing if selected else _unselected(thing))
            case _:
                engine.intake.object_applied(thing)

    def _selected_pod(self, engine: Engine, pod: Pod) -> Pod | BarePod:
        key = (pod.namespace, pod.name)
        if pod.annotations or engine.interest.pod(pod.namespace, pod.name, pod.labels):
            self.passed_over.discard(key)
            return pod
        self.passed_over.add(key)
        return BarePod(pod.namespace, pod.name, pod.uid, pod.terminating, pod.phase)

    def _gone(self, kind: str, thing: Any, *, seen: bool) -> None:
        engine = self._reader
        self.passed_over -= {(thing.namespace, thing.name)} if kind == "Pod" else set()
        if engine is None:
            return
        match kind:
            case "Pod":
                engine.pod_deleted(thing, seen=seen)
            case "Service":
                engine.intake.service_deleted(thing, seen=seen)
            case "EndpointSlice":
                engine.intake.slice_deleted(thing)
            case "RegistryService":
                engine.intake.object_deleted(thing)
            case _:
                raise AssertionError(f"the model deletes no {kind}")

    # What is known.

    def known(self, kind: str) -> Mapping[Key, Any]:
        """Return what was told of a kind; of one that was not listed yet the truth: nothing may come of its absence."""
        return self.told[kind] if kind in self._synced else self.truth.of(kind)

    @property
    def surroundings(self) -> Surroundings:
        """What pods' wishes depend on, as it was told."""
        return Surroundings.of(self.known)

    def versions(self, pod: Pod) -> Iterable[Pod]:
        """Return a pod as it is, and as it was told."""
        yield pod
        told = self.told["Pod"].get((pod.namespace, pod.name))
        if told is not None and told.uid == pod.uid and told != pod:
            yield told


def _unselected(thing: Any) -> Unselected:
    return Unselected(thing.namespace, thing.name, thing.uid)
