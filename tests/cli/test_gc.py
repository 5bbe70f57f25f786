"""`kube-registrar gc`, as a process, on a registry behind Cloud Map's API."""

import asyncio
import json
import os
import pty
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml

from tests.cli.ground import CHECKED, FLASK, NEW, NOBODY, OLD, THIRD, Ground, environment, ground, kube, kubeconfig, run


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Ground]:
    """Instances of `prod`, which is dead, of `prod-eu`, of the connected cluster, and somebody else's."""
    async with ground(tmp_path / "data") as made:
        await made.put("dead-1", OLD, "prod", stage="dev")
        await made.put("dead-2", OLD, "prod", service=CHECKED)
        await made.put("eu", THIRD, "prod-eu")
        await made.put("live", NEW, "here")
        await made.write(FLASK, "foreign", {"AWS_INSTANCE_IPV4": "192.0.2.1", "KUBE_CLUSTER": "prod"})
        yield made


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[str]:
    """A cluster that is connected to, which is none of the dead ones."""
    with kube(tmp_path, NEW) as path:
        yield path


def at(there: Ground, kubeconfig: str) -> tuple[str, ...]:
    return ("--registry", "cloudmap", "--endpoint-url", there.endpoint, "--kubeconfig", kubeconfig)


async def all_held(there: Ground) -> set[str]:
    return {*await there.held(FLASK), *await there.held(CHECKED)}


EVERYTHING = {"dead-1", "dead-2", "eu", "live", "foreign"}


@pytest.mark.parametrize("cluster", ["prod", OLD])
async def test_a_dead_cluster_is_evicted_and_nobody_else(there: Ground, connected: str, cluster: str) -> None:
    code, out, err = await run("gc", "--cluster", cluster, "--yes", *at(there, connected))
    assert (code, err) == (0, "2 instances deregistered\n")
    assert out == (
        "REGISTRY   SERVICE                    INSTANCE   NAMESPACE   POD      ADDRESS\n"
        "default    test-namespace/checked     dead-2     default     dead-2   10.0.0.2:8080\n"
        "default    test-namespace/flask-app   dead-1     default     dead-1   10.0.0.1:8080\n"
        "\n"
        "REGISTRY   SERVICE                    INSTANCES\n"
        "default    test-namespace/checked     1\n"
        "default    test-namespace/flask-app   1\n"
    )
    assert await all_held(there) == EVERYTHING - {"dead-1", "dead-2"}
    assert await run("gc", "--cluster", cluster, "--yes", *at(there, connected)) == (
        0,
        "",
        (
            f"no instance of cluster '{cluster}': nothing to do. "
            f"Instances there are of {NEW} (here) with 1 instance, {THIRD} (prod-eu) with 1 instance\n"
        ),
    )


async def test_without_a_terminal_nothing_is_changed_unless_told(there: Ground, connected: str) -> None:
    code, out, err = await run("gc", "--cluster", "prod", *at(there, connected))
    assert code == 2
    assert "dead-1" in out
    assert err == (
        f"If cluster {OLD} (prod) still runs, clients lose these until its operator registers them anew.\n"
        "Nothing was changed: there is no terminal to ask at. Give --yes to go on without being asked\n"
    )
    assert await all_held(there) == EVERYTHING


