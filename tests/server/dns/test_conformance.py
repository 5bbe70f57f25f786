"""What the RFCs ask of an authoritative server, each with a test; dnspython reads the answers."""

import struct

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from dns.rdatatype import RdataType

from tests.server.dns.town import ZONE, Asked, Town, addresses, targets, town


@pytest.fixture
def asked() -> Asked:
    return Asked(town())


def wire(name: str = "web.shop.local", type_: str = "A", **options: object) -> bytes:
    query = dns.message.make_query(name, type_, **options)  # type: ignore[arg-type]
    query.id = 4711  # packets are parameters, and every worker must collect the same ones
    return query.to_wire()


def test_answers_are_authoritative_and_recursion_is_not_offered(asked: Asked) -> None:
    reply = asked("web.shop.local")
    assert reply.flags & dns.flags.AA
    assert reply.flags & dns.flags.RD
    assert not reply.flags & dns.flags.RA
    assert reply.question[0].name == dns.name.from_text("web.shop.local")


@pytest.mark.parametrize(("type_", "count"), [("A", 3), ("AAAA", 3), ("TXT", 0), ("MX", 0), ("TYPE65280", 0)])
def test_a_type_that_a_name_has_not_is_no_data(asked: Asked, type_: str, count: int) -> None:
    """RFC 2308, 2.2; RFC 3597 for types that nobody knows."""
    reply = asked("web.shop.local", type_)
    assert reply.rcode() == dns.rcode.NOERROR
    assert sum(map(len, reply.answer)) == count
    assert [rrset.rdtype for rrset in reply.authority] == ([] if count else [RdataType.SOA])


@pytest.mark.parametrize(
    "name", ["nothing.shop.local", "x.web.shop.local", "_x._tcp.shop.local", "i-3._http._tcp.shop.shop.local"]
)
def test_a_name_that_is_not_there_is_nxdomain_with_the_soa_record(asked: Asked, name: str) -> None:
    reply = asked(name)
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert reply.flags & dns.flags.AA
    (soa,) = reply.authority
    assert (soa.name.to_text(), soa.rdtype) == ("shop.local.", RdataType.SOA)


@pytest.mark.parametrize("name", ["_tcp.shop.shop.local", "shop.shop.local", "dns.shop.local", "empty.shop.local"])
def test_a_name_above_a_service_is_there_without_data(asked: Asked, name: str) -> None:
    """RFC 8020: NXDOMAIN would say that nothing below it is there either. So is a service that has no instance."""
    reply = asked(name)
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert reply.authority[0].rdtype == RdataType.SOA


def test_a_name_goes_with_the_last_thing_below_it(asked: Asked) -> None:
    asked.town.put_service("a.b", "A")
    asked.town.put_service("c.b", "A")
    asked.town.remove_service("a.b.shop.local")
    assert asked("b.shop.local").rcode() == dns.rcode.NOERROR
    asked.town.remove_service("c.b.shop.local")
    assert asked("b.shop.local").rcode() == dns.rcode.NXDOMAIN


@pytest.mark.parametrize(("ttl", "remembered"), [(30, 30), (200_000, 86_400), (0, 0), (None, 15)])
def test_a_negative_answer_is_remembered_as_the_soa_record_says(ttl: int | None, remembered: int) -> None:
    """RFC 2308, 5: the smaller one of the record's own TTL and its minimum."""
    place = Town()
    place.put_zone(soa_ttl=ttl)
    asked = Asked(place)
    (negative,) = asked("x.shop.local").authority
    (positive,) = asked(ZONE, "SOA").answer
    assert (negative.ttl, positive.ttl) == (remembered, 15 if ttl is None else ttl)
    assert negative[0] == positive[0]


def test_the_zone_has_soa_and_ns_and_the_name_server_has_an_address(asked: Asked) -> None:
    (soa,) = asked(ZONE, "SOA").answer
    reply = asked(ZONE, "NS")
    server = reply.answer[0][0].target
    assert soa[0].mname == server
    assert addresses(asked(server.to_text())) == ["192.0.2.53"]
    assert addresses(asked(server.to_text(), "AAAA")) == ["2001:db8::53"]
    assert {rrset.name for rrset in reply.additional} == {server}


