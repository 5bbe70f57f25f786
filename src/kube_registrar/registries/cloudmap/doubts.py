"""Registers that may still land: sent, and never seen to end."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from kube_registrar.model.refs import InstanceId, ServiceRef

Pair = tuple[ServiceRef, InstanceId]

DOUBT_SECONDS: Final = 300.0
"""A request that was not carried out after this long never will be."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A register sent at monotonic time `since`; `operation_id` is None where not even the acceptance was seen."""

    since: float
    operation_id: str | None = None


class Doubts:
    """The unresolved registers of this process, each for five minutes at most."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._doubts: dict[Pair, Doubt] = {}

    def sent(self, pair: Pair) -> None:
        """Note that a register is about to leave."""
        oldest = self._now() - DOUBT_SECONDS
        for old in [each for each, doubt in self._doubts.items() if doubt.since <= oldest]:
            del self._doubts[old]
        self._note(pair, Doubt(self._now()))

    def accepted(self, pair: Pair, operation_id: str) -> None:
        """Note by which operation the register is carried out."""
        self._note(pair, Doubt(self._now(), operation_id))

    def resolved(self, pair: Pair) -> None:
        """Note that the register is done, refused or failed: nothing of it will come any more."""
        self._doubts.pop(pair, None)

    def refused(self, pair: Pair, before: Doubt | None) -> None:
        """Note that the register was not carried out; one before it, that nobody knows of, may still land."""
        self.resolved(pair)
        if before is not None:
            self._note(pair, before)

    def of(self, pair: Pair) -> Doubt | None:
        """Return the register of this pair that may still land, if there is one."""
        doubt = self._doubts.get(pair)
        return None if doubt is None or doubt.since <= self._now() - DOUBT_SECONDS else doubt

    def _note(self, pair: Pair, doubt: Doubt) -> None:
        self._doubts.pop(pair, None)
        self._doubts[pair] = doubt
