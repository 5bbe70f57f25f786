"""What the policy of a registry keeps from our own kinds: asked before, said and counted once."""

import logging
from collections.abc import Mapping

from kube_registrar.model.policy import Policy
from kube_registrar.model.reasons import WITHHELD, Problem
from kube_registrar.model.records import CustomObject
from kube_registrar.model.refs import RegistryName, Uid
from kube_registrar.sync.reporting import ChangeMetrics

_NOUNS = {"create": "creation", "update": "update", "remove": "removal"}

_log = logging.getLogger(__name__)


class Withholding:
    """The policies of all registries, and what was said because of them."""

    def __init__(self, policies: Mapping[RegistryName, Policy], metrics: ChangeMetrics) -> None:
        """`policies`: sync where none is given."""
        self._policies = policies
        self._metrics = metrics
        self._told: dict[Uid, tuple[int, frozenset[str]]] = {}

    def policy(self, registry: RegistryName) -> Policy:
        """Return the policy of a registry."""
        return self._policies.get(registry, Policy.SYNC)

    def withhold(self, thing: CustomObject, registry: RegistryName, action: str, what: str) -> Problem:
        """Return what is to be said of an action (create, update or remove) that the policy does not allow.

        It is logged and counted once for each generation of the object.
        """
        policy = self.policy(registry)
        problem = Problem.of(WITHHELD, action=_NOUNS[action], what=what, registry=registry, policy=policy)
        generation, told = self._told.get(thing.uid, (thing.generation, frozenset[str]()))
        if generation != thing.generation or action not in told:
            before = told if generation == thing.generation else frozenset[str]()
            self._told[thing.uid] = (thing.generation, before | {action})
            self._metrics.withheld(registry, action, policy)
            _log.info("%s %s: %s", thing.kind, thing.name, problem.message)
        return problem

    def forget(self, uid: Uid) -> None:
        """Forget an object that is gone."""
        self._told.pop(uid, None)
