"""What happens to pods and nodes."""

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.engine.model.asks import CLEAR_ASKS, POD_ASKS
from tests.engine.model.machine import Machine
from tests.engine.model.truth import NAMES, NODES

names = st.sampled_from(NAMES)
asks = st.sampled_from(POD_ASKS)
clear_asks = st.sampled_from(CLEAR_ASKS)
labels = st.sampled_from([{"app": "web"}, {"app": "api"}, {}])
changes = st.one_of(
    st.builds(dict, ready=st.booleans()),
    st.builds(dict, ready=st.booleans()),
    st.builds(dict, annotations=clear_asks),
    st.builds(dict, annotations=asks),
    st.just({"terminating": True}),
    st.sampled_from([{"phase": "Failed", "ready": False}, {"phase": "Succeeded", "ready": False}]),
)


class PodRules(Machine):
    """Pods come, change and go; their addresses are given to others; their watch loses sight of them."""

    @rule(
        name=names,
        annotations=clear_asks,
        ready=st.booleans(),
        number=st.sampled_from(range(6)),
        node=st.sampled_from(NODES),
        shared=st.sampled_from([None, True, False]),
    )
    def create(
        self, name: str, *, annotations: dict[str, str], ready: bool, number: int, node: str, shared: bool | None
    ) -> None:
        """Make a pod, or replace one under its name with a new UID; `shared`: how the slices follow, None: not yet."""

        def made() -> None:
            self.truth.make_pod(name, number, annotations=annotations, ready=ready, node=node)
            for replica in self.replicas:
                replica.view.overlooked.discard(("default", name))
            self.slices_follow(shared)

        self.do(made)

    def slices_follow(self, shared: bool | None) -> None:
        """Let the slices of all Services follow the pods, or not yet."""
        if shared is not None:
            for service in list(self.truth.services.values()):
                self.truth.endpoints_follow(service.name, shared=shared)

    def edit(self, name: str, **fields: Any) -> None:
        """Change a pod, if it is there; one that ended ended for good."""
        pod = self.truth.pod(name)
        if pod is not None and not (pod.is_terminal and fields.keys() & {"ready", "phase", "ips"}):
            self.do(self.truth.pods.__setitem__, ("default", name), replace(pod, **fields))

    @rule(name=names, change=changes)
    def change(self, name: str, change: dict[str, Any]) -> None:
        self.edit(name, **change)

    @rule(name=names, change=changes)
    def change_too(self, name: str, change: dict[str, Any]) -> None:
        """Do what `change` does: it is what happens most."""
        self.edit(name, **change)

    @rule(name=names, seconds=st.sampled_from([0.1, 2.0]))
    def flap(self, name: str, seconds: float) -> None:
        """Become unready and ready again, faster than slow operations are."""
        self.edit(name, ready=False)
        self.pass_time(seconds)
        self.edit(name, ready=True)

    @rule(name=names, number=st.sampled_from(range(6)))
    def readdress(self, name: str, number: int) -> None:
        """Get another address, as a pod does whose sandbox is made anew; its endpoints know the old one."""
        self.edit(name, ips=(self.truth.free_address(name, number),))

    @rule(name=names, deed=st.sampled_from(["delete", "lose", "hide"]), shared=st.sampled_from([None, True]))
    def go(self, name: str, deed: str, shared: bool | None) -> None:
        """Be deleted, seen or not; or live on while the watch loses sight of it."""
        if self.truth.pod(name) is None or (deed == "hide" and not self.is_wild):
            return
        key = ("default", name)
        if deed == "hide":
            self.needs_resync = True  # a pod that lives and that no watch tells of is asked about ever less
            for replica in self.replicas:
                replica.view.hidden.add(key)
                self.run(replica.view.list_anew())
            return
        if deed == "lose":
            for replica in self.replicas:
                replica.view.overlooked.add(key)

        def gone() -> None:
            del self.truth.pods[key]
            self.slices_follow(shared)

        self.do(gone)

    @rule(node=st.sampled_from(NODES), seconds=st.sampled_from([0.0, 30.0]))
    def node_fails(self, node: str, seconds: float) -> None:
        """Hear nothing of a node for a while: first it is unreachable, then its pods are not ready."""

        def fails(reachable: bool) -> None:
            known = self.truth.nodes["", node]
            self.truth.nodes["", node] = replace(known, reachable=reachable)
            for key, pod in self.truth.pods.items():
                if pod.node == node and not pod.is_terminal:
                    self.truth.pods[key] = replace(pod, ready=reachable)

        self.do(fails, reachable=False)
        self.pass_time(seconds)
        self.do(fails, reachable=True)


class LabelRules(PodRules):
    """Pods whose labels change, where somebody selects by them."""

    @rule(name=names, labels=labels, shared=st.sampled_from([None, True, False]))
    def relabel(self, name: str, labels: dict[str, str], shared: bool | None) -> None:
        """Get other labels; the slices follow, or lag."""
        self.edit(name, labels=labels)
        self.do(self.slices_follow, shared)
