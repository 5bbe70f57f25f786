"""`python -m kube_registrar` is the command `kube-registrar`."""

from kube_registrar.cli.main import main

main()
