"""Gathers evidence about pods whose instances nobody wants: from what was seen, else from the API server itself."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from typing import Protocol

from kube_registrar.model.records import BarePod, Pod
from kube_registrar.model.refs import Origin, Uid
from kube_registrar.planning.evidence import UNKNOWN, Evidence, Standing
from kube_registrar.sync.wanted import WantedState

_REMEMBERED = 20_000
"""Deletions remembered; a forgotten one costs a GET."""
_GETS_AT_ONCE = 20


class PodLookup(Protocol):
    """A direct, current read of one pod."""

    async def pod(self, namespace: str, name: str) -> Pod | BarePod | None:
        """Return the pod, None only if the API server says NotFound; raise for every other answer."""


class EvidenceOfPods:
    """Remembers pods that were seen going, and asks the API server about the others."""

    def __init__(self, wanted: WantedState, lookup: PodLookup) -> None:
        self._wanted = wanted
        self._lookup = lookup
        self._seen: OrderedDict[Uid, Evidence] = OrderedDict()
        self._slots = asyncio.Semaphore(_GETS_AT_ONCE)

    def saw_deletion(self, uid: Uid) -> None:
        """Note that a watch told of this pod's deletion."""
        self._remember(uid, Evidence(Standing.GONE, "the pod was deleted"))

    def saw_bare(self, pod: BarePod) -> None:
        """Note that a pod of which instances may exist carries no annotation of ours any more."""
        self._remember(pod.uid, _of_bare(pod))

    def forget(self, uid: Uid) -> None:
        """Forget what was seen: the pod asks for something again."""
        if uid in self._seen and self._seen[uid].standing is not Standing.GONE:
            del self._seen[uid]

    def _remember(self, uid: Uid, evidence: Evidence) -> None:
        self._seen[uid] = evidence
        self._seen.move_to_end(uid)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)

    async def of(self, origins: Iterable[Origin]) -> dict[Uid, Evidence]:
        """Return the evidence about each pod."""
        wanted = {origin.uid: origin for origin in origins}
        found = await asyncio.gather(*(self._of(origin) for origin in wanted.values()))
        return dict(zip(wanted, found, strict=True))

    async def _of(self, origin: Origin) -> Evidence:
        if origin.uid in self._wanted.pods:
            return self._of_known(origin.uid)
        if origin.uid in self._seen:
            return self._seen[origin.uid]
        if not origin.name or not origin.namespace:
            return Evidence(Standing.UNKNOWN, "the instance does not say which pod it stands for")
        try:
            async with self._slots:
                pod = await self._lookup.pod(origin.namespace, origin.name)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, an error is never evidence
            return Evidence(Standing.UNKNOWN, f"the API server could not be asked about the pod: {error}")
        return self._of_answer(origin, pod)

    def _of_known(self, uid: Uid) -> Evidence:
        pod, wish = self._wanted.pods[uid], self._wanted.wishes.get(uid)
        if pod.is_terminal or pod.terminating:
            return _ending(pod)
        if wish is None:
            return UNKNOWN
        return Evidence(Standing.DECLINED, wish.absent_because or "the pod asks for it no longer")

    def _of_answer(self, origin: Origin, pod: Pod | BarePod | None) -> Evidence:
        if pod is None:
            return Evidence(Standing.GONE, "the pod no longer exists")
        if pod.uid != origin.uid:
            return Evidence(Standing.GONE, "another pod has its name now")
        if isinstance(pod, BarePod):
            return _of_bare(pod)
        if pod.is_terminal or pod.terminating:
            return _ending(pod)
        if origin.uid in self._wanted.pods:  # it came while we asked
            return self._of_known(origin.uid)
        return Evidence(Standing.UNKNOWN, "a direct read shows the pod alive, though its list does not")


def _of_bare(pod: BarePod) -> Evidence:
    if pod.terminating or pod.phase in {"Succeeded", "Failed"}:
        return _ending(pod)
    return Evidence(Standing.DECLINED, "the pod carries no annotation of kube-registrar any more")


def _ending(pod: Pod | BarePod) -> Evidence:
    return Evidence(Standing.ENDING, "the pod is terminating" if pod.terminating else f"the pod {_PHASES[pod.phase]}")


_PHASES = {"Succeeded": "has finished", "Failed": "has failed"}
