"""Where an instance is checked.

Sources: HealthCheckConfig ("uses the IPv4 address" where there are A and AAAA records; "automatically adds the DNS name
for the service") and RegisterInstance in the API reference.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from kube_registrar.registries.embedded.state import HTTP, HealthCheck, Instance, Service

IPV4 = "AWS_INSTANCE_IPV4"
IPV6 = "AWS_INSTANCE_IPV6"
PORT = "AWS_INSTANCE_PORT"

_USUAL_PORTS = {"HTTP": 80, "HTTPS": 443}
_VISIBLE = "".join(map(chr, range(0x21, 0x7F)))


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What to connect to, and what to ask there. `name` stands in the Host header; empty where no DNS has a name."""

    type: str
    address: str
    port: int
    path: str = ""
    name: str = ""

    @property
    def host(self) -> str:
        """The Host header."""
        address = f"[{self.address}]" if ":" in self.address else self.address
        port = "" if self.port == _USUAL_PORTS.get(self.type) else f":{self.port}"
        return f"{self.name or address}{port}"


def checked_address(attributes: Mapping[str, str]) -> str | None:
    """Return the attribute whose address is checked; None where there is no address."""
    return next((key for key in (IPV4, IPV6) if key in attributes), None)


def endpoint(service: Service, instance: Instance, check: HealthCheck) -> Endpoint | None:
    """Return where an instance is checked; None where it has no address or no port, as an alias or an older one."""
    key = checked_address(instance.attributes)
    if key is None or PORT not in instance.attributes:
        return None
    address = ipaddress.ip_address(instance.attributes[key])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    # Anything may stand in a path. What is no visible ASCII would let it write headers, or a request of its own.
    path = quote(check.path, safe=_VISIBLE)
    return Endpoint(
        check.type,
        str(address),
        int(instance.attributes[PORT]),
        path if path.startswith("/") else f"/{path}",
        _name(service),
    )


def _name(service: Service) -> str:
    namespace, name = service.namespace.record, service.record.name
    if namespace.type == HTTP or service.record.api_only:
        return ""
    return namespace.name if name == "." else f"{name}.{namespace.name}"
