"""The embedded registry: Cloud Map's rules over one SQLite file, for one machine. See `open_registry`."""

from kube_registrar.registries.embedded.opening import open_registry

__all__ = ["open_registry"]
