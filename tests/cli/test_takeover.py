"""`kube-registrar takeover`, as a process, on a registry behind Cloud Map's API."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kube_registrar.model.instances import Health
from tests.cli.ground import CHECKED, FLASK, NEW, NOBODY, OLD, THIRD, Ground, ground, kube, kubeconfig, run


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Ground]:
    """What a cluster left that was rebuilt, and others' instances beside it."""
    async with ground(tmp_path / "data") as made:
        await made.put("gone", OLD, "prod", stage="dev", KUBE_ATTRIBUTES="stage", canary="yes")
        await made.put("replaced", OLD, "prod")
        await made.put("lives", OLD, "prod")
        await made.put("other", THIRD, "prod-eu")
        await made.put("live", NEW, "prod")
        await made.write(FLASK, "foreign", {"AWS_INSTANCE_IPV4": "192.0.2.1", "KUBE_CLUSTER": "prod"})
        yield made


@pytest.fixture
def connected(tmp_path: Path) -> Iterator[str]:
    """The rebuilt cluster."""
    with kube(tmp_path, NEW, {"replaced": "another", "lives": "uid-of-lives"}) as path:
        yield path


def at(there: Ground, kubeconfig: str) -> tuple[str, ...]:
    return ("--registry", "cloudmap", "--endpoint-url", there.endpoint, "--kubeconfig", kubeconfig)


async def test_what_the_old_uid_left_becomes_own_and_all_else_stays(there: Ground, connected: str) -> None:
    before = await there.held()
    code, out, err = await run("takeover", "--from", OLD, "--yes", "--cluster-name", "new-prod", *at(there, connected))
    assert code == 0
    assert err == (
        "3 instances taken over\n"
        "The operator sees them when it is started, or at its next full look within some ten minutes\n"
    )
    assert out.startswith(
        "REGISTRY   SERVICE                    INSTANCE   NAMESPACE   POD        ADDRESS         CLUSTER   HERE\n"
        "default    test-namespace/flask-app   gone       default     gone       10.0.0.1:8080   prod      gone\n"
        "default    test-namespace/flask-app   lives      default     lives      10.0.0.3:8080   prod      lives\n"
        "default    test-namespace/flask-app   replaced   default     replaced   10.0.0.2:8080   prod      another\n"
    )
    owner = {"KUBE_CLUSTER_UID": NEW, "KUBE_CLUSTER": "new-prod", "KUBE_TAKEN_OVER": OLD}
    taken = {name: {**before[name], **owner} for name in ("gone", "lives", "replaced")}
    assert await there.held() == {**before, **taken}
    assert taken["gone"]["canary"] == "yes"

    code, out, err = await run("takeover", "--from", OLD, "--yes", *at(there, connected))
    assert (code, out) == (0, "")
    assert err.startswith(f"no instance to take over from cluster UID '{OLD}': nothing to do. ")


async def test_a_new_name_reaches_the_own_instances_that_have_another(there: Ground, connected: str) -> None:
    before = await there.held()
    args = ("takeover", "--from", NEW, "--yes", *at(there, connected))
    code, _, err = await run(*args, "--cluster-name", "prod")
    assert (code, err.partition(":")[0]) == (0, f"no instance to take over from cluster UID '{NEW}'")

    code, _, _ = await run(*args, "--cluster-name", "prod-us")
    assert code == 0
    owner = {"KUBE_CLUSTER_UID": NEW, "KUBE_CLUSTER": "prod-us", "KUBE_TAKEN_OVER": NEW}
    assert await there.held() == {**before, "live": {**before["live"], **owner}}


async def test_a_cluster_without_a_name_takes_it_from_its_instances(there: Ground, connected: str) -> None:
    before = await there.held()
    code, _, err = await run("takeover", "--from", NEW, *at(there, connected))
    assert code == 2
    assert err.startswith("If a clone of this cluster runs under the other name, these are those of its live pods")
    code, _, _ = await run("takeover", "--from", NEW, "--yes", *at(there, connected))
    assert code == 0
    owner = {"KUBE_CLUSTER_UID": NEW, "KUBE_TAKEN_OVER": NEW}
    kept = {key: value for key, value in before["live"].items() if key != "KUBE_CLUSTER"}
    assert await there.held() == {**before, "live": {**kept, **owner}}


@pytest.mark.parametrize("health", ["HEALTHY", "UNHEALTHY"])
async def test_custom_health_is_as_it_was(there: Ground, connected: str, health: str) -> None:
    await there.put("checked", OLD, service=CHECKED, health=health, AWS_INIT_HEALTH_STATUS="HEALTHY")

    async def status() -> Health:
        (instance,) = await there.registry.instances(CHECKED)
        return instance.health

    before = await status()
    args = ("takeover", "--from", OLD, "--yes", "--namespace", "test-namespace", "--service", "checked")
    code, _, err = await run(*args, *at(there, connected))
    assert (code, err.partition("\n")[0]) == (0, "1 instance taken over")
    assert await status() is before
    (instance,) = await there.registry.instances(CHECKED)
    assert instance.attributes["KUBE_CLUSTER_UID"] == NEW
    assert {one["KUBE_CLUSTER_UID"] for one in (await there.held()).values() if one.get("KUBE_POD") == "gone"} == {OLD}


async def test_unless_told_nothing_is_changed(there: Ground, connected: str) -> None:
    before = await there.held()
    code, _, err = await run("takeover", "--from", OLD, *at(there, connected))
    assert code == 2
    assert err == (
        f"If cluster {OLD} still runs, its operator will register its pods anew, and both will fight over them. "
        "Instances whose pods do not live here are removed by this cluster's operator.\n"
        "Nothing was changed: there is no terminal to ask at. Give --yes to go on without being asked\n"
    )
    code, out, err = await run("takeover", "--from", OLD, "--dry-run", "-o", "json", *at(there, connected))
    assert (code, err) == (2, "Nothing was changed: this is a dry run\n")
    document = json.loads(out)
    assert (document["from"], document["to"], document["clusterName"]) == (OLD, NEW, "")
    assert {one["instance"]: one["here"] for one in document["instances"]} == {
        "gone": "gone",
        "lives": "lives",
        "replaced": "another",
    }
    assert await there.held() == before


async def test_without_a_cluster_there_is_no_new_owner(there: Ground, tmp_path: Path) -> None:
    before = await there.held()
    code, out, err = await run("takeover", "--from", OLD, "--yes", *at(there, kubeconfig(tmp_path, NOBODY)))
    assert (code, out) == (1, "")
    assert err.startswith("kube-registrar: ")
    assert "cannot be reached" in err
    assert await there.held() == before


async def test_a_policy_that_changes_nothing_is_kept_to(there: Ground, connected: str) -> None:
    before = await there.held()
    code, _, err = await run("takeover", "--from", OLD, "--yes", "--policy", "create-only", *at(there, connected))
    assert code == 1
    assert "has the policy create-only, under which nothing that is there is changed" in err
    assert await there.held() == before
