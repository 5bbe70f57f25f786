"""Keys for some registry namespaces, where it takes a while to find out in which one a thing is."""

from collections.abc import Mapping
from typing import Any

import pytest

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.server.access.keys import AccessKey, Role
from kube_registrar.server.cloudmap.application import _searched

KEY = AccessKey("AKIDLIMITED", "a-secret-of-some-length", Role.READ, frozenset({"mine"}))
ASKED = {"Id": "srv-1"}


class Moving:
    """A catalog in which a service is somewhere else each time that somebody looks."""

    operations = frozenset({"GetService", "ListServices"})

    def __init__(self, *places: str | CloudMapError | None) -> None:
        self.places = list(places)
        self.executed = 0

    async def execute(self, operation: str, request: Mapping[str, Any], region: str | None = None) -> Mapping[str, Any]:
        self.executed += 1
        return {"Service": {"Id": "srv-1"}}

    async def located(self, kind: str, identifier: str) -> str | None:
        place = self.places.pop(0)
        if isinstance(place, CloudMapError):
            raise place
        return place


async def test_what_stays_within_its_own_is_answered() -> None:
    catalog = Moving("mine", "mine")
    assert await _searched(catalog, KEY, "GetService", ASKED, None) == {"Service": {"Id": "srv-1"}}


@pytest.mark.parametrize("before", ["mine", None])
async def test_what_came_to_be_anothers_meanwhile_is_not_told(before: str | None) -> None:
    catalog = Moving(before, "theirs")
    with pytest.raises(CloudMapError, match="limited to other registry namespaces"):
        await _searched(catalog, KEY, "GetService", ASKED, None)
    assert catalog.executed == 1


async def test_what_is_anothers_is_not_even_asked_for() -> None:
    catalog = Moving("theirs")
    with pytest.raises(CloudMapError, match="limited to other registry namespaces"):
        await _searched(catalog, KEY, "GetService", ASKED, None)
    assert catalog.executed == 0


async def test_an_outage_is_told_as_one() -> None:
    catalog = Moving(CloudMapError("ServiceUnavailable", "nobody there"))
    with pytest.raises(CloudMapError, match="nobody there"):
        await _searched(catalog, KEY, "GetService", ASKED, None)
    assert catalog.executed == 0
