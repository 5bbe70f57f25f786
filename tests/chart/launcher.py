"""`kube-registrar` where a pod's files are elsewhere: `launcher.py SERVICE-ACCOUNT-FOLDER ARGUMENT…`."""

import sys
from pathlib import Path

from kube_registrar.cli.main import main
from kube_registrar.cluster import credentials, lease

folder = Path(sys.argv[1])
assert credentials.load.__kwdefaults__ is not None
credentials.load.__kwdefaults__["service_account"] = folder
lease.own_namespace.__defaults__ = (folder / "namespace",)
main(sys.argv[2:])
