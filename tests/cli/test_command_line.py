import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import click
import pytest

from kube_registrar.cli import main as command_line
from kube_registrar.model.errors import UserError

HEAVY = ("kopf", "kubernetes", "boto3", "botocore", "aiohttp", "prometheus_client", "uvloop", "rich", "yaml", "sqlite3")


def environment(**more: str) -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("KUBE", "AWS_"))}
    return kept | more


def kube_registrar(*args: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "kube_registrar", *args],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def imported_by(*args: str, **more: str) -> set[str]:
    """Return the modules that a command has imported when it ends."""
    program = """
import sys
from kube_registrar.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit:
    pass
print("\\nMODULES", *sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program, *args], env=environment(**more), capture_output=True, text=True, check=True
    )
    return set(done.stdout.rpartition("\nMODULES ")[2].split())


@pytest.mark.parametrize("args", [(), ("--help",), *((name, "--help") for name in command_line.COMMANDS)], ids=" ".join)
def test_help_waits_for_nothing_heavy(args: tuple[str, ...]) -> None:
    assert imported_by(*args) & set(HEAVY) == set()


@pytest.mark.parametrize("words", ["kube-registrar ", "kube-registrar run --", "kube-registrar discover --health "])
def test_completion_waits_for_nothing_heavy(words: str) -> None:
    call = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_KUBE_REGISTRAR_COMPLETE": "bash_complete"}
    assert imported_by(**call) & set(HEAVY) == set()


def test_discover_gets_by_without_kopf_and_kubernetes() -> None:
    args = ("discover", "a", "b", "--endpoint-url", "http://127.0.0.1:1")
    modules = imported_by(*args)
    assert "boto3" in modules, "it has asked the registry"
    assert modules & {"kopf", "kubernetes", "sqlite3", "prometheus_client", "uvloop"} == set()


@pytest.mark.parametrize("args", [("gc", "--cluster", "a"), ("takeover", "--from", "a")], ids=" ".join)
def test_gc_and_takeover_get_by_without_kopf(args: tuple[str, ...]) -> None:
    modules = imported_by(*args, "--registry", "cloudmap", "--kubeconfig", "/nonexistent")
    assert "kube_registrar.cluster.session" in modules, "it has looked for the cluster"
    assert modules & {"kopf", "sqlite3", "prometheus_client", "uvloop", "rich"} == set()


def test_help_of_all_names_every_command_and_the_exit_codes() -> None:
    done = kube_registrar("--help")
    assert done.returncode == 0
    for name, summary in command_line.COMMANDS.items():
        assert f"  {name} " in done.stdout
        assert summary in done.stdout
    assert "Exit codes: 0 done; 1 not done" in done.stdout


def test_the_summary_in_the_table_is_that_of_the_command() -> None:
    context = click.Context(command_line.cli)
    for name, summary in command_line.COMMANDS.items():
        command = command_line.cli.get_command(context, name)
        assert command is not None
        assert command.name == name
        assert (command.help or "").startswith(summary)


def test_versions_are_those_that_are_installed() -> None:
    assert kube_registrar("--version").stdout == f"kube-registrar {version('kube-registrar')}\n"
    lines = kube_registrar("version").stdout.splitlines()
    assert lines[0] == f"kube-registrar {version('kube-registrar')}"
    assert f"kopf {version('kopf')}" in lines
    assert f"boto3 {version('boto3')}" in lines


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_calls_the_program_back(shell: str) -> None:
    done = kube_registrar("completion", shell)
    assert done.returncode == 0
    assert f"_KUBE_REGISTRAR_COMPLETE={shell}_complete" in done.stdout


def test_completion_completes_commands_and_values() -> None:
    def complete(words: str) -> list[str]:
        call = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" ")), "_KUBE_REGISTRAR_COMPLETE": "bash_complete"}
        return kube_registrar(**call).stdout.split()

    assert complete("kube-registrar ru") == ["plain,run"]
    assert complete("kube-registrar run --log-format j") == ["plain,json"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("rnu",), "No such command 'rnu'. Did you mean 'run'?"),
        (("run", "--log-format", "xml"), "Invalid value for '--log-format': 'xml' is not one of 'plain', 'json'."),
        (("run", "--watch-namespaces", "a"), "No such option '--watch-namespaces'."),
        (("discover", "a"), "Missing argument 'SERVICE'."),
        (
            ("discover", "a", "b", "-q", "x"),
            """--query: at character 1, 'x' does not begin with key= as in stage=dev,note="a, b\"""",
        ),
        (("completion", "csh"), "Invalid value for '{bash|zsh|fish}': 'csh' is not one of 'bash', 'zsh', 'fish'."),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_a_sentence(args: tuple[str, ...], sentence: str) -> None:
    done = kube_registrar(*args)
    assert (done.returncode, done.stdout) == (2, "")
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("args", "more", "sentence"),
    [
        (
            ("run",),
            {},
            (
                "no registry is configured: try --registry embedded --data FOLDER, or --registry cloudmap "
                "--region REGION, or list registries in the file of --config"
            ),
        ),
        (
            ("run", "--registry", "embedded", "--listen", "8080"),
            {},
            "--listen: '8080' is not HOST:PORT: write it like 127.0.0.1:8080",
        ),
        (
            ("run", "--config", "/no/such/file"),
            {},
            "the configuration file /no/such/file cannot be read (No such file or directory): correct --config",
        ),
        (
            ("run",),
            {"KUBE_REGISTRAR_CONFIG": "/"},
            "the configuration file / cannot be read (Is a directory): correct --config",
        ),
        (
            ("discover", "a", "b", "--registry", "embedded"),
            {},
            (
                "the embedded registry lives inside the operator that runs it: ask that through its API, with "
                "--registry cloudmap --endpoint-url http://127.0.0.1:8081 (run says the address)"
            ),
        ),
    ],
)
def test_what_a_person_must_correct_ends_with_1_and_one_sentence(
    args: tuple[str, ...], more: dict[str, str], sentence: str
) -> None:
    done = kube_registrar(*args, **more)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", f"kube-registrar: {sentence}\n")


