"""What `explain` prints and completes; that it is right is told by tests/unit/explaining and tests/scenarios."""

import json

import pytest

from kube_registrar.cli.kinds import KINDS, kind_of
from kube_registrar.cli.looking.explaining import Explained
from kube_registrar.cli.looking.telling import shown
from kube_registrar.explaining.steps import Explanation, State, Step
from tests.cli.test_command_line import HEAVY, imported_by, kube_registrar

GOOD = Explanation("Pod shop/good", [Step("exists", State.OK, "the pod is there")])
BAD = Explanation(
    "Pod shop/bad",
    [Step("exists", State.OK, "the pod is there"), Step("ready", State.WAITS, "the pod is not ready", "Look at it")],
)
BOTH = Explanation("Job shop/both", [Step("exists", State.OK, "the Job is there")], [GOOD, BAD])


def test_where_nobody_looks_at_a_terminal_states_are_words() -> None:
    events = [{"last": "2026-01-01T12:00:00.000001Z", "type": "Normal", "reason": "Registered", "message": "As x"}]
    assert shown(Explained(BAD, events), form="text", is_terminal=False, colours=False) == (
        "Pod shop/bad\n"
        "  ok    exists           the pod is there\n"
        "  waits ready            the pod is not ready\n"
        "                         → Look at it\n"
        "\n"
        "Events\n"
        "  2026-01-01T12:00:00   Normal   Registered: As x\n"
        "\n"
        "It waits at: ready. the pod is not ready."
    )


def test_on_a_terminal_states_are_signs_and_the_first_gate_that_is_shut_stands_out() -> None:
    told = shown(Explained(BAD), form="text", is_terminal=True, colours=True)
    assert "\x1b[32m  ✓ exists           the pod is there\x1b[0m" in told
    assert "\x1b[33m\x1b[1m  … ready            the pod is not ready\x1b[0m" in told


def test_a_workload_shows_its_pods_and_how_many_are_through() -> None:
    told = shown(Explained(BOTH, note="events are left out: no right"), form="text", is_terminal=False, colours=False)
    assert told.count("\n\nPod shop/") == 2
    assert told.endswith("It waits at: ready. the pod is not ready. 1 of 2 pods are through.")
    assert "  events are left out: no right" in told
    found = json.loads(shown(Explained(BOTH), form="json", is_terminal=False, colours=False))
    assert (found["ok"], found["stoppedAt"], [part["ok"] for part in found["parts"]]) == (False, "ready", [True, False])


@pytest.mark.parametrize("text", ["pod", "Pods", "po", "svc", "regsvc", "regns", "deploy", "sts", "ds", "job"])
def test_kinds_are_known_by_the_names_that_kubectl_takes(text: str) -> None:
    assert kind_of(text) is not None


@pytest.mark.parametrize("text", ["pod", "node/a", "pod/", "/a"])
def test_anything_else_is_a_mistake_in_the_command_line(text: str) -> None:
    done = kube_registrar("explain", text)
    assert done.returncode == 2
    assert f"'{text}' is not KIND/NAME" in done.stderr
    assert "registryservice" in done.stderr


def completed(words: str) -> list[str]:
    call = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_KUBE_REGISTRAR_COMPLETE": "bash_complete"}
    return [line.partition(",")[2] for line in kube_registrar(**call).stdout.splitlines() if line]


def test_kinds_are_completed_without_asking_anybody() -> None:
    assert completed("kube-registrar explain ") == [f"{kind.names[0]}/" for kind in KINDS]
    call = {"COMP_WORDS": "kube-registrar explain p", "COMP_CWORD": "2", "_KUBE_REGISTRAR_COMPLETE": "bash_complete"}
    assert imported_by(**call) & set(HEAVY) == set()


def test_names_are_completed_from_the_cluster_and_none_where_there_is_none() -> None:
    assert completed("kube-registrar explain pod/a") == []
    assert completed("kube-registrar explain nothing/a") == []
