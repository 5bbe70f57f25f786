"""What IAM denied is told with the action and resource that AWS names, or else with those of the call."""

import json

import pytest

from kube_registrar.model.errors import Forbidden
from kube_registrar.registries.cloudmap.faults import Answered, of_code, of_operation

ABOUT = "registering a in default:test-namespace/flask-app"
USER = "User: arn:aws:sts::123456789012:assumed-role/kube-registrar/" + "s" * 64
ARN = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-abcdefghij"


def denied(message: str, operation: str = "RegisterInstance", code: str = "AccessDeniedException") -> Forbidden:
    error = of_code(Answered(code, message, {}), operation, ABOUT, write=True).error
    assert isinstance(error, Forbidden)
    assert error.field == "permissions"
    assert str(error).startswith(ABOUT)
    return error


def test_the_action_and_the_resource_are_those_that_aws_names() -> None:
    message = (
        f"{USER} is not authorized to perform: servicediscovery:RegisterInstance on resource: {ARN} because no "
        "identity-based policy allows the servicediscovery:RegisterInstance action"
    )
    error = denied(message)
    assert json.loads(error.rule) == {
        "Effect": "Allow",
        "Action": "servicediscovery:RegisterInstance",
        "Resource": ARN,
    }
    assert str(error).endswith(f"Add to the IAM policy: {error.rule}")


def test_an_action_that_cloud_map_asks_for_on_our_behalf_is_told_and_not_the_call() -> None:
    message = (
        f"{USER} is not authorized to perform: route53:CreateHostedZone because no identity-based policy allows it"
    )
    added = json.loads(denied(message, "CreatePrivateDnsNamespace").rule)
    assert added == {"Effect": "Allow", "Action": "route53:CreateHostedZone", "Resource": "*"}


@pytest.mark.parametrize("message", ["", "Access denied", "not authorized to perform: nothing that can be read"])
def test_where_aws_names_nothing_it_is_the_call_and_what_it_is_about(message: str) -> None:
    assert json.loads(denied(message).rule) == {
        "Effect": "Allow",
        "Action": "servicediscovery:RegisterInstance",
        "Resource": "arn:aws:servicediscovery:REGION:ACCOUNT:service/*",
    }


def test_a_resource_that_was_cut_is_not_taken_for_one() -> None:
    long = f"{'x' * 390} is not authorized to perform: servicediscovery:RegisterInstance on resource: {ARN} because"
    assert "…" not in denied(long).rule
    assert json.loads(denied(long).rule)["Resource"].endswith("service/*")


def test_an_explicit_deny_is_told_as_one() -> None:
    message = (
        f"{USER} is not authorized to perform: servicediscovery:RegisterInstance on resource: {ARN} with an explicit "
        "deny in a service control policy"
    )
    error = denied(message)
    assert "Adding an Allow does not help" in str(error)
    assert error.rule == "no Deny of servicediscovery:RegisterInstance in any policy that applies to this identity"


def test_an_operation_that_failed_for_want_of_a_permission_names_route_53s() -> None:
    error = of_operation("ACCESS_DENIED", "", ABOUT)
    assert isinstance(error, Forbidden)
    assert json.loads(error.rule) == {
        "Effect": "Allow",
        "Action": "route53:ChangeResourceRecordSets",
        "Resource": "arn:aws:route53:::hostedzone/*",
    }
