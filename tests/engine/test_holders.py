"""Every address that a Service names is asked about in its turn, however many there are."""

import asyncio
from collections.abc import Collection, Mapping

import pytest

from kube_registrar.sync import holders
from kube_registrar.sync.holders import AGAIN_SECONDS, Holders
from kube_registrar.testing.clock import FakeClock


async def test_more_addresses_than_are_asked_about_at_once_get_their_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holders, "MOST", 10)
    clock, asked = FakeClock(), list[frozenset[str]]()

    async def ask(addresses: Collection[str]) -> Mapping[str, str]:
        asked.append(frozenset(addresses))
        return dict.fromkeys(addresses, "")

    known = Holders(ask, clock, lambda _service: None)
    addresses = [f"10.0.0.{number}" for number in range(25)]
    task = asyncio.create_task(known.run())
    known.wants(("default", "machines"), addresses)
    await clock.advance(30.0)
    assert sorted(known.known) == sorted(addresses)
    assert [len(each) for each in asked] == [10, 10, 10]
    await clock.advance(AGAIN_SECONDS + 30.0)
    assert len(asked) <= 7, "and again when the answers are old, and not all the time"
    assert frozenset().union(*asked[3:]) == set(addresses)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
