"""A write begins only if it ends before the lease does."""

import pytest

from kube_registrar.model.errors import NotLeading, Retryable, Unreachable
from kube_registrar.runtime.fence import WRITE_SECONDS, Fence
from kube_registrar.testing.clock import FakeClock


def test_a_fence_that_nobody_moves_is_open_for_ever() -> None:
    clock = FakeClock(monotonic=1e9)
    Fence(clock).check("registering web")


async def test_what_may_end_after_the_lease_may_not_begin() -> None:
    clock = FakeClock(monotonic=100.0)
    fence = Fence(clock)
    fence.open_until(110.0)
    assert fence.admits(10.0)
    assert not fence.admits(10.1)
    await clock.advance(10.0 - WRITE_SECONDS)
    fence.check("registering web")
    await clock.advance(0.1)
    with pytest.raises(NotLeading):
        fence.check("registering web")


def test_what_is_refused_was_not_sent_and_is_in_no_doubt() -> None:
    fence = Fence(FakeClock())
    fence.close()
    with pytest.raises(NotLeading) as refused:
        fence.check("registering web", 0.0)
    assert isinstance(refused.value, Retryable)
    assert not isinstance(refused.value, Unreachable)
    assert str(refused.value).startswith("registering web: not sent")


def test_a_fence_that_is_shut_is_opened_by_nobody() -> None:
    fence = Fence(FakeClock(), shut=True)
    fence.open_until(1e9)
    assert not fence.admits(0.0)
    with pytest.raises(NotLeading, match="registering web: not sent, for this registry is only observed"):
        fence.check("registering web", 0.0)
