"""What can go wrong on the test ground, each with a sentence that says what to do."""

from pathlib import Path


class GroundError(Exception):
    """The test ground can't do what was asked; the message is one for a reader, not for a developer of this package."""


class MissingBinaries(GroundError):
    """Binaries that are needed stand neither in `KUBEBUILDER_ASSETS` nor in the cache."""


class MissingGo(GroundError):
    """No Go that is new enough is here, and none could be installed."""


class BuildFailed(GroundError):
    """`go` refused; the end of its output is in the message."""


class ProcessFailed(GroundError):
    """A process could not be started, ended by itself, or was not ready in time; the message has the end of its log."""


class PortTaken(ProcessFailed):
    """A port that was free a moment ago has another owner now. Starting again takes another one."""


class CommandFailed(GroundError):
    """`kubectl` ended with an error; `returncode` and `stderr` are kept apart for tests that expect it."""

    def __init__(self, command: str, returncode: int, stderr: str) -> None:
        super().__init__(f"{command} ended with {returncode}: {stderr.strip()}")
        self.returncode = returncode
        self.stderr = stderr


def tail(path: Path, lines: int = 20) -> str:
    """Return the last lines of a log, or an empty string where there is none."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
