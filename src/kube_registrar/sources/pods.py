"""Pods as a source: what one pod wants of the registries, whoever asks for it.

It may ask by its own annotations, or by its Kubernetes namespace's as defaults; a Service may ask for its endpoints,
and a RegistryService for the pods that it selects. Whatever means the same identity is one registration.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from kube_registrar.declared import attributes as attribute_texts
from kube_registrar.declared import references
from kube_registrar.declared.annotations import EMPTY, NOTHING, Reading, read_annotations
from kube_registrar.declared.items import Item, Places
from kube_registrar.declared.problems import AnnotationError, told_at
from kube_registrar.model import attributes as keys
from kube_registrar.model.identity import instance_id
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.limits import Limits
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceType
from kube_registrar.sources.addresses import addresses_of
from kube_registrar.sources.asked import Asked, Gathering, Taken
from kube_registrar.sources.attributes import attributes_of, standard_of_pod, user_attributes
from kube_registrar.sources.offers import Layer, Layered, Offer, Unread, offers_of
from kube_registrar.sources.resolving import Unresolved
from kube_registrar.sources.wishes import Wish, some
from kube_registrar.sources.world import World

MAX_PROBLEMS = 10
"""Problems of one object that are told at once; the first ones, in the order of what is written."""


def wish_of(pod: Pod, world: World) -> Wish:
    """Return what `pod` wants. Raises nothing, whatever is written.

    A pod that ended or is ending wants nothing, and no hold keeps it: that is evidence enough. A pod that lives wants
    its services while it is ready. What cannot be read or resolved is held whatever the readiness; the pod's other
    services go on (see `Wish.settled`).
    """
    if pod.is_terminal:
        return Wish(absent_because=f"the pod has {pod.phase.lower()}")
    if pod.terminating:
        return Wish(absent_because="the pod is terminating")
    own, defaults = read_annotations(pod.annotations), world.defaults.get(pod.namespace, EMPTY)
    if not _may_register(own, defaults):
        return Wish(
            problems=own.problems, absent_because="the annotation register says that it is not to be registered"
        )
    offers = list(offers_of(pod, world))
    asking = own if own.asks else defaults
    if not asking.asks and not offers:
        return Wish(problems=(*own.problems, *own.lonely)[:MAX_PROBLEMS], absent_because="nothing asks for it")
    if own.request is None:
        return Wish(problems=own.problems[:MAX_PROBLEMS], held=True, absent_because="its annotations cannot be read")
    wish = _Wishing(pod, world, own, defaults, asking, offers).all()
    if defaults.request is None:
        return wish.frozen(f"the annotations of Kubernetes namespace {pod.namespace} cannot be read")
    return wish


def _may_register(own: Reading, defaults: Reading) -> bool:
    """The pod's own word counts before its namespace's."""
    said = defaults.register if own.register is None else own.register
    return said is not False


@dataclass(frozen=True, slots=True)
class Judged:
    """What came of one identity that is asked for: a registration, a problem, or nothing while an address misses.

    `why_held`: in plain words, what cannot be read of somebody else's, where that is told.
    """

    asked: Asked
    registration: Registration | None = None
    problem: Problem | None = None
    why_held: str = ""


@dataclass(frozen=True, slots=True)
class Trace:
    """Everything on the way to a pod's wish, for explanations; `opted_out`: it is not to be registered."""

    own: Reading
    defaults: Reading
    opted_out: bool
    offers: Sequence[Offer | Unread]
    taken: Sequence[Taken] = ()
    judged: Sequence[Judged] = ()
    labels: Sequence[Problem] = ()


def trace_of(pod: Pod, world: World) -> Trace:
    """Return how `wish_of` comes to its wish, as if the pod were ready and not on its way out."""
    own, defaults = read_annotations(pod.annotations), world.defaults.get(pod.namespace, EMPTY)
    offers = list(offers_of(pod, world))
    asking = own if own.asks else defaults
    work = _Wishing(replace(pod, ready=True), world, own, defaults, asking, offers)
    opted_out = not _may_register(own, defaults)
    if own.request is not None and not opted_out:
        work.all()
    return Trace(own, defaults, opted_out, offers, work.taken, work.judged, work.labels)


