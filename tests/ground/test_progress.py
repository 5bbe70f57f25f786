"""Progress is one line on a terminal, and a line now and then elsewhere."""

import io

import pytest

from kube_registrar.testing.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def tell(stream: io.StringIO, times: list[float]) -> str:
    now = 0.0
    progress = Progress(stream, lambda: now)
    with progress.step("etcd") as step:
        for time in times:
            now = time
            step.say(f"at {time:g}")
        now = 125.0
    return stream.getvalue()


def test_a_terminal_has_one_line_that_changes() -> None:
    assert tell(Terminal(), [0.0, 0.1, 1.0]) == (
        "\r\x1b[Ketcd: at 0 (0:00)\r\x1b[Ketcd: at 1 (0:01)\r\x1b[Ketcd: done (2:05)\n"
    )


def test_a_log_has_a_line_every_thirty_seconds() -> None:
    assert tell(io.StringIO(), [0.0, 1.0, 30.0, 59.9, 60.0]) == (
        "etcd: at 30 (0:30)\netcd: at 60 (1:00)\netcd: done (2:05)\n"
    )


def test_a_step_that_fails_says_so() -> None:
    stream = io.StringIO()
    with pytest.raises(ZeroDivisionError), Progress(stream, lambda: 0.0).step("etcd"):
        raise ZeroDivisionError
    assert stream.getvalue() == "etcd: failed (0:00)\n"
