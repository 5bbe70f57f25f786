"""What of the cluster is selected: the watches keep nothing else, so memory grows with that and not with the cluster.

When more is selected than before, what a watch passed over has to be read: one list a selector, several at once
gathered into one of the whole Kubernetes namespace. Until that is done nothing is deregistered because nobody asks for
it: a selector that changes from these pods to those must not remove these before those are known.
"""

import asyncio
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from kube_registrar.declared.specs import LabelSelector, Operator
from kube_registrar.model.records import SERVICE_LABEL
from kube_registrar.runtime.backoff import Backoff
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog

GATHER_SECONDS = 0.05
"""What is applied together is read together."""
MOST_LISTS = 10
"""More selectors than that in one Kubernetes namespace, and it is read whole."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Need:
    """Objects that somebody selects, of one kind and Kubernetes namespace; all where both selectors are empty."""

    kind: str
    namespace: str
    labels: str = ""
    fields: str = ""


class Fetch(Protocol):
    """Reads what a watch passed over, and has it told as the watch would; raises if it cannot."""

    async def __call__(self, need: Need) -> None:
        """Read it. Returns once all of it has been told."""


class Interest:
    """Knows what is selected, and has read what was passed over."""

    def __init__(self, catalog: Catalog, clock: Clock, on_read: Callable[[], None]) -> None:
        """`on_read` is called when all that is selected has been read."""
        self.fetch: Fetch | None = None
        """Set by whoever watches; without it nothing is passed over."""
        self._catalog = catalog
        self._clock = clock
        self._on_read = on_read
        self._known: frozenset[Need] = frozenset()
        self._open: set[Need] = set()
        self._begun: set[str] = set()
        self._wake = asyncio.Event()

    # What the watches ask: is this selected?

    def pod(self, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Whether somebody else than the pod itself asks for it."""
        world = self._catalog.world
        defaults = world.defaults.get(namespace)
        return (
            (defaults is not None and defaults.asks)
            or any(True for _ in world.selection.of_pod(namespace, labels))
            or any(True for _ in world.endpoints.selecting(namespace, labels))
            or world.endpoints.names_pod(namespace, name)
        )

    def service(self, namespace: str, name: str, _labels: Mapping[str, str]) -> bool:
        """Whether a RegistryService names this Service."""
        return bool(self._catalog.world.selection.of_service(namespace, name))

    def slices(self, namespace: str, service: str, _labels: Mapping[str, str]) -> bool:
        """Whether the EndpointSlices of this Service matter."""
        return (namespace, service) in self._catalog.endpoints.services

    # What follows when more is.

    @property
    def is_reading(self) -> bool:
        """Whether something that is selected has not been read yet."""
        return bool(self._open)

    def begins(self, kind: str) -> None:
        """Note that the first list of a kind begins: what is selected by then is in it."""
        self.changed()
        self._begun.add(kind)

    def changed(self) -> None:
        """Look whether more is selected than before."""
        needs = frozenset(self._needs())
        grown = {need for need in needs - self._known if need.kind in self._begun}
        self._known = needs
        self._open &= needs  # what nobody selects any more need not be read
        if grown and self.fetch is not None:
            self._open |= grown
            self._wake.set()

    async def run(self) -> None:
        """Read what is open, until cancelled."""
        backoff = Backoff()
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._clock.sleep(GATHER_SECONDS)
            try:
                await self._read(self._gathered())
                backoff.succeeded()
                if not self._open:
                    self._on_read()
            except Exception as error:  # noqa: BLE001 - whatever went wrong, it is read again
                _log.warning("what is newly selected cannot be read; it is tried again: %s", error)
                await self._clock.sleep(backoff.failed())
                self._wake.set()

    async def _read(self, batches: Mapping[Need, frozenset[Need]]) -> None:
        assert self.fetch is not None, "needs are open only where they can be read"  # noqa: S101
        for need, covered in batches.items():
            await self.fetch(need)
            self._open -= covered

    def _gathered(self) -> Mapping[Need, frozenset[Need]]:
        """Return what to read, each with what that covers. Services come first: they select slices and pods."""
        order = ("Service", "EndpointSlice", "Pod")
        batches: dict[Need, frozenset[Need]] = {}
        places = sorted({(order.index(need.kind), need.kind, need.namespace) for need in self._open})
        for _, kind, namespace in places:
            here = {need for need in self._open if (need.kind, need.namespace) == (kind, namespace)}
            whole = Need(kind, namespace)
            if len(here) > MOST_LISTS or whole in here:
                batches[whole] = frozenset(here)
            else:
                batches |= {need: frozenset({need}) for need in sorted(here)}
        return batches

    def _needs(self) -> Iterator[Need]:
        world, endpoints = self._catalog.world, self._catalog.endpoints
        for namespace, service in world.selection.services():
            yield Need("Service", namespace, fields=f"metadata.name={service}")
        for (namespace, name), found in endpoints.services.items():
            yield Need("EndpointSlice", namespace, labels=f"{SERVICE_LABEL}={name}")
            if found.selector:
                yield Need("Pod", namespace, labels=",".join(f"{k}={v}" for k, v in sorted(found.selector.items())))
            else:
                for pod in endpoints.pod_names_of(found.key):
                    yield Need("Pod", namespace, fields=f"metadata.name={pod}")
        for namespace, selector in world.selection.selectors():
            yield Need("Pod", namespace, labels=selector_text(selector))
        for namespace, defaults in world.defaults.items():
            if defaults.asks:
                yield Need("Pod", namespace)


def selector_text(selector: LabelSelector) -> str:
    """Write a selector as the API takes it in `labelSelector`.

    Source: Kubernetes documentation, "Labels and Selectors", set-based requirements.
    """
    parts = [f"{key}={value}" for key, value in sorted(selector.match_labels.items())]
    for one in selector.match_expressions:
        values = ",".join(one.values)
        match one.operator:
            case Operator.IN:
                parts.append(f"{one.key} in ({values})")
            case Operator.NOT_IN:
                parts.append(f"{one.key} notin ({values})")
            case Operator.EXISTS:
                parts.append(one.key)
            case Operator.DOES_NOT_EXIST:
                parts.append(f"!{one.key}")
    return ",".join(parts)
