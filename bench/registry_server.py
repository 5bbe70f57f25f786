"""`kube-registrar serve` on one core, as its users run it: `python -m bench.registry_server CORE ARGUMENTS…`."""

import os
import sys

from kube_registrar.cli.main import main

if __name__ == "__main__":
    core, *arguments = sys.argv[1:]
    os.sched_setaffinity(0, {int(core)})
    main(["serve", *arguments])
