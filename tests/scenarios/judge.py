"""Whoever looks into a registry beside the operator, and writes there as somebody else: by its backend's own port."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from kube_registrar.model.changes import Deregister, Register
from kube_registrar.model.errors import NotFound, RegistryError
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import DEFAULT_REGISTRY, InstanceId, NamespaceRef, Origin, ServiceRef, Uid
from kube_registrar.registries.opening import opened
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.testing.waiting import wait_until

SAMPLE_SECONDS = 0.02
ANSWER_SECONDS = 30.0
SOMEBODY = Origin("Somebody", "else", "else", Uid("somebody-else"))

T = TypeVar("T")


@dataclass
class Watched:
    """What was seen of instances that should be there all the time."""

    answers: int = 0
    missing: list[set[str]] = field(default_factory=list)


class Judge:
    """A registry, open in a thread of its own while the context lasts."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        """`options`: the registry's entry in a configuration."""
        self._kind = str(options["kind"])
        self._options = {key: value for key, value in options.items() if key != "kind"}
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._opened: Future[Registry] = Future()
        self._thread = threading.Thread(target=self._work, name=f"judge of {self._kind}")

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.result(ANSWER_SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(ANSWER_SECONDS)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._main())

    async def _main(self) -> None:
        try:
            async with opened(self._kind, self._options, DEFAULT_REGISTRY, SystemClock()) as registry:
                self._opened.set_result(registry)
                await self._stop.wait()
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)

    def _do(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(ANSWER_SECONDS)

    @property
    def _registry(self) -> Registry:
        return self._opened.result(0)

    # Reading.

    def instances(self, namespace: str, service: str) -> Mapping[str, Instance]:
        """Return all instances by the names of their pods, or by their ids; none where there is no such service."""
        try:
            found = self._do(self._registry.instances(_ref(namespace, service)))
        except NotFound:
            return {}
        by_name = {each.attributes.get("KUBE_POD", each.id): each for each in found}
        assert len(by_name) == len(found), f"two instances of one name: {found}"
        return by_name

    def services(self, namespace: str) -> Sequence[str]:
        """Return the names of the registry services of a namespace; none where that is not there."""
        try:
            found = self._do(self._registry.find(NamespaceRef(DEFAULT_REGISTRY, namespace)))
        except NotFound:
            return []
        return [each.spec.ref.name for each in found]

    def expect(self, namespace: str, service: str, names: set[str]) -> Mapping[str, Instance]:
        """Wait until exactly these are there, and return them."""
        found: Mapping[str, Instance] = {}

        def as_expected() -> bool:
            nonlocal found
            found = self.instances(namespace, service)
            return set(found) == names

        wait_until(as_expected, lambda: f"{self._kind} to hold {names}; it holds {set(found)}")
        return found

    def expect_attributes(self, namespace: str, service: str, name: str, **wanted: str) -> Mapping[str, str]:
        """Wait until an instance has these attributes among others, and return all of them."""

        def met() -> Mapping[str, str] | None:
            held = self.instances(namespace, service).get(name)
            return held.attributes if held is not None and wanted.items() <= held.attributes.items() else None

        return wait_until(met, lambda: f"{wanted} on {name}; there is {self.instances(namespace, service).get(name)}")

    @contextmanager
    def watching(self, namespace: str, service: str, names: set[str]) -> Iterator[Watched]:
        """Look all the time whether these are there. An answer that does not come says nothing."""
        watched, over = Watched(), threading.Event()

        def look() -> None:
            while not over.wait(SAMPLE_SECONDS):
                try:
                    held = set(self.instances(namespace, service))
                except RegistryError:
                    continue
                watched.answers += 1
                if names - held:
                    watched.missing.append(names - held)

        with _Failing(look):
            try:
                yield watched
            finally:
                over.set()

    # Writing, as somebody else.

    def register(self, namespace: str, service: str, id_: str, attributes: Mapping[str, str]) -> None:
        """Make an instance, or replace all attributes of one."""
        instance = Instance(InstanceId(id_), attributes)
        self._do(self._apply(_ref(namespace, service), Register(instance, SOMEBODY)))

    def deregister(self, namespace: str, service: str, id_: str) -> None:
        """Take an instance out."""
        self._do(self._apply(_ref(namespace, service), Deregister(InstanceId(id_), SOMEBODY, "somebody wants it")))

    async def _apply(self, service: ServiceRef, change: Register | Deregister) -> None:
        outcomes = [each async for each in self._registry.apply(service, [change])]
        assert [each.error for each in outcomes] == [None]


class _Failing:
    """A thread whose failure is that of the context, at its end."""

    def __init__(self, work: Any) -> None:
        self._work = work
        self._failed: list[BaseException] = []
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - raised where the context ends
            self._failed.append(error)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join(2 * ANSWER_SECONDS)
        if self._failed:
            raise self._failed[0]


def _ref(namespace: str, service: str) -> ServiceRef:
    return ServiceRef(NamespaceRef(DEFAULT_REGISTRY, namespace), service)
