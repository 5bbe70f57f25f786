"""Who elects a leader: replicas of an operator of which another process may write to a registry."""

import pytest

from kube_registrar.cli.replicas import has_election
from kube_registrar.declared.configuration import configuration
from kube_registrar.declared.settings import Configuration, RegistryEntry

EMBEDDED, CLOUD_MAP = RegistryEntry("embedded", {"data": "d"}), RegistryEntry("cloudmap")
BROKEN = RegistryEntry("no-such-kind")


@pytest.mark.parametrize(
    ("registries", "said", "expected"),
    [
        ([EMBEDDED], None, False),
        ([CLOUD_MAP], None, True),
        ([EMBEDDED, CLOUD_MAP], None, True),
        ([EMBEDDED, BROKEN], None, True),
        ([EMBEDDED], True, True),
        ([CLOUD_MAP], False, False),
    ],
)
def test_replicas_elect_a_leader_where_another_process_may_write(
    registries: list[RegistryEntry], said: bool | None, expected: bool
) -> None:
    named = {f"r{number}": entry for number, entry in enumerate(registries)}
    assert has_election(Configuration(registries=named, leader_election=said)) is expected


def test_the_election_can_be_turned_off_and_on_by_flag_and_variable() -> None:
    cloud: dict[str, object] = {"registry": "cloudmap", "region": "eu-west-1"}
    off = {"KUBE_REGISTRAR_LEADER_ELECTION": "false"}
    assert has_election(configuration(cloud, {})) is True
    assert has_election(configuration({**cloud, "leader_election": False}, {})) is False
    assert has_election(configuration(cloud, off)) is False
