"""kill -9 at any moment: see `kills`. Thirty by day, three hundred in `make test-extended`.

KUBE_REGISTRAR_KILLS=500 makes it a thousand, each time the same ones.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("KUBE_REGISTRAR_KILLS", "15"))
SWITCHES = ["", "operation-delay=1ms-30ms,late-failure=0.2"]


def kill(folder: Path, count: int, seed: int, switches: str) -> None:
    command = [sys.executable, "-m", "tests.registries.embedded.kills", str(folder), str(count), str(seed), switches]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.startswith(f"{count} kills, ")
    assert "all there, none by half" in ended.stdout


@pytest.mark.timeout(180 + KILLS * 5)
@pytest.mark.parametrize("switches", SWITCHES)
def test_a_registry_that_is_killed_at_any_moment_has_what_it_answered(tmp_path: Path, switches: str) -> None:
    kill(tmp_path, KILLS, 1, switches)


@pytest.mark.extended
@pytest.mark.timeout(900)
@pytest.mark.parametrize("switches", SWITCHES)
def test_so_has_one_that_is_killed_hundreds_of_times(tmp_path: Path, switches: str) -> None:
    kill(tmp_path, 150, 2, switches)
