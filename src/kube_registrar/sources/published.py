"""A stand-in."""

from kube_registrar.model.records import KubeService
from kube_registrar.sources.services import asks_of
from kube_registrar.sources.wishes import Wish
from kube_registrar.sources.world import World


def wish_of_service(service: KubeService, world: World) -> Wish:
    """Return the problems of a Service."""
    return Wish(problems=tuple(asks_of(service, world).problems))
