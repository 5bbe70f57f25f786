"""Opening a registry of whatever package, and closing it: what that package does wrong is one sentence, and no crash.

A backend of another package is opened and closed in a task of its own. Should something that it runs in the background
crash, the crash ends that task and no other: its requests fail from then on, and other registries go on.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from kube_registrar.model.errors import BrokenBackend, NotOpen, RegistryError, UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.loading import backend
from kube_registrar.registries.port import Capabilities, Registry
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import Fence

OPEN_SECONDS: Final = 60.0
"""How long another package may take to open a registry, and to close it."""
_METHODS: Final = ("find", "ensure", "remove", "instances", "apply", "discover")

_log = logging.getLogger(__name__)


@asynccontextmanager
async def opened(
    kind: str,
    config: Mapping[str, object],
    name: RegistryName,
    clock: Clock,
    fence: Fence | None = None,
    *,
    seconds: float = OPEN_SECONDS,
) -> AsyncIterator[Registry]:
    """Load a kind and open a registry of it until the context ends.

    Raises UserError for what is configured wrongly, BrokenBackend for what the package does wrong, and NotOpen for what
    may pass by itself: whatever another package raises while it opens, for nobody knows its errors.
    """
    found = backend(kind)
    if found.kind.is_ours:
        async with found.opener(config, name, clock, fence) as registry:
            yield registry
        return
    ready: asyncio.Future[Registry] = asyncio.get_running_loop().create_future()
    stop = asyncio.Event()
    called = f"registry {name}, of kind {kind!r} from package {found.kind.package},"
    keeping = _keep(lambda: found.opener(config, name, clock, fence), called, ready, stop)
    keeper = asyncio.create_task(keeping, name=f"registry {name}")
    try:
        try:
            async with asyncio.timeout(seconds):
                registry = await ready
        except TimeoutError:
            raise NotOpen(f"{called} was not open within {seconds:g} s. {_NEXT}") from None
        _check(called, name, registry)
        yield registry
    finally:
        stop.set()
        await asyncio.wait({keeper}, timeout=seconds if ready.done() and not ready.cancelled() else 0)
        if not keeper.done():
            keeper.cancel()
            await asyncio.wait({keeper}, timeout=1.0)


_NEXT: Final = "That is a fault of the package: install another version of it, or tell those who make it"


async def _keep(
    opener: Callable[[], AbstractAsyncContextManager[Registry]],
    called: str,
    ready: asyncio.Future[Registry],
    stop: asyncio.Event,
) -> None:
    """Hold the registry open; nothing is raised. Whoever waits for it hears what happens before it is open."""
    try:
        async with opener() as registry:
            if not ready.done():
                ready.set_result(registry)
            await stop.wait()
    except UserError as error:
        _fail(ready, error, f"{called} says: {error}")
    except RegistryError as error:  # its server is away, or does not know us: no fault of the package
        _fail(ready, NotOpen(f"{called} cannot be opened: {error}"), f"{called} says: {error}")
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - whatever another package raises
        when = "while it was closed" if stop.is_set() else "while it was open" if ready.done() else "at the start"
        said = f"{called} failed {when}: {_told(error)}. {_NEXT}"
        _fail(ready, NotOpen(said), said)


def _fail(ready: asyncio.Future[Registry], error: Exception, said: str) -> None:
    if ready.done():
        _log.error("%s", said)
    else:
        ready.set_exception(error)


def _told(error: BaseException) -> str:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _check(called: str, name: RegistryName, registry: Registry) -> None:
    """Raise BrokenBackend for what is no registry."""
    missing = [each for each in _METHODS if not callable(getattr(registry, each, None))]
    wrong = f"has no {', no '.join(missing)}" if missing else ""
    if not wrong and not isinstance(getattr(registry, "capabilities", None), Capabilities):
        wrong = "does not say its capabilities"
    if not wrong and getattr(registry, "name", None) != name:
        wrong = f"says that it is called {getattr(registry, 'name', None)!r}"
    if wrong:
        raise BrokenBackend(f"{called} {wrong}. {_NEXT}")
