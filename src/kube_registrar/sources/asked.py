"""What is asked of a pod: each identity (registry service, port) once, whoever asks, and where that is not certain.

Two items may mean one identity, by a name and an ARN for instance, and one registry service may be asked for with
several ports. So an item that cannot be read or resolved now leaves in doubt what the pod wants even in a registry
service that another item means, unless it can be told that it means another service or the same port.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from kube_registrar.declared import attributes, ports, references
from kube_registrar.declared.items import Item
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.problems import AnnotationError, moved, told_at
from kube_registrar.declared.references import ArnReference, LocalReference, NameReference, Reference
from kube_registrar.model.reasons import UNKNOWN_ARN, UNKNOWN_NAMESPACE, UNKNOWN_SERVICE, Problem
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import ServiceSpec
from kube_registrar.sources.offers import Layer, Layered, Offer, Unread
from kube_registrar.sources.ports import port_of
from kube_registrar.sources.resolving import Target, Unresolved, resolve
from kube_registrar.sources.world import World

OWN = "its annotation"
LOOKED_FOR = frozenset({UNKNOWN_SERVICE.name, UNKNOWN_NAMESPACE.name, UNKNOWN_ARN.name})
"""Problems that end when somebody makes what is missing, in the registry and unseen by Kubernetes."""


@dataclass(slots=True)
class Asked:
    """An identity that is asked for, and who asks for it: the pod's own items, in the order they are written, first."""

    target: Target
    port: int | None
    place: str
    """Where the first of them names the registry service."""
    layered: list[Layered] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    """Who asks, for people."""
    counts_unready: bool = False
    """Whether somebody wants it whether the pod is ready or not."""

    @property
    def attributes_place(self) -> str:
        """Where to tell that the attributes do not fit: the strongest place that has some."""
        places = [place for _, place, found in self.layered if found]
        return places[-1] if places else attributes.KEY


@dataclass(frozen=True, slots=True)
class Taken:
    """How far one reference came, for explanations. `target` is None where it leads nowhere now.

    With `why` it is stuck, with `problem` somebody must change something; otherwise it is asked for with `port`.
    """

    source: str
    text: str
    target: Target | None = None
    port: int | None = None
    why: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class _Doubt:
    """An item that cannot be acted upon, and may mean a service of which it is not known.

    `reference` is None where that cannot be read; `knows_port` says whether `port` can (None: none is written).
    """

    reference: Reference | None
    port: PortRequest | None = None
    knows_port: bool = False


