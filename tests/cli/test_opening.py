"""Which registries a process runs with, where a file of one is not there at the start."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kube_registrar.cli.composition import _opened
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import NotLeading, Unreachable, Unreadable, UserError
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.awaited import Awaited
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing import builders
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.contract.base import register

CONSUL, ETCD = RegistryName("consul"), RegistryName("etcd")


def configured(folder: Path, **etcd: object) -> Configuration:
    options = {"endpoints": ["http://127.0.0.1:1"], **etcd}
    token = {"address": "http://127.0.0.1:1", "tokenFile": str(folder / "token")}
    return Configuration(registries={CONSUL: RegistryEntry("consul", token), ETCD: RegistryEntry("etcd", options)})


async def test_a_file_that_comes_later_opens_one_of_several(tmp_path: Path) -> None:
    clock = FakeClock()
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        held = await _opened(stack, configured(tmp_path), clock, Fence(clock), lambda registry: registry)
        awaited = held[CONSUL]
        assert isinstance(awaited, Awaited)
        keeping = group.create_task(awaited.keep())
        with pytest.raises(Unreachable, match=r"tokenFile is '.*/token', which cannot be read: .*; it is tried again"):
            await awaited.find(None)
        (tmp_path / "token").write_text("a-token")
        await clock.advance(30)
        with pytest.raises(Unreachable, match="no connection to Consul"):
            await awaited.find(None)
        keeping.cancel()


async def test_a_file_of_the_only_one_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    clock = FakeClock()
    alone = Configuration(registries={CONSUL: configured(tmp_path).registries[CONSUL]})
    with pytest.raises(Unreadable, match="tokenFile"):
        async with AsyncExitStack() as stack:
            await _opened(stack, alone, clock, Fence(clock), lambda registry: registry)


async def test_an_option_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    clock, configuration = FakeClock(), configured(tmp_path, colour="blue")
    with pytest.raises(UserError, match="no option 'colour'"):
        async with AsyncExitStack() as stack:
            await _opened(stack, configuration, clock, Fence(clock), lambda registry: registry)


@pytest.mark.parametrize("policy", Policy)
async def test_only_a_registry_that_is_not_just_observed_has_its_lease_kept(tmp_path: Path, policy: Policy) -> None:
    clock, leased = FakeClock(), configured(tmp_path, leaseSeconds=15, leaseName="prod").registries[ETCD]
    entry = RegistryEntry(leased.kind, leased.options, policy)
    async with AsyncExitStack() as stack:
        await _opened(stack, Configuration(registries={ETCD: entry}), clock, Fence(clock), lambda registry: registry)
        is_kept = "the lease in etcd" in {task.get_name() for task in asyncio.all_tasks()}
    assert is_kept is (policy is not Policy.OBSERVE)


async def test_nothing_is_written_to_a_registry_that_is_only_observed_whoever_leads(tmp_path: Path) -> None:
    clock, entry = FakeClock(), configured(tmp_path).registries[ETCD]
    configuration = Configuration(registries={ETCD: RegistryEntry(entry.kind, entry.options)}, policy=Policy.OBSERVE)
    async with AsyncExitStack() as stack:
        held = await _opened(stack, configuration, clock, Fence(clock), lambda registry: registry)
        (outcome,) = [one async for one in held[ETCD].apply(builders.service_ref(), [register("a")])]
    assert isinstance(outcome.error, NotLeading)
    assert "this registry is only observed" in str(outcome.error)