@pytest.mark.parametrize(
    ("answer", "code", "left"), [("n", 2, EVERYTHING), ("", 2, EVERYTHING), ("y", 0, {"eu", "live", "foreign"})]
)
async def test_at_a_terminal_it_asks(there: Ground, connected: str, answer: str, code: int, left: set[str]) -> None:
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kube_registrar", "gc", "--cluster", "prod", *at(there, connected)]
    process = await asyncio.create_subprocess_exec(
        *command, env=environment(), stdin=theirs, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    os.write(ours, f"{answer}\n".encode())
    _, err = await process.communicate()
    os.close(ours)
    os.close(theirs)
    assert process.returncode == code
    assert f"Deregister 2 instances of cluster {OLD} (prod)? [y/N]: " in err.decode()
    assert ("Nothing was changed" in err.decode()) == (code == 2)
    assert await all_held(there) == left


async def test_a_dry_run_shows_as_json_and_changes_nothing(there: Ground, connected: str) -> None:
    args = ("gc", "--cluster", "prod", "--service", "flask-app", "--dry-run", "--yes", "-o", "json")
    code, out, err = await run(*args, *at(there, connected))
    assert (code, err) == (2, "Nothing was changed: this is a dry run\n")
    assert json.loads(out) == {
        "cluster": "prod",
        "clusterUIDs": [OLD],
        "instances": [
            {
                "registry": "default",
                "namespace": "test-namespace",
                "service": "flask-app",
                "instance": "dead-1",
                "clusterUID": OLD,
                "clusterName": "prod",
                "origin": {"kind": "Pod", "namespace": "default", "name": "dead-1", "uid": "uid-of-dead-1"},
                "attributes": dict((await there.held())["dead-1"]),
            }
        ],
        "services": [{"registry": "default", "namespace": "test-namespace", "service": "flask-app", "instances": 1}],
    }
    assert await all_held(there) == EVERYTHING


async def test_nothing_found_is_an_empty_document_and_0(there: Ground, connected: str) -> None:
    args = ("gc", "--cluster", "prod", "--namespace", "other", "--dry-run", "-o", "yaml")
    code, out, err = await run(*args, *at(there, connected))
    assert code == 0
    assert yaml.safe_load(out) == {"cluster": "prod", "clusterUIDs": [], "instances": [], "services": []}
    assert err == "no instance of cluster 'prod': nothing to do. There are none of any cluster\n"


async def test_a_name_of_two_clusters_asks_for_one_of_their_uids(there: Ground, connected: str) -> None:
    await there.put("new-prod", NEW, "prod")
    code, out, err = await run("gc", "--cluster", "prod", "--yes", *at(there, connected))
    assert (code, out) == (1, "")
    assert err == (
        f"kube-registrar: 2 clusters are called 'prod': {OLD} with 2 instances, "
        f"{NEW} with 1 instance (the one you are connected to). Choose one of these UIDs\n"
    )
    assert await all_held(there) == EVERYTHING | {"new-prod"}


@pytest.mark.parametrize(("cluster", "more"), [(NEW, ("--no-kube",)), ("here", ())])
async def test_the_connected_cluster_is_refused(
    there: Ground, connected: str, cluster: str, more: tuple[str, ...]
) -> None:
    code, out, err = await run("gc", "--cluster", cluster, "--yes", *more, *at(there, connected))
    after = f"; what has another name, after `kube-registrar takeover --from {NEW}`" if cluster == "here" else ""
    assert (code, out) == (1, "")
    assert err == (
        f"kube-registrar: '{cluster}' is the cluster you are connected to ({NEW}): its operator does that{after}\n"
    )
    assert await all_held(there) == EVERYTHING


async def test_without_a_cluster_to_ask_it_does_nothing_unless_told(there: Ground, tmp_path: Path) -> None:
    args = ("gc", "--cluster", "prod", "--yes", *at(there, kubeconfig(tmp_path, NOBODY)))
    code, out, err = await run(*args)
    assert (code, out) == (1, "")
    assert err.startswith("kube-registrar: nobody can say whether 'prod' is the cluster you are connected to (")
    assert err.endswith("or, where it is dead for certain, add --no-kube\n")
    assert await all_held(there) == EVERYTHING

    code, out, err = await run(*args, "--no-kube", "--wait", "0.1")
    assert code == 0
    assert err.startswith("Warning: no cluster was asked (")
    assert err.endswith("Make sure that 'prod' is dead\nLooking again in 0.1 s whether anything of that cluster "
                        "changes\n2 instances deregistered\n")  # fmt: skip
    assert await all_held(there) == EVERYTHING - {"dead-1", "dead-2"}


async def test_a_policy_that_removes_nothing_is_kept_to(there: Ground, connected: str) -> None:
    code, _, err = await run("gc", "--cluster", "prod", "--yes", "--policy", "upsert-only", *at(there, connected))
    assert code == 1
    assert err == (
        "kube-registrar: registry default has the policy upsert-only, under which nothing is removed: "
        "use --policy sync, or that entry's own `policy`, or leave it out with --registry-name\n"
    )
    assert await all_held(there) == EVERYTHING


async def test_of_several_registries_one_can_be_chosen(there: Ground, connected: str, tmp_path: Path) -> None:
    config = tmp_path / "registrar.yaml"
    cloudmap = f"{{kind: cloudmap, endpointUrl: '{there.endpoint}'}}"
    away = "{kind: cloudmap, endpointUrl: 'http://127.0.0.1:1'}"
    config.write_text(f"defaultRegistry: one\nregistries: {{one: {cloudmap}, away: {away}}}\n")
    args = ("gc", "--cluster", "prod", "--yes", "--config", str(config), "--kubeconfig", connected)
    code, _, err = await run(*args)
    assert code == 1
    assert err.startswith("kube-registrar: ")
    assert await all_held(there) == EVERYTHING, "what cannot be read may hold more clusters of that name"

    code, out, _ = await run(*args, "--registry-name", "one")
    assert code == 0
    assert "one        test-namespace/flask-app   dead-1" in out
    assert await all_held(there) == EVERYTHING - {"dead-1", "dead-2"}

    code, _, err = await run(*args, "--registry-name", "two")
    assert (code, err) == (
        1,
        "kube-registrar: --registry-name is 'two', which no registry is called: there is away, one\n",
    )


async def test_an_embedded_registry_that_an_operator_holds_is_told_how_to_be_asked(
    there: Ground, connected: str, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    args = ("gc", "--cluster", "prod", "--yes", "--registry", "embedded", "--data", str(folder))
    code, _, err = await run(*args, "--kubeconfig", connected)
    assert (code, err) == (
        1,
        (
            f"kube-registrar: The folder {folder} is in use by another process (process {os.getpid()}): "
            "if that is a running operator, ask it through its API, with --registry cloudmap "
            "--endpoint-url http://127.0.0.1:8081 (run says the address)\n"
        ),
    )


async def test_an_embedded_registry_that_nobody_runs_is_opened(connected: str, tmp_path: Path) -> None:
    async with ground(tmp_path / "data") as there:
        await there.put("dead", OLD, "prod")
        await there.put("live", NEW)
    args = ("gc", "--cluster", "prod", "--yes", "--registry", "embedded", "--data", str(tmp_path / "data"))
    code, _, err = await run(*args, "--kubeconfig", connected)
    assert (code, err) == (0, "1 instance deregistered\n")
    async with ground(tmp_path / "data") as there:
        assert set(await there.held()) == {"live"}


async def test_no_registry_is_one_sentence(connected: str) -> None:
    code, out, err = await run("gc", "--cluster", "prod", "--kubeconfig", connected)
    assert (code, out) == (1, "")
    assert err.startswith("kube-registrar: no registry is configured: try --registry cloudmap")