@pytest.mark.parametrize("name", ["example.org", "local", ".", "hop.local", "shop.local.example.org"])
def test_other_zones_are_refused(asked: Asked, name: str) -> None:
    reply = asked(name)
    assert reply.rcode() == dns.rcode.REFUSED
    assert not reply.flags & dns.flags.AA
    assert (reply.answer, reply.authority) == ([], [])


@pytest.mark.parametrize("class_", ["CH", "HS", "ANY", "NONE"])
def test_other_classes_are_refused(asked: Asked, class_: str) -> None:
    assert asked("web.shop.local", rdclass=class_).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("type_", ["AXFR", "IXFR"])
def test_transfers_are_refused(asked: Asked, type_: str) -> None:
    query = dns.message.make_query(ZONE, type_)
    if type_ == "IXFR":
        query.authority = asked(ZONE, "SOA").answer
    for stream in (False, True):
        reply = asked.raw(query.to_wire(), stream=stream)
        assert reply is not None
        assert (reply.rcode(), reply.answer) == (dns.rcode.REFUSED, [])


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_other_opcodes_are_not_implemented_and_echoed(asked: Asked, opcode: int) -> None:
    """RFC 8906, 3.1.4."""
    packet = bytearray(wire())
    packet[2] = opcode << 3 | 1
    reply = asked.responder.answer(bytes(packet))
    assert reply is not None
    assert reply[2] == 0x80 | opcode << 3 | 1
    assert (reply[:2], reply[3]) == (bytes(packet[:2]), 4)


def test_case_is_ignored_and_echoed(asked: Asked) -> None:
    """RFC 4343; resolvers draw the case at random, and compare."""
    packet = wire("wEb.ShOp.LoCaL")
    reply = asked.responder.answer(packet)
    assert reply is not None
    assert reply[12 : len(packet)] == packet[12:]
    assert len(addresses(dns.message.from_wire(reply))) == 3
    assert b"hOp" not in asked.responder.answer(wire("x.shop.local"))[12:]  # type: ignore[index]


def test_any_is_answered_with_one_kind_of_record(asked: Asked) -> None:
    """RFC 8482."""
    assert [rrset.rdtype for rrset in asked("web.shop.local", "ANY").answer] == [RdataType.A]
    assert [rrset.rdtype for rrset in asked(ZONE, "ANY").answer] == [RdataType.SOA]
    assert [rrset.rdtype for rrset in asked("away.shop.local", "ANY").answer] == [RdataType.CNAME]
    assert asked("empty.shop.local", "ANY").answer == []
    assert asked("x.shop.local", "ANY").rcode() == dns.rcode.NXDOMAIN


def test_all_records_of_a_set_have_one_ttl(asked: Asked) -> None:
    """RFC 2181, 5.2; also after the service was given another one."""
    asked.town.put_service("web", "A", "AAAA", ttl=5)
    reply = asked("web.shop.local")
    assert reply.answer[0].ttl == 5
    assert len(reply.answer[0]) == 3


def test_no_record_is_twice_in_a_set(asked: Asked) -> None:
    """RFC 2181, 5: two instances with one address are one record, for as long as one of them is there."""
    service = asked.town.put_service("twins", "A")
    one, two = targets(1)[0], targets(1)[0].__class__("other", "10.0.0.1")
    asked.town.put(service, one, two)
    reply = asked.responder.answer(wire("twins.shop.local"))
    assert reply is not None
    assert reply[6:8] == b"\0\1"
    for instance_id, found in ((one.id, 1), (two.id, 0)):
        asked.town.drop(service, instance_id)
        assert len(addresses(asked("twins.shop.local"))) == found


# EDNS, RFC 6891.


def test_opt_is_sent_only_to_who_sent_it(asked: Asked) -> None:
    assert asked("web.shop.local", use_edns=False).edns == -1
    reply = asked("web.shop.local", use_edns=0, payload=4096)
    assert (reply.edns, reply.payload, reply.options) == (0, 1232, ())
    for name in ("x.shop.local", "example.org", "empty.shop.local"):
        assert asked(name, use_edns=0).edns == 0
        assert asked(name, use_edns=False).edns == -1


