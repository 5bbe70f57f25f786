"""Gathers evidence about pods whose instances nobody wants: from what was seen, else from the API server itself.

Asking takes its time, and an API server may hang, so nobody waits for it: what is known is returned at once, and what
was asked for is told when the answer is there.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from kube_registrar.model.instances import Instance, Wanted
from kube_registrar.model.records import BarePod, KubeService, Pod, Unselected
from kube_registrar.model.refs import InstanceId, Origin, ServiceRef, Uid
from kube_registrar.planning.evidence import ASKED, UNKNOWN, UNSEEN, Cause, Evidence, Standing
from kube_registrar.runtime.clock import Clock
from kube_registrar.sources.wishes import Wish
from kube_registrar.sync.closer import closer_evidence
from kube_registrar.sync.identity import Identity
from kube_registrar.sync.questions import Questions
from kube_registrar.sync.wanted import WantedState

REMEMBERED = 20_000
"""Pods of which something is remembered; a forgotten one costs a GET."""
GETS_AT_ONCE = 20
ASK_AGAIN_SECONDS = 30.0
"""An answer that is no proof of a pod's end is asked for again after this long."""
FRESH_SECONDS = 0.9
"""For so long an answer about a pod that lives is enough to remove its instance: less than what the brake waits for."""
MOST_SECONDS = 600.0
"""A pod that lives and that no watch tells of (its namespace is not watched) is asked about ever less, up to this."""

_DELETED = Evidence(Standing.GONE, "the pod was deleted", Cause.SEEN)
_GONE = Evidence(Standing.GONE, "the pod no longer exists", Cause.MISSING)
_REPLACED = Evidence(Standing.GONE, "another pod has its name now", Cause.REPLACED)
_NAMELESS = Evidence(Standing.UNKNOWN, "the instance does not say which pod it stands for")
_NO_LONGER = "the pod asks for it no longer"
_SERVICE_GONE = Evidence(Standing.GONE, "the Service no longer exists", Cause.MISSING)
_SERVICE_REPLACED = Evidence(Standing.GONE, "another Service has its name now", Cause.REPLACED)
_SERVICE_NO_LONGER = "the Service asks for it no longer"
_SERVICE_ENDING = Evidence(Standing.ENDING, "the Service is terminating", Cause.SEEN)
_UNSELECTED = Evidence(Standing.DECLINED, "nothing asks for the Service any more", Cause.CONFIGURATION)


