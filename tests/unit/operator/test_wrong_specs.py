"""What is wrong with a spec that was stored before it was refused: the condition of its object says so."""

import pytest

from kube_registrar.model.policy import Policy
from kube_registrar.model.records import CustomObject
from tests.unit.operator.test_policies import Ground, namespace_object, service_object

ILLEGAL = {"matchLabels": {"app": "not a label!"}}


@pytest.mark.parametrize(
    ("thing", "field"),
    [
        (service_object(selector=ILLEGAL), "spec.selector.matchLabels"),
        (service_object(serviceRef={"name": "a,b"}), "spec.serviceRef.name"),
        (
            namespace_object(allowedNamespaces={"from": "Selector", "selector": ILLEGAL}),
            "spec.allowedNamespaces.selector.matchLabels",
        ),
    ],
    ids=["selector", "serviceRef", "allowedNamespaces"],
)
async def test_what_kubernetes_would_refuse_is_said_in_the_condition(thing: CustomObject, field: str) -> None:
    ground = Ground(Policy.SYNC)
    verdict = await ground.ensure(thing)
    assert (verdict.ready, verdict.problem.reason, verdict.retry_after) == (False, "InvalidSpec", None)
    assert verdict.problem.message.startswith(f"{field} is wrong: ")
    assert ground.writes() == []
