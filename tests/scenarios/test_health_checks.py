"""A RegistryService whose instances the embedded registry checks by itself."""

from pathlib import Path

import pytest

from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered, registered

pytestmark = pytest.mark.extended


class Checking(Operator):
    """An operator whose registry checks every second, which only a file can say."""

    @property
    def arguments(self) -> list[str]:
        config = self._folder / "config.yaml"
        registry = f"{{kind: embedded, data: {self.data}, checkIntervalSeconds: 1}}"
        config.write_text(f"registries:\n  default: {registry}\n")
        command, _, _, _, _, *others = super().arguments
        return [command, "--config", str(config), *others]


@pytest.fixture
def operator(plane: ControlPlane, tmp_path: Path) -> Operator:
    return Checking(tmp_path, plane.kubeconfig, "--resync-seconds", "10", is_warm=True)


def test_a_pod_that_does_not_answer_is_unhealthy_in_discovery_and_stays_registered(
    operator: Operator, place: Place
) -> None:
    """The pods of this ground have addresses at which nobody listens."""
    check = {"type": "Route53", "route53": {"type": "HTTP", "resourcePath": "/healthz", "failureThreshold": 2}}
    place.plane.apply(
        [place.registry_namespace_manifest(), place.registry_service_manifest("flask-app", healthCheck=check)]
    )
    try:
        operator.start()
        registry = Registry(operator.endpoint, place.registry_namespace)
        place.wait_condition("RegistryService", "flask-app", "Ready", "True")
        identifier = registry.service_id("flask-app")
        made = registry.api.get_service(Id=identifier)["Service"]
        assert made["HealthCheckConfig"] == {"Type": "HTTP", "ResourcePath": "/healthz", "FailureThreshold": 2}

        place.pod("web", "flask-app")
        names = {"NamespaceName": place.registry_namespace, "ServiceName": "flask-app"}

        def statuses(health: str) -> list[str]:
            found = registry.api.discover_instances(**names, HealthStatus=health)["Instances"]
            return [each["HealthStatus"] for each in found]

        wait_until(lambda: statuses("ALL") == ["UNHEALTHY"], lambda: f"UNHEALTHY; it is {statuses('ALL')}", seconds=90)
        assert (statuses("HEALTHY"), statuses("HEALTHY_OR_ELSE_ALL")) == ([], ["UNHEALTHY"])
        seen = 'kube_registrar_instances{registry="default",state="unhealthy"} 1.0'
        wait_until(lambda: seen in operator.probe("/metrics")[1], "the operator to have read it", seconds=40)
        assert (len(registered(operator.data)), deregistered(operator.data)) == (1, []), "nothing is made anew for it"
        assert operator.unexpected() == []
    finally:
        operator.kill()
