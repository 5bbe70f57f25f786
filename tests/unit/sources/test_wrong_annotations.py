"""The shared cases of wrong annotations: each is told in the words that its file says, and hurts nothing else."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import ANNOTATION_PREFIX, Pod
from kube_registrar.sources.pods import wish_of
from kube_registrar.sources.world import World

FILES = sorted((Path(__file__).parents[1] / "cases").glob("*.yaml"))
CASES = {
    f"{path.stem}: {case['name']}": case for path in FILES for case in yaml.safe_load(path.read_text(encoding="utf-8"))
}


def annotations_of(case: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of a case, without the prefix and with `((x*3))` written out."""
    return {
        key.removeprefix(ANNOTATION_PREFIX): re.sub(r"\(\((.+?)\*(\d+)\)\)", lambda m: m[1] * int(m[2]), value)
        for key, value in case["annotations"].items()
    }


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_wrong_annotation_is_told_with_value_rule_and_next_step(
    case: Mapping[str, Any], world: World, pod: Callable[..., Pod]
) -> None:
    wish = wish_of(pod(annotations_of(case)), world)
    assert wish.problems == (Problem(case["reason"], case["message"]),)
    assert wish.held is case["held"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_told_as_well_while_the_pod_is_not_ready(
    case: Mapping[str, Any], world: World, pod: Callable[..., Pod]
) -> None:
    wish = wish_of(pod(annotations_of(case), ready=False), world)
    assert wish.problems == (Problem(case["reason"], case["message"]),)
    assert wish.held is case["held"]
    assert wish.registrations == ()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_no_message_is_longer_than_an_event_may_be(case: Mapping[str, Any]) -> None:
    assert len(case["message"].encode()) <= 1_024


def test_there_are_cases_enough_and_no_name_occurs_twice() -> None:
    names = [case["name"] for path in FILES for case in yaml.safe_load(path.read_text(encoding="utf-8"))]
    assert len(names) >= 60
    assert len(CASES) == len(names)
