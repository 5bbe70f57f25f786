"""What becomes of many operations is told by sweeps of ListOperations; nothing is lost where they tell nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest
from botocore.exceptions import ConnectionClosedError

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Refused, Retryable, Unreachable
from kube_registrar.model.refs import DEFAULT_REGISTRY
from kube_registrar.registries.cloudmap import sweep
from kube_registrar.registries.cloudmap.registry import CloudMapRegistry
from kube_registrar.registries.cloudmap.sweep import Sweep
from kube_registrar.testing.builders import service_ref
from kube_registrar.testing.clock import FakeClock
from kube_registrar.testing.contract.base import deregister, register
from tests.registries.cloudmap.account import Account, AccountClient, error

SERVICE = service_ref()
MANY = 20


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def account(clock: FakeClock) -> Account:
    return Account(clock)


@pytest.fixture
async def registry(account: Account, clock: FakeClock) -> AsyncIterator[CloudMapRegistry]:
    async with opened(account, clock) as registry:
        yield registry


@asynccontextmanager
async def opened(account: Account, clock: FakeClock) -> AsyncIterator[CloudMapRegistry]:
    client = AccountClient(account)
    async with aclosing(Sweep(client, clock)) as sweeping, client.limiter:
        yield CloudMapRegistry(client, DEFAULT_REGISTRY, clock, sweeping, poll_seconds=0.1)


def registers(count: int = MANY) -> Sequence[Change]:
    return [register(f"i-{number}") for number in range(count)]


async def outcomes(registry: CloudMapRegistry, account: Account, changes: Sequence[Change]) -> dict[str, Outcome]:
    return await account.clock.run(collected(registry, changes))


async def collected(registry: CloudMapRegistry, changes: Sequence[Change]) -> dict[str, Outcome]:
    return {each.change.instance_id: each async for each in registry.apply(SERVICE, changes)}


async def succeed(registry: CloudMapRegistry, account: Account, changes: Sequence[Change]) -> None:
    found = await outcomes(registry, account, changes)
    assert [each.error for each in found.values()] == [None] * len(changes)


async def test_many_are_confirmed_by_few_calls(registry: CloudMapRegistry, account: Account) -> None:
    await succeed(registry, account, registers(80))
    assert account.asked("GetOperation") == []
    assert 1 <= len(account.asked("ListOperations")) <= 8


async def test_deregistrations_are_swept_too(registry: CloudMapRegistry, account: Account) -> None:
    await succeed(registry, account, [deregister(f"i-{number}") for number in range(MANY)])
    assert account.asked("GetOperation") == []


async def test_few_are_looked_at_one_by_one(registry: CloudMapRegistry, account: Account) -> None:
    await succeed(registry, account, registers(sweep.FEW))
    assert account.asked("ListOperations") == []
    assert account.asked("GetOperation")


async def test_how_long_operations_take_is_learned(registry: CloudMapRegistry, account: Account) -> None:
    for number in range(20):
        await succeed(registry, account, [register(f"i-{number}")])
    before = len(account.asked("GetOperation"))
    for number in range(20, 30):
        await succeed(registry, account, [register(f"i-{number}")])
    assert len(account.asked("GetOperation")) - before <= 2 * 10, "the first look comes when it is mostly done"


async def test_a_sweep_asks_for_no_status_and_a_wide_time(
    registry: CloudMapRegistry, account: Account, clock: FakeClock
) -> None:
    began = clock.time()
    await succeed(registry, account, registers())
    request = account.asked("ListOperations")[0]
    [dates] = request["Filters"]
    assert (request["MaxResults"], dates["Name"], dates["Condition"]) == (100, "UPDATE_DATE", "BETWEEN")
    first, last = (int(value) for value in dates["Values"])
    assert first <= began - 890
    assert last >= began + 890


async def test_the_documented_spelling_of_success_is_one_too(registry: CloudMapRegistry, account: Account) -> None:
    account.spelling = "SUCCEED"
    await succeed(registry, account, registers())
    assert account.asked("GetOperation") == []
    await succeed(registry, account, [register("alone")])


async def test_of_a_failure_the_code_is_looked_up(registry: CloudMapRegistry, account: Account) -> None:
    account.fails = {"i-3": "ACCESS_DENIED", "i-7": "THROTTLED_REQUEST"}
    found = await outcomes(registry, account, registers())
    errors = {name: each.error for name, each in found.items() if each.error}
    assert errors.keys() == {"i-3", "i-7"}
    assert isinstance(errors["i-3"], Refused)
    assert "ACCESS_DENIED" in str(errors["i-3"])
    assert isinstance(errors["i-7"], Retryable)
    assert len(account.asked("GetOperation")) == 2


async def test_a_failure_whose_code_cannot_be_had_is_a_failure(registry: CloudMapRegistry, account: Account) -> None:
    account.fails = {"i-3": "ACCESS_DENIED"}
    account.always["GetOperation"] = error("AccessDeniedException")
    found = await outcomes(registry, account, registers())
    failure = found["i-3"].error
    assert isinstance(failure, Retryable)
    assert "why cannot be looked up" in str(failure)
    assert sum(each.error is not None for each in found.values()) == 1


async def test_after_a_failed_operation_the_ids_are_looked_up_again(
    registry: CloudMapRegistry, account: Account
) -> None:
    account.fails = {"i-3": "INTERNAL_FAILURE"}
    await outcomes(registry, account, registers())
    before = len(account.asked("ListServices"))
    await succeed(registry, account, [register("another")])
    assert len(account.asked("ListServices")) == before + 1


async def test_an_operation_that_goes_on_is_not_looked_at_by_itself(
    registry: CloudMapRegistry, account: Account
) -> None:
    account.takes = 60.0
    await succeed(registry, account, registers())
    assert account.asked("GetOperation") == [], "each sweep shows it under way"
    assert len(account.asked("ListOperations")) <= 20, "and they become rarer"


async def test_what_others_do_is_paged_through(registry: CloudMapRegistry, account: Account, clock: FakeClock) -> None:
    async def more() -> None:
        await clock.sleep(0.5)
        account.others(350)

    account.others(350)
    adding = asyncio.create_task(more())
    await succeed(registry, account, registers())
    await adding
    assert "NextToken" in account.asked("ListOperations")[-1]
    assert account.asked("GetOperation") == []


async def test_in_a_noisy_account_operations_are_looked_at_one_by_one(
    registry: CloudMapRegistry, account: Account
) -> None:
    account.others(1_500)
    account.order = 1  # the oldest first: ten pages never reach ours
    await succeed(registry, account, registers())
    asked = account.asked("ListOperations")
    assert len(asked) == sweep.MOST_PAGES, "a sweep that tells nothing is not repeated at once"
    assert asked[0].get("NextToken") is None
    assert asked[-1]["NextToken"] == "900"
    assert {each["OperationId"] for each in account.asked("GetOperation")} == {f"op-{1500 + n}" for n in range(MANY)}


@pytest.mark.parametrize("skew", [-600.0, 600.0, -7200.0, 7200.0])
async def test_a_wrong_clock_loses_nothing(registry: CloudMapRegistry, account: Account, skew: float) -> None:
    account.skew = skew
    await succeed(registry, account, registers())
    is_swept = abs(skew) < sweep.SKEW_SECONDS
    assert (account.asked("GetOperation") == []) is is_swept


async def test_an_operation_that_is_lost_is_doubtful_and_the_others_are_not(
    registry: CloudMapRegistry, account: Account
) -> None:
    account.lost = frozenset({"i-3"})
    found = await outcomes(registry, account, registers())
    assert len(account.asked("ListOperations")) <= 20, "what is lost is not paged for again and again"
    failure = found.pop("i-3").error
    assert isinstance(failure, Unreachable)
    assert failure.doubtful
    assert not any(each.error for each in found.values())


@pytest.mark.parametrize(
    "trouble",
    [error("InternalFailure"), error("ThrottlingException"), ConnectionClosedError(endpoint_url="x")],
    ids=["500", "throttle", "dropped"],
)
async def test_a_page_that_fails_for_a_moment_is_asked_for_again(
    registry: CloudMapRegistry, account: Account, trouble: Exception
) -> None:
    account.first["ListOperations"] = [trouble, trouble]
    await succeed(registry, account, registers())
    assert account.asked("GetOperation") == []


@pytest.mark.parametrize("code", ["AccessDeniedException", "InvalidInput", "ThrottlingException", "InternalFailure"])
async def test_without_sweeps_everything_is_confirmed_all_the_same(
    registry: CloudMapRegistry, account: Account, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    account.always["ListOperations"] = error(code)
    await succeed(registry, account, registers())
    assert {each["OperationId"] for each in account.asked("GetOperation")} == {f"op-{n}" for n in range(MANY)}
    if code != "ThrottlingException":
        assert "looked at one by one for a while" in caplog.text


async def test_a_page_without_sense_ends_no_sweep(
    registry: CloudMapRegistry, account: Account, caplog: pytest.LogCaptureFixture
) -> None:
    account.always["ListOperations"] = {"Operations": [{}, {"Status": "SUCCESS"}, {"Id": "op-1", "Status": "NEW"}]}
    await succeed(registry, account, registers())
    assert "unexpectedly" not in caplog.text


async def test_closing_in_the_middle_of_a_sweep_leaves_nothing_running(account: Account, clock: FakeClock) -> None:
    async with opened(account, clock) as registry:
        applying = asyncio.ensure_future(collected(registry, registers()))
        await clock.run_until(lambda: bool(account.asked("ListOperations")))
        applying.cancel()
        await asyncio.gather(applying, return_exceptions=True)
    assert [task for task in asyncio.all_tasks() if "sweep" in task.get_name()] == []
