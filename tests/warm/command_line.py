"""The real aws command line, pointed at a server by the environment alone, as its documentation says: see `aws`."""

import atexit
import json
import os
import subprocess
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENVIRONMENT = ROOT / ".venv-aws"
EXAMPLES = "lib/python*/site-packages/awscli/examples/servicediscovery"


class _Server:
    def __init__(self) -> None:
        if not (ENVIRONMENT / "bin" / "aws").exists():
            pytest.fail(f"{ENVIRONMENT} is missing: run `make .venv-aws/.synced`, which `make test` does by itself")
        self._process = subprocess.Popen(
            [ENVIRONMENT / "bin" / "python", Path(__file__).with_name("aws.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
            start_new_session=True,
        )
        self._lock = threading.Lock()

    def run(self, arguments: Sequence[str], environment: dict[str, str]) -> tuple[int, str, str]:
        assert self._process.stdin
        assert self._process.stdout
        with self._lock:
            asked = {"arguments": list(arguments), "environment": environment}
            self._process.stdin.write(json.dumps(asked) + "\n")
            self._process.stdin.flush()
            code, out, err = json.loads(self._process.stdout.readline())
        return code, out, err

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10.0)


@cache
def _server() -> _Server:
    """Return the one of this process."""
    made = _Server()
    atexit.register(made.close)
    return made


class CommandLine:
    """`aws servicediscovery …` in an account whose Cloud Map is at `url`. `home` has no configuration."""

    def __init__(self, url: str, home: Path, key: str = "test", secret: str = "test") -> None:
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "AWS_ENDPOINT_URL_SERVICEDISCOVERY": url,
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_DEFAULT_REGION": "us-west-2",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_PAGER": "",
        }

    def run(self, command: str | Sequence[str]) -> Any:
        """Run `aws servicediscovery COMMAND` and return its output."""
        code, out, err = self.ended(command)
        assert code == 0, err
        return json.loads(out) if out.strip() else None

    def error(self, command: str | Sequence[str]) -> str:
        """Run a command that must fail and return what it says."""
        code, out, err = self.ended(command)
        assert code in {254, 255}, out  # 255 in version 1, 254 since
        return err.strip()

    def ended(self, command: str | Sequence[str]) -> tuple[int, str, str]:
        """Run a command and return its exit code, output and errors."""
        words = command.split() if isinstance(command, str) else command
        return _server().run(["servicediscovery", *words], self._environment)


def examples() -> Path:
    """Return the folder of the examples that its documentation shows."""
    (found,) = ENVIRONMENT.glob(EXAMPLES)
    return found
