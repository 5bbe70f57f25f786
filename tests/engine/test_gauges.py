"""What the metrics say of the engine's state, by values."""

from kube_registrar.model.records import CustomObject, KubeNamespace, KubeService, Node, ServicePort
from kube_registrar.model.refs import Uid
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.sync.gauges import set_gauges
from kube_registrar.testing import builders
from tests.engine.harness import Ground

NODE = Node("node-1", Uid("node-1"), addresses=("10.1.0.1",))
BY_NODE = KubeService(
    "default",
    "web",
    Uid("uid-web"),
    annotations={"service": "test-namespace/flask-app", "publish": "NodePort"},
    type="NodePort",
    ports=(ServicePort("http", 80, node_port=30432),),
)


def metrics_of(ground: Ground, name: str) -> dict[tuple[str, ...], float]:
    """Return the values of a metric, by its labels."""
    metrics = Metrics("0")
    set_gauges(ground.engine, metrics)
    return {
        tuple(sample.labels.values()): sample.value
        for family in metrics.registry.collect()
        for sample in family.samples
        if sample.name == f"kube_registrar_{name}" and sample.value
    }


def selecting(name: str, **spec: object) -> CustomObject:
    """Return a RegistryService of Kubernetes namespace `default`."""
    fields = {"namespaceRef": {"name": "default-test-namespace"}, "name": "flask-app", **spec}
    return CustomObject("RegistryService", "default", name, builders.uid_of(f"svc-{name}"), 1, fields)


async def test_sources_are_counted_by_their_kind(ground: Ground) -> None:
    ground.cluster.namespaces.append(KubeNamespace("asking", Uid("kube-asking"), annotations={"service": "flask-app"}))
    ground.cluster.apply_node(NODE)
    ground.cluster.apply_service(BY_NODE)
    ground.cluster.apply_service(KubeService("default", "named", Uid("uid-named"), ports=(ServicePort("http", 80),)))
    ground.cluster.apply_object(selecting("by-label", selector={"matchLabels": {"app": "flask"}}))
    ground.cluster.apply_object(selecting("by-name", serviceRef={"name": "named"}))
    ground.cluster.apply_object(selecting("asked-by-others"))
    for number in range(2):
        ground.cluster.apply(builders.pod(f"web-{number}", ips=(f"10.0.0.{number + 1}",), ready=number == 0))
    ground.cluster.apply(builders.pod("gated", annotations={}, gated=True, ips=("10.0.0.9",)))
    await ground.start()
    await ground.advance(5.0)
    assert metrics_of(ground, "sources") == {
        ("Pod",): 2,
        ("Service",): 1,
        ("RegistryService",): 2,
        ("Namespace",): 1,
    }


async def test_what_is_skipped_is_counted_by_the_kind_of_the_object(ground: Ground) -> None:
    ground.cluster.apply(builders.pod("wrong", annotations={"service": "test-namespace/flask-app", "port": "nope"}))
    annotations = {"service": "test-namespace/nosuch"}
    ground.cluster.apply_service(
        KubeService("default", "wrong", Uid("uid-wrong"), annotations, ports=(ServicePort("http", 80),))
    )
    await ground.start()
    await ground.advance(5.0)
    assert metrics_of(ground, "sources_skipped") == {("Pod", "InvalidPort"): 1, ("Service", "UnknownService"): 1}


async def test_an_instance_of_a_service_that_nobody_wants_any_more_is_orphaned(ground: Ground) -> None:
    ground.cluster.apply_node(NODE)
    ground.cluster.apply_service(BY_NODE)
    await ground.start()
    await ground.advance(5.0)
    assert metrics_of(ground, "instances") == {("default", "wanted"): 1, ("default", "registered"): 1}
    ground.registry.hangs = True
    ground.cluster.delete_service("web")
    await ground.settle()
    assert metrics_of(ground, "instances") == {("default", "orphaned"): 1}
