"""Opening a registry of another package: what it does wrong is one sentence, and nothing else ends by it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import EntryPoint, EntryPoints
from typing import Any

import pytest

from kube_registrar.model.errors import BrokenBackend, Forbidden, NotOpen, UserError
from kube_registrar.model.refs import DEFAULT_REGISTRY, RegistryName
from kube_registrar.registries import loading
from kube_registrar.registries.absent import Absent
from kube_registrar.registries.opening import opened
from kube_registrar.registries.port import ENTRY_POINT_GROUP, PORT_VERSION, written_for
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing import builders
from kube_registrar.testing.contract.base import deregister
from kube_registrar.testing.fake import FakeRegistry

CALLED = "registry default, of kind 'zoo' from package tests.registries.test_opening,"
NEXT = ". That is a fault of the package: install another version of it, or tell those who make it"
Opener = Callable[..., Any]
opener: Opener


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[Opener], None]:
    points = EntryPoints([EntryPoint("zoo", f"{__name__}:opener", ENTRY_POINT_GROUP)])
    monkeypatch.setattr(loading, "entry_points", lambda group: points.select(group=group))

    def put(function: Opener) -> None:
        monkeypatch.setitem(globals(), "opener", function)

    return put


def of_this_version(function: Opener) -> Opener:
    return written_for(PORT_VERSION)(asynccontextmanager(function))


def fail(error: Exception) -> None:
    raise error


async def message(kind: type[UserError] = BrokenBackend, **more: Any) -> str:
    with pytest.raises((BrokenBackend, NotOpen)) as caught:
        async with opened("zoo", {}, DEFAULT_REGISTRY, SystemClock(), **more):
            raise AssertionError("it was opened")
    assert type(caught.value) is kind
    return str(caught.value)


async def test_one_that_keeps_the_rules_is_open_until_the_context_ends(install: Callable[[Opener], None]) -> None:
    said = []

    async def opening(config: dict[str, object], name: RegistryName, *_: object) -> AsyncIterator[FakeRegistry]:
        said.append(("open", config))
        yield FakeRegistry(name)
        said.append(("closed", config))

    install(of_this_version(opening))
    async with opened("zoo", {"a": 1}, DEFAULT_REGISTRY, SystemClock()) as registry:
        assert registry.name == DEFAULT_REGISTRY
        assert said == [("open", {"a": 1})]
    assert said == [("open", {"a": 1}), ("closed", {"a": 1})]


async def test_what_a_person_must_change_passes_as_it_is(install: Callable[[Opener], None]) -> None:
    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        fail(UserError("registry default has no file"))
        yield FakeRegistry()

    install(of_this_version(opening))
    with pytest.raises(UserError, match=r"^registry default has no file$") as caught:
        async with opened("zoo", {}, DEFAULT_REGISTRY, SystemClock()):
            pass
    assert not isinstance(caught.value, BrokenBackend)


async def test_one_that_fails_to_open_is_named(install: Callable[[Opener], None]) -> None:
    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        fail(ConnectionError("nobody there"))
        yield FakeRegistry()

    install(of_this_version(opening))
    assert await message(NotOpen) == f"{CALLED} failed at the start: ConnectionError: nobody there{NEXT}"


async def test_one_whose_server_does_not_know_us_is_not_called_faulty(install: Callable[[Opener], None]) -> None:
    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        fail(Forbidden("the token is unknown"))
        yield FakeRegistry()

    install(of_this_version(opening))
    assert await message(NotOpen) == f"{CALLED} cannot be opened: the token is unknown"


async def test_one_that_hangs_while_it_is_opened_is_named(install: Callable[[Opener], None]) -> None:
    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        await asyncio.Event().wait()
        yield FakeRegistry()

    install(of_this_version(opening))
    assert await message(NotOpen, seconds=0.05) == f"{CALLED} was not open within 0.05 s{NEXT}"


class Odd:
    name, capabilities = DEFAULT_REGISTRY, None

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


@pytest.mark.parametrize(
    ("registry", "said"),
    [
        (object(), "has no find, no ensure, no remove, no instances, no apply, no discover"),
        (Odd(), "does not say its capabilities"),
        (FakeRegistry(RegistryName("other")), "says that it is called 'other'"),
    ],
)
async def test_what_is_no_registry_is_named(install: Callable[[Opener], None], registry: object, said: str) -> None:
    async def opening(*_: object) -> AsyncIterator[object]:
        yield registry

    install(of_this_version(opening))
    assert await message() == f"{CALLED} {said}{NEXT}"


@pytest.mark.parametrize(
    ("version", "said"),
    [(None, "does not say for which version of the port it was written"), (2, "is for port 2")],
)
async def test_one_for_another_version_of_the_port_is_not_opened(
    install: Callable[[Opener], None], version: int | None, said: str
) -> None:
    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        yield FakeRegistry()

    made = asynccontextmanager(opening)
    install(made if version is None else written_for(version)(made))
    assert await message() == (
        f"registry kind 'zoo' of package tests.registries.test_opening {said}, and this kube-registrar has port "
        f"{PORT_VERSION}. Install a version of it that was written for that: the port is experimental until 1.0"
    )


async def test_a_crash_in_its_background_is_logged_and_ends_nothing_else(
    install: Callable[[Opener], None], caplog: pytest.LogCaptureFixture
) -> None:
    crash = asyncio.Event()

    async def background() -> None:
        await crash.wait()
        raise RuntimeError("out of luck")

    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        async with asyncio.TaskGroup() as group:
            group.create_task(background())
            yield FakeRegistry()

    install(of_this_version(opening))
    async with opened("zoo", {}, DEFAULT_REGISTRY, SystemClock()) as registry:
        crash.set()
        while not caplog.messages:  # noqa: ASYNC110 - another task's log is no event
            await asyncio.sleep(0.001)
        assert await registry.find(None) == ()
    assert caplog.messages == [f"{CALLED} failed while it was open: RuntimeError: out of luck{NEXT}"]


async def test_a_failure_to_close_is_logged(
    install: Callable[[Opener], None], caplog: pytest.LogCaptureFixture
) -> None:
    async def opening(*_: object) -> AsyncIterator[FakeRegistry]:
        yield FakeRegistry()
        raise OSError("the disk is full")

    install(of_this_version(opening))
    async with opened("zoo", {}, DEFAULT_REGISTRY, SystemClock()):
        pass
    assert caplog.messages == [f"{CALLED} failed while it was closed: OSError: the disk is full{NEXT}"]


async def test_one_that_is_left_out_says_why_to_everybody_who_asks() -> None:
    absent = Absent(DEFAULT_REGISTRY, "registry default cannot be loaded. Install what it needs")
    said = "registry default cannot be loaded. Install what it needs, and start this process again"
    outcomes = [each async for each in absent.apply(builders.service_ref(), [deregister("a")])]
    assert [str(each.error) for each in outcomes] == [said]
    with pytest.raises(Exception, match=said):
        await absent.find(None)
