"""Whether an instance's port means something to its registry service."""

import pytest

from kube_registrar.model.specs import DnsRecord, DnsSettings, HealthCheckType, RecordType, Route53Check, ServiceSpec
from kube_registrar.testing.builders import service_spec

A, SRV = DnsSettings((DnsRecord(RecordType.A),)), DnsSettings((DnsRecord(RecordType.SRV),))


def spec(dns: DnsSettings | None, check: HealthCheckType = HealthCheckType.NONE) -> ServiceSpec:
    route53 = Route53Check("TCP") if check is HealthCheckType.ROUTE53 else None
    return service_spec(dns=dns, health_check=check, route53=route53)


@pytest.mark.parametrize(
    ("service", "publishes", "needs"),
    [
        (spec(None), True, ""),
        (spec(SRV), True, "SRV records, which need a port"),
        (spec(A), False, ""),
        (spec(A, HealthCheckType.CUSTOM), False, ""),
        (spec(A, HealthCheckType.ROUTE53), True, "a Route53 health check, which needs a port"),
        (spec(None, HealthCheckType.ROUTE53), True, "a Route53 health check, which needs a port"),
        (spec(SRV, HealthCheckType.ROUTE53), True, "SRV records, which need a port"),
    ],
)
def test_a_port_is_published_by_srv_by_api_alone_and_to_whoever_checks_health(
    service: ServiceSpec, publishes: bool, needs: str
) -> None:
    assert (service.publishes_port, service.needs_port) == (publishes, needs)
