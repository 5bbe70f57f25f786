"""A second opinion on pods that a direct read did not find: a full list of what is there, from scratch."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from kube_registrar.model.refs import Origin, Uid
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.evidence import PodLookup
from kube_registrar.sync.identity import Identity
from kube_registrar.sync.questions import Questions

RETRY_SECONDS = 30.0
_KEPT_SECONDS = 600.0

_log = logging.getLogger(__name__)


_Key = tuple[str, str]
"""Kind and Kubernetes namespace."""


@dataclass(frozen=True, slots=True)
class _List:
    asked_at: float
    uids: frozenset[Uid]


@dataclass(slots=True)
class SecondLists:
    """Lists what may be origins, in the background: a kind in a Kubernetes namespace. All times are monotonic seconds.

    A list counts only if the cluster that answers is ours: another one, behind the same address, knows none of our
    pods. An error is never evidence: it is asked again. `on_answer` is called with a namespace when more is known.
    """

    lookup: PodLookup
    identity: Identity
    clock: Clock
    on_answer: Callable[[str], None]
    _lists: dict[_Key, _List] = field(default_factory=dict)
    _failed_at: dict[_Key, float] = field(default_factory=dict)
    _asking: Questions[_Key] = field(default_factory=Questions)

    def of(self, origin: Origin, not_before: float) -> frozenset[Uid] | None:
        """Return which objects of an origin's kind there are in its namespace, by a list asked for since `not_before`.

        None: there is no such list yet, and one is asked for.
        """
        key = _key(origin)
        found = self._lists.get(key)
        if found is not None and found.asked_at >= not_before:
            return found.uids
        if self.again_at(origin) <= self.clock.monotonic():
            self._asking.begin(key, partial(self._ask, key), f"second list of {key}")
        return None

    def again_at(self, origin: Origin) -> float:
        """Return when this may be asked again after a failure."""
        failed_at = self._failed_at.get(_key(origin))
        return -float("inf") if failed_at is None else failed_at + RETRY_SECONDS

    async def _ask(self, key: _Key) -> None:
        asked_at = self.clock.monotonic()
        kind, namespace = key
        try:
            read = self.lookup.service_uids if kind == "Service" else self.lookup.pod_uids
            uids = await read(namespace)
            await self.identity.vouch()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, an error is never evidence
            self._failed_at[key] = self.clock.monotonic()
            _log.warning("the %ss of %s cannot be listed again, so what is held stays held: %s", *key, error)
        else:
            self._failed_at.pop(key, None)
            kept = {other: one for other, one in self._lists.items() if one.asked_at > asked_at - _KEPT_SECONDS}
            self._lists = {**kept, key: _List(asked_at, uids)}
        self._asking.answered(key)
        self.on_answer(namespace)

    @property
    def is_asking(self) -> bool:
        """Whether an answer is outstanding."""
        return bool(self._asking)

    async def close(self) -> None:
        """Stop asking."""
        await self._asking.close()


def _key(origin: Origin) -> _Key:
    return (origin.kind, origin.namespace)
