"""What is read beside a watch: what the watch tells meanwhile is newer."""

from kube_registrar.cluster.mirror import Mirror
from kube_registrar.model.records import Pod
from kube_registrar.model.refs import Uid
from kube_registrar.testing import builders


class Heard:
    """Notes what is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, str]] = []

    def applied(self, record: Pod) -> None:
        self.told.append((record.name, record.node))

    def deleted(self, record: Pod, seen: bool) -> None:
        self.told.append((record.name, "seen deleted" if seen else "missing"))

    def synced(self) -> None:
        """Nothing is listed here."""


def test_two_readings_at_once_each_know_what_the_watch_told_since_they_began() -> None:
    heard = Heard()
    mirror = Mirror[Pod](heard, lambda _: True)
    first = mirror.begin_beside()
    mirror.applied(builders.pod("a", node="new"))
    second = mirror.begin_beside()
    mirror.beside(builders.pod("a", node="old"), first)
    mirror.end_beside(first)
    mirror.deleted(builders.pod("b"))
    mirror.beside(builders.pod("b"), second)
    mirror.beside(builders.pod("c", node="read"), second)
    assert heard.told == [("a", "new"), ("b", "seen deleted"), ("c", "read")]


def test_a_watch_that_tells_of_another_under_a_known_name_has_not_seen_the_first_one_go() -> None:
    heard = Heard()
    mirror = Mirror[Pod](heard, lambda _: True)
    mirror.applied(builders.pod("a", node="one"))
    mirror.applied(builders.pod("a", uid=Uid("other"), node="two"))
    mirror.deleted(builders.pod("a"))
    assert heard.told == [("a", "one"), ("a", "missing"), ("a", "two"), ("a", "missing"), ("a", "seen deleted")]


def test_a_list_of_our_cluster_with_another_under_a_known_name_proves_the_first_one_gone() -> None:
    heard = Heard()
    mirror = Mirror[Pod](heard, lambda _: True)
    mirror.applied(builders.pod("a", node="one"))
    other = builders.pod("a", uid=Uid("other"), node="two")
    assert mirror.is_another(other)
    mirror.applied(other, is_proven=True)
    assert heard.told == [("a", "one"), ("a", "seen deleted"), ("a", "two")]
