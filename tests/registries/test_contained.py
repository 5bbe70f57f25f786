"""A backend that breaks the contract is named in one sentence, and whoever asks it gets an error of the port."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from kube_registrar.model.changes import Change, Outcome, Register
from kube_registrar.model.errors import Conflict, RegistryError, Unreachable
from kube_registrar.model.instances import Instance, Query
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.contained import HANG_SECONDS, LIMITED_HANG_SECONDS, Contained, patience
from kube_registrar.testing import builders
from kube_registrar.testing.fake import FakeRegistry
from kube_registrar.testing.faults import Op

WEB = builders.service_ref()
FAULT = "the backend of registry default does not keep the contract of registries: "
NEXT = ". That is a fault of the package that brings it: install another version, or tell those who make it"
A, B, C = (Register(builders.instance(name), builders.origin(name)) for name in "abc")
SHORT = 0.05
"""Seconds; nothing that should answer is so slow to be held up by it but what hangs."""


class Wrong(FakeRegistry):
    """A registry that does what a test tells it: `does` is raised, awaited or answered by every read and write."""

    def __init__(self, does: Any = None) -> None:
        super().__init__()
        self.does = does

    async def _wrong(self) -> Any:
        if isinstance(self.does, BaseException):
            raise self.does
        if self.does is asyncio.Event:
            await asyncio.Event().wait()
        return self.does

    async def find(self, parent: object) -> Any:
        return await self._wrong()

    async def ensure(self, *_: object) -> Any:
        return await self._wrong()

    async def remove(self, ref: object) -> Any:
        return await self._wrong()

    async def instances(self, service: ServiceRef) -> Any:
        return await self._wrong()

    async def discover(self, query: Query) -> Any:
        return await self._wrong()


ASKS = {
    "find": lambda registry: registry.find(None),
    "ensure": lambda registry: registry.ensure(builders.service_spec(), "me"),
    "remove": lambda registry: registry.remove(WEB),
    "instances": lambda registry: registry.instances(WEB),
    "discover": lambda registry: registry.discover(Query(WEB)),
}
WRITES = {"ensure", "remove"}


@pytest.mark.parametrize("method", ASKS)
async def test_what_is_raised_and_is_no_error_of_the_model_becomes_one(method: str) -> None:
    with pytest.raises(Unreachable) as caught:
        await ASKS[method](Contained(Wrong(KeyError("ttl"))))
    assert str(caught.value) == f"{FAULT}{method} raised KeyError: 'ttl'{NEXT}"
    assert caught.value.doubtful is (method in WRITES)


@pytest.mark.parametrize("method", ASKS)
async def test_errors_of_the_model_pass_as_they_are(method: str) -> None:
    error = Conflict("it is not empty")
    with pytest.raises(Conflict) as caught:
        await ASKS[method](Contained(Wrong(error)))
    assert caught.value is error


@pytest.mark.parametrize(
    ("method", "answer", "shown"),
    [
        ("find", None, "None"),
        ("find", "text", "'text'"),
        ("find", [builders.service_spec()], "[ServiceSpec("),
        ("ensure", None, "None"),
        ("remove", True, "True"),
        ("instances", {"a": 1}, "{'a': 1}"),
        ("instances", [Instance(InstanceId("a"), {"port": 80})], "[Instance("),  # type: ignore[dict-item]
        ("discover", [Instance(InstanceId("a"), {}, "HEALTHY")], "[Instance("),  # type: ignore[arg-type]
    ],
)
async def test_an_answer_of_another_type_is_refused(method: str, answer: object, shown: str) -> None:
    with pytest.raises(Unreachable) as caught:
        await ASKS[method](Contained(Wrong(answer)))
    assert str(caught.value).startswith(f"{FAULT}{method} answered with {shown}")
    assert str(caught.value).endswith(f", which the port does not allow{NEXT}")


@pytest.mark.parametrize("method", ASKS)
async def test_what_hangs_is_given_up(method: str) -> None:
    with pytest.raises(Unreachable) as caught:
        await ASKS[method](Contained(Wrong(asyncio.Event), SHORT))
    assert str(caught.value) == f"{FAULT}{method} has not answered for 0.05 s{NEXT}"


class WrongOutcomes(FakeRegistry):
    """A registry whose `apply` yields what it is told, then raises, hangs or ends."""

    def __init__(self, yields: Sequence[object], end: object = None) -> None:
        super().__init__()
        self.yields, self.end, self.closed = yields, end, False

    async def apply(self, service: ServiceRef, changes: Sequence[Change]) -> AsyncIterator[Outcome]:
        try:
            for each in self.yields:
                yield each  # type: ignore[misc]
            if isinstance(self.end, BaseException):
                raise self.end
            if self.end is asyncio.Event:
                await asyncio.Event().wait()
        finally:
            self.closed = True


@pytest.mark.parametrize(
    ("yields", "end", "said"),
    [
        ([], None, "apply ended without an outcome for each change"),
        ([], ZeroDivisionError("division by zero"), "apply raised ZeroDivisionError: division by zero"),
        ([], Conflict("never raised by apply"), "apply raised Conflict: never raised by apply"),
        ([], asyncio.Event, "apply has had no further outcome for 0.05 s"),
        (["done"], None, "apply yielded 'done', which is no Outcome"),
        ([Outcome(B, ValueError("x"))], None, "apply yielded the error ValueError('x'), which is none of the port"),  # type: ignore[arg-type]
        ([Outcome(C)], None, "apply yielded an outcome of Register("),
        ([Outcome(A)], None, "apply yielded an outcome of Register("),
    ],
)
async def test_each_change_has_an_outcome_whatever_apply_does(yields: list[object], end: object, said: str) -> None:
    """The one that was told counts; what is left is doubtful."""
    registry = WrongOutcomes([Outcome(A), *yields], end)
    outcomes = [each async for each in Contained(registry, SHORT).apply(WEB, [A, B])]
    assert [each.change for each in outcomes] == [A, B]
    assert outcomes[0].error is None
    error = outcomes[1].error
    assert isinstance(error, Unreachable)
    assert error.doubtful
    assert str(error).startswith(f"{FAULT}{said}")
    assert registry.closed


async def test_whoever_stops_listening_closes_the_backend_too() -> None:
    registry = WrongOutcomes([Outcome(A)], asyncio.Event)
    outcomes = Contained(registry).apply(WEB, [A, B])
    async for each in outcomes:
        assert each == Outcome(A)
        break
    await outcomes.aclose()  # type: ignore[attr-defined]
    assert registry.closed


async def test_one_that_keeps_the_contract_is_not_changed_by_it() -> None:
    fake = FakeRegistry()
    fake.add(builders.namespace_spec())
    fake.add(builders.service_spec())
    contained = Contained(fake)
    refused = Conflict("no")
    fake.faults.fail(Op.REGISTER, refused, instance=InstanceId("b"))
    outcomes = {each.change.instance_id: each.error async for each in contained.apply(WEB, [A, B])}
    assert outcomes == {"a": None, "b": refused}
    assert [each.id for each in await contained.instances(WEB)] == ["a"]
    assert (contained.name, contained.capabilities) == (fake.name, fake.capabilities)


async def test_hints_pass_and_a_crash_of_them_is_an_error_of_the_port() -> None:
    fake = FakeRegistry()
    hints = Contained(fake).changed()
    asked = asyncio.ensure_future(anext(hints))
    await asyncio.sleep(0)
    fake.hint(WEB)
    assert await asked == WEB

    def crash(_: ServiceRef) -> ServiceRef:
        raise OSError("the stream is broken")

    class Crashing(FakeRegistry):
        async def changed(self) -> AsyncIterator[ServiceRef | None]:
            for hint in map(crash, [WEB]):
                yield hint

    with pytest.raises(RegistryError, match="changed raised OSError: the stream is broken"):
        await anext(Contained(Crashing()).changed())


def test_who_waits_in_a_limiter_may_take_longer() -> None:
    class WithLimiter(FakeRegistry):
        limiter = None

    assert patience(FakeRegistry()) == HANG_SECONDS
    assert patience(WithLimiter()) == LIMITED_HANG_SECONDS
