"""Which port of a pod is registered."""

from collections.abc import Iterable

from kube_registrar.declared.ports import KEY, PortRequest
from kube_registrar.declared.problems import AnnotationError, shown, wrong
from kube_registrar.model.reasons import INVALID_PORT
from kube_registrar.model.records import ContainerPort, Pod
from kube_registrar.model.specs import ServiceSpec

_TOLD = 8  # candidates in a message


def port_of(pod: Pod, request: PortRequest | None, service: ServiceSpec) -> int | None:
    """Return the port to register in `service`, or None where it publishes none. Raises AnnotationError.

    A number alone is taken as it is: Kubernetes does not ask containers to declare their ports. A name, and whatever
    stands behind a container's name, must be declared.
    """
    if not service.publishes_port:
        return None
    if request is None:
        return _only_port(pod, service)
    if isinstance(request.port, int) and not request.container:
        return request.port
    named = [port for port in pod.ports if request.port in {port.name, port.number}]
    found = [port for port in named if not request.container or port.container == request.container]
    # The same number twice is no choice: the containers of a pod share their ports.
    numbers = {port.number for port in found}
    if len(numbers) == 1:
        return numbers.pop()
    if numbers:
        choice = _choices(f"{port.container}:{request.port}" for port in found)
        raise _invalid(shown(request.text), "several containers have a port of that name", f"Write one of {choice}")
    where = f"container {request.container!r}" if request.container else "no container of the pod"
    rule = f"{where} declares no such port" if request.container else f"{where} declares a port of that name"
    raise _invalid(shown(request.text), rule, _declared(pod))


def _only_port(pod: Pod, service: ServiceSpec) -> int | None:
    """Take the port that the pod declares, if there is no choice: a guess would be right by chance only."""
    numbers = {port.number for port in pod.ports if port.protocol == "TCP"}
    if len(numbers) == 1:
        return numbers.pop()
    if numbers:
        rule = f"the pod declares several TCP ports, and {shown(str(service.ref))} takes one"
        raise _invalid("absent", rule, f"Add it with one of {_choices(_spelled(port) for port in pod.ports)}")
    if service.needs_port:
        rule = f"{shown(str(service.ref))} has {service.needs_port}, and the pod declares no TCP port"
        raise _invalid("absent", rule, "Add it with the number of the port")
    return None


def _declared(pod: Pod) -> str:
    if not pod.ports:
        return "The pod declares no ports; write the number of one"
    return f"The pod declares {_choices(_spelled(port) for port in pod.ports)}; write one of these"


def _spelled(port: ContainerPort) -> str:
    return f"{port.container}:{port.name or port.number}"


def _choices(texts: Iterable[str]) -> str:
    """List what may be written, without repeats, and not at any length."""
    distinct = list(dict.fromkeys(texts))
    return ", ".join(distinct[:_TOLD]) + (f" and {len(distinct) - _TOLD} more" if distinct[_TOLD:] else "")


def _invalid(found: str, rule: str, next_step: str) -> AnnotationError:
    return wrong(KEY, found, rule, next_step, reason=INVALID_PORT)
