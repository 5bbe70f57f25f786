"""What dead and rebuilt clusters left in a registry is evicted, or taken over and then removed on evidence."""

from tests.scenarios.harness import Operator, environment
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry, deregistered
from tests.warm import processes as warm

DEAD = "dddddddd-0000-4000-8000-000000000000"


def command(operator: Operator, *args: str) -> warm.Ended:
    """Run a command against the registry of a running operator and its cluster."""
    at = ("--registry", "cloudmap", "--endpoint-url", operator.endpoint, "--region", "us-east-1")
    return warm.run([*args, *at, "--kubeconfig", str(operator.kubeconfig)], environment())


def leave(registry: Registry, service: str, place: Place, *pods: str, cluster: str = "prod", uid: str = DEAD) -> None:
    """Register what the operator of another cluster left behind."""
    for number, pod in enumerate(pods, start=1):
        registry.register(
            service,
            f"{pod}-{cluster}",
            AWS_INSTANCE_IPV4=f"192.0.2.{number}",
            AWS_INSTANCE_PORT="8080",
            KUBE_CLUSTER=cluster,
            KUBE_CLUSTER_UID=uid,
            KUBE_NAMESPACE=place.namespace,
            KUBE_POD=pod,
            KUBE_POD_UID=f"uid-of-{pod}",
            canary="yes",
        )


def test_a_dead_cluster_is_evicted_and_the_operators_own_live_ones_stay(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    live = place.deployment("web", "flask-app", 3)
    leave(registry, "flask-app", place, "dead-1", "dead-2")
    leave(registry, "flask-app", place, "eu", cluster="prod-eu", uid=f"{DEAD}0")
    registry.expect("flask-app", live | {"dead-1", "dead-2", "eu"})
    uid = registry.discover("flask-app")[min(live)]["KUBE_CLUSTER_UID"]

    refused = command(operator, "gc", "--cluster", uid, "--yes")
    assert refused.returncode == 1
    assert "is the cluster you are connected to" in refused.stderr

    done = command(operator, "gc", "--cluster", "prod", "--yes", "--namespace", place.registry_namespace)
    assert (done.returncode, done.stderr) == (0, "2 instances deregistered\n")
    assert set(registry.discover("flask-app")) == live | {"eu"}
    assert sorted(deregistered(operator.data)) == ["dead-1", "dead-2"]


def test_what_was_taken_over_is_removed_by_the_operator_on_evidence(
    operator: Operator, place: Place, registry: Registry
) -> None:
    place.declare("flask-app")
    live = place.deployment("web", "flask-app", 2)
    registry.expect("flask-app", live)
    again = min(live)
    leave(registry, "flask-app", place, "gone-1", "gone-2")
    # The cluster was rebuilt: a pod of that name is here, and another one than the instance stands for.
    leave(registry, "flask-app", place, again, cluster="renamed")
    operator.end()
    operator.start()
    registry.expect("flask-app", live | {"gone-1", "gone-2"})
    assert deregistered(operator.data) == [], "the operator alone never touches what carries another UID"

    taken = command(operator, "takeover", "--from", DEAD, "--yes", "--namespace", place.registry_namespace)
    assert (taken.returncode, taken.stderr.partition("\n")[0]) == (0, "3 instances taken over")
    assert sorted(line.split()[-1] for line in taken.stdout.split("\n\n")[0].splitlines()) == [
        "HERE",
        "another",
        "gone",
        "gone",
    ]
    found = {one["InstanceId"]: one["Attributes"] for one in registry.instances("flask-app")}
    assert {found[name]["KUBE_TAKEN_OVER"] for name in ("gone-1-prod", "gone-2-prod")} == {DEAD}
    assert {attributes.get("canary") for name, attributes in found.items() if "-prod" in name} == {"yes"}

    operator.end()
    operator.start()
    registry.expect("flask-app", live)
    assert len(registry.instances("flask-app")) == len(live)
    assert sorted(deregistered(operator.data)) == sorted(["gone-1", "gone-2", again])
