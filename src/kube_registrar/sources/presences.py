"""Under which addresses a Service is reached without a pod being named: what may become its instances.

It depends on what it publishes: endpoints that are machines, its cluster IP, its nodes, its load balancer, or the name
that it stands for.
Sources: Kubernetes documentation, "Services", "EndpointSlices" and "Virtual IPs and Service Proxies".
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from kube_registrar.declared.annotations import PUBLISH, Publish
from kube_registrar.declared.ports import KEY as PORT
from kube_registrar.declared.problems import AnnotationError, shown, wrong
from kube_registrar.model.reasons import ADDRESS_NOT_ALLOWED, INVALID_PORT, INVALID_PUBLISH, Problem
from kube_registrar.model.records import EXCLUDE_LABEL, Endpoint, KubeService, Node, ServicePort, Slice
from kube_registrar.sources.guarding import NotAllowed, check_host, check_ip
from kube_registrar.sources.wishes import Lack, LackKind
from kube_registrar.sources.world import World

FQDN: Final = "FQDN"
_UNREADY = Lack(LackKind.NOT_READY, "its endpoint is not ready")
_ENDING = Lack(LackKind.NOT_READY, "its endpoint is terminating")
_OF_A_POD = Lack(LackKind.ADDRESS, "a pod has its address")
_OTHER_ADDRESS = "Correct it, or take it out"


@dataclass(frozen=True, slots=True)
class Presence:
    """One thing that a Service is reached at; it has either IPs, of either family, or a host name.

    `key` tells it from the Service's others, for as long as it lives.
    """

    key: str
    ips: Sequence[str] = ()
    host: str = ""
    number: int | None = None
    """Its port; None where none is known or wanted."""
    node: str = ""
    zone: str = ""
    lack: Lack | None = None
    """Why it cannot serve, though it is there."""
    is_out: bool = False
    """It ends, or must not be registered: not even marked as unhealthy."""
    is_unchecked: bool = False
    """It is not known whether a pod has its address: it stays if it is there, and is not made."""
    is_balancer: bool = False
    """A load balancer's, so that a DNS alias may lead to it."""

    @property
    def is_ready(self) -> bool:
        """Whether it can serve."""
        return self.lack is None


@dataclass(slots=True)
class Presences:
    """All of them, with what is wrong, and what is not known yet."""

    found: Sequence[Presence] = ()
    problems: list[Problem] = field(default_factory=list)
    to_check: set[str] = field(default_factory=set)
    """Addresses of which it is not known whether a pod has them."""
    why_held: str = ""
    """In plain words, why it cannot be told what there is, so that what is registered stays."""
    why_none: str = ""
    """In plain words, why there is nothing, as far as can be seen."""
    needs_consent: bool = False
    """Whether whoever declares a registry namespace must allow it: nothing of Kubernetes vouches for the addresses."""


def presences_of(
    service: KubeService, publish: Publish, port: ServicePort | None, world: World, *, with_port: bool
) -> Presences:
    """Return what a Service is reached at, on its `port`; `with_port` is False where none is published.

    Raises AnnotationError where the Service is nothing that can be published so.
    """
    match publish:
        case Publish.ENDPOINTS:
            return _Machines(service, port if with_port else None, world).all()
        case Publish.CLUSTER_IP:
            return _cluster_ip(service, _number(port, with_port))
        case Publish.NODE_PORT:
            return _nodes(service, port, world, with_port=with_port)
        case Publish.LOAD_BALANCER:
            return _balancer(service, _number(port, with_port))
        case Publish.EXTERNAL_NAME:
            return _external(service, _number(port, with_port))


def _number(port: ServicePort | None, with_port: bool) -> int | None:  # noqa: FBT001 - private, and read in one place
    return port.number if port and with_port else None


def _cannot(publish: Publish, rule: str, step: str) -> AnnotationError:
    return wrong(PUBLISH, shown(publish.value), rule, step, reason=INVALID_PUBLISH)


