"""What is given out sparingly: heaps of the C library, for a process with many threads."""

import subprocess
import sys

import pytest

_SCRIPT = """
import sys, threading
from kube_registrar.runtime.allocator import be_small
if sys.argv[1] == "small" and not be_small():
    sys.exit("not glibc")
held, ready, done = [], threading.Barrier(17), threading.Event()
def hold():
    held.append([bytes(4096) for _ in range(256)])
    ready.wait()
    done.wait()
threads = [threading.Thread(target=hold) for _ in range(16)]
for thread in threads: thread.start()
ready.wait()
HEAP = 64 << 20  # what glibc reserves for one, and aligns it to
anonymous = [line for line in open("/proc/self/maps") if " rw-p " in line and line.endswith(" 0 \\n")]
print(sum(int(line.split("-")[0], 16) % HEAP == 0 for line in anonymous))
done.set()
"""


def _heaps(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", _SCRIPT, how], capture_output=True, text=True, check=False)
    if "not glibc" in done.stderr:
        pytest.skip("this C library is not glibc: it cannot be told how many heaps it may make")
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def test_threads_share_heaps() -> None:
    assert 2 * _heaps("small") < _heaps("as it is")  # a mapping may be aligned like a heap by chance
