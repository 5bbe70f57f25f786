"""A register that waits to be sent, and that nobody wishes any more, is taken back instead of being undone later."""

from collections.abc import Collection

import pytest

from kube_registrar.model.errors import Withdrawn
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.testing import builders
from kube_registrar.testing.faults import Op
from tests.engine.harness import FLASK, Ground


class Withdrawals(list[tuple[ServiceRef, InstanceId]]):
    """What the engine took back of a registry."""

    def withdraw(self, service: ServiceRef, instances: Collection[InstanceId]) -> None:
        self.extend((service, each) for each in instances)


@pytest.fixture
def withdrawals(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> Withdrawals:
    made = Withdrawals()
    monkeypatch.setattr(ground.registry, "withdraw", made.withdraw, raising=False)
    return made


async def test_a_pod_that_dies_while_its_register_waits_has_it_taken_back(
    ground: Ground, withdrawals: Withdrawals
) -> None:
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 20.0)
    ground.cluster.apply(builders.pod())
    await ground.advance(1.0)
    assert withdrawals == []
    ground.cluster.delete("flask-app-0")
    await ground.advance(1.0)
    assert {service for service, _ in withdrawals} == {FLASK}
    await ground.advance(60.0)
    assert ground.names(FLASK) == [], "one that was sent all the same is undone"


async def test_a_pod_that_changes_while_its_register_waits_has_it_taken_back(
    ground: Ground, withdrawals: Withdrawals
) -> None:
    await ground.start()
    ground.registry.faults.delay(Op.REGISTER, 20.0)
    ground.cluster.apply(builders.pod())
    await ground.advance(1.0)
    ground.cluster.annotate("flask-app-0", attributes="stage=dev")
    await ground.advance(1.0)
    assert len(withdrawals) >= 1


async def test_what_was_taken_back_is_planned_anew_at_once_and_no_failure(ground: Ground) -> None:
    await ground.start()
    ground.registry.faults.fail(Op.REGISTER, Withdrawn("taken back"), times=1)
    ground.cluster.apply(builders.pod())
    await ground.advance(0.3)
    assert ground.names(FLASK) == ["flask-app-0"]
    assert not [event for event in ground.notebook.events if "taken back" in str(event)]
