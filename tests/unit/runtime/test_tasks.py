import asyncio

import pytest

from kube_registrar.model.errors import UserError
from kube_registrar.runtime.tasks import TaskEnded, causes, keep_running, start


async def forever() -> None:
    await asyncio.Event().wait()


async def test_a_crash_names_the_task_and_ends_the_others() -> None:
    async def crash() -> None:
        raise LookupError("no such pod")

    others = []

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            others.append(keep_running(group, "watch Pods", forever()))
            start(group, "worker 3", crash())

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    (cause,) = causes(caught.value)
    assert isinstance(cause, LookupError)
    assert cause.__notes__ == ["in the task 'worker 3'"]
    assert [other.cancelled() for other in others] == [True]


async def test_work_that_must_last_may_not_return() -> None:
    async def done() -> None:
        return

    async def run() -> None:
        async with asyncio.TaskGroup() as group:
            keep_running(group, "lease", done())

    with pytest.raises(BaseExceptionGroup) as caught:
        await run()
    (cause,) = causes(caught.value)
    assert isinstance(cause, TaskEnded)
    assert str(cause) == "the task 'lease' has ended, and nothing else does its work"


async def test_work_that_may_end_ends_in_peace() -> None:
    async def done() -> None:
        return

    async with asyncio.TaskGroup() as group:
        task = start(group, "once", done())
    assert task.get_name() == "once"
    assert task.exception() is None


def test_causes_are_found_however_deep_they_are() -> None:
    first, second = UserError("one"), KeyError("two")
    assert list(causes(BaseExceptionGroup("", [BaseExceptionGroup("", [first]), second]))) == [first, second]
    assert list(causes(first)) == [first]
