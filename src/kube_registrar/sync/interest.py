"""What of the cluster is selected: the watches keep nothing else, so memory grows with that and not with the cluster.

When more is selected than before, what a watch passed over has to be read. Until that is done nothing of its Kubernetes
namespace is deregistered because nobody asks for it: a selector that changes from these pods to those must not remove
these before those are known.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from kube_registrar.declared.specs import LabelSelector, Operator, wrong_selector
from kube_registrar.model.reasons import SELECTION_NOT_READ, Problem
from kube_registrar.model.records import SERVICE_LABEL
from kube_registrar.model.refs import ObjectRef
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.reading import Fetch, Need, Readings

__all__ = ["Fetch", "Interest", "Need"]

Asking = tuple[str, str, str]
"""Who selects: kind, Kubernetes namespace and name."""


class Interest:
    """Knows what is selected, and has read what was passed over."""

    def __init__(
        self,
        catalog: Catalog,
        clock: Clock,
        on_read: Callable[[], None],
        tell: Callable[[ObjectRef, Problem], bool] = lambda _ref, _problem: True,
    ) -> None:
        """`on_read` is called when all that is selected in a Kubernetes namespace has been read.

        `tell` is given what is wrong with an object; it returns whether that was told.
        """
        self._catalog = catalog
        self._tell = tell
        self._known: frozenset[Need] = frozenset()
        self._begun: set[str] = set()
        self._readings = Readings(clock, on_read, self._unread)

    @property
    def fetch(self) -> Fetch | None:
        """Reads what a watch passed over; without it nothing is."""
        return self._readings.fetch

    @fetch.setter
    def fetch(self, fetch: Fetch) -> None:
        self._readings.fetch = fetch

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
        """Whether something that is selected is being read; what waits for its next try does not count."""
        return self._readings.is_working

    @property
    def troubles(self) -> Sequence[str]:
        """What of it could not be read, and why, in plain words."""
        return self._readings.troubles

    def is_unread(self, namespace: str) -> bool:
        """Whether something that is selected in a Kubernetes namespace has not been read yet."""
        return self._readings.lack(namespace)

    def begins(self, kind: str) -> None:
        """Note that the first list of a kind begins: what is selected by then is in it."""
        self.changed()
        self._begun.add(kind)

    def changed(self) -> None:
        """Look whether more is selected than before."""
        needs = frozenset(need for need, _ in self._needs())
        grown = {need for need in needs - self._known if need.kind in self._begun}
        self._known = needs
        self._readings.keep(needs)  # what nobody selects any more need not be read
        self._readings.open(grown)

    async def run(self) -> None:
        """Read what is open, until cancelled."""
        await self._readings.run()

    def _unread(self, needs: frozenset[Need], error: Exception) -> bool:
        """Tell those who select it that it cannot be read; return whether that was told."""
        found = {asking for need, asking in self._needs() if need in needs}
        refs = [ref for asking in sorted(found) if (ref := self._catalog.ref_of(*asking))]
        told = [
            self._tell(ref, Problem.of(SELECTION_NOT_READ, namespace=ref.namespace or ref.name, error=error))
            for ref in refs
        ]
        return all(told)

    def _needs(self) -> Iterator[tuple[Need, Asking]]:
        """Yield what is selected, with who selects it."""
        world, endpoints = self._catalog.world, self._catalog.endpoints
        for namespace, service, object_name in world.selection.services():
            need = Need("Service", namespace, fields=f"metadata.name={field_value(service)}")
            yield need, ("RegistryService", namespace, object_name)
        for (namespace, name), found in endpoints.services.items():
            asking = ("Service", namespace, name)
            yield Need("EndpointSlice", namespace, labels=f"{SERVICE_LABEL}={name}"), asking
            if found.selector:
                labels = ",".join(f"{k}={v}" for k, v in sorted(found.selector.items()))
                yield Need("Pod", namespace, labels=labels), asking
            else:
                for pod in endpoints.pod_names_of(found.key):
                    yield Need("Pod", namespace, fields=f"metadata.name={field_value(pod)}"), asking
        for namespace, object_name, selector in world.selection.selectors():
            if not wrong_selector(selector):  # what nobody could have sent selects nothing that is there
                yield (
                    Need("Pod", namespace, labels=selector_text(selector)),
                    ("RegistryService", namespace, object_name),
                )
        for namespace, defaults in world.defaults.items():
            if defaults.asks:
                yield Need("Pod", namespace), ("Namespace", "", namespace)


def field_value(text: str) -> str:
    """Write a value as the API takes it in `fieldSelector`: who writes an EndpointSlice may name a pod anything.

    Source: EscapeValue of k8s.io/apimachinery/pkg/fields.
    """
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


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
