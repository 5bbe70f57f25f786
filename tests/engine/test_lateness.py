"""Where a registry checks health itself, a new instance waits a moment for the zone that is known late."""

import pytest

from kube_registrar.model.attributes import AVAILABILITY_ZONE
from kube_registrar.model.records import ZONE_LABEL, Node
from kube_registrar.model.refs import Uid
from kube_registrar.model.specs import HealthCheckType, Route53Check
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import Ground

CHECKED = builders.service_spec(
    "test-namespace/checked", health_check=HealthCheckType.ROUTE53, route53=Route53Check("HTTP", "/")
)


@pytest.fixture
def checked(ground: Ground) -> Ground:
    ground.registry.add(CHECKED)
    return ground


def asks(service: str) -> dict[str, str]:
    return {"service": f"test-namespace/{service}", "port": "8080"}


async def test_a_zone_that_comes_within_two_seconds_costs_no_second_register(checked: Ground) -> None:
    checked.cluster.apply_node(Node("node-1", Uid("n1")))
    await checked.start()
    checked.cluster.apply(builders.pod("web", annotations=asks("checked")))
    await checked.advance(1.0)
    assert checked.names(CHECKED.ref) == []
    checked.cluster.apply_node(Node("node-1", Uid("n1"), {ZONE_LABEL: "eu-west-1a"}))
    await checked.advance(0.5)
    assert checked.instance("web", CHECKED.ref).attributes[AVAILABILITY_ZONE] == "eu-west-1a"
    await checked.advance(60.0)
    assert len(checked.registry.asked(Op.REGISTER, CHECKED.ref)) == 1


async def test_a_zone_that_does_not_come_is_waited_for_two_seconds_and_no_longer(checked: Ground) -> None:
    await checked.start()
    checked.cluster.apply(builders.pod("web", annotations=asks("checked")))
    await checked.advance(1.5)
    assert checked.names(CHECKED.ref) == []
    await checked.advance(1.0)
    assert checked.names(CHECKED.ref) == ["web"]


async def test_elsewhere_nothing_waits(checked: Ground) -> None:
    await checked.start()
    checked.cluster.apply(builders.pod("web"))
    await checked.settle()
    assert checked.names() == ["web"]


async def test_what_is_gone_meanwhile_is_never_registered(checked: Ground) -> None:
    await checked.start()
    checked.cluster.apply(builders.pod("web", annotations=asks("checked")))
    await checked.advance(1.0)
    checked.cluster.delete("web")
    await checked.advance(60.0)
    assert not checked.registry.asked(Op.REGISTER, CHECKED.ref)