def test_a_version_that_is_not_known_is_badvers(asked: Asked) -> None:
    reply = asked("web.shop.local", use_edns=1)
    assert (reply.rcode(), reply.edns, reply.answer) == (dns.rcode.BADVERS, 0, [])


def test_options_that_are_not_known_are_ignored_and_flags_are_cleared(asked: Asked) -> None:
    option = dns.edns.GenericOption("65001", b"anything")
    reply = asked("web.shop.local", use_edns=0, ednsflags=0x7FFF, options=[option])
    assert (len(addresses(reply)), reply.options, reply.ednsflags & 0xFFFF) == (3, (), 0)


def test_the_flag_for_dnssec_is_copied(asked: Asked) -> None:
    """RFC 3225, 3."""
    assert asked("web.shop.local", want_dnssec=True).ednsflags & dns.flags.DO


def test_reserved_bits_of_the_header_are_cleared(asked: Asked) -> None:
    """RFC 8906, 3.1.3."""
    packet = bytearray(wire())
    packet[3] = 0x70
    reply = asked.responder.answer(bytes(packet))
    assert reply is not None
    assert reply[3] == 0


@pytest.mark.parametrize(
    "packet",
    [
        wire()[:-1],
        wire()[:20],
        wire()[:12],
        wire() + b"\0",
        wire()[:4] + b"\0\0" + wire()[6:],
        wire()[:4] + b"\0\2" + wire()[6:] + wire()[12:],
        wire()[:12] + b"\xc0\x0c\0\1\0\1",
        wire()[:12] + b"\x40" + b"x" * 64 + b"\0\0\1\0\1",
        wire()[:12] + (b"\x3f" + b"x" * 63) * 4 + b"\0\0\1\0\1",
        wire(use_edns=0)[:-1],
        wire(use_edns=0)[:10] + b"\0\2" + wire(use_edns=0)[12:] + wire(use_edns=0)[-11:],
        wire(use_edns=0)[:-2] + b"\0\3abc",
        wire(use_edns=0)[:-11] + b"\1x" + wire(use_edns=0)[-11:][0:],
    ],
    ids=range(13),
)
def test_what_is_malformed_is_formerr(asked: Asked, packet: bytes) -> None:
    reply = asked.responder.answer(packet)
    assert reply is not None
    assert (reply[:2], reply[2] & 0x80, reply[3]) == (packet[:2], 0x80, dns.rcode.FORMERR)
    assert len(reply) == 12


@pytest.mark.parametrize("packet", [b"", b"\0", wire()[:11], wire()[:2] + b"\x81" + wire()[3:]])
def test_what_is_no_query_is_not_answered(asked: Asked, packet: bytes) -> None:
    """An answer to an answer would go on forever."""
    assert asked.responder.answer(packet) is None


# Sizes: RFC 1035, 2181, 9715.


def test_what_does_not_fit_is_truncated_and_whole_over_tcp(asked: Asked) -> None:
    service = asked.town.put_service("a-longer-name-of-a-service", "SRV")
    asked.town.put(service, *targets(8))
    short = asked(service, "SRV", use_edns=False)
    assert short.flags & dns.flags.TC
    assert short.answer == []
    assert len(asked(service, "SRV", use_edns=0).answer[0]) == 8
    whole = asked(service, "SRV", stream=True)
    assert not whole.flags & dns.flags.TC
    assert len(whole.answer[0]) == 8
    assert sum(map(len, whole.additional)) == 16


def test_an_answer_over_udp_has_1232_octets_at_most(asked: Asked) -> None:
    service = asked.town.put_service("l" * 60, "SRV")
    asked.town.put(service, *(one.__class__("x" * 59 + str(one.port), one.ipv4, port=one.port) for one in targets(8)))
    query = dns.message.make_query(service, "SRV", use_edns=0, payload=65535)
    short = asked.responder.answer(query.to_wire())
    whole = asked.responder.answer(query.to_wire(), stream=True)
    assert short is not None
    assert whole is not None
    assert dns.message.from_wire(short).flags & dns.flags.TC
    assert len(short) <= 1232 < len(whole)
    assert len(dns.message.from_wire(whole).answer[0]) == 8


