"""A recorded watch of pods, to be played again beside the history that the registry keeps: who was where, and when."""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kube_registrar.registries.embedded.history import history
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.place import Place
from tests.scenarios.registry import REGISTER

Json = Mapping[str, Any]

LAG_SECONDS = 1.0
"""How late we may hear what the operator has acted upon."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A pod as a watch told of it. `at`: seconds since 1970 when it was heard."""

    at: float
    uid: str
    serves: bool
    """Whether it lives, is Ready and not on its way out."""
    pod: Json


@dataclass(slots=True)
class Recording:
    """What was heard of the pods of one Kubernetes namespace."""

    place: Place
    seen: list[Seen] = field(default_factory=list)

    def hear(self, event: Json) -> None:
        """Note one event of the watch."""
        pod = event["object"]
        if event["type"] != "BOOKMARK":
            self.seen.append(
                Seen(time.time(), pod["metadata"]["uid"], event["type"] != "DELETED" and _serves(pod), pod)
            )

    def await_uid(self, uid: str) -> None:
        """Wait until this pod was heard of."""
        wait_until(lambda: any(each.uid == uid for each in self.seen), f"the watch to tell of pod {uid}")

    def serving_and_registered(self, data: Path) -> list[tuple[float, int]]:
        """Return, at every change of a pod or instance, how many pods that serve were in the registry just then.

        An instance counts from the end of its registration until its deregistration was asked for.
        """
        owners: dict[tuple[str, str], str] = {}
        moments: list[tuple[float, int, str, bool]] = []
        for entry in history(data):
            key = (entry.service, entry.instance_id)
            if entry.operation == REGISTER:
                owners[key] = entry.attributes.get("KUBE_POD_UID", "")
            if entry.operation == REGISTER and entry.status == "SUCCESS":
                moments.append((entry.updated, 1, owners[key], True))
            elif entry.operation.startswith("DEREGISTER"):
                moments.append((entry.created, 1, owners.get(key, ""), False))
        sets: tuple[set[str], set[str]] = (set(), set())
        asked = {uid: at for at, _, uid, is_in in moments if not is_in}
        heard = zip(_happened(self.seen, asked), self.seen, strict=True)
        moments = [*((at, 0, each.uid, each.serves) for at, each in heard), *moments]
        found = []
        for at, which, uid, is_in in sorted(moments, key=lambda moment: moment[0]):
            (sets[which].add if is_in else sets[which].discard)(uid)
            found.append((at, len(sets[0] & sets[1])))
        return found


def _happened(seen: Sequence[Seen], asked: Mapping[str, float]) -> Sequence[float]:
    """Return when each event happened at the latest. `asked`: when the deregistration of a pod was, by its UID.

    The operator may hear of a pod's end a moment before we do, between two of our watches, and what was told before it
    has happened before it.
    """
    times = [each.at for each in seen]
    for index, each in enumerate(seen):
        at = asked.get(each.uid, each.at)
        if not each.serves and at < each.at <= at + LAG_SECONDS:
            times[: index + 1] = [min(time, at) for time in times[: index + 1]]
    return times


def _serves(pod: Json) -> bool:
    conditions = {one["type"]: one["status"] for one in pod.get("status", {}).get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]


@contextmanager
def recording(place: Place) -> Iterator[Recording]:
    """Record the pods of a place from now on."""
    made = Recording(place)
    since = place.plane.api.get(f"/api/v1/namespaces/{place.namespace}/pods")["metadata"]["resourceVersion"]
    ended = threading.Event()
    thread = threading.Thread(target=_listen, args=(made, since, ended), name="recording", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        ended.set()
        thread.join(30.0)


def _listen(made: Recording, since: str, ended: threading.Event) -> None:
    """Hear all that happens after a resourceVersion; short watches, one after the other, so that it can be ended."""
    pods = f"/api/v1/namespaces/{made.place.namespace}/pods?watch=true&timeoutSeconds=1&resourceVersion="
    while not ended.is_set():
        for line in made.place.plane.api.stream(f"{pods}{since}"):
            event = json.loads(line)
            made.hear(event)
            since = event["object"]["metadata"]["resourceVersion"]
