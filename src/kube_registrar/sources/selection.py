"""Which RegistryServices select a pod, and which name a Service: an index, for it is asked about every pod there is."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.declared.specs import LabelSelector
from kube_registrar.declared.tenancy import selects

ObjectKey = tuple[str, str]
"""Kubernetes namespace and name of a RegistryService."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selectors of all RegistryServices, each within its own Kubernetes namespace."""

    _by_label: Mapping[tuple[str, str, str], Sequence[tuple[str, LabelSelector]]] = field(default_factory=dict)
    """By namespace and one label that the selector requires: most need not be looked at for most pods."""
    _others: Mapping[str, Sequence[tuple[str, LabelSelector]]] = field(default_factory=dict)
    """By namespace: those that require no label by its value."""
    _naming: Mapping[tuple[str, str], Sequence[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, declared: Mapping[ObjectKey, tuple[LabelSelector | None, str]]) -> "Selection":
        """Index by RegistryService what each has for a selector, and which Service it names."""
        by_label: dict[tuple[str, str, str], list[tuple[str, LabelSelector]]] = {}
        others: dict[str, list[tuple[str, LabelSelector]]] = {}
        naming: dict[tuple[str, str], list[str]] = {}
        for (namespace, name), (selector, service) in sorted(declared.items(), key=lambda each: each[0]):
            if service:
                naming.setdefault((namespace, service), []).append(name)
            if selector is None:
                continue
            required = next(iter(sorted(selector.match_labels.items())), None)
            if required:
                by_label.setdefault((namespace, *required), []).append((name, selector))
            else:
                others.setdefault(namespace, []).append((name, selector))
        return cls(by_label, others, naming)

    def of_pod(self, namespace: str, labels: Mapping[str, str]) -> Iterator[str]:
        """Yield the names of the RegistryServices that select a pod with these labels."""
        for key, value in labels.items():
            for name, selector in self._by_label.get((namespace, key, value), ()):
                if selects(selector, labels):
                    yield name
        for name, selector in self._others.get(namespace, ()):
            if selects(selector, labels):
                yield name

    def of_service(self, namespace: str, service: str) -> Sequence[str]:
        """Return the names of the RegistryServices that name a Service."""
        return self._naming.get((namespace, service), ())

    def selectors(self) -> Iterator[tuple[str, str, LabelSelector]]:
        """Yield every selector with the Kubernetes namespace and name of its RegistryService."""
        for (namespace, _, _), found in self._by_label.items():
            yield from ((namespace, name, selector) for name, selector in found)
        for namespace, found in self._others.items():
            yield from ((namespace, name, selector) for name, selector in found)

    def services(self) -> Iterator[tuple[str, str, str]]:
        """Yield every Service that is named: its Kubernetes namespace and name, and the RegistryService's name."""
        for (namespace, service), names in self._naming.items():
            yield from ((namespace, service, name) for name in names)
