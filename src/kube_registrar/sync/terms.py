"""On what terms registries are kept true: what whoever runs an engine chooses."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, field

from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import RegistryName
from kube_registrar.sync.following import RESYNC_SECONDS
from kube_registrar.sync.gates import GateWriter
from kube_registrar.sync.measuring import UNMEASURED, Measures


@dataclass(frozen=True, slots=True)
class Terms:
    """The choices for all registries of an engine, each of which has a default."""

    policies: Mapping[RegistryName, Policy] = field(default_factory=dict)
    """Of each registry; sync where none is given."""
    straggler_seconds: float = 0.0
    """Who led before may have writes on their way for so long after we begin; 0: nobody did."""
    gate_writer: GateWriter | None = None
    """Opens readiness gates; without it they stay as they are."""
    measures: Measures = UNMEASURED
    resync_seconds: float = RESYNC_SECONDS
    draw: random.Random = field(default_factory=random.Random)
    """Of jitter; tests give their own."""