@dataclass(slots=True)
class _Wishing:
    """The work on one pod: registers it for each identity that is asked for, or says why not."""

    pod: Pod
    world: World
    own: Reading
    defaults: Reading
    asking: Reading
    """Whose items count: the pod's, or else its namespace's."""
    offers: Sequence[Offer | Unread]
    labels: list[Problem] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    services: list[ServiceRef] = field(default_factory=list)
    missing_ids: list[InstanceId] = field(default_factory=list)
    unready: set[ServiceRef] = field(default_factory=set)
    taken: Sequence[Taken] = ()
    judged: list[Judged] = field(default_factory=list)

    def all(self) -> Wish:
        """Look at everything that is asked for."""
        own, defaults, asking = (one.request or NOTHING for one in (self.own, self.defaults, self.asking))
        items = asking.items if self.asking is self.own else tuple(map(self._of_namespace, asking.items))
        found = Gathering(
            self.pod,
            self.world,
            items,
            own.port or defaults.port,
            asking.unreadable,
            self.offers,
        ).all()
        for asked in found.asked.values():
            try:
                self._add(asked, found)
            except AnnotationError as error:  # the registry service is there, but this pod does not fit
                found.unfit.add(asked.target.service.ref)
                found.hold(f"{asked.target.text} cannot be registered", error.problem)
                self.judged.append(Judged(asked, problem=error.problem))
            except Unresolved as error:
                found.unfit.add(asked.target.service.ref)
                found.hold(error.why)
                self.judged.append(Judged(asked, why_held=error.why))
        self.taken = found.taken
        told = dict.fromkeys((*self.own.problems, *found.problems, *self.labels))
        return Wish(
            registrations=tuple(self.registrations),
            problems=tuple(told)[:MAX_PROBLEMS],
            held=self.own.held or self.asking.held or found.held,
            settled=some(filter(found.is_certain, self.services)),
            missing_ids=frozenset(self.missing_ids),
            unready=some(self.unready),
            absent_because="; ".join(dict.fromkeys(found.reasons)),
            unresolved=found.unresolved,
        )

    def _of_namespace(self, item: Item) -> Item:
        """Tell what is wrong with a default as the namespace's."""
        places = item.places.of(f"Kubernetes namespace {self.pod.namespace}")
        return Item(item.reference, item.port, item.attributes, places)

    def _layers(self, asked: Asked) -> Iterator[Layered]:
        """Yield all attributes of one identity, weakest first: namespace, RegistryService, Service, pod.

        Raises Unresolved where some of them cannot be read; that is told on the object that has them.
        """
        pod, defaults = self.pod, self.defaults.request or NOTHING
        yield (Layer.NAMESPACE, Places().of(f"Kubernetes namespace {pod.namespace}").attributes, defaults.attributes)
        for declared in self.world.in_service.get((pod.namespace, asked.target.service.ref), ()):
            if declared.why_unread:
                raise Unresolved(f"RegistryService {declared.object_name} cannot be read")
            place = f"spec.attributes of RegistryService {declared.object_name}"
            yield (Layer.REGISTRY_SERVICE, place, declared.attributes)
        yield from (one for one in asked.layered if one[0] is Layer.SERVICE)
        yield (Layer.POD, attribute_texts.KEY, (self.own.request or NOTHING).attributes)
        yield from (one for one in asked.layered if one[0] is Layer.POD)

    def _add(self, asked: Asked, found: Gathering) -> None:
        """Register for one identity, or say why not. Raises AnnotationError or Unresolved; only labels are noted then.

        All is worked out before readiness is looked at, so that what is wrong is told while the pod still starts.
        """
        pod, service = self.pod, asked.target.service
        limits = self.world.registries.get(service.ref.namespace.registry, Limits())
        asked.layered = list(self._layers(asked))
        user, unknown_labels = user_attributes(pod, [(place, each) for _, place, each in asked.layered])
        self.labels.extend(unknown_labels)
        with told_at(references.KEY, asked.place):
            addresses = addresses_of(pod.ips, service, asked.target.text) if pod.ips else {}
        if asked.port is not None:
            addresses[keys.PORT] = str(asked.port)
        is_ready = pod.ready or asked.counts_unready
        health = Health.HEALTHY if is_ready else Health.UNHEALTHY
        if service.health_check is HealthCheckType.CUSTOM:
            addresses[keys.INIT_HEALTH] = health
        with told_at(attribute_texts.KEY, asked.attributes_place):
            attributes = attributes_of(standard_of_pod(pod, self.world), limits, addresses, user)
        identity = self._id(asked)
        self.services.append(service.ref)
        is_marked = service.ref in self.world.marked and service.health_check is HealthCheckType.CUSTOM
        if not is_ready and not is_marked:
            found.reasons.append("the pod is not ready")
            self.unready.add(service.ref)
            self.missing_ids.append(identity)
            self.judged.append(Judged(asked))
        elif not pod.ips:
            found.reasons.append("the pod has no address yet")
            self.unready.add(service.ref)
            self.missing_ids.append(identity)
            self.judged.append(Judged(asked))
        else:
            known = health if service.health_check is HealthCheckType.CUSTOM else Health.UNKNOWN
            instance = Instance(identity, attributes, known)
            registration = Registration(service.ref, instance, pod.origin, optional=not is_ready)
            self.registrations.append(registration)
            self.judged.append(Judged(asked, registration))

    def _id(self, asked: Asked) -> InstanceId:
        """Name the instance. In public DNS the answer to an SRV query shows ids to the world."""
        show_name = asked.target.namespace_type is not NamespaceType.DNS_PUBLIC
        service = asked.target.service.ref
        return instance_id(
            self.world.cluster_uid, self.pod.uid, service, asked.port, self.pod.name, show_name=show_name
        )
