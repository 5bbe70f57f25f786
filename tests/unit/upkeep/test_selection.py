"""Which instances belong to a cluster, and what becomes of one that is taken over."""

from dataclasses import replace

import pytest

from kube_registrar.cli.upkeep.selection import (
    Entry,
    clusters,
    entry_of,
    looked_again,
    of_cluster,
    signs_of_life,
    taken_over,
    to_take_over,
)
from kube_registrar.model import attributes as keys
from kube_registrar.model.errors import Refused, UserError
from kube_registrar.model.identity import is_estranged, is_own
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import InstanceId, Uid
from kube_registrar.planning.compare import with_foreign_keys
from kube_registrar.testing import builders
from kube_registrar.testing.fake import LIKE_CLOUD_MAP

OLD, NEW, THIRD = (Uid(f"{digit * 8}-0000-4000-8000-000000000000") for digit in "abc")


def entry(name: str, uid: Uid = OLD, cluster: str = "", **attributes: str) -> Entry:
    """Return a pod's instance in a cluster of this UID and name."""
    registration = builders.registration(name, cluster_uid=uid)
    written = {**attributes, keys.USER_KEYS: ",".join(attributes)} if attributes else {}
    named = {**registration.instance.attributes, **written, **({keys.CLUSTER: cluster} if cluster else {})}
    made = entry_of(registration.service, replace(registration.instance, attributes=named))
    assert made is not None
    return made


def pods(entries: object) -> list[str]:
    assert isinstance(entries, list | tuple)
    return [each.origin.name for each in entries]


class TestWhoseItIs:
    def test_an_instance_that_no_cluster_owns_is_none(self) -> None:
        service = builders.service_ref()
        assert entry_of(service, builders.instance()) is None
        assert entry_of(service, builders.instance(attributes={keys.CLUSTER: "prod", keys.POD_UID: "1"})) is None

    def test_an_instance_that_names_a_cluster_but_stands_for_nothing_is_none(self) -> None:
        assert entry_of(builders.service_ref(), builders.instance(attributes={keys.CLUSTER_UID: OLD})) is None


class TestEviction:
    def test_a_name_is_compared_whole(self) -> None:
        there = [entry("a", OLD, "prod"), entry("b", NEW, "prod-eu"), entry("c", THIRD, "pro")]
        assert pods(of_cluster(there, "prod", None)) == ["a"]
        assert pods(of_cluster(there, "prod-eu", None)) == ["b"]
        assert pods(of_cluster(there, "prod-", None)) == []

    def test_a_uid_is_compared_whole(self) -> None:
        there = [entry("a", OLD), entry("b", Uid(f"{OLD}0"))]
        assert pods(of_cluster(there, OLD, None)) == ["a"]
        assert pods(of_cluster(there, OLD[:-1], None)) == []

    def test_a_name_of_several_clusters_lists_them_with_counts(self) -> None:
        there = [entry("a", OLD, "prod"), entry("b", OLD, "prod"), entry("c", NEW, "prod")]
        with pytest.raises(UserError) as raised:
            of_cluster(there, "prod", NEW)
        assert str(raised.value) == (
            f"2 clusters are called 'prod': {OLD} with 2 instances, "
            f"{NEW} with 1 instance (the one you are connected to). Choose one of these UIDs"
        )

    def test_a_uid_is_no_name_of_another_cluster(self) -> None:
        there = [entry("a", OLD, "prod"), entry("b", NEW, cluster=OLD)]
        assert pods(of_cluster(there, OLD, None)) == ["a"]

    def test_a_name_takes_only_those_that_carry_it(self) -> None:
        there = [entry("a", OLD, "prod"), entry("b", OLD, "copy"), entry("c", OLD)]
        assert pods(of_cluster(there, "copy", None)) == ["b"]
        assert pods(of_cluster(there, OLD, None)) == ["a", "b", "c"]

    @pytest.mark.parametrize("named", [OLD, "prod"])
    def test_the_connected_cluster_is_refused_by_uid_and_by_name(self, named: str) -> None:
        with pytest.raises(UserError, match=f"^'{named}' is the cluster you are connected to .*: its operator does"):
            of_cluster([entry("a", OLD, "prod")], named, OLD)

    def test_the_connected_cluster_is_refused_even_where_it_has_nothing(self) -> None:
        with pytest.raises(UserError, match="you are connected to"):
            of_cluster([], OLD, OLD)


