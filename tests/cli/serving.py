"""`kube-registrar serve` as a process, for tests of it and of what asks it."""

import contextlib
import json
import re
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kube_registrar.testing.errors import tail
from kube_registrar.testing.waiting import wait_until
from tests.cli.ground import environment
from tests.scenarios.probing import probed, value_of
from tests.warm import processes as warm

STOP_SECONDS = 20.0


class Served:
    """One that was started; its log is JSON."""

    def __init__(self, folder: Path, *flags: str, data: Path | None) -> None:
        self.data = data or folder
        self.log = folder / "serve.log"
        fixed = [*(["--data", str(data)] if data else []), "--listen", "127.0.0.1:0", "--log-format", "json"]
        listen = [] if "--api-listen" in flags else ["--api-listen", "127.0.0.1:0"]
        self.process = warm.Process(["serve", *fixed, *listen, *flags], self.log, environment())

    def lines(self) -> Sequence[Mapping[str, Any]]:
        """Return the lines of its log that are whole."""
        found = []
        for text in self.log.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                found.append(json.loads(text))
        return found

    def said(self, text: str) -> bool:
        """Whether a line of its log has this in its message."""
        return any(text in str(line.get("message", "")) for line in self.lines())

    def address(self, serves: str) -> str:
        """Return where it serves `api` or `probes`, waiting for that."""

        def found() -> str | None:
            assert self.process.poll() is None, tail(self.log)
            return next((str(line["address"]) for line in self.lines() if line.get("serves") == serves), None)

        return wait_until(found, lambda: f"it to serve {serves}; {tail(self.log)}", seconds=40)

    def probe(self, path: str) -> tuple[int, str]:
        """Ask for `/healthz`, `/readyz` or `/metrics`; 0 where nobody answers."""
        return probed(f"{self.address('probes')}{path}", 10)

    def metric(self, line: str) -> float | None:
        """Return the value of one series."""
        return value_of(line, self.probe("/metrics")[1])

    def end(self) -> int:
        """Ask it to end, and return its exit code."""
        self.process.signal(signal.SIGTERM)
        return self.process.wait(STOP_SECONDS)


@contextmanager
def served(folder: Path, *flags: str, data: Path | None = Path("data")) -> Iterator[Served]:
    """Run it until the context ends; its log must hold no bug. `data`: beside the log; None: the flags say it."""
    one = Served(folder, *flags, data=folder / data if data else None)
    try:
        one.address("api")
        yield one
    finally:
        if one.process.poll() is None:
            one.process.kill()
    assert not re.search(r"Traceback|this is a bug|never retrieved|never awaited", one.log.read_text(encoding="utf-8"))
