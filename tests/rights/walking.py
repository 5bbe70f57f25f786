"""One walk through everything that the operator does with a cluster, quickly: what it needs of the API server.

Each step waits for what it was for, so that a right that is missing shows as a step that never ends.
"""

from dataclasses import dataclass

from kube_registrar.model.records import GATE
from kube_registrar.testing.builders import pod_manifest
from kube_registrar.testing.components import BY_HAND
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.harness import Operator
from tests.scenarios.place import CORE, NODE, Json, Place
from tests.scenarios.registry import Registry

LEADER = "kube_registrar_leader"
MACHINE = "192.0.2.1"


@dataclass
class Walk:
    """Two replicas, the first of which leads, and a place that they may work in."""

    leader: Operator
    standby: Operator
    place: Place
    registry: Registry

    def all(self, *, nodes: bool = True) -> None:
        """Do everything. `nodes`: those may be read."""
        self.our_kinds()
        self.said_again()
        self.pods()
        self.services()
        self.published(nodes=nodes)
        self.machines()
        self.gate()
        self.defaults()
        self.restart()
        self.end_of_our_kinds()

    def our_kinds(self) -> None:
        """Declare what all else is registered in; it is changed, and removed at the end."""
        place = self.place
        everything = {"allowEndpointsWithoutPods": True, "deletionPolicy": "Delete"}
        selecting = {"selector": {"matchLabels": {"app": "selected"}}, "deletionPolicy": "Delete"}
        place.plane.apply(
            [
                place.registry_namespace_manifest(**everything),
                place.registry_service_manifest("web", deletionPolicy="Delete"),
                place.registry_service_manifest("selecting", **selecting),
            ]
        )
        for name in ("web", "selecting"):
            place.wait_condition("RegistryService", name, "Ready", "True")
        place.wait_condition("RegistryNamespace", place.registry_namespace, "Ready", "True")
        place.patch("RegistryService", "web", description="changed")
        place.wait_field("RegistryService", "web", "status.observedGeneration", 2)

    def said_again(self) -> None:
        """A RegistryNamespace whose status somebody takes away says the same again: its event is counted up."""
        place, name = self.place, self.place.registry_namespace

        def is_counted() -> bool:
            return any(one.count > 1 for one in place.events(name, "RegistryNamespace"))

        for number in range(3):
            place.plane.api.patch(f"{place.path('RegistryNamespace', name)}/status", {"status": {"conditions": None}})
            place.patch("RegistryNamespace", name, description=f"changed {number}")
            place.wait_condition("RegistryNamespace", name, "Ready", "True")
        wait_until(is_counted, lambda: f"it to be counted up: {place.events(name, 'RegistryNamespace')}")

    def pods(self) -> None:
        """Annotated pods, a wrong one, one that a RegistryService selects, and an event that is said again."""
        place = self.place
        place.pod("web", "web")
        place.pod("wrong", "web", port="70000")
        place.pod("selected")
        place.plane.api.patch(place.path("Pod", "selected"), {"metadata": {"labels": {"app": "selected"}}})
        self.registry.expect("selecting", {"selected"})
        self.registry.expect("web", {"web"})
        place.wait_event("wrong", "InvalidPort")
        place.wait_field("RegistryService", "web", "status.instances.registered", 1)
        place.set_status("web", ready=False)
        self.registry.expect("web", set())
        place.set_status("web", ready=True)
        self.registry.expect("web", {"web"})
        wait_until(lambda: any(one.count > 1 for one in place.events("web")), "an event to be counted up")

    def services(self) -> None:
        """A Service that asks for its pods."""
        self.place.bare_pod("behind")
        self.place.service("behind", "web")
        self.registry.expect("web", {"web", "behind"})
        self.place.delete("Service", "behind")
        self.registry.expect("web", {"web"})

    def published(self, *, nodes: bool) -> None:
        """Services that publish themselves."""
        place = self.place
        place.service("address", "web", annotations={"publish": "ClusterIP"})
        self._expect_others(1)
        place.service("balanced", "web", annotations={"publish": "LoadBalancer"}, type="LoadBalancer")
        ingress = {"status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}}}
        place.plane.api.patch(f"{place.path('Service', 'balanced')}/status", ingress)
        self._expect_others(2)
        if nodes:
            _make_node(place)
            place.service("ported", "web", annotations={"publish": "NodePort"}, type="NodePort")
            self._expect_others(3)
            place.delete("Service", "ported")
            place.plane.api.delete(f"{CORE}/nodes/rights")
        for name in ("address", "balanced"):
            place.delete("Service", name)
        self._expect_others(0)

    def machines(self) -> None:
        """A Service without a selector: whose address it is, is asked of the API server."""
        place = self.place
        place.service("machines", "web", selects="")
        place.slice(f"{place.namespace}-machines", "machines", {"addresses": [MACHINE], "conditions": {"ready": True}})
        self._expect_others(1)

    def gate(self) -> None:
        """A pod that waits for its registration."""
        place = self.place
        gates: Json = {"readinessGates": [{"conditionType": GATE}], "nodeName": NODE}
        annotations = {**place.asks("web"), BY_HAND: "true"}
        manifest = pod_manifest("gated", place.namespace, annotations=annotations, **gates)
        place.plane.api.post(f"{CORE}/namespaces/{place.namespace}/pods", manifest)
        place.set_status("gated", ready=True)
        place.wait_condition("Pod", "gated", GATE, "True", "Registered")

    def defaults(self) -> None:
        """A Kubernetes namespace that asks for its pods."""
        path = f"{CORE}/namespaces/{self.place.namespace}"
        annotations = self.place.asks("web")
        self.place.plane.api.patch(path, {"metadata": {"annotations": annotations}})
        self._expect_pods({"web", "gated", "behind", "selected"})
        self.place.plane.api.patch(path, {"metadata": {"annotations": dict.fromkeys(annotations)}})
        self._expect_pods({"web", "gated"})

    def restart(self) -> None:
        """While nobody leads a pod and a Service go; who leads next asks whether they are gone."""
        place = self.place
        self.standby.end()
        self.leader.end()
        place.delete("Pod", "web", now=True)
        place.delete("Service", "machines")
        self.leader.start()
        self._expect_pods({"gated"})
        self._expect_others(0)
        self.standby.start()

    def end_of_our_kinds(self) -> None:
        """All is deregistered, and what was made is removed."""
        place = self.place
        for name in ("gated", "selected"):
            place.delete("Pod", name, now=True)
        for kind, name in (
            ("RegistryService", "web"),
            ("RegistryService", "selecting"),
            ("RegistryNamespace", place.registry_namespace),
        ):
            place.delete(kind, name)
        place.wait_gone("RegistryNamespace", place.registry_namespace)
        assert self.registry.namespace_id() == ""

    def _expect_pods(self, names: set[str]) -> None:
        def found() -> set[str]:
            return {one["KUBE_POD"] for one in self._instances() if "KUBE_POD" in one}

        wait_until(lambda: found() == names, lambda: f"the pods {names}; there are {found()}")

    def _expect_others(self, count: int) -> None:
        def found() -> list[Json]:
            return [one for one in self._instances() if "KUBE_POD" not in one]

        wait_until(lambda: len(found()) == count, lambda: f"{count} instances without a pod; there are {found()}")

    def _instances(self) -> list[Json]:
        return [one["Attributes"] for one in self.registry.instances("web")]


def _make_node(place: Place) -> None:
    """Make a node with an address that may be registered (those of kwok have loopback addresses)."""
    status = {
        "addresses": [{"type": "InternalIP", "address": "192.0.2.101"}],
        "conditions": [{"type": "Ready", "status": "True", "reason": "Test"}],
    }
    node = {"metadata": {"name": "rights"}, "spec": {"unschedulable": True}, "status": status}
    place.plane.api.post(f"{CORE}/nodes", node)