@dataclass(slots=True)
class _Machines:
    """The work on endpoints that name no pod: all slices together, each address once."""

    service: KubeService
    port: ServicePort | None
    world: World
    result: Presences = field(default_factory=Presences)
    by_key: dict[tuple[str, int | None], Presence] = field(default_factory=dict)

    def all(self) -> Presences:
        """Look at every slice."""
        slices = self.world.endpoints.slices_of(self.service.key)
        if self.service.type == "ExternalName" and not slices:
            rule = f"Service {self.service.name} is of type ExternalName, which has no endpoints"
            raise wrong(PUBLISH, "absent", rule, "Write ExternalName", reason=INVALID_PUBLISH)
        is_served = self.port is None or any(self._numbers(one) for one in slices)
        for one in slices:
            machines = [each for each in one.endpoints if not each.pod]
            numbers: Sequence[int | None] = self._numbers(one) if self.port else (None,)
            if not numbers and (machines or (one.endpoints and not is_served)):
                self._miss_port(one)
            for number in numbers:
                for endpoint in machines:
                    self._take(one, endpoint, number)
        self.result.found = tuple(self.by_key.values())
        self.result.needs_consent = bool(self.by_key)
        if not (self.service.selector or self.result.found or any(one.endpoints for one in slices)):
            self.result.why_none = f"the EndpointSlices of Service {self.service.name} have no address"
        return self.result

    def _numbers(self, one: Slice) -> Sequence[int]:
        return tuple(dict.fromkeys(number for name, number in one.ports if self.port and name == self.port.name))

    def _miss_port(self, one: Slice) -> None:
        """Say that a slice has not the port, which leaves open what its endpoints are reached at."""
        named = shown(self.port.name) if self.port and self.port.name else "without a name"
        rule = f"its endpoints are to be registered with that port of Service {self.service.name}"
        place = f"port {named} of EndpointSlice {one.name}"
        step = f"Add it with a number, or ask for another port in kube-registrar.dev/{PORT}"
        self.result.problems.append(wrong(place, "absent", rule, step, reason=INVALID_PORT).problem)
        self.result.why_held = f"EndpointSlice {one.name} has no port {named}"

    def _take(self, one: Slice, endpoint: Endpoint, number: int | None) -> None:
        lack = None if endpoint.ready or self.service.publishes_not_ready else _UNREADY
        base = Presence(
            "",
            number=number,
            node=endpoint.node,
            zone=endpoint.zone,
            lack=_ENDING if endpoint.terminating else lack,
            is_out=endpoint.terminating,
        )
        for text in endpoint.addresses:
            try:
                self._add(self._checked(one, text, base))
            except NotAllowed as error:
                self.result.problems.append(_refused(f"EndpointSlice {one.name}", text, str(error)))

    def _checked(self, one: Slice, text: str, base: Presence) -> Presence:
        """Complete what one address stands for. Raises NotAllowed."""
        if one.address_type == FQDN:
            host = check_host(text)
            return replace(base, key=host, host=host)
        ip = check_ip(text)
        self.result.to_check.add(ip)
        holder = self.world.pod_addresses.get(ip)
        if holder:
            # A pod ends, and its readiness changes, unseen by who wrote this: it is registered by its name only.
            self._add(replace(base, key=ip, ips=(ip,), lack=_OF_A_POD, is_out=True))
            whose = "this" if holder == self.service.namespace else "another"
            raise NotAllowed(f"a pod of {whose} Kubernetes namespace has it, and a pod is registered as such only")
        return replace(base, key=ip, ips=(ip,), is_unchecked=holder is None)

    def _add(self, presence: Presence) -> None:
        """Take in an address: where several endpoints have it, one that is ready is enough."""
        before = self.by_key.get((presence.key, presence.number))
        if before is None or _rank(presence) > _rank(before):
            self.by_key[presence.key, presence.number] = presence


def _rank(presence: Presence) -> tuple[bool, bool]:
    return (not presence.is_out, presence.is_ready)


def _refused(field_name: str, text: str, rule: str) -> Problem:
    return Problem.of(ADDRESS_NOT_ALLOWED, field=field_name, found=shown(text), rule=rule, next_step=_OTHER_ADDRESS)


def _cluster_ip(service: KubeService, number: int | None) -> Presences:
    result = Presences()
    ips = tuple(_allowed(service.cluster_ips, check_ip, f"spec.clusterIPs of Service {service.name}", result.problems))
    if not service.cluster_ips:
        rule = f"Service {service.name} has no cluster IP"
        raise _cannot(Publish.CLUSTER_IP, rule, f"Write {Publish.ENDPOINTS}, or give the Service one")
    if ips:
        result.found = (Presence(ips[0], ips, number=number),)
    return result