@dataclass(slots=True)
class Gathering:
    """The work on one pod's items; afterwards, what came of it."""

    pod: Pod
    world: World
    items: Sequence[Item]
    port: PortRequest | None
    """Of all items without one of their own, and before what a RegistryService says."""
    unreadable: Sequence[Reference | None] = ()
    offers: Sequence[Offer | Unread] = ()
    asked: dict[tuple[ServiceRef, int | None], Asked] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """In plain words, why something that is asked for is not registered."""
    unfit: set[ServiceRef] = field(default_factory=set)
    """Registry services of which it is not known what the pod wants there."""
    held: bool = False
    unresolved: bool = False
    taken: list[Taken] = field(default_factory=list)
    """Every reference that can be read, in the order in which it was looked at."""
    _last_has_problem: bool = False
    _doubts: list[_Doubt] = field(default_factory=list)

    def all(self) -> "Gathering":
        """Look at every item, and at what others ask."""
        for item in self.items:
            self._take(item)
        for reference in self.unreadable:
            self._doubt(reference, "an item cannot be read")
        for offer in self.offers:
            if isinstance(offer, Unread):
                self._doubt(offer.reference, offer.why)
            else:
                self._take_offer(offer)
        return self

    def hold(self, why: str, problem: Problem | None = None) -> None:
        """Note that something cannot be acted upon now, with a problem if somebody must change something."""
        self.held = True
        self.reasons.append(why)
        self._last_has_problem = problem is not None
        if problem:
            self.problems.append(problem)

    def is_certain(self, service: ServiceRef) -> bool:
        """Whether all that the pod wants in a service that it asks for is known."""
        asked = [one for (ref, _), one in self.asked.items() if ref == service]
        if service in self.unfit or not asked:
            return False
        found = {one.port for one in asked}
        return not any(self._may_differ(doubt, asked[0].target.service, found) for doubt in self._doubts)

    def _take(self, item: Item) -> None:
        request = item.port or self.port
        target = self._resolved(item.reference, item.places.reference, _Doubt(item.reference, request, knows_port=True))
        if target is None:
            self._stuck(OWN, item.reference)
            return
        place = item.places.port if item.port or not self.port else ports.KEY
        port, is_known = self._port(request, target, place)
        if not is_known:
            self._stuck(OWN, item.reference, target)
            return
        asked = self._asked(target, port, item.places.reference)
        asked.layered.append((Layer.POD, item.places.attributes, item.attributes))
        asked.sources.append(OWN)
        self.taken.append(Taken(OWN, item.reference.text, target, port))

    def _take_offer(self, offer: Offer) -> None:
        """Add what somebody else asks; what is wrong with a reference of theirs is told to them."""
        target = self._resolved(offer.reference, "", _Doubt(offer.reference))
        if target is None:
            self._stuck(offer.source, offer.reference)
            return
        why_waiting = offer.why_waiting or _why_no_port(offer, target)
        if why_waiting:
            self.unfit.add(target.service.ref)
            self.hold(why_waiting)
            self._stuck(offer.source, offer.reference, target)
            return
        port, is_known = offer.number if target.service.publishes_port else None, True
        if not offer.has_port:
            port, is_known = self._port(self.port or offer.port, target, ports.KEY if self.port else offer.places.port)
        if not is_known:
            self._stuck(offer.source, offer.reference, target)
            return
        asked = self._asked(target, port, offer.places.reference)
        asked.layered.extend(offer.attributes)
        asked.sources.append(offer.source)
        asked.counts_unready |= offer.counts_unready
        self.taken.append(Taken(offer.source, offer.reference.text, target, port))

    def _stuck(self, source: str, reference: Reference, target: Target | None = None) -> None:
        """Note how far a reference came; why it came no further was said just before."""
        why, problem = self.reasons[-1], self.problems[-1] if self._last_has_problem else None
        self.taken.append(Taken(source, reference.text, target, why=why, problem=problem))

    def _asked(self, target: Target, port: int | None, place: str) -> Asked:
        # A name and an ARN may mean the same service.
        return self.asked.setdefault((target.service.ref, port), Asked(target, port, place))

    def _port(self, request: PortRequest | None, target: Target, place: str) -> tuple[int | None, bool]:
        """Return the port, and whether it can be told."""
        try:
            with told_at(ports.KEY, place):
                return port_of(self.pod, request, target.service), True
        except AnnotationError as error:  # the registry service is there, but this pod does not fit
            self.unfit.add(target.service.ref)
            self.hold(f"{target.text} cannot be registered", error.problem)
            return None, False

    def _doubt(self, reference: Reference | None, why: str) -> None:
        """Note an item that is wrong, and was told already."""
        if reference is None:
            self._doubts.append(_Doubt(None))
            self.hold(why)
            return
        target = self._resolved(reference, references.KEY, _Doubt(reference))
        if target is not None:
            self.unfit.add(target.service.ref)
            self.hold(f"{target.text} cannot be registered")

    def _resolved(self, reference: Reference, place: str, doubt: _Doubt) -> Target | None:
        """Return what a reference means; without a `place` what is wrong with it is told elsewhere."""
        try:
            return resolve(reference, self.pod.namespace, self.world)
        except Unresolved as error:
            self.unresolved |= error.problem is None or error.problem.reason in LOOKED_FOR
            self.hold(error.why, moved(error.problem, references.KEY, place) if error.problem and place else None)
            # An ARN that is refused or unknown, when all services that it may mean are known, means none of them.
            if error.problem is None or not isinstance(reference, ArnReference):
                self._doubts.append(doubt)
            return None

    def _may_differ(self, doubt: _Doubt, service: ServiceSpec, found: AbstractSet[int | None]) -> bool:
        """Whether the item may mean an instance in this service beside those that are asked for with `found` ports."""
        if not service.publishes_port or not may_mean(doubt.reference, service.ref, self.pod.namespace, self.world):
            return False
        try:
            return not doubt.knows_port or port_of(self.pod, doubt.port, service) not in found
        except AnnotationError:
            return True


def _why_no_port(offer: Offer, target: Target) -> str:
    """Say why an endpoint's port cannot be told where one is needed; its Service is told as well."""
    if not offer.has_port or not target.service.publishes_port:
        return ""
    if offer.number is None and (needed := target.service.needs_port):
        return offer.why_no_port or f"{target.text} has {needed}, and {offer.source} has none"
    return offer.why_no_port


def may_mean(reference: Reference | None, service: ServiceRef, kube_namespace: str, world: World) -> bool:
    """Whether a reference that cannot be resolved may mean this service; None is one that cannot be read."""
    match reference:
        case NameReference():
            readings = [
                NamespaceRef(RegistryName(one or world.default_registry), name) for one, name in reference.readings
            ]
            return service in [ServiceRef(namespace, reference.service) for namespace in readings]
        case LocalReference():
            declared = world.declared_services.get((kube_namespace, reference.text))
            return declared is None or declared.ref in {None, service}
        case _:
            return True
