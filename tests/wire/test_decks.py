"""What is dealt of a deck is in random order: each order as likely, each part any part, and no neighbour for ever."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kube_registrar.server.cloudmap.decks import Deck


@given(
    st.lists(st.binary(min_size=1).filter(lambda row: b"," not in row), max_size=12), st.integers(1, 15), st.randoms()
)
def test_a_deal_is_as_many_of_the_rows_as_are_wanted(rows: list[bytes], most: int, dice: random.Random) -> None:
    deck = Deck(rows, most, dice.random)
    for _ in range(20):
        text = deck.deal()
        dealt = text.split(b",") if rows else []
        assert len(dealt) == min(most, len(rows))
        assert not Counter(dealt) - Counter(rows)
        assert text or not rows


@pytest.mark.parametrize("most", [4, 2])
def test_every_order_is_as_likely(most: int) -> None:
    deck = Deck([b"a", b"b", b"c", b"d"], most, random.Random(1).random)
    counts = Counter(deck.deal() for _ in range(48_000))
    expected = 48_000 / (24 if most == 4 else 12)
    assert len(counts) == 48_000 / expected
    assert all(0.7 * expected < count < 1.3 * expected for count in counts.values())


def test_those_that_follow_an_instance_are_others_each_time() -> None:
    rows = [b"%02d" % number for number in range(10)]
    deck = Deck(rows, 10, random.Random(1).random)
    pairs = Counter(tuple(deck.deal().split(b",")[:2]) for _ in range(16_000))
    assert len(pairs) == 90
    assert max(pairs.values()) < 3 * 16_000 / 90
