"""The parts of the demo that need no cluster; `tests/scenarios/test_demo.py` plays it as a whole."""

import io
import shlex
import socket
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from kube_registrar.cli import data
from kube_registrar.cli.demo import client
from kube_registrar.cli.demo.kube import LABELS, in_namespace, is_ours, name_of
from kube_registrar.cli.demo.stage import PlainStage, TerminalStage, stage
from kube_registrar.cli.demo.story import DEV, PROD, Moment
from kube_registrar.cli.tables import table
from tests.cli.serving import served
from tests.wire.harness import namespace, register, service


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Counts:
    version: str
    ready: int
    found: int


@pytest.mark.parametrize(
    ("stream", "environ", "expected"),
    [
        (Terminal(), {"TERM": "xterm"}, TerminalStage),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": ""}, TerminalStage),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, PlainStage),
        (Terminal(), {"TERM": "dumb"}, PlainStage),
        (io.StringIO(), {"TERM": "xterm"}, PlainStage),
    ],
)
def test_lines_are_plain_unless_a_terminal_wants_them_otherwise(
    stream: io.StringIO, environ: dict[str, str], expected: type
) -> None:
    assert type(stage(stream, environ)) is expected


def test_plain_lines_tell_each_change_once_and_nothing_else() -> None:
    stream = io.StringIO()
    plain = PlainStage(stream)
    plain.step("Pods become instances")
    plain.counts([])
    plain.counts([Counts(DEV, 3, 2)])
    plain.counts([Counts(DEV, 3, 2)])
    plain.counts([Counts(DEV, 3, 3), Counts(PROD, 1, 0)])
    plain.settle()
    plain.command("kubectl get pods")
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["", "== Pods become instances"]
    assert [line.partition(" s  ")[2] for line in lines[2:5]] == [
        "no pods yet",
        f"{DEV}: 2 discoverable, 3 ready",
        f"{DEV}: 3 discoverable, 3 ready; {PROD}: 0 discoverable, 1 ready",
    ]
    assert lines[5:] == ["   $ kubectl get pods"]


def test_a_terminal_keeps_the_last_table_and_does_not_wrap_commands() -> None:
    stream = Terminal()
    shown = TerminalStage(Console(file=stream, force_terminal=True, width=80, color_system=None))
    shown.step("Pods become instances")
    shown.counts([Counts(DEV, 3, 2)])
    shown.counts([Counts(DEV, 3, 3), Counts(PROD, 1, 1)])
    shown.settle()
    shown.command("x" * 200)
    text = stream.getvalue()
    assert "x" * 200 in text
    last = " ".join(text[text.rindex("attributes") :].split())
    assert f"{DEV} │ 3 │ 3 │ ●●● │" in last
    assert "together │ 4 │ 4 │ │" in last


def test_a_moment_is_right_only_if_instances_and_pods_are_exactly_the_wanted_ones() -> None:
    right = Moment(Counter({DEV: 1}), Counter({DEV: 1}), frozenset({"a"}), frozenset({"a"}))
    assert right.missing({DEV: 1}) is None
    ghost = Moment(Counter({DEV: 1}), Counter({DEV: 1}), frozenset({"b"}), frozenset({"a"}))
    assert ghost.missing({DEV: 1}) is not None
    late = Moment(Counter({DEV: 2}), Counter({DEV: 1}), frozenset({"a", "b"}), frozenset({"a"}))
    assert late.missing({DEV: 2, PROD: 0}) == (
        f"wanted are 2 of {DEV}; ready pods are 2 of {DEV}; discoverable are 1 of {DEV}"
    )


def test_the_command_to_paste_is_one_that_a_shell_reads_as_meant() -> None:
    words = shlex.split(client.aws_command("http://127.0.0.1:1", DEV))
    at = words.index("aws")
    assert dict(word.split("=", 1) for word in words[:at]) == {
        "AWS_ENDPOINT_URL_SERVICEDISCOVERY": "http://127.0.0.1:1",
        "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        "AWS_ACCESS_KEY_ID": "demo",
        "AWS_SECRET_ACCESS_KEY": "demo",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    assert words[at:] == [
        *("aws", "servicediscovery", "discover-instances", "--namespace-name", "test-namespace"),
        *("--service-name", "flask-app", "--query-parameters", "stage=dev,version=1.0.0"),
    ]


def test_the_quickstart_is_what_the_demo_says_it_is() -> None:
    objects = {name_of(manifest): manifest for manifest in data.manifests(data.QUICKSTART)}
    assert set(objects) == {
        "RegistryNamespace test-namespace",
        "RegistryService default/flask-app",
        "Deployment default/flask-app-dev",
        "Deployment default/flask-app-prod",
    }
    for stage_name, attributes in (("dev", DEV), ("prod", PROD)):
        spec = objects[f"Deployment default/flask-app-{stage_name}"]["spec"]
        assert spec["replicas"] == 3
        assert spec["template"]["metadata"]["annotations"] == {
            "kube-registrar.dev/service": "test-namespace/flask-app",
            "kube-registrar.dev/port": "http",
            "kube-registrar.dev/attributes": attributes,
        }


def test_objects_move_to_another_namespace_unless_they_are_in_none() -> None:
    moved = {name_of(in_namespace(manifest, "demo")) for manifest in data.manifests(data.QUICKSTART)}
    assert moved == {
        "RegistryNamespace test-namespace",
        "RegistryService demo/flask-app",
        "Deployment demo/flask-app-dev",
        "Deployment demo/flask-app-prod",
    }


def test_only_what_carries_the_label_is_its_own() -> None:
    assert is_ours({"metadata": {"labels": {**LABELS, "other": "x"}}})
    assert not is_ours({"metadata": {"labels": {"app.kubernetes.io/managed-by": "kube-registrar-demo-2"}}})
    assert not is_ours({"metadata": {}})


def test_a_table_can_be_cut_by_columns() -> None:
    assert table(["A", "LONG"], [["x", ""], ["longer", "y"]]) == "A        LONG\nx        -\nlonger   y"


def test_a_client_as_it_is_finds_the_registry_by_its_two_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        asked.append(host)
        return real("127.0.0.1" if host in client.HOSTS else host, *args, **kwargs)

    with served(tmp_path) as one:
        endpoint = str(one.address("api"))
        seen = client.Client(endpoint)
        register(
            seen._client, service(seen._client, namespace(seen._client)), AWS_INSTANCE_IPV4="10.0.0.1", stage="dev"
        )
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        by_name = client.named(endpoint)
        assert by_name is not None
        assert by_name == endpoint.replace("127.0.0.1", "registry.localhost")
        asked.clear()
        assert len(client.Client(by_name, is_plain=True).discover(stage="dev")) == 1
        assert asked == ["data-registry.localhost"]


@pytest.mark.parametrize("leads_to", ["10.0.0.1", None])
def test_names_that_lead_elsewhere_or_nowhere_are_not_used(
    leads_to: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def resolve(host: str, *args: Any, **kwargs: Any) -> Any:
        if leads_to is None:
            raise OSError("no such name")
        return real(leads_to if host.startswith("data-") else "127.0.0.1", *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    assert client.named("http://127.0.0.1:8081") is None
