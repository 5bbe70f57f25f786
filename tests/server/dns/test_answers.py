"""Which instances are answered, in which order, and that changes of a registry are all taken over, one by one."""

from collections import Counter
from dataclasses import replace

import dns.rcode
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kube_registrar.model.zones import Target
from kube_registrar.server.dns.records import Drawn, Fixed, Records
from tests.server.dns.town import ZONE, Asked, Town, addresses, targets, town


def test_all_are_answered_where_they_are_eight_or_fewer() -> None:
    asked = Asked(town())
    assert sorted(addresses(asked("web.shop.local"))) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]


def test_eight_at_random_are_answered_where_they_are_more() -> None:
    asked = Asked(town())
    seen: Counter[str] = Counter()
    for _ in range(500):
        found = addresses(asked("many.shop.local"))
        assert len(found) == len(set(found)) == 8
        seen.update(found)
    assert len(seen) == 20
    assert min(seen.values()) > 120  # 200 are expected of each, with a deviation of 11


def test_the_order_is_a_true_shuffle() -> None:
    """Each of the six orders of three is as likely as the others; a rotation would give three of them."""
    asked = Asked(town())
    orders = Counter(tuple(addresses(asked("web.shop.local"))) for _ in range(1200))
    assert len(orders) == 6
    assert min(orders.values()) > 130  # 200 are expected of each, with a deviation of 13


def test_each_of_eight_comes_first_as_often() -> None:
    place = town()
    place.put(place.put_service("eight", "A"), *targets(8))
    asked = Asked(place)
    firsts = Counter(addresses(asked("eight.shop.local"))[0] for _ in range(1600))
    assert len(firsts) == 8
    assert min(firsts.values()) > 130


def test_weighted_answers_one_at_random() -> None:
    asked = Asked(town())
    seen: Counter[str] = Counter()
    for _ in range(400):
        (found,) = addresses(asked("one.shop.local"))
        seen[found] += 1
    assert len(seen) == 4
    assert min(seen.values()) > 50


def test_only_healthy_ones_are_answered_and_all_when_none_is() -> None:
    place = town()
    service = place.put_service("sick", "A", "SRV")
    one, two, three = targets(3)
    place.put(service, one, replace(two, healthy=False), replace(three, healthy=False))
    asked = Asked(place)
    assert addresses(asked("sick.shop.local")) == ["10.0.0.1"]
    assert [row.port for row in asked("sick.shop.local", "SRV").answer[0]] == [8001]
    place.put(service, replace(one, healthy=False))
    assert sorted(addresses(asked("sick.shop.local"))) == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    place.put(service, two)
    assert addresses(asked("sick.shop.local")) == ["10.0.0.2"]
    assert addresses(asked("i-1.sick.shop.local")) == ["10.0.0.1"]


def test_what_is_registered_is_answered_and_what_is_deregistered_is_not() -> None:
    place = town()
    asked = Asked(place)
    place.put("empty.shop.local", *targets(1))
    assert addresses(asked("empty.shop.local")) == ["10.0.0.1"]
    place.put("empty.shop.local", Target("i-1", "10.9.9.9"))
    assert addresses(asked("empty.shop.local")) == ["10.9.9.9"]
    place.drop("empty.shop.local", "i-1")
    assert asked("empty.shop.local").answer == []
    place.remove_service("empty.shop.local")
    assert asked("empty.shop.local").rcode() == dns.rcode.NXDOMAIN


def long_name(length: int) -> str:
    """Return a domain name of so many characters."""
    labels = []
    while length > 0:
        labels.append("x" * min(63, length))
        length -= 64
    return ".".join(labels)