class PodLookup(Protocol):
    """Direct, current reads. Each raises for every answer that is none."""

    async def pod(self, namespace: str, name: str) -> Pod | BarePod | None:
        """Return the pod, None only if the API server says NotFound."""

    async def service(self, namespace: str, name: str) -> KubeService | Unselected | None:
        """Return the Service, Unselected where nothing asks for it, None only if the API server says NotFound."""

    async def pod_uids(self, namespace: str) -> frozenset[Uid]:
        """Return the UIDs of all pods in a Kubernetes namespace, read in full; empty if there is no such namespace."""

    async def namespaces_of_addresses(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return the Kubernetes namespace of the pod that has each address; empty where none has it."""

    async def service_uids(self, namespace: str) -> frozenset[Uid]:
        """Return the UIDs of all Services there, likewise."""

    async def cluster_uid(self) -> Uid:
        """Return the UID of the cluster that answers."""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What was answered, and how long it counts: `seconds` from then on (monotonic)."""

    evidence: Evidence
    seconds: float
    since: float

    @property
    def until(self) -> float:
        """When it is asked for again."""
        return self.since + self.seconds


class EvidenceOfPods:
    """Remembers pods that were seen going, and asks the API server about the others."""

    def __init__(
        self,
        wanted: WantedState,
        lookup: PodLookup,
        clock: Clock,
        wish_of: Callable[[Pod], Wish],
        on_answer: Callable[[Uid], None],
        *,
        identity: Identity,
        is_unreachable: Callable[[str], bool] = lambda _node: False,
    ) -> None:
        """`wish_of`: what a pod wants that no watch tells of. `on_answer` is called when more is known of a pod.

        `identity` tells whether our cluster answers: what is not there, or not under its UID, is asked of no other.

        `is_unreachable` tells it of a node.
        """
        self._wanted = wanted
        self._lookup = lookup
        self._clock = clock
        self._wish_of = wish_of
        self._on_answer = on_answer
        self._identity = identity
        self._is_unreachable = is_unreachable
        self._ends: OrderedDict[Uid, Evidence] = OrderedDict()
        self._answers: OrderedDict[Uid, _Answer] = OrderedDict()
        self._asking: Questions[Uid] = Questions()
        self._slots = asyncio.Semaphore(GETS_AT_ONCE)

    # What the watches tell.

    def saw_deletion(self, uid: Uid) -> None:
        """Note that a watch told of this pod's deletion."""
        self._remember(uid, _DELETED)

    def saw_unselected(self, uid: Uid) -> None:
        """Note that nothing asks any more for a Service of which instances may exist."""
        self.forget(uid)
        self._remember(uid, _UNSELECTED)

    def saw_bare(self, pod: BarePod) -> None:
        """Note that nothing asks any more for a pod of which instances may exist."""
        self.forget(pod.uid)
        self._remember(pod.uid, _of_bare(pod))

    def forget(self, uid: Uid) -> None:
        """Forget what was found out, and what is being asked: the pod's state has changed since."""
        self._answers.pop(uid, None)
        self._asking.forget(uid)

    def _remember(self, uid: Uid, evidence: Evidence) -> None:
        """Keep an end for good, anything else for a while."""
        before = self._answers.pop(uid, None)
        if evidence.is_final:
            self._ends[uid] = evidence
        else:
            is_same = before is not None and evidence.cause is not None and before.evidence == evidence
            seconds = min(MOST_SECONDS, 2 * before.seconds) if before and is_same else ASK_AGAIN_SECONDS
            self._answers[uid] = _Answer(evidence, seconds, self._clock.monotonic())
        for memory in (self._ends, self._answers):
            if len(memory) > REMEMBERED:
                memory.popitem(last=False)

    # What is known.

    def of(self, origins: Iterable[Origin], service: ServiceRef) -> dict[Uid, Evidence]:
        """Return what is known of each pod's instance in a service; else the API server is asked from now on."""
        return {origin.uid: self._of(origin, service) for origin in origins}

    def closer(self, suspects: Iterable[Instance], wanted: Wanted) -> Mapping[InstanceId, Evidence]:
        """Return what is known of single instances: of those, and of those that are wanted as unhealthy."""
        return closer_evidence(suspects, wanted, self._wanted, lambda pod: self._not_ready(pod, "the pod is not ready"))

    def saw(self, uid: Uid) -> bool:
        """Whether a watch has told of this pod, and it is remembered."""
        end = self._ends.get(uid)
        return uid in self._wanted.pods or (end is not None and end.cause is Cause.SEEN)

    def disprove(self, uid: Uid) -> None:
        """Forget that a pod is gone: a list has it. The API server is asked again."""
        self._ends.pop(uid, None)

    def again_at(self, origins: Iterable[Origin]) -> float:
        """Return the monotonic time at which the first of these should be asked about again; infinity: none."""
        uids = (origin.uid for origin in origins if origin.uid not in self._asking)
        return min((self._answers[uid].until for uid in uids if uid in self._answers), default=float("inf"))

    def refresh(self, origin: Origin) -> bool:
        """Return whether what is known of a pod was answered too long ago to remove its instance; ask anew if so.

        What a watch tells of a pod is never too old, and the end of one is for good.
        """
        uid = origin.uid
        if uid in self._wanted.pods or uid in self._wanted.services_asking or uid in self._ends:
            return False
        answer = self._answers.get(uid)
        if answer is None or answer.since + FRESH_SECONDS > self._clock.monotonic():
            return False
        self._begin_asking(origin)
        return True

    @property
    def is_asking(self) -> bool:
        """Whether answers are outstanding."""
        return bool(self._asking)

    async def close(self) -> None:
        """Stop asking."""
        await self._asking.close()

    def _of(self, origin: Origin, service: ServiceRef) -> Evidence:
        uid = origin.uid
        if uid in self._wanted.pods:
            return self._of_watched(uid, service)
        if uid in self._wanted.services_asking:
            return self._of_watched_service(uid)
        if uid in self._ends:
            return self._ends[uid]
        if not origin.name or not origin.namespace:
            return _NAMELESS
        answer = self._answers.get(uid)
        if answer is not None and answer.until > self._clock.monotonic():
            return answer.evidence
        self._begin_asking(origin)
        return ASKED

    def _begin_asking(self, origin: Origin) -> None:
        self._asking.begin(origin.uid, partial(self._ask, origin), f"evidence about {origin}")

    def _of_watched(self, uid: Uid, service: ServiceRef) -> Evidence:
        pod, wish = self._wanted.pods[uid], self._wanted.wishes.get(uid)
        if pod.is_terminal or pod.terminating:
            return _ending(pod)
        if wish is None:
            return UNKNOWN
        if service in wish.unready:
            return self._not_ready(pod, wish.absent_because)
        why = "" if wish.unready else wish.absent_because
        return Evidence(Standing.DECLINED, why or _NO_LONGER, Cause.CONFIGURATION)

    def _of_watched_service(self, uid: Uid) -> Evidence:
        """Judge an instance that stands for no pod: its Service is known, with all its slices.

        What is there and not ready is known closer; of what is left, nothing is there any more, or asked for.
        """
        wish = self._wanted.wishes.get(uid)
        if wish is None:
            return UNKNOWN
        if self._wanted.services_asking[uid].terminating:
            return _SERVICE_ENDING
        return Evidence(Standing.DECLINED, wish.absent_because or _SERVICE_NO_LONGER, Cause.CONFIGURATION)

    def _not_ready(self, pod: Pod, why: str) -> Evidence:
        if pod.ready:  # it has lost its address, which is not its word
            return Evidence(Standing.DECLINED, why, Cause.CONFIGURATION)
        if self._is_unreachable(pod.node):
            why = f"the pod is not ready, for its node {pod.node} is unreachable"
            return Evidence(Standing.DECLINED, why, Cause.UNREACHABLE)
        if pod.silent:
            why = f"the pod is not ready, though its containers are: nothing is heard of its node {pod.node}"
            return Evidence(Standing.DECLINED, why, Cause.UNREACHABLE)
        return Evidence(Standing.DECLINED, why, Cause.NOT_READY)

    async def _ask(self, origin: Origin) -> None:
        try:
            async with self._slots:
                answer = await self._asked(origin)
            if answer.standing is Standing.GONE:
                await self._identity.vouch()
        except Exception as error:  # noqa: BLE001 - whatever went wrong, an error is never evidence
            answer = Evidence(Standing.UNKNOWN, f"the API server could not be asked about the pod: {error}")
        self._asking.answered(origin.uid)
        self._remember(origin.uid, answer)
        self._on_answer(origin.uid)

    async def _asked(self, origin: Origin) -> Evidence:
        if origin.kind != "Service":
            return self._of_answer(origin, await self._lookup.pod(origin.namespace, origin.name))
        service = await self._lookup.service(origin.namespace, origin.name)
        if service is None:
            return _SERVICE_GONE
        if service.uid != origin.uid:
            return _SERVICE_REPLACED
        return _UNSELECTED if isinstance(service, Unselected) else UNSEEN

    def _of_answer(self, origin: Origin, pod: Pod | BarePod | None) -> Evidence:
        if pod is None:
            return _GONE
        if pod.uid != origin.uid:
            return _REPLACED
        if isinstance(pod, BarePod):
            return _of_bare(pod)
        if pod.is_terminal or pod.terminating:
            return _ending(pod)
        wish = self._wish_of(pod)
        if wish.registrations or wish.held:
            return UNSEEN
        if wish.unready:
            return self._not_ready(pod, wish.absent_because)
        return Evidence(Standing.DECLINED, wish.absent_because or _NO_LONGER, Cause.CONFIGURATION)


def _of_bare(pod: BarePod) -> Evidence:
    if pod.terminating or pod.phase in {"Succeeded", "Failed"}:
        return _ending(pod)
    return Evidence(Standing.DECLINED, "nothing asks for the pod any more", Cause.CONFIGURATION)


def _ending(pod: Pod | BarePod) -> Evidence:
    why = "the pod is terminating" if pod.terminating else f"the pod {_PHASES[pod.phase]}"
    return Evidence(Standing.ENDING, why, Cause.SEEN)


_PHASES = {"Succeeded": "has finished", "Failed": "has failed"}
