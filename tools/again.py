"""What failed in the last run of the tests is run again by itself, ten times: by chance, or a fault?

python tools/again.py [--times N] [--most N]

One failure by chance among thousands of tests would hold up what has nothing to do with it, so the failed tests have to
pass ten times in a row; a fault of one case in six is seen in eighty-four of a hundred. More than three that failed are
no chance. Which ones they were is said either way: each is a fault, of the test at least. (docs/decisions/0019-*.md)
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FAILED = ROOT / ".pytest_cache" / "v" / "cache" / "lastfailed"


def failed(cache: Path) -> list[str]:
    """Return the ids of the tests that failed in the last run, as pytest keeps them; empty if none did."""
    return sorted(json.loads(cache.read_text())) if cache.exists() else []


def passes(tests: Sequence[str]) -> bool:
    """Run them in one process; a test that is not there any more, or is skipped, has not passed."""
    told = subprocess.run(
        [sys.executable, "-m", "pytest", "--quiet", "-p", "no:cacheprovider", "-p", "no:xdist", *tests],
        cwd=ROOT,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    passed = told.returncode == 0 and " skipped" not in told.stdout.splitlines()[-1]
    if not passed:
        print(told.stdout, told.stderr, sep="\n")
    return passed


def main(arguments: Sequence[str] | None = None, cache: Path = FAILED) -> int:
    """Return 0 if what failed passes each time, else 1."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--most", type=int, default=3, help="more that failed are not tried again")
    options = parser.parse_args(arguments)
    tests = failed(cache)
    if not tests:
        print("again: no test is on record that failed: what failed was something else", file=sys.stderr)
        return 1
    if len(tests) > options.most:
        print(f"again: {len(tests)} tests failed, which is no chance", file=sys.stderr)
        return 1
    names = "\n  ".join(tests)
    for time in range(1, options.times + 1):
        if not passes(tests):
            print(f"again: failed again, the {time}. time of {options.times}:\n  {names}", file=sys.stderr)
            return 1
    cache.unlink()  # or what fails next, and is no test, would be taken for these
    print(
        f"FAILED ONCE, and passed {options.times} times after that; each is to be mended:\n  {names}", file=sys.stderr
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
