"""Whatever comes, nothing crashes and nothing hangs, and what is answered is a DNS message."""

import os
import random

import dns.flags
import dns.message
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.dns.town import Asked, town

ASKED = Asked(town())
SEEDS = [
    dns.message.make_query(name, type_, **options).to_wire()  # type: ignore[arg-type]
    for name in ("web.shop.local", "PORTS.shop.local", "alias.shop.local", "x.shop.local", "shop.local", "example.org")
    for type_ in ("A", "SRV", "ANY", "SOA", "AXFR")
    for options in ({}, {"use_edns": 0, "payload": 1232}, {"use_edns": 1})
]
MUTATED = int(os.environ.get("KUBE_REGISTRAR_DNS_PACKETS", "20000"))

NOISE = st.binary(max_size=80)
CHANGES = st.lists(st.tuples(st.integers(0, 90), st.integers(0, 12), NOISE), max_size=3)


def check(packet: bytes) -> None:
    """Ask over UDP and TCP, and judge the answers."""
    for stream in (False, True):
        reply = ASKED.responder.answer(packet, stream=stream)
        is_query = len(packet) >= 12 and not packet[2] & 0x80
        assert (reply is not None) == is_query
        if reply is None:
            continue
        message = dns.message.from_wire(reply)
        assert reply[:2] == packet[:2]
        assert message.flags & dns.flags.QR
        assert message.rcode() in {0, 1, 3, 4, 5, 16}
        assert stream or len(reply) <= 1232


@settings(max_examples=500, deadline=None, derandomize=True, database=None)
@given(st.sampled_from(SEEDS), CHANGES)
def test_changed_queries_are_answered_or_passed_over(packet: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    for at, gone, noise in changes:
        packet = packet[:at] + noise + packet[at + gone :]
    check(packet)


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.binary(max_size=200))
def test_noise_is_answered_or_passed_over(packet: bytes) -> None:
    check(packet)


def test_thousands_of_mutations_end_nothing_and_fill_no_memory() -> None:
    """KUBE_REGISTRAR_DNS_PACKETS=1000000 plays more of them: what a nightly run is for."""
    dice = random.Random(1)
    for _ in range(MUTATED):
        packet = bytearray(dice.choice(SEEDS))
        for _ in range(dice.randint(1, 6)):
            packet[dice.randrange(len(packet))] = dice.randrange(256)
        check(bytes(packet[: dice.randint(0, len(packet))] if dice.random() < 0.1 else packet))
    assert len(ASKED.responder._known) <= 8192
    assert len(ASKED.responder.tally) < 100
