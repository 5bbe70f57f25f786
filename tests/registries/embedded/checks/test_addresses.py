"""Which addresses are checked, and what is said of the others."""

from ipaddress import ip_network

import pytest

from kube_registrar.registries.embedded.checks.addresses import Addresses

METADATA = "an address of a cloud's metadata, which is never checked"
MULTICAST = "a multicast address, which is never checked"
NOWHERE = "no address of a machine, which is never checked"
LOOPBACK = "a loopback address, which is checked only where checkAddresses has a range of such addresses"
LINK = "a link-local address, which is checked only where checkAddresses has a range of such addresses"


def ranges(*texts: str) -> Addresses:
    return Addresses(tuple(ip_network(text) for text in texts))


@pytest.mark.parametrize(
    "address",
    ["10.0.0.1", "192.168.1.1", "172.2.1.3", "203.0.113.15", "2001:db8::1", "fd12:3456::1", "::ffff:10.0.0.1"],
)
def test_addresses_of_machines_are_checked(address: str) -> None:
    assert Addresses().refusal(address) == ""


REFUSED = [
    ("169.254.169.254", METADATA),
    ("169.254.170.2", METADATA),
    ("169.254.170.23", METADATA),
    ("fd00:ec2::254", METADATA),
    ("fd00:ec2::23", METADATA),
    ("fd20:ce::254", METADATA),
    ("100.100.100.200", METADATA),
    ("168.63.129.16", METADATA),
    ("224.0.0.1", MULTICAST),
    ("ff02::1", MULTICAST),
    ("0.0.0.0", NOWHERE),
    ("0.1.2.3", NOWHERE),
    ("255.255.255.255", NOWHERE),
    ("240.0.0.1", NOWHERE),
    ("::", NOWHERE),
    ("127.0.0.1", LOOPBACK),
    ("127.8.8.8", LOOPBACK),
    ("::1", LOOPBACK),
    ("169.254.1.1", LINK),
    ("fe80::1", LINK),
]


@pytest.mark.parametrize(("address", "why"), REFUSED)
def test_others_are_not(address: str, why: str) -> None:
    assert Addresses().refusal(address) == f"{address} is {why}"


@pytest.mark.parametrize(("address", "why"), [each for each in REFUSED if ":" not in each[0]])
@pytest.mark.parametrize(
    "form", ["::ffff:{0}", "64:ff9b::{0}", "64:ff9b:1::{0}", "::ffff:0:{0}", "2002:{1}:{2}::1", "2001:0:a00:1::{3}:{4}"]
)
def test_nor_are_they_in_the_words_of_ipv6(address: str, why: str, form: str) -> None:
    """Mapped, translated, tunnelled by 6to4 and by Teredo, which writes the address with its bits turned."""
    a, b, c, d = (int(part) for part in address.split("."))
    high, low = a << 8 | b, c << 8 | d
    text = form.format(address, *(f"{each:x}" for each in (high, low, high ^ 0xFFFF, low ^ 0xFFFF)))
    assert Addresses().refusal(text) == f"{text} is {why}"


@pytest.mark.parametrize(
    "address",
    [
        "64:ff9b:1:a9fe:a9:fe00::",  # behind 48 bits
        "64:ff9b:1:aa:fe:a9fe::",  # behind 56
        "64:ff9b:1:aa:a9:fea9:fe00:0",  # behind 64
        "64:ff9b:1:ffff:ffff:ffff:169.254.169.254",  # behind 96
    ],
)
def test_nor_behind_a_prefix_of_a_network_s_own(address: str) -> None:
    """RFC 8215 leaves 64:ff9b:1::/48 to networks; of RFC 6052 each knows where in it the address stands."""
    refusal = Addresses().refusal(address)
    assert refusal.startswith(f"{address} is ")
    assert METADATA in refusal or NOWHERE in refusal


@pytest.mark.parametrize(
    "address", ["::10.0.0.1", "::ffff:10.0.0.1", "64:ff9b::10.0.0.1", "64:ff9b:1::10.0.0.1", "64:ff9b:1:a00:0:100::"]
)
def test_what_stands_for_an_address_of_a_machine_is_as_good(address: str) -> None:
    assert Addresses().refusal(address) == ""


def test_ranges_bound_what_is_checked() -> None:
    given = ranges("10.0.0.0/8", "2001:db8::/32")
    assert given.refusal("10.1.2.3") == given.refusal("2001:db8::7") == given.refusal("::ffff:10.1.2.3") == ""
    assert given.refusal("192.168.1.1") == "192.168.1.1 is in no range of checkAddresses"
    assert given.refusal("64:ff9b::10.1.2.3") == "64:ff9b::10.1.2.3 is in no range of checkAddresses"


def test_loopback_and_link_local_are_checked_where_they_are_meant() -> None:
    everything = ranges("0.0.0.0/0", "::/0")
    assert everything.refusal("127.0.0.1") == f"127.0.0.1 is {LOOPBACK}"
    assert everything.refusal("::1") == f"::1 is {LOOPBACK}"
    named = ranges("0.0.0.0/0", "127.0.0.1/32", "::1/128", "fe80::/64")
    for address in ("127.0.0.1", "::1", "::ffff:127.0.0.1", "fe80::1", "10.0.0.1"):
        assert named.refusal(address) == ""
    assert named.refusal("127.0.0.2") == f"127.0.0.2 is {LOOPBACK}"
    assert named.refusal("169.254.1.1") == f"169.254.1.1 is {LINK}"


def test_metadata_is_never_checked_whatever_is_given() -> None:
    assert ranges("169.254.0.0/16").refusal("169.254.1.1") == ""
    assert ranges("169.254.0.0/16").refusal("169.254.169.254") == f"169.254.169.254 is {METADATA}"
    assert ranges("169.254.169.254/32").refusal("::ffff:169.254.169.254").endswith(METADATA)
