"""What AWS may say instead of an answer: it is said where people look, and over as soon as AWS says otherwise."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry
from tests.scenarios.server import Server

pytestmark = pytest.mark.extended

UP = 'kube_registrar_registry_up{registry="default"}'
DENIED = 'kube_registrar_registry_requests_total{code="PermissionMissing",operation="register",registry="default"}'
REFUSED = 'kube_registrar_registry_requests_total{code="RefusedByRegistry",operation="register",registry="default"}'
FULL = 1_000
"""Instances in one registry service, at most."""


class Aws(Server):
    """One that answers with an error whatever it is told to."""

    def __init__(self, folder: Path) -> None:
        self._troubles = folder / "troubles.json"
        super().__init__(folder, str(self._troubles))

    def answer(self, code: str, message: str = "", operation: str = "*") -> None:
        beside = self._troubles.with_suffix(".new")
        beside.write_text(json.dumps({operation: [code, message]}))
        beside.replace(self._troubles)  # never half written

    def recover(self) -> None:
        self._troubles.unlink()


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[Aws]:
    with Aws(tmp_path) as aws:
        yield aws


@pytest.fixture
def registry(aws: Aws, place: Place) -> Registry:
    return Registry(aws.endpoint, place.registry_namespace)


def is_up(operator: Operator, value: float) -> None:
    wait_until(lambda: operator.metric(UP) == value, f"the metric to say {value}")


def test_credentials_that_expire_are_said_and_what_waited_is_done_when_they_come_back(
    new_operator: NewOperator, aws: Aws, place: Place, registry: Registry
) -> None:
    operator = new_operator(endpoint=aws.endpoint).start()
    place.declare("flask-app")
    place.pod("before", "flask-app")
    registry.expect("flask-app", {"before"})

    aws.answer("ExpiredTokenException", "The security token included in the request is expired")
    place.pod("meanwhile", "flask-app")
    condition = place.wait_condition(
        "RegistryService", "flask-app", "RegistryReachable", "False", "RegistryUnavailable"
    )
    assert "takes the credentials for invalid or expired (ExpiredTokenException). Renew them" in condition["message"]
    place.wait_event("meanwhile", "RegistryUnavailable")
    is_up(operator, 0.0)
    assert operator.probe("/healthz") == operator.probe("/readyz") == (200, "ok\n")

    aws.recover()
    registry.expect("flask-app", {"before", "meanwhile"})
    place.wait_condition("RegistryService", "flask-app", "RegistryReachable", "True")
    is_up(operator, 1.0)
    assert operator.child.poll() is None


def test_a_wrong_region_at_the_start_is_said_and_no_reason_to_end(
    new_operator: NewOperator, aws: Aws, place: Place, registry: Registry
) -> None:
    wrong = "Credential should be scoped to a valid Region, not 'us-east-1'"
    aws.answer("InvalidSignatureException", wrong)
    operator = new_operator(endpoint=aws.endpoint).start()
    place.plane.apply(place.registry_namespace_manifest())
    place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "False")
    said = partial(place.condition, "RegistryNamespace", place.registry_namespace, "RegistryReachable")
    wait_until(lambda: "(InvalidSignatureException)" in said().get("message", ""), lambda: f"that in {said()}")
    is_up(operator, 0.0)
    assert operator.probe("/healthz") == (200, "ok\n")

    aws.recover()
    place.declare("flask-app")
    place.pod("web", "flask-app")
    registry.expect("flask-app", {"web"})
    is_up(operator, 1.0)
    assert operator.child.poll() is None


def test_an_endpoint_that_is_not_there_at_the_start_is_said_and_used_once_it_is(
    new_operator: NewOperator, place: Place, tmp_path: Path
) -> None:
    late = Server(tmp_path)
    operator = new_operator(endpoint=late.endpoint).start()
    place.plane.apply(place.registry_namespace_manifest())
    condition = place.wait_condition("RegistryNamespace", place.registry_namespace, "RegistryReachable", "False")
    assert "no connection to Cloud Map: " in condition["message"]
    is_up(operator, 0.0)
    try:
        late.start()
        place.declare("flask-app")
        place.pod("web", "flask-app")
        Registry(late.endpoint, place.registry_namespace).expect("flask-app", {"web"})
        is_up(operator, 1.0)
        assert operator.child.poll() is None
    finally:
        late.stop()


def test_a_permission_that_is_missing_is_named_with_the_statement_to_add(
    new_operator: NewOperator, aws: Aws, place: Place, registry: Registry
) -> None:
    action, arn = "servicediscovery:RegisterInstance", "arn:aws:servicediscovery:us-east-1:123456789012:service/srv-1"
    aws.answer(
        "AccessDeniedException",
        f"User: arn:aws:sts::123456789012:assumed-role/web/1 is not authorized to perform: {action} on resource: {arn} "
        f"because no identity-based policy allows the {action} action",
        "RegisterInstance",
    )
    operator = new_operator(endpoint=aws.endpoint).start()
    place.declare("flask-app")
    place.pod("web", "flask-app")
    condition = place.wait_condition("RegistryService", "flask-app", "RegistryPermitted", "False", "PermissionMissing")
    added = {"Effect": "Allow", "Action": action, "Resource": arn}
    assert json.loads(condition["message"].partition("Add to the IAM policy: ")[2]) == added
    place.wait_event("web", "RegistrationFailed", saying=json.dumps(added))
    assert [line for line in operator.lines() if "lacks a permission" in str(line["message"])]
    assert (operator.metric(DENIED) or 0.0) >= 1.0
    assert place.condition("RegistryService", "flask-app", "Ready")["status"] == "True"

    aws.recover()
    registry.expect("flask-app", {"web"})
    place.wait_condition("RegistryService", "flask-app", "RegistryPermitted", "True", "Permitted")


def test_of_a_full_service_the_next_pod_is_told_which_quota_and_others_are_unaffected(
    new_operator: NewOperator, aws: Aws, place: Place, registry: Registry
) -> None:
    operator = new_operator(endpoint=aws.endpoint).start()
    place.declare("full", "other")
    service = wait_until(lambda: registry.service_id("full"), "the service to be made")
    others = [f"other-{number}" for number in range(FULL)]

    def theirs(name: str) -> None:
        registry.api.register_instance(
            ServiceId=service, InstanceId=name, Attributes={"AWS_INSTANCE_IPV4": "192.0.2.1"}
        )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(theirs, others))
    wait_until(lambda: len(registry.instances("full")) == FULL, "the service to be full")

    place.pod("one-more", "full")
    place.pod("elsewhere", "other")
    registry.expect("other", {"elsewhere"})
    event = place.wait_event("one-more", "RegistrationFailed", saying="a quota is used up")
    assert "1,000 instances" in event.note
    assert (operator.metric(REFUSED) or 0.0) >= 1.0
    place.wait_event("elsewhere", "Registered")
    assert [event.reason for event in place.events("elsewhere")] == ["Registered"]
    assert len(registry.instances("full")) == FULL

    registry.api.deregister_instance(ServiceId=service, InstanceId=others[0])
    wait_until(lambda: "one-more" in registry.discover("full"), "the pod to take the place", seconds=60.0)
