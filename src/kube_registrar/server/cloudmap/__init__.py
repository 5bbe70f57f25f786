"""Cloud Map's wire API over HTTP, in front of whatever satisfies `catalog.Catalog`."""

from kube_registrar.server.cloudmap.application import app
from kube_registrar.server.cloudmap.serving import serve

__all__ = ["app", "serve"]
