"""What liveness looks at: each watchdog returns a sentence for each thing that is wedged."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from kube_registrar.cli.watches import AnyWatch
from kube_registrar.cluster.events import Recorder
from kube_registrar.server.wedges import WatchSight, wedges
from kube_registrar.sync.engine import Engine

Watchdog = Callable[[], Sequence[str]]


@dataclass(slots=True)
class Watchdogs:
    """All watchdogs of this process, as one; who has another loop to look after appends to `others`."""

    engine: Engine
    recorder: Recorder
    watching: Sequence[AnyWatch]
    others: list[Watchdog] = field(default_factory=list)

    def __call__(self) -> Sequence[str]:
        """Return what is wedged."""
        loops = {**self.engine.stuck_seconds, "the posting of events": self.recorder.stuck_seconds}
        return [*wedges(self._sights(), loops), *(sentence for other in self.others for sentence in other())]

    def _sights(self) -> Iterator[WatchSight]:
        for watch in self.watching:
            for reflector in watch.reflectors:
                where = f" in namespace {reflector.namespace}" if reflector.namespace else ""
                name = f"the watch of {reflector.resource.plural}{where}"
                yield WatchSight(name, reflector.silent_seconds, reflector.trouble)
