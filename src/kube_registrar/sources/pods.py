"""Annotated pods as a source: what one pod wants of the registries."""

from dataclasses import dataclass, field

from kube_registrar.declared import attributes as attribute_texts
from kube_registrar.declared import references
from kube_registrar.declared.annotations import Reading, Request, read_annotations
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
from kube_registrar.sources.asked import Asked, Gathering
from kube_registrar.sources.attributes import attributes_of, user_attributes
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World

MAX_PROBLEMS = 10
"""Problems of one pod that are told at once; the first ones, in the order of what is written."""


def wish_of(pod: Pod, world: World) -> Wish:
    """Return what `pod` wants. Raises nothing, whatever its annotations hold.

    A pod that ended or is ending wants nothing, and no hold keeps it: that is evidence enough. A pod that lives wants
    its services while it is ready. What cannot be read or resolved is held whatever the readiness; the pod's other
    services go on (see `Wish.settled`).
    """
    if pod.is_terminal:
        return Wish(absent_because=f"the pod has {pod.phase.lower()}")
    if pod.terminating:
        return Wish(absent_because="the pod is terminating")
    reading = read_annotations(pod.annotations)
    if reading.request is None:
        why = "its annotations cannot be read" if reading.held else "no annotation asks for it"
        return Wish(problems=reading.problems[:MAX_PROBLEMS], held=reading.held, absent_because=why)
    return _Wishing(pod, world, reading, reading.request).all()


@dataclass(slots=True)
class _Wishing:
    """The work on one pod: registers it for each identity that its items ask for, or says why not."""

    pod: Pod
    world: World
    reading: Reading
    request: Request
    labels: list[Problem] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    services: list[ServiceRef] = field(default_factory=list)

    def all(self) -> Wish:
        """Look at every item."""
        found = Gathering(self.pod, self.world, self.request).all()
        for asked in found.asked.values():
            try:
                self._add(asked, found)
            except AnnotationError as error:  # the registry service is there, but this pod does not fit
                found.unfit.add(asked.target.service.ref)
                found.hold(f"{asked.target.text} cannot be registered", error.problem)
        told = dict.fromkeys((*self.reading.problems, *found.problems, *self.labels))
        return Wish(
            tuple(self.registrations),
            tuple(told)[:MAX_PROBLEMS],
            self.reading.held or found.held,
            frozenset(filter(found.is_certain, self.services)),
            "; ".join(dict.fromkeys(found.reasons)),
            found.unresolved,
        )

    def _add(self, asked: Asked, found: Gathering) -> None:
        """Register for one identity, or say why not. Raises AnnotationError before anything is noted but labels.

        All is worked out before readiness is looked at, so that what is wrong is told while the pod still starts.
        """
        pod, service = self.pod, asked.target.service
        limits = self.world.registries.get(service.ref.namespace.registry, Limits())
        user, unknown_labels = user_attributes(pod, asked.layers(self.request.attributes))
        self.labels.extend(unknown_labels)
        with told_at(references.KEY, asked.items[0].places.reference):
            addresses = addresses_of(pod, service, asked.target.text) if pod.ips else {}
        if asked.port is not None:
            addresses[keys.PORT] = str(asked.port)
        if service.health_check is HealthCheckType.CUSTOM:
            addresses[keys.INIT_HEALTH] = Health.HEALTHY
        with told_at(attribute_texts.KEY, asked.attributes_place):
            attributes = attributes_of(pod, self.world, limits, addresses, user)
        self.services.append(service.ref)
        if not pod.ready:
            found.reasons.append("the pod is not ready")
        elif not pod.ips:
            found.reasons.append("the pod has no address yet")
        else:
            instance = Instance(self._id(asked), attributes, _health(service.health_check))
            self.registrations.append(Registration(service.ref, instance, pod.origin))

    def _id(self, asked: Asked) -> InstanceId:
        """Name the instance. In public DNS the answer to an SRV query shows ids to the world."""
        show_name = asked.target.namespace_type is not NamespaceType.DNS_PUBLIC
        service = asked.target.service.ref
        return instance_id(
            self.world.cluster_uid, self.pod.uid, service, asked.port, self.pod.name, show_name=show_name
        )


def _health(check: HealthCheckType) -> Health:
    """Say how the instance is, where it is ours to say: elsewhere the registry knows, or nobody."""
    return Health.HEALTHY if check is HealthCheckType.CUSTOM else Health.UNKNOWN
