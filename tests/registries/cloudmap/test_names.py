"""Names are looked up by lists that many wait for: what is forgotten meanwhile is looked up again, and is not gone."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from kube_registrar.model.errors import NotFound
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.names import Names

SHOP = NamespaceRef(DEFAULT_REGISTRY, "shop")
WEB = ServiceRef(SHOP, "web")


class Lists:
    """Answers lists. `forgets` is forgotten just after the first two of that operation, before who waited goes on."""

    def __init__(self) -> None:
        self.names = Names(cast("Client", self), DEFAULT_REGISTRY)
        self.services = ["web"]
        self.forgets: dict[str, NamespaceRef | ServiceRef] = {}
        self.asked: Counter[str] = Counter()

    async def pages(self, operation: str, *_: object) -> Sequence[Mapping[str, Any]]:
        self.asked[operation] += 1
        await asyncio.sleep(0)
        ref = self.forgets.get(operation)
        if ref and self.asked[operation] <= 2:
            asyncio.get_running_loop().call_soon(self.names.forget, ref)
        if operation == "ListNamespaces":
            return [{"Id": "ns-1", "Name": "shop", "Type": "HTTP"}]
        return [{"Id": f"srv-{name}", "Name": name} for name in self.services]

    async def call(self, *_: object) -> Mapping[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("operation", "ref"), [("ListServices", WEB), ("ListServices", SHOP), ("ListNamespaces", SHOP)]
)
async def test_what_is_forgotten_while_others_wait_for_its_list_is_not_taken_for_gone(
    operation: str, ref: NamespaceRef | ServiceRef
) -> None:
    lists = Lists()
    lists.forgets[operation] = ref
    if operation == "ListServices":
        await lists.names.namespace(SHOP)
    found = await asyncio.gather(*(lists.names.service(WEB) for _ in range(50)))
    assert {each.id for each in found} == {"srv-web"}
    assert lists.asked[operation] <= 4


async def test_what_is_gone_is_not_looked_for_over_and_over() -> None:
    lists = Lists()
    await lists.names.service(WEB)
    lists.services = []
    lists.names.forget(WEB)
    with pytest.raises(NotFound, match=r"registry service default:shop/web is not there"):
        await lists.names.service(WEB)
    assert lists.asked["ListServices"] <= 3
