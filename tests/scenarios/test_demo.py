"""`kube-registrar demo`, played as a user plays it, in a process of its own."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from kube_registrar.cli.demo.ground import DEMO_NAMESPACE
from kube_registrar.testing.control_plane import ControlPlane

DEV, DEV_NEXT, PROD = "stage=dev,version=1.0.0", "stage=dev,version=1.1.0", "stage=prod,version=2.0.0"


COMMAND = [sys.executable, "-m", "kube_registrar", "demo"]
MADE = ("get", "namespaces,crds,deployments", "--all-namespaces", "--output=name")


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("KUBE_REGISTRAR_LOG", "AWS_"))}


def demo(*args: str) -> subprocess.CompletedProcess[str]:
    """Play the demo to its end, without a terminal."""
    return subprocess.run(
        [*COMMAND, *args],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


@pytest.fixture
def own_cluster() -> Iterator[ControlPlane]:
    """A control plane that stands for a user's own cluster: nothing of ours is on it."""
    with ControlPlane(nodes=1) as plane:
        yield plane


def assert_all_happened(lines: Sequence[str]) -> None:
    steps = [line.removeprefix("== ") for line in lines if line.startswith("== ")]
    assert [step for step in steps if not step.startswith(("A real", "Your cluster", "Clean up"))][:-1] == [
        "The custom resource definitions",
        "The operator, with the embedded registry",
        "Pods become instances",
        "Clients find them by attribute",
        "A rolling update is followed",
        "A scale-down is followed",
    ]
    counts = [re.sub(r"^ +[\d.]+ s  ", "", line) for line in lines if re.match(r" +[\d.]+ s  ", line)]
    assert f"{DEV}: 3 discoverable, 3 ready; {PROD}: 3 discoverable, 3 ready" in counts
    assert f"{DEV_NEXT}: 3 discoverable, 3 ready; {PROD}: 3 discoverable, 3 ready" in counts
    assert counts[-1] == f"{DEV_NEXT}: 3 discoverable, 3 ready; {PROD}: 1 discoverable, 1 ready"
    assert "   at no moment were fewer than 6 instances discoverable" in lines
    assert any(re.match(r"   \$ .*kube.registrar run --registry embedded --data ", line) for line in lines)
    assert any(
        line.endswith(
            " aws servicediscovery discover-instances --namespace-name test-namespace --service-name flask-app "
            f"--query-parameters {DEV}"
        )
        for line in lines
    )


def test_the_demo_shows_all_that_it_promises_and_ends_well() -> None:
    done = demo()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert "== A real Kubernetes control plane on this machine" in lines
    assert_all_happened(lines)
    assert "\x1b" not in done.stdout
    folder = re.search(r"--data (\S+)/registry", done.stdout)
    assert folder is not None
    assert not Path(folder[1]).exists()


@pytest.mark.extended
def test_on_a_cluster_of_ones_own_nothing_is_left_behind(own_cluster: ControlPlane) -> None:
    before = own_cluster.kubectl(*MADE)
    done = demo("--context", "test-ground", "--kubeconfig", str(own_cluster.kubeconfig))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    lines = done.stdout.splitlines()
    assert "== Your cluster, context test-ground" in lines
    assert_all_happened(lines)
    assert lines[-1] == "   nothing is left behind"
    assert own_cluster.kubectl(*MADE) == before


@pytest.mark.extended
def test_an_interrupted_demo_leaves_nothing_behind_either(own_cluster: ControlPlane) -> None:
    before = own_cluster.kubectl(*MADE)
    command = [*COMMAND, "--context", "test-ground", "--kubeconfig", str(own_cluster.kubeconfig)]
    with subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line == "== A rolling update is followed\n":
                process.send_signal(signal.SIGINT)
                break
        out, err = process.communicate(timeout=120)
    assert (process.returncode, err.strip()) == (130, "")
    assert out.endswith("   nothing is left behind\n")
    assert own_cluster.kubectl(*MADE) == before


@pytest.mark.extended
def test_what_the_demo_did_not_make_it_does_not_touch(own_cluster: ControlPlane) -> None:
    own_cluster.kubectl("create", "namespace", DEMO_NAMESPACE)
    before = own_cluster.kubectl("get", "namespace", DEMO_NAMESPACE, "--output=json")
    done = demo("--context", "test-ground", "--kubeconfig", str(own_cluster.kubeconfig))
    assert done.returncode == 1
    assert done.stderr == (
        f"kube-registrar: Namespace {DEMO_NAMESPACE} exists on {own_cluster.url}, and this demo did not make it: "
        "choose a cluster without kube-registrar with --context, or leave --context out for a control plane on this "
        "machine\n"
    )
    assert own_cluster.kubectl("get", "namespace", DEMO_NAMESPACE, "--output=json") == before
    assert own_cluster.kubectl("get", "crds", "--output=name") == ""


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (("--context", "nope", "--kubeconfig", "{kubeconfig}"), "kubeconfig {kubeconfig} has no context 'nope': "),
        (("--context", "nope", "--kubeconfig", "/no/such/file"), "kubeconfig /no/such/file does not exist: "),
        (
            ("--kubeconfig", "{kubeconfig}"),
            "--kubeconfig needs --context: without one the demo plays on a control plane",
        ),
    ],
)
def test_a_cluster_that_is_not_there_is_one_sentence(
    args: tuple[str, ...], sentence: str, control_plane: ControlPlane
) -> None:
    done = demo(*(arg.format(kubeconfig=control_plane.kubeconfig) for arg in args))
    assert done.returncode == 1
    assert done.stderr.startswith(f"kube-registrar: {sentence.format(kubeconfig=control_plane.kubeconfig)}")
    assert done.stderr.count("\n") == 1
