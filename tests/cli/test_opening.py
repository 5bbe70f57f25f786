"""Which registries a process runs with, where a file of one is not there at the start."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from kube_registrar.cli.composition import _opened
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import Unreachable, Unreadable, UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.awaited import Awaited
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.clock import FakeClock

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
