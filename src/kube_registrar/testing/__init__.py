"""
What others test with: a real control plane on this machine, and what stands in for a registry.

`binaries` builds the control plane from pinned Go modules, `control_plane` runs it, `pytest_plugin` gives it to tests.
`python -m kube_registrar.testing` does the first two from a shell.
"""
