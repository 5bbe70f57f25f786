"""A second opinion on pods that a direct read did not find: a full list of what is there, from scratch."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from kube_registrar.model.refs import Uid
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.evidence import PodLookup

RETRY_SECONDS = 30.0
_KEPT_SECONDS = 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _List:
    asked_at: float
    uids: frozenset[Uid]


@dataclass(slots=True)
class SecondLists:
    """Lists pods of one Kubernetes namespace at a time, in the background. All times are monotonic seconds.

    A list counts only if the cluster that answers is ours: another one, behind the same address, knows none of our
    pods. An error is never evidence: it is asked again. `on_answer` is called with a namespace when more is known.
    """

    lookup: PodLookup
    cluster_uid: Uid
    clock: Clock
    on_answer: Callable[[str], None]
    _lists: dict[str, _List] = field(default_factory=dict)
    _failed_at: dict[str, float] = field(default_factory=dict)
    _asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    def of(self, namespace: str, not_before: float) -> frozenset[Uid] | None:
        """Return which pods there are, by a list asked for at `not_before` or later; ask for one if there is none."""
        found = self._lists.get(namespace)
        if found is not None and found.asked_at >= not_before:
            return found.uids
        if namespace not in self._asking and self.again_at(namespace) <= self.clock.monotonic():
            self._asking[namespace] = asyncio.create_task(self._ask(namespace), name=f"second list of {namespace}")
        return None

    def again_at(self, namespace: str) -> float:
        """Return when a namespace may be asked about again after a failure."""
        failed_at = self._failed_at.get(namespace)
        return -float("inf") if failed_at is None else failed_at + RETRY_SECONDS

    async def _ask(self, namespace: str) -> None:
        asked_at = self.clock.monotonic()
        try:
            uids = await self.lookup.pod_uids(namespace)
            answering = await self.lookup.cluster_uid()
            if answering != self.cluster_uid:
                raise LookupError(f"cluster {answering} answers, and the instances are of {self.cluster_uid}")
        except Exception as error:  # noqa: BLE001 - whatever went wrong, an error is never evidence
            self._failed_at[namespace] = self.clock.monotonic()
            _log.warning("the pods of %s cannot be listed once more, so what is held stays held: %s", namespace, error)
        else:
            self._failed_at.pop(namespace, None)
            kept = {name: one for name, one in self._lists.items() if one.asked_at > asked_at - _KEPT_SECONDS}
            self._lists = {**kept, namespace: _List(asked_at, uids)}
        del self._asking[namespace]
        self.on_answer(namespace)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is outstanding."""
        return bool(self._asking)

    async def close(self) -> None:
        """Stop asking."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
