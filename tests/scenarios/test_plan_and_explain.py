"""`plan` and `explain` beside an operator that runs: the same words, and not one write."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from kube_registrar.registries.embedded.history import history
from kube_registrar.testing.fault_proxy import FaultProxy
from kube_registrar.testing.waiting import wait_until
from tests.scenarios.conftest import NewOperator
from tests.scenarios.harness import Operator, environment
from tests.scenarios.place import Place
from tests.scenarios.registry import Registry
from tests.warm import processes as warm

READS = {
    "DiscoverInstances", "GetNamespace", "GetService", "GetOperation", "ListInstances", "ListNamespaces",
    "ListOperations", "ListServices", "ListTagsForResource", "GetInstance", "GetInstancesHealthStatus",
}  # fmt: skip
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
pytestmark = pytest.mark.timeout(400)  # many processes, each of which loads all of the SDKs


class Wire:
    """Stands before a registry's API and notes which operations are asked for."""

    def __init__(self, upstream: str) -> None:
        asked: list[str] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                asked.append(self.headers["X-Amz-Target"].rpartition(".")[2])
                body = self.rfile.read(int(self.headers["Content-Length"]))
                kept = {key: value for key, value in self.headers.items() if key.lower() != "host"}
                request = urllib.request.Request(upstream, body, kept, method="POST")
                try:
                    with DIRECT.open(request, timeout=10) as answer:
                        status, text = answer.status, answer.read()
                except urllib.error.HTTPError as error:
                    with error:
                        status, text = error.code, error.read()
                self.send_response(status)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: object) -> None:
                pass

        self.asked = asked
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


class Looking:
    """Runs commands that only look, through a proxy that notes all that is asked of the API server."""

    def __init__(self, operator: Operator, place: Place, proxy: FaultProxy, folder: Path) -> None:
        self.operator = operator
        self.place = place
        self.proxy = proxy
        self.wire = Wire(operator.endpoint)
        self.kubeconfig = proxy.write_kubeconfig(folder / "looking")

    def run(self, *args: str, registry: Sequence[str] = ()) -> warm.Ended:
        """Run a command on the operator's registry, and see that nothing was written."""
        before, asked = len(history(self.operator.data)), len(self.proxy.calls)
        given = registry or ("--registry", "cloudmap", "--endpoint-url", self.wire.url)
        done = warm.run([*args, *given, "--kubeconfig", str(self.kubeconfig)], environment())
        calls = self.proxy.calls[asked:]
        written = [f"{c.verb} {c.path}" for c in calls if c.verb != "GET" and "selfsubjectaccessreviews" not in c.path]
        assert calls
        assert written == []
        assert set(self.wire.asked) <= READS
        assert registry or self.wire.asked or done.returncode in {1, 124}
        assert len(history(self.operator.data)) == before
        assert "Traceback" not in done.stderr
        return done

    def plan(self, *args: str) -> tuple[int, Any]:
        """Return the exit code and what `plan -o json` says of this place."""
        done = self.run("plan", "-o", "json", "-n", self.place.namespace, *args)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)

    def explain(self, *args: str) -> tuple[int, Any]:
        """Return the exit code and what `explain -o json` says."""
        done = self.run("explain", *args, "-n", self.place.namespace, "-o", "json")
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout)


@pytest.fixture
def looking(operator: Operator, place: Place, tmp_path: Path) -> Iterator[Looking]:
    """The commands, on the operator's own registry."""
    with FaultProxy.before(place.plane) as proxy:
        looking = Looking(operator, place, proxy, tmp_path)
        yield looking
        looking.wire.server.shutdown()
        looking.wire.server.server_close()


def test_nothing_would_change_while_the_operator_keeps_up(looking: Looking, place: Place, registry: Registry) -> None:
    place.declare("web")
    place.pod("here", "web")
    registry.expect("web", {"here"})
    done = looking.run("plan", "-n", place.namespace)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Nothing would change: everything is as the cluster says.\n"


