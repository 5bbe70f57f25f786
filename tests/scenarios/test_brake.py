"""Many pods cease to ask at once: they stay, everybody is told why, and an approval lets them go."""

from pathlib import Path

from kube_registrar.testing.builders import deployment_manifest
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import environment
from tests.scenarios.place import Place, install_kinds
from tests.scenarios.registry import Registry, deregistered
from tests.warm import processes as warm

BLOCKED = 'kube_registrar_deletions_blocked_total{guard="configuration",registry="default"}'
PODS = [f"web-{number:02}" for number in range(12)]


def approve(kubeconfig: Path, *args: str, answer: str = "") -> warm.Ended:
    return warm.run(["approve", *args, "--kubeconfig", str(kubeconfig)], environment(), answer=answer)


def test_annotations_taken_off_many_pods_are_held_until_somebody_approves(
    new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator().start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("web")
    for pod in PODS:
        place.pod(pod, "web")
    registry.expect("web", set(PODS))
    operator.end()
    for pod in PODS:
        place.annotate(pod, service=None, port=None)
    operator.start()
    condition = place.wait_condition("RegistryService", "web", "DeletionsHeld", "True", "DeletionsHeld")
    assert condition["message"].startswith("12 instances stay registered although nobody wants them")
    place.wait_condition("RegistryNamespace", place.registry_namespace, "DeletionsHeld", "True")
    place.wait_event(PODS[0], "DeletionHeld", saying="12 of 12 instances in registry default would go within 60 s")
    place.wait_event(
        "web", "DeletionsHeld", kind="RegistryService", saying="kube-registrar approve registryservice/web"
    )
    described = place.plane.kubectl("describe", "registryservice/web", f"--namespace={place.namespace}")
    assert "12 of live pods that nothing asks for any more" in described
    status = place.get("RegistryService", "web")["status"]["held"]
    assert (status["count"], status["causes"], len(status["pods"])) == (12, {"Configuration": 12}, 12)
    assert operator.metric(BLOCKED) == 12
    assert set(registry.discover("web")) == set(PODS)

    refused = approve(place.plane.kubeconfig, "registryservice/web", "-n", place.namespace, answer="n\n")
    assert refused.returncode == 1
    assert f"registryservice/web -n {place.namespace}: 12 held since" in refused.stdout
    assert f"  {place.namespace}/web-00" in refused.stdout
    assert set(registry.discover("web")) == set(PODS)

    done = approve(place.plane.kubeconfig, "registryservice/web", "-n", place.namespace, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    registry.expect("web", set())
    place.wait_event("web", "DeletionsApproved", kind="RegistryService")
    place.wait_condition("RegistryService", "web", "DeletionsHeld", "False", "NoDeletionsHeld")
    wait_until(lambda: "held" not in place.get("RegistryService", "web")["status"], "status.held to be gone")
    nothing = approve(place.plane.kubeconfig, "--all", "-n", place.namespace)
    assert (nothing.returncode, nothing.stderr) == (0, "nothing is held\n")
    unknown = approve(place.plane.kubeconfig, "registryservice/other", "-n", place.namespace)
    assert unknown.returncode == 1
    assert f"there is no registryservice/other -n {place.namespace}" in unknown.stderr


def test_a_deployment_that_is_scaled_to_zero_is_out_at_once(new_operator: NewOperator, place: Place) -> None:
    operator = new_operator().start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("web")
    pods = place.deployment("web", "web", 12)
    registry.expect("web", pods)
    place.plane.api.patch(place.path("Deployment", "web"), {"spec": {"replicas": 0}})
    registry.expect("web", set())
    assert operator.metric(BLOCKED) == 0


def test_a_kubernetes_namespace_that_is_deleted_whole_is_out_at_once(new_operator: NewOperator, place: Place) -> None:
    operator = new_operator().start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("web")
    registry.expect("web", place.deployment("web", "web", 12))
    place.plane.api.delete(f"/api/v1/namespaces/{place.namespace}")
    registry.expect("web", set())
    assert operator.metric(BLOCKED) == 0


def test_a_selecting_registry_service_that_is_deleted_or_its_whole_kind_takes_no_live_pod_out(
    new_operator: NewOperator, place: Place
) -> None:
    operator = new_operator().start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    selecting = place.registry_service_manifest("web", selector={"matchLabels": {"app": "web"}}, port="http")
    place.plane.apply([place.registry_namespace_manifest(), selecting])
    place.wait_condition("RegistryService", "web", "Ready", "True")
    place.plane.apply(deployment_manifest("web", place.namespace, replicas=12))
    pods = place.rolled_out("web")
    registry.expect("web", pods)
    place.delete("RegistryService", "web")
    place.wait_gone("RegistryService", "web")
    condition = place.wait_condition("RegistryNamespace", place.registry_namespace, "DeletionsHeld", "True")
    assert condition["message"].startswith("12 instances stay registered")
    place.plane.apply([selecting])
    place.wait_condition("RegistryNamespace", place.registry_namespace, "DeletionsHeld", "False")
    place.wait_condition("RegistryService", "web", "Ready", "True")
    try:
        place.plane.api.delete(
            "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/registryservices.kube-registrar.dev"
        )
        wait_until(lambda: operator.metric(BLOCKED) == 24, lambda: f"12 more to be held: {operator.metric(BLOCKED)}")
        assert set(registry.discover("web")) == pods
    finally:
        install_kinds(place.plane)
    place.plane.apply([selecting])
    place.wait_condition("RegistryNamespace", place.registry_namespace, "DeletionsHeld", "False")
    assert set(registry.discover("web")) == pods
    assert deregistered(operator.data) == []
