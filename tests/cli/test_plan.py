"""What `plan` prints, and how it ends; that it is right is told by tests/engine and tests/scenarios."""

import json
import subprocess
import sys

import pytest
import yaml

from kube_registrar.cli.looking.outcome import Item, Outcome
from kube_registrar.cli.looking.rendering import shown, summary
from tests.cli.test_command_line import environment, kube_registrar

WEB = "default:test-namespace/web"
FOUND = Outcome(
    objects=[Item("Create", "Registry service test-namespace/web", "RegistryService shop/web", "it is declared")],
    changes=[
        Item("Register", "a-1", "Pod shop/a", "its pod asks for it, and it is not there", WEB, "shop"),
        Item("Deregister", "bb-1", "Pod bank/bb", "the pod was deleted", WEB, "bank"),
    ],
    held=[Item("Keep", "c-1", "Pod shop/c", "what its pod asks for cannot be read just now", WEB, "shop")],
    withheld=[Item("Update", "d-1", "Pod shop/d", "the policy of registry default is create-only", WEB, "shop")],
    problems=[Item("InvalidPort", "e", "Pod shop/e", "annotation kube-registrar.dev/port is 'x'", "", "shop")],
)
TEXT = """\
Objects
  + Registry service test-namespace/web   RegistryService shop/web   it is declared

default:test-namespace/web
  + a-1    Pod shop/a    its pod asks for it, and it is not there
  - bb-1   Pod bank/bb   the pod was deleted
  = c-1    Pod shop/c    what its pod asks for cannot be read just now

Withheld by policy
  ~ default:test-namespace/web/d-1   Pod shop/d   the policy of registry default is create-only

Problems
  ! Pod shop/e: annotation kube-registrar.dev/port is 'x'

1 to register, 1 to deregister, 1 of our objects to act on, 1 held, 1 withheld by policy, 1 with a problem."""


def test_the_text_groups_by_registry_service_with_a_sign_and_a_reason_each() -> None:
    assert shown(FOUND, form="text", colours=False) == TEXT


def test_colours_are_added_around_the_same_text() -> None:
    coloured = shown(FOUND, form="text", colours=True)
    assert "\x1b[31m- bb-1   Pod bank/bb   the pod was deleted\x1b[0m" in coloured


def test_json_and_yaml_say_the_same() -> None:
    found = json.loads(shown(FOUND, form="json", colours=False))
    assert yaml.safe_load(shown(FOUND, form="yaml", colours=False)) == found
    assert found["changes"][0] == {
        "action": "Register",
        "service": WEB,
        "name": "a-1",
        "object": "Pod shop/a",
        "reason": "its pod asks for it, and it is not there",
    }
    assert found["unreadable"] == []


def test_nothing_is_said_in_a_sentence() -> None:
    assert summary(Outcome()) == "Nothing would change: everything is as the cluster says."
    assert not Outcome(held=FOUND.held, withheld=FOUND.withheld, problems=FOUND.problems).changes_anything


@pytest.mark.parametrize(
    ("namespace", "service", "names"),
    [
        ("shop", "", ["a-1"]),
        ("", WEB, ["a-1", "bb-1"]),
        ("", "test-namespace/web", ["a-1", "bb-1"]),
        ("bank", "test-namespace/web", ["bb-1"]),
        ("", "test-namespace/we", []),
    ],
)
def test_it_can_be_narrowed_to_a_namespace_or_a_service(namespace: str, service: str, names: list[str]) -> None:
    found = FOUND.only(kube_namespace=namespace, service=service)
    assert [each.name for each in found.changes] == names


@pytest.mark.parametrize("command", [("plan",), ("explain", "pod/a")])
def test_without_a_registry_it_says_which_settings_to_give(command: tuple[str, ...]) -> None:
    done = kube_registrar(*command)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("kube-registrar: no registry is configured: give the settings of run")
    assert "--endpoint-url http://127.0.0.1:8081" in done.stderr


def test_a_cluster_that_does_not_answer_is_one_sentence(tmp_path: object) -> None:
    config = {
        "current-context": "x",
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
        "clusters": [{"name": "x", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {"token": "t"}}],
    }
    path = f"{tmp_path}/config"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123 - a path of pytest
        json.dump(config, file)
    done = subprocess.run(
        [sys.executable, "-m", "kube_registrar", "plan", "--registry", "cloudmap", "--kubeconfig", path],
        env=environment(AWS_EC2_METADATA_DISABLED="true"),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert "the API server http://127.0.0.1:1" in done.stderr
