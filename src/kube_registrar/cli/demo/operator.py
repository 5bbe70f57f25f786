"""The operator as a user would start it: `kube-registrar run` as a process of its own, its log in a file."""

import json
import os
import shlex
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.testing.processes import Child

_STOP_SECONDS = 10.0
_TAIL_LINES = 15


class OperatorEnded(KubeRegistrarError):
    """The operator has ended by itself; the message has the end of its log."""


class Operator:
    """A running operator with an embedded registry, on ports that it chose itself.

    It dies with this process, and `folder`, which holds its log and its data, goes with it.
    """

    def __init__(self, folder: Path, *, kubeconfig: str | None, context: str | None, watched: str | None) -> None:
        self.arguments = _arguments(folder, kubeconfig, context, watched)
        self.log = folder / "operator.log"
        # What is set for the user's own operator is not meant for this one.
        environment = {key: value for key, value in os.environ.items() if not key.startswith("KUBE_REGISTRAR_")}
        self._child = Child(
            "the operator",
            [sys.executable, "-m", "kube_registrar", *self.arguments, "--log-format", "json"],
            self.log,
            env=environment,
            remove=folder,
        )

    @property
    def command(self) -> str:
        """The command to paste that would start the same operator."""
        return f"{program()} {shlex.join(self.arguments)}"

    def address(self, serves: str) -> str | None:
        """Return the URL at which it serves `api` or `probes`; None as long as its log does not say."""
        for line in self._lines():
            if line.get("serves") == serves:
                return str(line["address"])
        return None

    def why_not_ready(self) -> str | None:
        """Return what it still waits for; None when it is ready. Raises OperatorEnded."""
        self.check()
        probes = self.address("probes")
        if probes is None:
            return "it does not listen yet"
        try:
            with urllib.request.urlopen(f"{probes}/readyz", timeout=5):  # noqa: S310 - an http address of our own
                return None
        except urllib.error.HTTPError as error:
            with error:
                return "; ".join(error.read().decode().split("\n")).strip("; ")
        except OSError as error:
            return f"its probes do not answer ({error})"

    def check(self) -> None:
        """Raise OperatorEnded if it has ended by itself."""
        code = self._child.poll()
        if code is not None:
            raise OperatorEnded(f"the operator has ended with code {code}; its log ends with\n{self.tail()}")

    def tail(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self._text().splitlines()[-_TAIL_LINES:])

    def stop(self) -> None:
        """Ask it to end, and wait for that."""
        self._child.stop(_STOP_SECONDS)

    def _text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def _lines(self) -> Sequence[dict[str, object]]:
        found = []
        for text in self._text().splitlines():
            try:
                line = json.loads(text)
            except ValueError:  # half a line, or a sentence that is no log line
                continue
            if isinstance(line, dict):
                found.append(line)
        return found


def program() -> str:
    """Return how this program is called here: by its name where the shell finds it, else as it was called."""
    if shutil.which("kube-registrar"):
        return "kube-registrar"
    called = sys.argv[0]
    return (
        shlex.quote(called) if called.endswith("kube-registrar") else f"{shlex.quote(sys.executable)} -m kube_registrar"
    )


def _arguments(folder: Path, kubeconfig: str | None, context: str | None, watched: str | None) -> list[str]:
    arguments = ["run", "--registry", "embedded", "--data", str(folder / "registry"), "--cluster-name", "demo"]
    arguments += ["--listen", "127.0.0.1:0", "--api-listen", "127.0.0.1:0"]
    for flag, value in (("--kubeconfig", kubeconfig), ("--context", context), ("--watch-namespace", watched)):
        arguments += [flag, value] if value else []
    return arguments