def test_what_is_additional_is_left_out_without_a_word(asked: Asked) -> None:
    """RFC 2181, 9: TC says that a set was cut, and nothing else."""
    whole = asked("ports.shop.local", "SRV", stream=True)
    octets = len(whole.to_wire()) - 60
    reply = asked("ports.shop.local", "SRV", use_edns=0, payload=octets)
    assert not reply.flags & dns.flags.TC
    assert len(reply.answer[0]) == 8
    assert 0 < sum(map(len, reply.additional)) < 16


def test_a_size_below_512_counts_as_512(asked: Asked) -> None:
    assert len(addresses(asked("many.shop.local", use_edns=0, payload=100))) == 8


# SRV, RFC 2782.


def test_targets_of_srv_resolve_and_stand_in_the_additional_section(asked: Asked) -> None:
    reply = asked("_http._tcp.shop.shop.local", "SRV")
    rows = sorted(reply.answer[0], key=lambda row: row.port)
    assert [(row.priority, row.weight, row.port) for row in rows] == [(1, 1, 8001), (1, 1, 8002)]
    assert rows[0].target.to_text() == "i-1._http._tcp.Shop.shop.local."
    added = {(rrset.name, rrset.rdtype): [row.address for row in rrset] for rrset in reply.additional}
    assert added[rows[0].target, RdataType.A] == ["10.0.0.1"]
    assert added[rows[1].target, RdataType.AAAA] == ["fd00::2"]
    for row in rows:
        for type_ in ("A", "AAAA"):
            found = addresses(asked(row.target.to_text(), type_))
            assert found == added[row.target, dns.rdatatype.from_text(type_)]
    assert asked(rows[0].target.to_text(), "SRV").rcode() == dns.rcode.NOERROR


def test_the_target_of_srv_is_not_compressed(asked: Asked) -> None:
    reply = asked.responder.answer(wire("ports.shop.local", "SRV", use_edns=0))
    assert reply is not None
    start = len(wire("ports.shop.local", "SRV", use_edns=False))
    _, _, _, length = struct.unpack_from("!HHIH", reply, start + 2)
    target = reply[start + 12 + 6 : start + 12 + length]
    assert target.endswith(b"\x05ports\x04shop\x05local\0")


# CNAME, RFC 1034, 3.6.2 and 4.3.2.


def test_an_alias_is_followed_inside_our_zones(asked: Asked) -> None:
    reply = asked("alias.shop.local")
    assert [rrset.rdtype for rrset in reply.answer] == [RdataType.CNAME, RdataType.A]
    assert len(addresses(reply)) == 3
    assert reply.authority == []
    assert [rrset.rdtype for rrset in asked("alias.shop.local", "CNAME").answer] == [RdataType.CNAME]


def test_an_alias_that_leads_away_is_all_we_say(asked: Asked) -> None:
    reply = asked("away.shop.local")
    assert (reply.rcode(), reply.authority) == (dns.rcode.NOERROR, [])
    assert reply.answer[0][0].target.to_text() == "www.example.org."


@pytest.mark.parametrize(
    ("cname", "code"), [("gone.shop.local", dns.rcode.NXDOMAIN), ("empty.shop.local", dns.rcode.NOERROR)]
)
def test_an_alias_to_nothing_has_the_code_of_its_end(asked: Asked, cname: str, code: int) -> None:
    """RFC 6604, 3."""
    service = asked.town.put_service("lost", "CNAME", weighted=True)
    asked.town.put(service, targets(1)[0].__class__("x", cname=cname))
    reply = asked("lost.shop.local")
    assert reply.rcode() == code
    assert [rrset.rdtype for rrset in reply.answer] == [RdataType.CNAME]
    assert [rrset.rdtype for rrset in reply.authority] == [RdataType.SOA]


def test_aliases_in_a_ring_end(asked: Asked) -> None:
    for name, cname in (("ring1", "ring2.shop.local"), ("ring2", "ring1.shop.local")):
        service = asked.town.put_service(name, "CNAME", weighted=True)
        asked.town.put(service, targets(1)[0].__class__("x", cname=cname))
    reply = asked("ring1.shop.local")
    assert reply.rcode() == dns.rcode.NOERROR
    assert len(reply.answer) == 2
