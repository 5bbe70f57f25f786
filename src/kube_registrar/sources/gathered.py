"""What a Service asks of registry services for what stands for no pod: each with its port, and what is not certain.

As for pods (`kube_registrar.sources.asked`), an item that cannot be read or resolved leaves in doubt what is wanted in
another item's registry service, unless it can be told that it means another one, or the same port.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.declared import references
from kube_registrar.declared.ports import KEY as PORT
from kube_registrar.declared.problems import AnnotationError, moved, shown, told_at, wrong
from kube_registrar.declared.references import ArnReference, Reference
from kube_registrar.declared.templates import Template
from kube_registrar.model.reasons import INVALID_PORT, Problem
from kube_registrar.model.records import KubeService, ServicePort
from kube_registrar.model.refs import ServiceRef
from kube_registrar.sources.asked import LOOKED_FOR, may_mean
from kube_registrar.sources.resolving import Target, Unresolved, resolve
from kube_registrar.sources.services import ServiceAsks, ServiceItem, service_port
from kube_registrar.sources.world import World


@dataclass(slots=True)
class ServiceAsked:
    """A registry service with a port of the Service, once, whoever asks for it; no port where none is published."""

    target: Target
    port: ServicePort | None
    place: str
    """Where the first who asks names the registry service."""
    layers: list[tuple[str, Mapping[str, Template]]] = field(default_factory=list)
    """What is written for it alone, with the place where."""

    @property
    def ref(self) -> ServiceRef:
        """The registry service."""
        return self.target.service.ref


@dataclass(frozen=True, slots=True)
class _Doubt:
    """What cannot be acted upon, and may mean a service of which it is not known; `item`: its port is."""

    reference: Reference | None
    item: ServiceItem | None = None


@dataclass(slots=True)
class ServiceGathering:
    """The work on one Service's items; afterwards, what came of it."""

    service: KubeService
    world: World
    asks: ServiceAsks
    asked: dict[tuple[ServiceRef, ServicePort | None], ServiceAsked] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """In plain words, why something that is asked for is not registered."""
    unfit: set[ServiceRef] = field(default_factory=set)
    """Registry services of which it is not known what the Service wants there."""
    held: bool = False
    unresolved: bool = False
    _doubts: list[_Doubt] = field(default_factory=list)

    def all(self) -> "ServiceGathering":
        """Look at every item."""
        self.held = bool(self.asks.why_held)
        for item in self.asks.items:
            self._take(item)
        for reference in self.asks.unreadable:
            self.doubt(reference, self.asks.why_held)
        return self

    def hold(self, ref: ServiceRef | None, why: str, problem: Problem | None = None) -> None:
        """Note that something cannot be acted upon now, with a problem if somebody must change something."""
        self.held = True
        self.reasons.append(why)
        if ref:
            self.unfit.add(ref)
        if problem:
            self.problems.append(problem)

    def doubt(self, reference: Reference | None, why: str) -> None:
        """Note what is wrong, and is told elsewhere; None: it may mean anything."""
        if reference is None:
            self._doubts.append(_Doubt(None))
            self.hold(None, why)
            return
        target = self._resolved(reference, references.KEY, _Doubt(reference))
        if target is not None:
            self.hold(target.service.ref, f"{target.text} cannot be registered")

    def is_certain(self, ref: ServiceRef) -> bool:
        """Whether all that the Service wants in a registry service that it asks for is known."""
        asked = [one for (each, _), one in self.asked.items() if each == ref]
        if ref in self.unfit or not asked:
            return False
        ports = [one.port for one in asked]
        publishes = asked[0].target.service.publishes_port
        return not (publishes and any(self._may_differ(doubt, ref, ports) for doubt in self._doubts))

    def _may_differ(self, doubt: _Doubt, ref: ServiceRef, ports: Sequence[ServicePort | None]) -> bool:
        if not may_mean(doubt.reference, ref, self.service.namespace, self.world):
            return False
        try:
            return doubt.item is None or service_port(self.service, doubt.item) not in ports
        except AnnotationError:
            return True

    def _take(self, item: ServiceItem) -> None:
        """Find the registry service and the port that an item means, or hold what it may mean."""
        # What is wrong with a RegistryService's own reference is a condition of that object.
        place, doubt = item.item.places.reference, _Doubt(item.item.reference, item)
        target = self._resolved(item.item.reference, place if item.is_annotated else "", doubt)
        if target is None:
            return
        try:
            port = self._port(item, target)
        except AnnotationError as error:
            self.hold(target.service.ref, f"{target.text} cannot be registered", error.problem)
            return
        place = place if item.is_annotated else f"spec.serviceRef of {item.source}"
        asked = self.asked.setdefault((target.service.ref, port), ServiceAsked(target, port, place))
        if item.is_annotated:
            asked.layers.append((item.item.places.attributes, item.item.attributes))

    def _port(self, item: ServiceItem, target: Target) -> ServicePort | None:
        """Return the port to register, None where none is published: a wrong one does not matter then."""
        if not target.service.publishes_port:
            return None
        port = service_port(self.service, item)
        if port is None and (needed := target.service.needs_port):
            rule = f"{shown(target.text)} has {needed}, and Service {self.service.name} has none"
            with told_at(PORT, item.item.places.port):
                raise wrong(PORT, "absent", rule, "Add one to spec.ports of the Service", reason=INVALID_PORT)
        return port

    def _resolved(self, reference: Reference, place: str, doubt: _Doubt) -> Target | None:
        """Return what a reference means; without a `place` what is wrong with it is told elsewhere."""
        try:
            return resolve(reference, self.service.namespace, self.world)
        except Unresolved as error:
            self.unresolved |= error.problem is None or error.problem.reason in LOOKED_FOR
            told = moved(error.problem, references.KEY, place) if error.problem and place else None
            self.hold(None, error.why, told)
            # An ARN that is refused or unknown, when all services that it may mean are known, means none of them.
            if error.problem is None or not isinstance(reference, ArnReference):
                self._doubts.append(doubt)
            return None
