"""A replica's connection to the registry: what must never be sent is noted here, the moment it is sent."""

from collections import Counter, deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from typing import Any

from kube_registrar.model import attributes as keys
from kube_registrar.model.changes import Change, Deregister, Outcome, Register
from kube_registrar.model.errors import NotLeading
from kube_registrar.model.instances import Instance
from kube_registrar.model.policy import Policy
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.planning.policy import is_allowed
from kube_registrar.runtime.fence import Fence
from kube_registrar.sources.pods import wish_of
from kube_registrar.sync.engine import Engine
from kube_registrar.testing.fake import FakeRegistry
from tests.engine.model.asks import REFS
from tests.engine.model.oracle import Asked, asked_by
from tests.engine.model.view import View

WINDOW_SECONDS = 60.0
LEAST, PERCENT = 5, 30
ADDED = {"weight": "5"}
"""What somebody else adds to an instance of ours."""
RELEASED = "it was held, and"
"""What the engine says of a deregistration that it held."""


class Line:
    """A registry for one engine. Whatever it does not know itself is the shared registry's."""

    def __init__(self, registry: FakeRegistry, view: View, fence: Fence) -> None:
        self.shared = registry
        self.view = view
        self.fence = fence
        self.policy = Policy.SYNC
        self.is_tampered = False
        """Whether others write, or writes land late: then what is there may not be what the engine knows."""
        self.leads = False
        self.engine: Callable[[], Engine]
        self.violations: list[str] = []
        self._in_flight: Counter[tuple[ServiceRef, InstanceId]] = Counter()
        self._lists: Counter[ServiceRef] = Counter()
        self._added: set[tuple[ServiceRef, InstanceId]] = set()
        """Instances that somebody else added something to while nothing was under way that could miss it."""
        self._let_go: set[tuple[ServiceRef, InstanceId]] = set()
        self._recent: deque[float] = deque()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.shared, name)

    def begin(self) -> None:
        """Begin a time of leading: what the brake let go before is forgotten with everything else."""
        self.leads = True
        self._let_go.clear()
        self._recent.clear()

    # The port.

    async def find(self, parent: NamespaceRef | None) -> Any:
        self._note(self._why_not_leading("looks"))
        return await self.shared.find(parent)

    async def instances(self, service: ServiceRef) -> Any:
        self._note(self._why_not_leading("reads"))
        self._lists[service] += 1
        try:
            return await self.shared.instances(service)
        finally:
            self._lists[service] -= 1

    def added(self, service: ServiceRef, instance_id: InstanceId) -> None:
        """Note that somebody else has added something to an instance: from now on it must be carried along."""
        if not (self._lists[service] or self._in_flight[service, instance_id]):
            self._added.add((service, instance_id))

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncGenerator[Outcome]:
        sent = []
        for change in changes:
            if self.fence.admits():
                sent.append(change)
                for problem in self._problems(service, change):
                    self._note(f"{change} in {service}: {problem}")
            else:
                yield Outcome(change, NotLeading("the fence is closed"))
        pairs = [(service, change.instance_id) for change in sent]
        self._in_flight.update(pairs)
        left = Counter(pairs)
        try:
            async for outcome in self.shared.apply(service, sent):
                pair = (service, outcome.change.instance_id)
                left[pair] -= 1
                self._in_flight[pair] -= 1
                yield outcome
        finally:
            self._in_flight.subtract(left)

    def _note(self, violation: str) -> None:
        if violation:
            self.violations.append(violation)

    # What must never be.

    def _problems(self, service: ServiceRef, change: Change) -> Iterator[str]:
        yield from filter(None, [self._why_not_leading("writes")])
        if self._in_flight[service, change.instance_id]:
            yield "another change of the instance is in flight"
        held = self.shared.held(service)
        if not is_allowed(change, held, self.policy) and not (self.is_tampered and self.policy.makes):
            yield f"policy {self.policy} withholds it"
        there = held.get(change.instance_id)
        whose = there.attributes.get(keys.POD_UID) if there else None
        if whose and whose != change.origin.uid:
            yield f"the instance there is that of pod {whose}"
        if isinstance(change, Register):
            self._let_go.discard((service, change.instance_id))
            yield from self._lost(service, change, there)
        elif isinstance(change, Deregister):
            yield from self._wrong_removal(service, change)

    def _lost(self, service: ServiceRef, change: Register, there: Instance | None) -> Iterator[str]:
        if there is None or not ADDED.items() <= there.attributes.items():
            self._added.discard((service, change.instance_id))  # somebody else, or an older write, took it away
        elif (service, change.instance_id) in self._added and not ADDED.items() <= change.instance.attributes.items():
            yield "what somebody else added to it is lost"

    def _why_not_leading(self, deed: str) -> str:
        return "" if self.leads else f"a replica that does not lead {deed}"

    def _wrong_removal(self, service: ServiceRef, change: Deregister) -> Iterator[str]:
        pod = next((p for p in self.view.truth.pods.values() if p.uid == change.origin.uid), None)
        if pod is None or pod.terminating or pod.is_terminal:
            return
        there = self.shared.held(service).get(change.instance_id)
        port = int(there.attributes.get(keys.PORT, "0")) if there else 0
        address = there.attributes.get(keys.IPV4, "") if there else ""
        if self._is_anothers(address, pod):
            return  # that is evidence, and no reason for a brake
        if self._is_wanted(service, change, pod, port):
            yield f"{pod.name} lives and wants it"
        asked = asked_by(pod, self.view.surroundings)
        pair = (service, change.instance_id)
        # What was let go once is tried until it is gone, and what was held and released is no longer counted.
        if self._is_braked(service, asked, pod) and RELEASED not in change.why and pair not in self._let_go:
            self._let_go.add(pair)
            yield from self._too_many(service)
            if pod.ready:
                yield from self._too_early(service)

    def _is_wanted(self, service: ServiceRef, change: Deregister, pod: Pod, port: int) -> bool:
        """Whether a pod, as it is and as it was told, wants this instance."""
        versions = list(self.view.versions(pod))
        wishes = [wish_of(each, self.engine().catalog.world) for each in versions]
        asked = [asked_by(each, self.view.surroundings) for each in versions]
        is_known = all(
            wish.holds(service, change.instance_id)
            or any((r.service, r.instance.id) == (service, change.instance_id) for r in wish.registrations)
            for wish in wishes
        )
        return is_known or (bool(port) and all((service, port) in each.identities for each in asked))

    def _is_anothers(self, address: str, pod: Pod) -> bool:
        """Whether an address belongs to another pod: one that has it now, or, as far as was told, one that still lives.

        The second counts while the API server cannot be asked: a watch that lags may tell of a dead pod with the
        address of a live one, and a direct read would say so.
        """
        others = [each for each in self.view.truth.pods.values() if each.uid != pod.uid]
        told = [each for each in self.view.told["Pod"].values() if each.uid != pod.uid]
        is_left = address not in pod.ips and any(address in each.ips for each in others)
        if self.view.lookup_error is None:
            return is_left
        return is_left or any(address in each.ips and not each.is_terminal for each in told)

    def _is_braked(self, service: ServiceRef, asked: Asked, pod: Pod) -> bool:
        """Whether the pod lives and, by what is configured or for its node, is to go from the service altogether."""
        if any(ref == service for ref, _ in asked.identities):
            return False  # another instance stands for it there
        if not pod.ready and any(ref == service for ref, _ in asked.unready):
            node = self.view.known("Node").get(("", pod.node))
            return node is not None and not node.reachable
        return list(self.view.versions(pod)) == [pod]

    def _too_many(self, service: ServiceRef) -> Iterator[str]:
        now = self.view.clock.monotonic()
        while self._recent and self._recent[0] <= now - WINDOW_SECONDS:
            self._recent.popleft()
        self._recent.append(now)
        present = sum(1 for ref in REFS for i in self.shared.held(ref).values() if keys.POD_UID in i.attributes)
        most = max(LEAST, (present + len(self._recent)) * PERCENT // 100)
        if len(self._recent) > most:
            yield f"{len(self._recent)} live pods within a minute, and at most {most} may go"

    def _too_early(self, service: ServiceRef) -> Iterator[str]:
        """Yield what is selected now, and was not read yet, when pods go that are selected no longer."""
        if self.view.fetch_failed:
            return
        around = self.view.surroundings
        for key in self.view.passed_over:
            pod, there = self.view.told["Pod"][key], self.view.truth.pods.get(key)
            if there is None or there.uid != pod.uid:
                continue  # it is gone, and whoever reads it now finds that out
            if any(ref == service for ref, _ in asked_by(pod, around).must):
                yield f"{pod.name} is selected for the service now and was not read yet"