def test_what_was_changed_behind_the_operators_back_is_planned_with_its_reason(
    looking: Looking, place: Place, registry: Registry
) -> None:
    place.declare("web")
    for name in ("removed", "edited", "fine"):
        place.pod(name, "web", attributes="stage=dev")
    registry.expect("web", {"removed", "edited", "fine"})
    ids = {one["Attributes"]["KUBE_POD"]: one["InstanceId"] for one in registry.instances("web")}
    service = registry.service_id("web")
    registry.api.deregister_instance(ServiceId=service, InstanceId=ids["removed"])
    edited = {**registry.discover("web")["edited"], "stage": "prod"}
    registry.api.register_instance(ServiceId=service, InstanceId=ids["edited"], Attributes=edited)
    registry.expect_attributes("web", "edited", lambda given: given["stage"] == "prod")
    registry.expect("web", {"edited", "fine"})

    code, found = looking.plan()
    told = {one["name"]: (one["action"], one["object"], one["reason"]) for one in found["changes"]}
    assert code == 2
    assert told == {
        ids["removed"]: (
            "Register",
            f"Pod {place.namespace}/removed",
            "its pod asks for it, and it is not there",
        ),
        ids["edited"]: ("Update", f"Pod {place.namespace}/edited", "it differs in stage"),
    }
    assert found["summary"] == "1 to register, 1 to update."
    code, found = looking.plan("--service", f"{place.registry_namespace}/other")
    assert (code, found["changes"]) == (0, [])
    code, found = looking.explain("pod/removed")
    assert (code, found["stoppedAt"]) == (2, "instance")
    assert found["steps"][-1]["message"] == f"{ids['removed']} is not there"


def test_what_changes_while_no_operator_runs_is_planned(
    new_operator: NewOperator, place: Place, tmp_path: Path
) -> None:
    operator = new_operator().start()
    registry = Registry(operator.endpoint, place.registry_namespace)
    place.declare("web")
    for name in ("goes", "moves", "stays"):
        place.pod(name, "web")
    registry.expect("web", {"goes", "moves", "stays"})
    operator.end()
    place.delete("Pod", "goes", now=True)
    place.wait_gone("Pod", "goes")
    place.plane.apply([place.registry_service_manifest("later")])
    place.annotate("moves", service=f"{place.registry_namespace}/later")
    place.pod("wrong", "web", port="70000")

    with FaultProxy.before(place.plane) as proxy:
        looking = Looking(operator, place, proxy, tmp_path)
        done = looking.run(
            "plan", "-n", place.namespace, registry=("--registry", "embedded", "--data", str(operator.data))
        )
    prefix = f"default:{place.registry_namespace}"
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    signs = {line[0] + line.split()[1].rpartition("-")[0] for line in lines if line[:2] in {"+ ", "- ", "~ "}}
    assert done.returncode == 2, done.stderr
    assert signs >= {"-goes", "-moves", "+moves"}, done.stdout
    assert f"+ Registry service {place.registry_namespace}/later" in done.stdout
    assert f"{prefix}/later" in lines
    assert "the pod no longer exists" in done.stdout
    assert "annotation kube-registrar.dev/port is '70000'" in done.stdout
    assert lines[-1].startswith("1 to register, 2 to deregister, 1 of our objects")


def test_the_folder_of_a_running_operator_is_told_to_be_read_through_its_api(looking: Looking) -> None:
    done = looking_failed(looking, "--registry", "embedded", "--data", str(looking.operator.data))
    assert "is in use by another process" in done.stderr
    assert "--registry cloudmap --endpoint-url http://127.0.0.1:8081" in done.stderr
    done = looking_failed(looking, "--registry", "embedded", "--data", "/nowhere/registry")
    assert "there is no folder /nowhere/registry" in done.stderr


def test_too_little_time_is_an_exit_code_of_its_own_and_names_what_is_missing(looking: Looking) -> None:
    done = looking.run("plan", "--timeout", "0.001")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (124, "", 1), done.stderr
    assert done.stderr.startswith("kube-registrar: not all is known within the time: ")
    assert "Give it more with --timeout" in done.stderr


def looking_failed(looking: Looking, *registry: str) -> warm.Ended:
    done = looking.run("plan", registry=registry)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    return done


