"""Tells what is wrong with what objects ask for: once it has lasted a moment, and again only when it changes."""

from kube_registrar.model.reasons import Problem
from kube_registrar.model.refs import ObjectRef, Uid
from kube_registrar.runtime.clock import Clock
from kube_registrar.sync.queue import KeyedQueue
from kube_registrar.sync.reporting import Reporter

GRACE_SECONDS = 2.0
"""A problem is told if it lasts this long: what is applied together need not arrive in order."""

Problems = tuple[Problem, ...]


class Telling:
    """Knows the problems of every object that has or had some. Only while `run` runs are they told."""

    def __init__(self, reporter: Reporter, clock: Clock) -> None:
        self._reporter = reporter
        self._current: dict[Uid, tuple[ObjectRef, Problems]] = {}
        self._told: dict[Uid, Problems] = {}
        self._due: KeyedQueue[Uid] = KeyedQueue(clock)
        self._is_running = False

    def note(self, ref: ObjectRef, problems: Problems) -> None:
        """Note all that is wrong with an object now."""
        if problems or ref.uid in self._current:
            self._current[ref.uid] = (ref, problems)
            self._tell_later(ref.uid)

    def forget(self, uid: Uid) -> None:
        """Forget an object that is gone."""
        self._current.pop(uid, None)
        self._told.pop(uid, None)

    async def run(self) -> None:
        """Tell, until cancelled."""
        self._is_running = True
        try:
            for uid in self._current:
                self._tell_later(uid)
            while True:
                async with self._due.take() as uid:
                    self._tell(uid)
        finally:
            self._is_running = False
            await self._due.close()

    def _tell_later(self, uid: Uid) -> None:
        if self._is_running and self._told.get(uid, ()) != self._current[uid][1]:
            self._due.add_after(uid, GRACE_SECONDS)

    def _tell(self, uid: Uid) -> None:
        ref, problems = self._current.get(uid, (None, ()))
        if ref is not None and self._told.get(uid, ()) != problems:
            self._told[uid] = problems
            self._reporter.problems(ref, problems)
