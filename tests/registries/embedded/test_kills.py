"""kill -9 at any moment: see `kills`. KUBE_REGISTRAR_KILLS=500 makes it hundreds."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("KUBE_REGISTRAR_KILLS", "15"))


@pytest.mark.timeout(180 + KILLS * 5)
@pytest.mark.parametrize("switches", ["", "operation-delay=1ms-30ms,late-failure=0.2"])
def test_a_registry_that_is_killed_at_any_moment_has_what_it_answered(tmp_path: Path, switches: str) -> None:
    command = [sys.executable, "-m", "tests.registries.embedded.kills", str(tmp_path), str(KILLS), "1", switches]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "all there, none by half" in ended.stdout