def _nodes(service: KubeService, port: ServicePort | None, world: World, *, with_port: bool) -> Presences:
    """Return the nodes as they are: one that is not ready, or has no endpoint of a Service that needs one, is not."""
    number = port.node_port if port else 0
    if service.type not in {"NodePort", "LoadBalancer"} or (with_port and not number):
        rule = f"Service {service.name} has no node port" + (f" for its port {port.number}" if port else "")
        raise _cannot(Publish.NODE_PORT, rule, f"Make it one of type NodePort, or write {Publish.CLUSTER_IP}")
    if not world.nodes:
        return Presences(why_held="no node has been read yet")
    local = _endpoints_by_node(service, world) if service.local_only else None
    found = [
        Presence(
            node.name,
            ips,
            number=number if with_port else None,
            node=node.name,
            lack=_lack_of(node, local),
            is_out=EXCLUDE_LABEL in node.labels,
        )
        for node in sorted(world.nodes.values(), key=lambda each: each.name)
        if (ips := _node_ips(node))
    ]
    return Presences(found, why_none="" if found else "no node has an address")


def _node_ips(node: Node) -> Sequence[str]:
    # Nothing is told of one that is not allowed: nobody who writes a Service can correct it.
    return tuple(_allowed(node.addresses, check_ip, "", []))


def _lack_of(node: Node, local: Mapping[str, bool] | None) -> Lack | None:
    """Say why a node cannot serve. `local`: whether an endpoint on it is ready, where it needs one."""
    if not node.reachable:
        return Lack(LackKind.UNREACHABLE, f"its node {node.name} is unreachable")
    if not node.ready:
        return Lack(LackKind.NOT_READY, f"its node {node.name} is not ready")
    if local is None or local.get(node.name):
        return None
    if node.name in local:
        return Lack(LackKind.NOT_READY, f"no endpoint on its node {node.name} is ready")
    return Lack(LackKind.ABSENT, f"no endpoint is on its node {node.name}")


def _endpoints_by_node(service: KubeService, world: World) -> Mapping[str, bool]:
    """Return the nodes with endpoints of a Service, and whether one of them is ready there."""
    found: dict[str, bool] = {}
    for one in world.endpoints.slices_of(service.key):
        for each in one.endpoints:
            found[each.node] = found.get(each.node, False) or (each.ready and not each.terminating)
    return found


def _balancer(service: KubeService, number: int | None) -> Presences:
    if service.type != "LoadBalancer":
        rule = f"Service {service.name} is of type {service.type}"
        raise _cannot(Publish.LOAD_BALANCER, rule, f"Make it one of type LoadBalancer, or write {Publish.CLUSTER_IP}")
    result = Presences(why_none="" if service.ingress else "its load balancer has no address yet")
    place = f"status.loadBalancer of Service {service.name}"
    ips = _allowed([text for text in service.ingress if _is_ip(text)], check_ip, place, result.problems)
    hosts = _allowed([text for text in service.ingress if not _is_ip(text)], check_host, place, result.problems)
    base = Presence("", number=number, is_balancer=True)
    result.found = (
        *(replace(base, key=together[0], ips=together) for together in _paired(tuple(ips))),
        *(replace(base, key=host, host=host) for host in hosts),
    )
    return result


def _paired(ips: Sequence[str]) -> Iterator[Sequence[str]]:
    """Put both families together where there is one address of each: of several nobody says which belong together."""
    families: Mapping[bool, list[str]] = {False: [], True: []}
    for ip in ips:
        families[":" in ip].append(ip)
    if len(families[False]) == len(families[True]) == 1:
        yield (*families[False], *families[True])
    else:
        yield from ((ip,) for ip in ips)


def _is_ip(text: str) -> bool:
    return ":" in text or text.rpartition(".")[2].isdecimal()


def _external(service: KubeService, number: int | None) -> Presences:
    if service.type != "ExternalName" or not service.external_name:
        rule = f"Service {service.name} is of type {service.type}"
        raise _cannot(Publish.EXTERNAL_NAME, rule, f"Make it one of type ExternalName, or write {Publish.ENDPOINTS}")
    result = Presences(needs_consent=True)
    hosts = _allowed(
        [service.external_name], check_host, f"spec.externalName of Service {service.name}", result.problems
    )
    result.found = tuple(Presence(host, host=host, number=number) for host in hosts)
    return result


def _allowed(texts: Sequence[str], check: Callable[[str], str], place: str, problems: list[Problem]) -> Sequence[str]:
    """Return the addresses that may be registered, each once; tell of the others."""
    found: dict[str, None] = {}
    for text in texts:
        try:
            found[check(text)] = None
        except NotAllowed as error:
            problems.append(_refused(place, text, str(error)))
    return tuple(found)
