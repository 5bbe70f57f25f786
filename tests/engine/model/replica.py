"""One replica of the operator: a ground whose cluster is a view of the shared truth, and whose registry is a line."""

import asyncio
from collections.abc import Mapping
from typing import cast

from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.runtime.fence import WRITE_SECONDS, Fence
from kube_registrar.testing import builders
from tests.engine.harness import Ground, WatchedRegistry
from tests.engine.model.asks import CHECKED
from tests.engine.model.line import Line
from tests.engine.model.truth import Truth
from tests.engine.model.view import View


class Replica(Ground):
    """A ground of the model. `like`: another replica of the same operator, with which it shares everything."""

    def __init__(self, truth: Truth, like: "Replica | None" = None) -> None:
        super().__init__(like=like)
        self.truth = truth
        self.view = View(truth, self.clock)
        self.view.answers_as = self.cluster_uid
        self.cluster = self.view
        self.straggler_seconds = WRITE_SECONDS
        shared = like.shared if like else self.registries[DEFAULT_REGISTRY]
        self.shared: WatchedRegistry = shared
        if like is None:
            shared._fence = Fence(self.clock)  # each line has one of its own
            shared.grounds.clear()  # the line looks at what is sent, and knows what its sender was told
            shared.add(builders.service_spec(ref=CHECKED, custom_health=True))
        self.line: Line = Line(shared, self.view, self.fence)
        self.line.engine = lambda: self.engine
        self.registries = {DEFAULT_REGISTRY: cast("WatchedRegistry", self.line)}

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self._task is not None

    async def begin(self, pauses: Mapping[str, float], *, leads: bool) -> None:
        """Start its process."""
        self.engine = self._engine()
        self._task = asyncio.create_task(self.engine.run())
        if leads:
            self.lead()
        await self.view.list_all(self.engine, pauses)

    def lead(self) -> None:
        """Lead, with the lease of others over."""
        self.fence.open_until(float("inf"))
        self.line.begin()
        super().lead()

    async def stand_by(self) -> None:
        """Lead no more: from now on nothing may be sent."""
        self.line.leads = False
        await super().stand_by()

    def obey(self, policy: Policy) -> None:
        """Be under a policy from the next start on."""
        self.policies[DEFAULT_REGISTRY] = policy
        self.line.policy = policy
