"""Services as a source: what one wants that stands for no pod, and what is wrong with what it asks.

Its pods are registered as pods, whoever asks for them (`kube_registrar.sources.offers`). What is left is what it
publishes in their place, and its endpoints that are machines outside the cluster.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from kube_registrar.declared import attributes as attribute_texts
from kube_registrar.declared import references
from kube_registrar.declared.annotations import EMPTY, NOTHING, Reading
from kube_registrar.declared.items import Places
from kube_registrar.declared.problems import AnnotationError, told_at
from kube_registrar.declared.templates import Template
from kube_registrar.model import attributes as keys
from kube_registrar.model.identity import instance_id
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.limits import Limits
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import KubeService
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.model.specs import HealthCheckType, NamespaceType
from kube_registrar.sources.addresses import addresses_of, host_of
from kube_registrar.sources.attributes import attributes_of, standard_of_service, user_attributes
from kube_registrar.sources.consent import check_consent
from kube_registrar.sources.gathered import ServiceAsked, ServiceGathering
from kube_registrar.sources.pods import MAX_PROBLEMS
from kube_registrar.sources.presences import Presence, Presences, presences_of
from kube_registrar.sources.resolving import Unresolved
from kube_registrar.sources.services import ServiceAsks, asks_of
from kube_registrar.sources.wishes import Lack, Wish, some
from kube_registrar.sources.world import World


def wish_of_service(service: KubeService, world: World) -> Wish:
    """Return what `service` wants beside its pods. Raises nothing, whatever is written.

    One that goes wants nothing, and no hold keeps it. What cannot be read or resolved is held, as for pods.
    """
    if service.terminating:
        return Wish(absent_because="the Service is terminating")
    asks, defaults = asks_of(service, world), world.defaults.get(service.namespace, EMPTY)
    said = defaults.register if asks.reading.register is None else asks.reading.register
    if said is False:
        why = "the annotation register says that it is not to be registered"
        return Wish(problems=asks.reading.problems[:MAX_PROBLEMS], absent_because=why)
    if not (asks.items or asks.unreadable):
        return Wish(problems=tuple(asks.problems)[:MAX_PROBLEMS], absent_because="nothing asks for it")
    if asks.reading.request is None:
        problems = tuple(asks.problems)[:MAX_PROBLEMS]
        return Wish(problems=problems, held=True, absent_because="its annotations cannot be read")
    wish = _Publishing(service, world, asks, defaults).all()
    if defaults.request is None:
        return wish.frozen(f"the annotations of Kubernetes namespace {service.namespace} cannot be read")
    return wish


def problems_of_namespace(name: str, world: World) -> tuple[Problem, ...]:
    """Return what is wrong with the defaults that a Kubernetes namespace has for its pods: to be told to it alone."""
    reading = world.defaults.get(name, EMPTY)
    return tuple(dict.fromkeys(reading.problems))[:MAX_PROBLEMS]


@dataclass(frozen=True, slots=True)
class _Filled:
    """What a template is filled from in the place of a pod: it has the Service's name, and no labels."""

    namespace: str
    name: str
    uid: str
    node: str
    ips: Sequence[str]
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class _Publishing:
    """The work on one Service: registers all that it publishes wherever that is asked for, or says why not."""

    service: KubeService
    world: World
    asks: ServiceAsks
    defaults: Reading
    registrations: dict[InstanceId, Registration] = field(default_factory=dict)
    ids: list[InstanceId] = field(default_factory=list)
    lacks: dict[InstanceId, Lack] = field(default_factory=dict)
    to_check: set[str] = field(default_factory=set)

    def all(self) -> Wish:
        """Look at everything that is asked for."""
        found = ServiceGathering(self.service, self.world, self.asks).all()
        if self.defaults.request is None:
            found.doubt(None, f"the annotations of Kubernetes namespace {self.service.namespace} cannot be read")
        for asked in found.asked.values():
            try:
                self._publish(asked, found)
            except AnnotationError as error:  # the registry service is there, but this Service does not fit
                found.hold(asked.ref, f"{asked.target.text} cannot be registered", error.problem)
            except Unresolved as error:
                found.hold(asked.ref, error.why, error.problem)
        told = dict.fromkeys((*self.asks.problems, *found.problems))
        return Wish(
            registrations=tuple(self.registrations.values()),
            problems=tuple(told)[:MAX_PROBLEMS],
            held=found.held,
            settled=some(ref for ref, _ in found.asked if found.is_certain(ref)),
            missing_ids=frozenset(self.ids) - self.registrations.keys(),
            absent_because="; ".join(dict.fromkeys(found.reasons)),
            unresolved=found.unresolved,
            addresses_to_check=frozenset(self.to_check),
            lacks=tuple(self.lacks.items()),
        )

    def _publish(self, asked: ServiceAsked, gathering: ServiceGathering) -> None:
        """Register all that the Service publishes in one registry service. Raises AnnotationError, Unresolved."""
        target = asked.target.service
        found = presences_of(self.service, self.asks.publish, asked.port, self.world, with_port=target.publishes_port)
        if found.needs_consent:
            check_consent(asked.target, self.service.namespace, asked.place, self.world)
        gathering.problems.extend(found.problems)
        self.to_check |= found.to_check
        if found.why_held:
            gathering.hold(target.ref, found.why_held)
        fitting = self._fitting(asked, found)
        # All is worked out before anything is noted, so that what does not fit leaves nothing half done.
        made = [self._made(asked, presence, addresses, gathering) for presence, addresses in fitting]
        self.ids.extend(identity for identity, _ in made)
        lacks = zip(made, fitting, strict=True)
        self.lacks.update({identity: each.lack for (identity, _), (each, _) in lacks if each.lack})
        # Two ports of the Service may lead to one: then the later item's attributes count.
        there = {identity: one for identity, one in made if one is not None}
        self.registrations.update(there)
        if found.why_none or (found.found and not there):
            gathering.reasons.append(found.why_none or "nothing that it publishes can be registered now")
        elif any(presence.is_unchecked for presence in found.found):
            gathering.reasons.append("it is not known yet whether pods have some of its addresses")

    def _fitting(self, asked: ServiceAsked, found: Presences) -> Sequence[tuple[Presence, dict[str, str]]]:
        """Return what the records of the registry service can show. Raises AnnotationError if that is nothing at all.

        Of a Service with both families, a registry service with A records shows one: that is no mistake.
        """
        spec, text, whose = asked.target.service, asked.target.text, f"Service {self.service.name}"
        fitting: list[tuple[Presence, dict[str, str]]] = []
        misfit: AnnotationError | None = None
        for presence in found.found:
            try:
                with told_at(references.KEY, asked.place):
                    if presence.ips:
                        addresses = addresses_of(presence.ips, spec, text, whose)
                    else:
                        addresses = host_of(presence.host, spec, text, whose, is_balancer=presence.is_balancer)
            except AnnotationError as error:
                misfit = misfit or error
            else:
                fitting.append((presence, addresses))
        if misfit and not fitting:
            raise misfit
        return fitting

    def _made(
        self, asked: ServiceAsked, presence: Presence, addresses: dict[str, str], gathering: ServiceGathering
    ) -> tuple[InstanceId, Registration | None]:
        """Return the id of one instance, and its registration if it is to be there.

        Raises AnnotationError, or Unresolved where attributes of somebody else cannot be read.
        """
        spec, service, world = asked.target.service, self.service, self.world
        layers = list(self._layers(asked))
        source = _Filled(service.namespace, service.name, service.uid, presence.node, presence.ips or (presence.host,))
        user, unknown_labels = user_attributes(source, layers)
        gathering.problems.extend(unknown_labels)
        if presence.number is not None:
            addresses[keys.PORT] = str(presence.number)
        is_custom = spec.health_check is HealthCheckType.CUSTOM
        health = Health.HEALTHY if presence.is_ready else Health.UNHEALTHY
        if is_custom:
            addresses[keys.INIT_HEALTH] = health
        standard = standard_of_service(service, presence.node, presence.zone, world)
        limits = world.registries.get(asked.ref.namespace.registry, Limits())
        place = next((place for place, written in reversed(layers) if written), attribute_texts.KEY)
        with told_at(attribute_texts.KEY, place):
            attributes = attributes_of(standard, limits, addresses, user)
        identity = self._id(asked, presence)
        is_marked = is_custom and asked.ref in world.marked
        if presence.is_out or not (presence.is_ready or is_marked):
            return identity, None
        instance = Instance(identity, attributes, health if is_custom else Health.UNKNOWN)
        optional = presence.is_unchecked or not presence.is_ready
        return identity, Registration(asked.ref, instance, service.origin, optional=optional)

    def _id(self, asked: ServiceAsked, presence: Presence) -> InstanceId:
        """Name the instance. In public DNS the answer to an SRV query shows ids to the world."""
        show_name = asked.target.namespace_type is not NamespaceType.DNS_PUBLIC
        origin = Uid(f"{self.service.uid}/{presence.key}")
        return instance_id(
            self.world.cluster_uid, origin, asked.ref, presence.number, self.service.name, show_name=show_name
        )

    def _layers(self, asked: ServiceAsked) -> Iterator[tuple[str, Mapping[str, Template]]]:
        """Yield all attributes with the place where they are written, weakest first. Raises Unresolved."""
        namespace = self.service.namespace
        defaults, own = self.defaults.request or NOTHING, self.asks.reading.request or NOTHING
        yield Places().of(f"Kubernetes namespace {namespace}").attributes, defaults.attributes
        for declared in self.world.in_service.get((namespace, asked.ref), ()):
            if declared.why_unread:
                raise Unresolved(f"RegistryService {declared.object_name} cannot be read")
            yield f"spec.attributes of RegistryService {declared.object_name}", declared.attributes
        yield attribute_texts.KEY, own.attributes
        yield from asked.layers
