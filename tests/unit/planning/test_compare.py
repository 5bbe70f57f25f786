"""When is an instance as it should be, and what an upsert carries along."""

from dataclasses import replace

import pytest

from kube_registrar.model import attributes as keys
from kube_registrar.planning.compare import address_of, is_true_to, with_foreign_keys
from kube_registrar.testing import builders

WANTED = builders.registration(stage="dev").instance


def changed(**attributes: str | None) -> dict[str, str]:
    """Return the wanted attributes with some of them replaced, or removed where None."""
    merged = {**WANTED.attributes, **attributes}
    return {key: value for key, value in merged.items() if value is not None}


@pytest.mark.parametrize(
    ("observed", "is_true"),
    [
        (changed(), True),
        (changed(weight="5"), True),
        (changed(stage="prod"), False),
        (changed(stage=None), False),
        (changed(KUBE_ATTRIBUTES="stage,weight", weight="5"), False),
        (changed(KUBE_ATTRIBUTES=None), False),
        (changed(KUBE_WORKLOAD="Deployment/left-over"), False),
        (changed(AWS_INSTANCE_IPV4="10.9.9.9"), False),
        (changed(AWS_INSTANCE_IPV6="fd00::1"), False),
        (changed(AVAILABILITY_ZONE="eu-west-1a"), False),
        (changed(ECS_CLUSTER_NAME="left-over"), False),
        (changed(AWS_INIT_HEALTH_STATUS="HEALTHY"), True),
    ],
)
def test_own_keys_alone_are_compared(observed: dict[str, str], is_true: bool) -> None:
    assert is_true_to(builders.instance(WANTED.id, observed), WANTED) is is_true


def test_one_of_which_clients_are_shown_something_else_is_not_as_it_should_be() -> None:
    assert is_true_to(WANTED, WANTED)
    assert not is_true_to(replace(WANTED, is_whole=False), WANTED)


def test_the_instruction_of_the_first_health_is_no_property() -> None:
    wanted = builders.instance(WANTED.id, changed(AWS_INIT_HEALTH_STATUS="HEALTHY"))
    assert is_true_to(WANTED, wanted)


def test_foreign_keys_are_carried_along_and_removed_ones_of_the_user_are_not() -> None:
    observed = builders.instance(
        WANTED.id, changed(weight="5", colour="red", KUBE_ATTRIBUTES="stage,colour", ECS_CLUSTER_NAME="left-over")
    )
    assert with_foreign_keys(WANTED, observed).attributes == {**WANTED.attributes, "weight": "5"}


def test_a_key_that_the_user_sets_wins_over_a_foreign_one() -> None:
    observed = builders.instance(WANTED.id, changed(KUBE_ATTRIBUTES=None, stage="theirs"))
    assert with_foreign_keys(WANTED, observed) == WANTED


def test_nothing_is_copied_where_nothing_is_foreign() -> None:
    assert with_foreign_keys(WANTED, None) is WANTED
    assert with_foreign_keys(WANTED, WANTED) is WANTED


@pytest.mark.parametrize(
    ("attributes", "addresses"),
    [
        ({keys.IPV4: "10.0.0.1", keys.PORT: "80"}, {("10.0.0.1", "80")}),
        (
            {keys.IPV4: "10.0.0.1", keys.IPV6: "fd00::1", keys.PORT: "80"},
            {("10.0.0.1", "80"), ("fd00::1", "80")},
        ),
        ({keys.IPV4: "10.0.0.1"}, set()),
        ({keys.PORT: "80"}, set()),
        ({}, set()),
    ],
)
def test_an_address_is_an_ip_with_a_port(attributes: dict[str, str], addresses: set[tuple[str, str]]) -> None:
    assert address_of(attributes) == addresses
