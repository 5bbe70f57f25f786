"""The addresses of a pod, and whether they are what a registry service's records need."""

from kube_registrar.declared.problems import AnnotationError, field_of, shown
from kube_registrar.declared.references import KEY
from kube_registrar.model import attributes as keys
from kube_registrar.model.reasons import MISSING_ADDRESS, Problem
from kube_registrar.model.records import Pod
from kube_registrar.model.specs import RecordType, ServiceSpec


def addresses_of(pod: Pod, service: ServiceSpec, text: str) -> dict[str, str]:
    """Return the address attributes: the first of each family. Raises AnnotationError if the records need another.

    `text`: the reference as the user wrote it. A pod without any address is not looked at: it is waited for.
    Source: RegisterInstance (AWS Cloud Map API reference) for what each record type needs.
    """
    found: dict[str, str] = {}
    for ip in pod.ips:
        found.setdefault(keys.IPV6 if ":" in ip else keys.IPV4, ip)
    missing = _missing(found, service.record_types)
    if missing:
        raise AnnotationError(
            Problem.of(
                MISSING_ADDRESS,
                field=field_of(KEY),
                found=shown(text),
                rule=missing,
                addresses=f"only {' and '.join(found.values())}",
                next_step="Use a registry service with other records, or give the pod such an address",
            )
        )
    return found


def _missing(found: dict[str, str], records: frozenset[RecordType]) -> str:
    """Name what the records need and the pod does not have. SRV takes an address of either family."""
    if RecordType.CNAME in records:
        return "a host name for its CNAME record"
    if RecordType.A in records and keys.IPV4 not in found:
        return "an IPv4 address for its A record"
    if RecordType.AAAA in records and keys.IPV6 not in found:
        return "an IPv6 address for its AAAA record"
    return ""
