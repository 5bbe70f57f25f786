"""Annotated pods as a source: what one pod wants of the registries."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from kube_registrar.declared.annotations import Reading, Request, read_annotations
from kube_registrar.declared.problems import AnnotationError
from kube_registrar.model import attributes as keys
from kube_registrar.model.identity import instance_id
from kube_registrar.model.instances import Health, Instance, Registration
from kube_registrar.model.limits import Limits
from kube_registrar.model.reasons import UNKNOWN_ARN, UNKNOWN_NAMESPACE, UNKNOWN_SERVICE, Problem
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.model.specs import HealthCheckType, NamespaceType
from kube_registrar.sources.addresses import addresses_of
from kube_registrar.sources.attributes import attributes_of, user_attributes
from kube_registrar.sources.ports import port_of
from kube_registrar.sources.resolving import Target, Unresolved, resolve
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World

LOOKED_FOR = frozenset({UNKNOWN_SERVICE.name, UNKNOWN_NAMESPACE.name, UNKNOWN_ARN.name})
"""Problems that end when somebody makes what is missing, in the registry and unseen by Kubernetes."""
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
    """The work on one pod: goes through its references and gathers what came of each."""

    pod: Pod
    world: World
    reading: Reading
    request: Request
    problems: list[Problem] = field(default_factory=list)
    registrations: list[Registration] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    settled: set[ServiceRef] = field(default_factory=set)
    held: bool = False
    unresolved: bool = False

    def all(self) -> Wish:
        """Look at every reference."""
        self.held = self.reading.held
        user, unknown_labels = user_attributes(self.pod, self.request.attributes)
        seen: set[ServiceRef] = set()
        for reference in self.request.references:
            try:
                target = resolve(reference, self.pod.namespace, self.world)
                if target.service.ref not in seen:  # a name and an ARN may mean the same service
                    seen.add(target.service.ref)
                    self._add(target, user)
            except Unresolved as error:
                self.unresolved |= error.problem is None or error.problem.reason in LOOKED_FOR
                self._hold(error.why, error.problem)
            except AnnotationError as error:  # the registry service is there, but this pod does not fit
                self._hold(f"{reference.text} cannot be registered", error.problem)
        told = dict.fromkeys((*self.reading.problems, *self.problems, *unknown_labels))
        return Wish(
            tuple(self.registrations),
            tuple(told)[:MAX_PROBLEMS],
            self.held,
            frozenset(self.settled),
            "; ".join(dict.fromkeys(self.reasons)),
            self.unresolved,
        )

    def _hold(self, why: str, problem: Problem | None) -> None:
        self.held = True
        self.reasons.append(why)
        if problem:
            self.problems.append(problem)

    def _add(self, target: Target, user: Mapping[str, str]) -> None:
        """Register in one service, or say why not. Raises AnnotationError before anything is noted.

        All is worked out before readiness is looked at, so that what is wrong is told while the pod still starts.
        """
        pod, service = self.pod, target.service
        port = port_of(pod, self.request.port, service)
        limits = self.world.registries.get(service.ref.namespace.registry, Limits())
        addresses = addresses_of(pod, service, target.text) if pod.ips else {}
        if port is not None:
            addresses[keys.PORT] = str(port)
        if service.health_check is HealthCheckType.CUSTOM:
            addresses[keys.INIT_HEALTH] = Health.HEALTHY
        attributes = attributes_of(pod, self.world, limits, addresses, user)
        self.settled.add(service.ref)
        if not pod.ready:
            self.reasons.append("the pod is not ready")
        elif not pod.ips:
            self.reasons.append("the pod has no address yet")
        else:
            instance = Instance(self._id(target, port), attributes, _health(service.health_check))
            self.registrations.append(Registration(service.ref, instance, pod.origin))

    def _id(self, target: Target, port: int | None) -> InstanceId:
        """Name the instance. In public DNS the answer to an SRV query shows ids to the world."""
        show_name = target.namespace_type is not NamespaceType.DNS_PUBLIC
        return instance_id(
            self.world.cluster_uid, self.pod.uid, target.service.ref, port, self.pod.name, show_name=show_name
        )


def _health(check: HealthCheckType) -> Health:
    """Say how the instance is, where it is ours to say: elsewhere the registry knows, or nobody."""
    return Health.HEALTHY if check is HealthCheckType.CUSTOM else Health.UNKNOWN