@pytest.mark.parametrize("length", [*range(236, 254), 127])
def test_a_zone_of_any_length_is_answered_and_can_go_and_come_again(
    length: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name may leave no room for those of its name server and of whom to write to."""
    name = long_name(length)
    assert len(name) == length
    place = Town()
    asked = Asked(place)
    for _ in range(2):
        place.put_zone(name)
        place.put(place.put_service(".", "A", zone=name), *targets(2))
        if length + 2 <= 253:
            place.put(place.put_service("w", "A", zone=name), *targets(1))
            assert addresses(asked(f"w.{name}")) == ["10.0.0.1"]
            assert asked(f"y.{name}", stream=True).rcode() == dns.rcode.NXDOMAIN
        soa = asked(name, "SOA", stream=True).answer[0][0]
        mail, server = (str(each).removesuffix(".") for each in (soa.rname, soa.mname))
        assert mail == (f"hostmaster.{name}" if length <= 242 else name)
        assert server == (f"ns.dns.{name}" if length <= 246 else name)
        assert str(asked(name, "NS", stream=True).answer[0][0].target).removesuffix(".") == server
        assert sorted(addresses(asked(name))) == ["10.0.0.1", "10.0.0.2"]
        [negative] = asked(name, "TXT", stream=True).authority
        assert str(negative.name).removesuffix(".") == name
        for service in [each for each in place.services if each.endswith(name)]:
            place.remove_service(service)
        assert addresses(asked(name)) == []
        place.remove_zone(name)
        assert asked(name).rcode() == dns.rcode.REFUSED
    assert asked.records.nodes == {}
    assert caplog.records == []


def test_a_zone_that_is_removed_is_refused_and_a_service_can_stand_for_the_zone() -> None:
    place = Town()
    asked = Asked(place)
    assert asked(ZONE).rcode() == dns.rcode.REFUSED
    place.put_zone()
    place.put(place.put_service(".", "A"), *targets(1))
    assert addresses(asked(ZONE)) == ["10.0.0.1"]
    assert len(asked(ZONE, "SOA").answer) == 1
    place.remove_service(f"..{ZONE}")
    place.remove_zone()
    assert asked(ZONE).rcode() == dns.rcode.REFUSED
    assert asked.records == Records()


def test_of_two_zones_of_one_name_the_older_one_is_answered_while_it_is_there() -> None:
    """One name in two VPCs: this server knows no VPCs."""
    place = Town()
    place.put_zone(soa_ttl=1)
    asked = Asked(place)
    place.put_zone(soa_ttl=2, zone_id="later")
    place.put(place.put_service("web", "A"), Target("x", "10.0.0.1"))
    place.services["second"] = replace(place.services["web.shop.local"], id="second", zone_id="later")
    place.instances["second"] = {"y": Target("y", "10.0.0.2")}
    for audience in place.audiences:
        audience.service_changed("second")
    assert addresses(asked("web.shop.local")) == ["10.0.0.1"]
    assert asked("x.shop.local").authority[0].ttl == 1
    place.put_zone(soa_ttl=3)
    assert asked("x.shop.local").authority[0].ttl == 3
    place.remove_service("web.shop.local")
    place.remove_zone()
    assert addresses(asked("web.shop.local")) == ["10.0.0.2"]
    assert asked("x.shop.local").authority[0].ttl == 2


def test_a_zone_within_another_has_its_names() -> None:
    place = town()
    place.put_zone("web.shop.local")
    place.put(place.put_service(".", "A", zone="web.shop.local"), Target("x", "10.7.7.7"))
    asked = Asked(place)
    assert addresses(asked("web.shop.local")) == ["10.7.7.7"]
    assert asked("none.web.shop.local").authority[0].name.to_text() == "web.shop.local."


def test_a_service_has_its_name_from_an_instance() -> None:
    """The embedded registry refuses the second of the two; what an older one let in still has one answer."""
    place = town()
    place.put(place.put_service("b", "SRV"), Target("a", "10.0.0.1", port=1))
    asked = Asked(place)
    assert addresses(asked("a.b.shop.local")) == ["10.0.0.1"]
    place.put(place.put_service("a.b", "A"), Target("x", "10.0.0.2"))
    assert addresses(asked("a.b.shop.local")) == ["10.0.0.2"]
    place.drop("a.b.shop.local", "x")
    assert addresses(asked("a.b.shop.local")) == ["10.0.0.1"]


def test_what_cannot_be_a_record_is_left_out_and_hurts_nothing_else() -> None:
    place = town()
    service = place.put_service("odd", "SRV")
    place.put(service, Target("x" * 64, "10.0.0.1", port=1), Target(".", "10.0.0.2", port=1), *targets(1))
    place.put("alias.shop.local", Target("x", cname="a..b"))
    asked = Asked(place)
    assert [row.port for row in asked("odd.shop.local", "SRV").answer[0]] == [8001]
    assert asked("alias.shop.local").answer == []
    place.drop(service, "x" * 64)
    assert len(asked("odd.shop.local", "SRV").answer) == 1


def test_queries_are_counted_by_type_and_code() -> None:
    asked = Asked(town())
    for name, type_ in (("web", "A"), ("web", "A"), ("ports", "SRV"), ("x", "A"), ("web", "TXT"), ("web", "ANY")):
        asked(f"{name}.shop.local", type_)
    asked("example.org")
    asked.responder.answer(b"")
    assert dict(asked.responder.counted()) == {
        (1, 0): 2,
        (33, 0): 1,
        (1, 3): 1,
        (0, 0): 1,
        (255, 0): 1,
        (1, 5): 1,
        (0, -1): 1,
    }


NAMES = st.sampled_from(["a", "b", "a.b", "b.a", "x.a.b", "."])
IDS = st.sampled_from(["a", "b", "x", "a.b", "x.a"])
ZONES = st.sampled_from(["z", "b.z"])
STEPS = st.one_of(
    st.tuples(st.just("zone"), st.sampled_from(["z", "b.z", "Z2"]), st.sampled_from(["", "5"])),
    st.tuples(st.just("no zone"), st.sampled_from(["z", "b.z", "Z2"])),
    st.tuples(st.just("service"), ZONES, NAMES, st.sampled_from(["A", "SRV", "A SRV"])),
    st.tuples(st.just("no service"), ZONES, NAMES),
    st.tuples(st.just("put"), ZONES, NAMES, IDS, st.sampled_from("123"), st.sampled_from(["", "healthy"])),
    st.tuples(st.just("drop"), ZONES, NAMES, IDS),
)


def play(place: Town, step: tuple[str, ...]) -> None:
    """Do one step, where the registry would allow it: a namespace goes last."""
    what, zone, *rest = step
    service = f"{rest[0]}.{zone}" if rest else ""
    match what:
        case "zone":
            place.put_zone(zone, int(rest[0]) if rest[0] else None)
        case "no zone" if zone in place.zones and not any(one.zone_id == zone for one in place.services.values()):
            place.remove_zone(zone)
        case "service" if zone in place.zones:
            place.put_service(rest[0], *rest[1].split(), zone=zone)
        case "no service" if service in place.services:
            place.remove_service(service)
        case "put" if service in place.services:
            place.put(service, Target(rest[1], f"10.0.0.{rest[2]}", port=80, healthy=bool(rest[3])))
        case "drop" if service in place.services and rest[1] in place.instances[service]:
            place.drop(service, rest[1])


def content(records: Records) -> dict[bytes, list[bytes]]:
    """Return what is answered of each name and type, in no order."""
    found = {}
    for key, one in records.sets.items():
        assert isinstance(one, Drawn | Fixed)
        live = one.live
        columns = zip(live.bodies, live.extras or live.bodies, strict=True)
        found[key] = sorted(body + extra for body, extra in columns)
        assert found[key]
    return found


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(STEPS, max_size=25))
def test_whatever_changes_the_records_are_those_of_a_fresh_start(steps: list[tuple[str, ...]]) -> None:
    place = Town()
    followed = Asked(place)
    for step in steps:
        play(place, step)
    fresh = Asked(place)
    assert followed.records.nodes == fresh.records.nodes
    assert followed.records.sets.keys() == fresh.records.sets.keys()
    assert content(followed.records) == content(fresh.records)
    assert followed.records.zones == fresh.records.zones
