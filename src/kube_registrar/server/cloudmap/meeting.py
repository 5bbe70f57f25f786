"""What requests meet, whichever way they come."""

from dataclasses import dataclass, field

from kube_registrar.server.access.doors import Door
from kube_registrar.server.access.places import Places
from kube_registrar.server.cloudmap.bodies import Bodies
from kube_registrar.server.cloudmap.catalog import Catalog
from kube_registrar.server.cloudmap.simulation import Troubles
from kube_registrar.server.cloudmap.traffic import Traffic


@dataclass(frozen=True, slots=True)
class Server:
    """What requests meet, in this order."""

    door: Door
    traffic: Traffic
    troubles: Troubles
    catalog: Catalog
    places: Places | None
    """The catalog once more, if it knows where things are; to find that out each time would cost more than to ask."""
    bodies: Bodies = field(default_factory=Bodies)