class TestTakeover:
    def test_what_carries_the_old_uid_is_taken(self) -> None:
        there = [entry("a", OLD), entry("b", NEW), entry("c", Uid(f"{OLD}0"))]
        assert pods(to_take_over(there, OLD, NEW, "prod")) == ["a"]

    def test_of_the_own_uid_what_has_another_name_is_taken(self) -> None:
        # What has none is the operator's own already.
        there = [entry("a", NEW, "prod"), entry("b", NEW, "prod-eu"), entry("c", NEW), entry("d", OLD, "prod-eu")]
        assert pods(to_take_over(there, NEW, NEW, "prod")) == ["b"]
        assert pods(to_take_over(there, NEW, NEW, "")) == ["a", "b"]

    def test_only_the_owner_changes(self) -> None:
        before = entry("a", OLD, "old-name", stage="dev")
        before = replace(before, instance=replace(before.instance, attributes={**_given(before), "canary": "yes"}))
        after = taken_over(before, NEW, "prod", LIKE_CLOUD_MAP)
        assert after.id == before.instance.id
        assert after.attributes == {
            **_given(before),
            keys.CLUSTER_UID: NEW,
            keys.CLUSTER: "prod",
            keys.TAKEN_OVER: OLD,
        }
        # The engine still tells foreign keys from ours.
        wanted = Instance(after.id, {"stage": "prod", keys.USER_KEYS: "stage"})
        assert with_foreign_keys(wanted, after).attributes["canary"] == "yes"

    @pytest.mark.parametrize("name", ["prod", ""])
    def test_it_is_no_stranger_to_the_operator_of_a_cluster_with_or_without_a_name(self, name: str) -> None:
        after = taken_over(entry("a", OLD, "prod-eu"), NEW, name, LIKE_CLOUD_MAP).attributes
        assert after.get(keys.CLUSTER, "") == name
        assert is_own(after, NEW)
        assert not is_estranged(after, NEW, name)

    @pytest.mark.parametrize("health", [Health.HEALTHY, Health.UNHEALTHY])
    def test_custom_health_is_carried_over(self, health: Health) -> None:
        before = entry("a")
        before = replace(before, custom_health=True, instance=replace(before.instance, health=health))
        assert taken_over(before, NEW, "", LIKE_CLOUD_MAP).attributes[keys.INIT_HEALTH] == health

    def test_without_custom_health_none_is_set(self) -> None:
        before = entry("a")
        before = replace(before, instance=replace(before.instance, health=Health.UNHEALTHY))
        assert keys.INIT_HEALTH not in taken_over(before, NEW, "", LIKE_CLOUD_MAP).attributes

    @pytest.mark.parametrize("gone", [keys.CLUSTER, keys.WORKLOAD])
    def test_in_a_full_instance_what_is_for_people_makes_room_for_the_note(self, gone: str) -> None:
        before = _full(gone)
        after = taken_over(before, NEW, "prod", LIKE_CLOUD_MAP)
        assert sum(map(keys.is_custom, after.attributes)) == 30
        kept = {key: value for key, value in _given(before).items() if key != gone}
        assert after.attributes == {**kept, keys.CLUSTER_UID: NEW, keys.TAKEN_OVER: OLD}

    def test_a_full_instance_without_such_is_refused(self) -> None:
        with pytest.raises(Refused, match=f"^it has no room for KUBE_TAKEN_OVER: .* gc --cluster {OLD}`$"):
            taken_over(_full("key-0"), NEW, "prod", LIKE_CLOUD_MAP)
        unlimited = replace(LIKE_CLOUD_MAP, max_attributes=None, max_attribute_characters=None)
        assert taken_over(_full("key-0"), NEW, "prod", unlimited).attributes[keys.TAKEN_OVER] == OLD


def _full(key: str) -> Entry:
    """Return an instance with the most attributes there can be, `key` among them."""
    before = entry(
        "a", OLD, **{f"key-{number}": "value" for number in range(1, 25)}
    )  # and four owner keys, one of keys
    full = {**before.instance.attributes, key: "it"}
    assert sum(map(keys.is_custom, full)) == 30
    return replace(before, instance=replace(before.instance, attributes=full))


def _given(of: Entry) -> dict[str, str]:
    return dict(of.instance.attributes)


class TestASecondLook:
    def look(self, shown: list[Entry], *now: Entry) -> dict[str, list[str]]:
        found = looked_again(shown, [one.instance.id for one in shown], [one.instance for one in now])
        return {name: pods(getattr(found, name)) for name in found.__slots__ if getattr(found, name)}

    def test_what_is_as_it_was_is_the_same(self) -> None:
        assert self.look([entry("a")], entry("a"), entry("b", NEW)) == {"same": ["a"]}

    def test_its_health_is_that_of_now(self) -> None:
        shown = entry("a")
        sick = replace(shown.instance, health=Health.UNHEALTHY)
        (same,) = looked_again([shown], [shown.instance.id], [sick]).same
        assert same.instance.health is Health.UNHEALTHY

    def test_what_is_gone_is_gone(self) -> None:
        assert self.look([entry("a"), entry("b")], entry("b")) == {"same": ["b"], "gone": ["a"]}

    def test_what_another_cluster_took_is_left(self) -> None:
        theirs = replace(entry("a"), instance=Instance(entry("a").instance.id, _given(entry("a", NEW))))
        assert self.look([entry("a")], theirs) == {"moved": ["a"]}

    def test_what_got_another_name_is_left(self) -> None:
        assert self.look([entry("a", OLD, "prod")], entry("a", OLD, "prod-eu")) == {"moved": ["a"]}

    def test_what_somebody_wrote_is_left(self) -> None:
        assert self.look([entry("a")], entry("a", stage="dev")) == {"changed": ["a"]}

    def test_newcomers_of_its_cluster_are_told(self) -> None:
        assert self.look([entry("a")], entry("a"), entry("b")) == {"same": ["a"], "newcomers": ["b"]}

    def test_what_was_shown_and_is_not_dealt_with_now_is_no_newcomer(self) -> None:
        shown, other = entry("a"), entry("b")
        ids = [InstanceId(one.instance.id) for one in (shown, other)]
        assert looked_again([shown], ids, [shown.instance, other.instance]).newcomers == []


def test_what_came_or_changed_is_a_sign_of_life_and_what_went_is_none() -> None:
    before = [entry("a"), entry("b"), entry("c")]
    after = [entry("a"), entry("b", stage="dev"), entry("d")]
    service = builders.service_ref()
    assert signs_of_life(before, after) == [
        f"{entry('b').instance.id} in {service} changed",
        f"{entry('d').instance.id} came to {service}",
    ]
    assert signs_of_life(before, before[:1]) == []


def test_clusters_are_told_with_names_and_counts() -> None:
    there = [entry("a", OLD, "prod"), entry("b", OLD, "copy"), entry("c", NEW)]
    assert clusters(there) == f"{OLD} (copy, prod) with 2 instances, {NEW} with 1 instance"
    assert clusters([]) == ""
