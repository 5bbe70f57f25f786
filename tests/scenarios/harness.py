"""The operator as a user starts it: a process of its own, its log in a file, killed whatever happens to the test."""

import contextlib
import json
import os
import re
import secrets
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kube_registrar.testing.processes import Child, free_port
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.probing import probed, value_of
from tests.warm import processes as warm

READY_SECONDS = 40.0
STOP_SECONDS = 15.0

AWS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}

_UNEXPECTED = re.compile(
    r"Traceback|this is a bug|mistake in kube-registrar|failed unexpectedly|broke its contract|never retrieved|"
    r"was never awaited|py\.warnings"
)
"""What no log of ours may hold, whatever a test does to the operator."""


def environment() -> dict[str, str]:
    """Return this process's environment without what would be meant for another operator or another AWS."""
    taken = ("KUBE_REGISTRAR_", "AWS_", "KUBECONFIG")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(taken)}
    return {key: value for key, value in kept.items() if not key.lower().endswith("_proxy")} | AWS


class Operator:
    """`kube-registrar run`, to be started, killed and started again on the same folder and the same API port."""

    def __init__(
        self,
        folder: Path,
        kubeconfig: Path,
        *flags: str,
        endpoint: str | None = None,
        config: Path | None = None,
        variables: Mapping[str, str] | None = None,
        is_warm: bool = False,
    ) -> None:
        """Without `endpoint` it runs the embedded registry; with it, Cloud Map at that address; with `config`, its own.

        `variables`: of its environment, beside those that every operator of ours has.

        `is_warm`: it is forked from a process that has imported all of it, which spares seconds of CPU a start.
        It has a Lease of its own, so that it need not wait for the operator of another test to be out of office.
        """
        self.data = folder / "registry"
        self.kubeconfig = kubeconfig
        self._folder = folder
        self.flags = ["--lease-name", f"lease-{secrets.token_hex(4)}", *flags]
        self._api_port = free_port()
        self._endpoint = endpoint
        self._config = config
        self._variables = dict(variables or {})
        self._runs = 0
        self._is_warm = is_warm
        self._child: Child | warm.Process | None = None

    @property
    def endpoint(self) -> str:
        """Where the registry's Cloud Map API is."""
        return self._endpoint or f"http://127.0.0.1:{self._api_port}"

    @property
    def _has_api(self) -> bool:
        return self._endpoint is None and self._config is None

    @property
    def arguments(self) -> list[str]:
        """What stands behind `kube-registrar`."""
        registry = ["--registry", "embedded", "--data", str(self.data), "--api-listen", f"127.0.0.1:{self._api_port}"]
        if self._endpoint:
            registry = ["--registry", "cloudmap", "--endpoint-url", self._endpoint, "--region", "us-east-1"]
        if self._config:
            registry = ["--config", str(self._config)]
        fixed = ["--listen", "127.0.0.1:0", "--log-format", "json", "--kubeconfig", str(self.kubeconfig)]
        return ["run", *registry, *fixed, *self.flags]

    @property
    def command(self) -> list[str]:
        """How it is started, unless it is warm."""
        return [sys.executable, "-m", "kube_registrar", *self.arguments]

    @property
    def log(self) -> Path:
        """The log of the present run, or of the last one."""
        return self._folder / f"operator-{self._runs}.log"

    @property
    def child(self) -> Child | warm.Process:
        """The process."""
        assert self._child is not None, "start the operator first"
        return self._child

    def start(self, *, wait: bool = True) -> "Operator":
        """Start it and, unless told otherwise, wait until it is ready."""
        assert self._child is None, "the operator runs already"
        self._runs += 1
        if self._is_warm:
            self._child = warm.Process(self.arguments, self.log, environment() | self._variables)
        else:
            self._child = Child("the operator", self.command, self.log, env=environment() | self._variables)
        if wait:
            self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Wait until it serves and has read the cluster."""
        wait_until(lambda: self.why_not_ready() == "", self._why, seconds=READY_SECONDS)

    def _why(self) -> str:
        return f"the operator to be ready ({self.why_not_ready()}); its log ends with\n{self.tail()}"

    def why_not_ready(self) -> str:
        """Return what it still waits for; empty when it is ready. Fails if it has ended."""
        code = self.child.poll()
        assert code is None, f"the operator has ended with code {code}; its log ends with\n{self.tail()}"
        if self.address("probes") is None or (self._has_api and self.address("api") is None):
            return "it does not listen yet"
        status, text = self.probe("/readyz")
        return "" if status == 200 else text

    def probe(self, path: str) -> tuple[int, str]:
        """Ask for `/healthz`, `/readyz` or `/metrics`; return the status and the text, 0 where nobody answers."""
        return probed(f"{self.address('probes')}{path}", 5)

    def metric(self, line: str) -> float | None:
        """Return the value of one series, named as it stands in the text: `name{label="value"}`."""
        return value_of(line, self.probe("/metrics")[1])

    def address(self, serves: str) -> str | None:
        """Return the URL at which it serves `api` or `probes`, as its log says it."""
        return next((str(line["address"]) for line in self.lines() if line.get("serves") == serves), None)

    def lines(self) -> Sequence[Mapping[str, Any]]:
        """Return the lines of the present log that are whole."""
        found = []
        for text in self._text().splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(text))
        return [line for line in found if isinstance(line, dict)]

    def tail(self, lines: int = 20) -> str:
        """Return the end of the present log."""
        return "\n".join(self._text().splitlines()[-lines:])

    def _text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def kill(self) -> None:
        """End it as a machine that loses power would."""
        if self._child is not None:
            self._child.signal(signal.SIGKILL)
            self._child.kill()
            self._child = None

    def end(self, number: signal.Signals | None = signal.SIGTERM) -> int:
        """Ask it to end (None: that was done), wait for that, and return its exit code."""
        if number is not None:
            self.child.signal(number)
        code = self.child.wait(STOP_SECONDS)
        self._child = None
        return code

    def unexpected(self) -> Sequence[str]:
        """Return the lines of all its logs that tell of a mistake of ours."""
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in self._folder.glob("operator-*.log")]
        return [line for text in texts for line in text.splitlines() if _UNEXPECTED.search(line)]