def test_a_configuration_file_that_is_no_text_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_bytes(b"\xff\xfe")
    done = kube_registrar("run", "--config", str(path))
    sentence = f"kube-registrar: the configuration file {path} is no UTF-8 text: correct --config\n"
    assert (done.returncode, done.stderr) == (1, sentence)


def ended_with(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], *args: str) -> int:
    """Run the command line with a subcommand `version` that acts like this; return its exit code."""

    @click.command("version", context_settings={"ignore_unknown_options": True})
    @click.argument("rest", nargs=-1)
    def command(rest: tuple[str, ...]) -> None:
        act()

    monkeypatch.setattr(command_line.LazyGroup, "get_command", lambda *_: command)
    with pytest.raises(SystemExit) as caught:
        command_line.main(["version", *args])
    assert isinstance(caught.value.code, int)
    return caught.value.code


def test_a_group_of_errors_is_told_one_by_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        raise ExceptionGroup("", [UserError("one"), ExceptionGroup("", [UserError("two"), UserError("one")])])

    assert ended_with(monkeypatch, act) == 1
    assert capsys.readouterr().err == "kube-registrar: one\nkube-registrar: two\n"


def test_a_bug_is_called_one_and_names_its_task(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        error = KeyError("x")
        error.add_note("in the task 'watch Pods'")
        raise ExceptionGroup("", [error])

    sentence = (
        "kube-registrar: this is a bug in kube-registrar: KeyError: 'x', in the task 'watch Pods'. "
        "Report it with what KUBE_REGISTRAR_LOG_LEVEL=debug prints\n"
    )
    assert ended_with(monkeypatch, act) == 1
    assert capsys.readouterr().err == sentence
    assert ended_with(monkeypatch, act, "--log-level", "debug") == 1
    told = capsys.readouterr().err
    assert told.startswith(sentence)
    assert "Traceback (most recent call last)" in told


def test_an_interrupt_ends_with_130_and_says_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def act() -> None:
        raise KeyboardInterrupt

    assert ended_with(monkeypatch, act) == 130
    assert capsys.readouterr().err.strip() == ""


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """The pipe is closed before the first line is written."""
    read, write = os.pipe()
    os.close(read)
    with subprocess.Popen(
        [sys.executable, "-m", "kube_registrar", "--help"], stdout=write, stderr=subprocess.PIPE, env=environment()
    ) as process:
        os.close(write)
        _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (1, b"")