WRONG = {
    "service": "NAMESPACE/flask-ap",
    "port": "htpp",
    "attributes": '{"stage": "dev"',
    "servce": "NAMESPACE/web",
}


def test_a_pod_is_explained_gate_by_gate_in_the_words_of_its_events(
    looking: Looking, place: Place, registry: Registry
) -> None:
    place.declare("web")
    place.pod("good", "web", attributes="stage=dev")
    place.unready_pod("unready", "web")
    for key, value in WRONG.items():
        place.pod(f"wrong-{key}", "web", **{key: value.replace("NAMESPACE", place.registry_namespace)})
    registry.expect("web", {"good", "wrong-servce"})
    place.wait_event("good", "Registered")

    code, found = looking.explain("po/good")
    assert (code, found["ok"], found["stoppedAt"]) == (0, True, None)
    names = [step["name"] for step in found["steps"]]
    assert names == [
        "exists", "asked for", "annotations", "reference", "port", "attributes", "address", "ready", "not terminating",
        "registry", "instance", "discoverable",
    ]  # fmt: skip
    assert {step["state"] for step in found["steps"]} == {"ok"}
    assert "stage=dev (pod)" in next(step["message"] for step in found["steps"] if step["name"] == "attributes")
    assert "Registered" in {event["reason"] for event in found["events"]}

    code, found = looking.explain("pod/unready")
    assert (code, found["stoppedAt"]) == (2, "address")
    assert "ready" in [step["name"] for step in found["steps"] if step["state"] == "waits"]

    gates = {"service": "reference", "port": "port", "attributes": "annotations"}
    for key, gate in gates.items():
        event = next(one for one in wait_events(place, f"wrong-{key}") if one)
        code, found = looking.explain(f"pod/wrong-{key}")
        step = next(step for step in found["steps"] if step["state"] == "fails")
        assert (code, found["stoppedAt"], step["name"], step["message"]) == (2, gate, gate, event)
    code, found = looking.explain("pod/wrong-servce")
    [note] = [step["message"] for step in found["steps"] if step["state"] == "note"]
    assert (code, note) == (0, wait_events(place, "wrong-servce")[0])


def wait_events(place: Place, pod: str) -> list[str]:
    """Return the sentences of a pod's warnings, once there are some."""
    return wait_until(lambda: [one.note for one in place.events(pod) if one.type == "Warning"], f"warnings on {pod}")


def test_objects_and_workloads_are_explained_with_their_pods(
    looking: Looking, place: Place, registry: Registry
) -> None:
    place.declare("web")
    pods = place.deployment("web", "web", 2)
    registry.expect("web", pods)
    code, found = looking.explain("deploy/web")
    assert (code, found["ok"]) == (0, True)
    assert {part["object"] for part in found["parts"]} == {f"Pod {place.namespace}/{name}" for name in pods}
    code, found = looking.explain("regsvc/web")
    assert (code, found["object"]) == (0, f"RegistryService {place.namespace}/web"), found
    ready = place.condition("RegistryService", "web", "Ready")["message"]
    assert ready in [step["message"] for step in found["steps"]]
    code, found = looking.explain(f"regns/{place.registry_namespace}")
    assert code == 0, found
    place.plane.apply([place.registry_service_manifest("lost", namespaceRef={"name": "nowhere"})])
    said = place.wait_condition("RegistryService", "lost", "Ready", "False")["message"]
    code, found = looking.explain("regsvc/lost")
    assert (code, found["stoppedAt"]) == (2, "in the registry")
    assert said in [step["message"] for step in found["steps"]]
    done = looking.run("explain", "pod/nobody", "-n", place.namespace)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"kube-registrar: there is no Pod 'nobody' in Kubernetes namespace {place.namespace!r}: correct the name, "
        "or name its namespace with -n\n"
    )
    done = looking.run("explain", f"pod/{min(pods)}", "-n", place.namespace)
    assert done.stdout.splitlines()[0] == f"Pod {place.namespace}/{min(pods)}"
    assert "  ok    exists           the pod is there: Running on node" in done.stdout
    assert done.stdout.endswith("\nAll is well.\n")
