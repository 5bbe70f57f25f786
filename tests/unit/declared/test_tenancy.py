"""Who may use a registry namespace."""

import pytest

from kube_registrar.declared.specs import (
    AllowedFrom,
    AllowedNamespaces,
    LabelRequirement,
    LabelSelector,
    Operator,
)
from kube_registrar.declared.tenancy import allows, selects

LABELS = {"kubernetes.io/metadata.name": "shop", "team": "web"}


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (AllowedNamespaces(from_=AllowedFrom.ALL), True),
        (AllowedNamespaces(from_=AllowedFrom.NONE), False),
        (AllowedNamespaces(from_=AllowedFrom.SELECTOR), False),
        (AllowedNamespaces(from_=AllowedFrom.SELECTOR, selector=LabelSelector(match_labels={"team": "web"})), True),
        (AllowedNamespaces(from_=AllowedFrom.SELECTOR, selector=LabelSelector(match_labels={"team": "db"})), False),
        (AllowedNamespaces(from_=AllowedFrom.NONE, selector=LabelSelector(match_labels={"team": "web"})), False),
    ],
)
def test_the_union_decides(allowed: AllowedNamespaces, expected: bool) -> None:
    assert allows(allowed, LABELS) is expected


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("team", Operator.IN, ("db", "web"), True),
        ("team", Operator.IN, ("we",), False),
        ("stage", Operator.IN, ("dev",), False),
        ("team", Operator.NOT_IN, ("web",), False),
        ("team", Operator.NOT_IN, ("db",), True),
        ("stage", Operator.NOT_IN, ("dev",), True),
        ("team", Operator.EXISTS, (), True),
        ("stage", Operator.EXISTS, (), False),
        ("team", Operator.DOES_NOT_EXIST, (), False),
        ("stage", Operator.DOES_NOT_EXIST, (), True),
    ],
)
def test_expressions_mean_what_they_mean_in_kubernetes(
    key: str, operator: Operator, values: tuple[str, ...], expected: bool
) -> None:
    requirement = LabelRequirement(key=key, operator=operator, values=values)
    assert selects(LabelSelector(match_expressions=(requirement,)), LABELS) is expected


def test_all_of_a_selector_must_hold_and_an_empty_one_matches_everything() -> None:
    team = LabelRequirement(key="team", operator=Operator.EXISTS)
    assert selects(LabelSelector(match_labels={"team": "web"}, match_expressions=(team,)), LABELS)
    assert not selects(LabelSelector(match_labels={"team": "db"}, match_expressions=(team,)), LABELS)
    assert not selects(LabelSelector(match_labels={"team": "web", "stage": "dev"}), LABELS)
    assert selects(LabelSelector(), {})
