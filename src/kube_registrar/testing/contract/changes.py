"""The contract of `apply` and `instances`."""

import asyncio
from collections.abc import Mapping

import pytest

from kube_registrar.model.attributes import IPV4, PORT
from kube_registrar.model.changes import Change, Register
from kube_registrar.model.errors import Conflict, NotFound, Refused
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId, NamespaceRef, ServiceRef
from kube_registrar.registries.port import Registry
from kube_registrar.testing import builders
from kube_registrar.testing.contract.base import (
    Base,
    apply,
    attributes_of,
    deregister,
    fill,
    listed,
    must,
    must_in_the_end,
    register,
)

_MORE_THAN_A_PAGE = 120


class ChangesContract(Base):
    """Changes and their outcomes, and the list of instances."""

    async def test_what_was_registered_is_listed_as_given(self, registry: Registry, service: ServiceRef) -> None:
        """As soon as its outcome is there."""
        change = register("flask-app-0", {"stage": "dev", "version": "1.0.0"})
        await must(registry, service, change)
        assert await listed(registry, service) == {"flask-app-0": attributes_of(change)}

    async def test_an_attribute_may_hold_what_the_registry_allows(
        self, registry: Registry, service: ServiceRef
    ) -> None:
        """Foreign writers use it all: nothing is cut, turned or reordered into something else."""
        strange = {
            "!#$%&'()*+-./:;<=>?@[]^_`{|}~": "punctuation",
            "key": "a b\tc,d=e;\"f\\g'{}[]",
            "json": '{"a": [1, 2]}',
            "zero": "0",
            "empty": "",
            "CamelCase": "kept",
            "camelcase": "another",
        }
        change = register("strange", strange)
        await must(registry, service, change)
        assert await listed(registry, service) == {"strange": attributes_of(change)}

    async def test_an_instance_may_have_any_allowed_id(self, registry: Registry, service: ServiceRef) -> None:
        """Its characters are no path, no pattern and no separator; case counts."""
        names = ["a", "A", "a.b", "a/b", "a:b@c", "_-_", "..", "x" * 64]
        await must(registry, service, *(register(name, {"is": name}) for name in names))
        found = await listed(registry, service)
        assert {name: attributes["is"] for name, attributes in found.items()} == {name: name for name in names}
        await must(registry, service, *(deregister(name) for name in names))
        assert await listed(registry, service) == {}

    async def test_registering_again_replaces_all_attributes(self, registry: Registry, service: ServiceRef) -> None:
        """An upsert: what is not given is gone."""
        await must(registry, service, register("a", {"stage": "dev", "old": "yes"}))
        again = Register(Instance(InstanceId("a"), {IPV4: "10.0.0.2", "stage": "prod"}), builders.origin("a"))
        for _ in range(2):
            await must(registry, service, again)
            assert await listed(registry, service) == {"a": {IPV4: "10.0.0.2", "stage": "prod"}}

    async def test_deregistering_what_is_gone_is_done(self, registry: Registry, service: ServiceRef) -> None:
        """However often, and whether or not it ever was."""
        await must(registry, service, register("a"), register("b"))
        for _ in range(3):
            await must(registry, service, deregister("a"), deregister("never-was"))
        assert set(await listed(registry, service)) == {"b"}

    async def test_an_instance_may_come_back(self, registry: Registry, service: ServiceRef) -> None:
        """With what it is given then."""
        for number in range(3):
            await must(registry, service, register("a", {"number": str(number)}))
            assert (await listed(registry, service))["a"]["number"] == str(number)
            await must(registry, service, deregister("a"))
            assert await listed(registry, service) == {}

    async def test_each_change_has_one_outcome(self, registry: Registry, service: ServiceRef) -> None:
        """Also none for none."""
        await must(registry, service, register("old-1"), register("old-2"))
        assert await apply(registry, service) == {}
        changes: list[Change] = [
            deregister("old-1"),
            register("new-1"),
            deregister("old-2"),
            register("new-2"),
            deregister("none"),
        ]
        await must(registry, service, *changes)
        assert set(await listed(registry, service)) == {"new-1", "new-2"}

    async def test_one_bad_change_hurts_no_other(self, registry: Registry, service: ServiceRef) -> None:
        """It is refused, with the field and the rule, and its neighbours are confirmed."""
        bad = [register("not allowed"), register(""), register("x" * 65), register("c", {"key with blank": "x"})]
        good = [register("a"), register("b", {"stage": "dev"})]
        outcomes = await apply(registry, service, good[0], *bad, good[1])
        assert {str(name) for name, outcome in outcomes.items() if outcome.error is None} == {"a", "b"}
        for change in bad:
            error = outcomes[change.instance_id].error
            assert isinstance(error, Refused), change
            assert error.field, change
            assert error.rule, change
            assert str(error), change
        assert set(await listed(registry, service)) == {"a", "b"}

    async def test_a_refused_upsert_leaves_what_was_there(self, registry: Registry, service: ServiceRef) -> None:
        """An error is no half of a change."""
        good = register("a", {"stage": "dev"})
        await must(registry, service, good)
        outcomes = await apply(registry, service, register("a", {"key with blank": "x"}))
        assert isinstance(outcomes[InstanceId("a")].error, Refused)
        assert await listed(registry, service) == {"a": attributes_of(good)}

    async def test_registering_in_a_service_that_is_not_there_is_not_found(
        self, registry: Registry, namespace: NamespaceRef
    ) -> None:
        """In its outcome: `apply` raises for nothing. What is gone with its service is gone, so that is done."""
        nowhere = NamespaceRef(registry.name, f"not-{namespace.name}")
        for service in (ServiceRef(namespace, "nothing"), ServiceRef(nowhere, "nothing")):
            outcomes = await apply(registry, service, register("a"), deregister("b"))
            assert isinstance(outcomes[InstanceId("a")].error, NotFound)
            assert outcomes[InstanceId("b")].error is None
        assert list(await registry.find(namespace)) == []

    async def test_services_are_apart(self, registry: Registry, namespace: NamespaceRef, service: ServiceRef) -> None:
        """The same id in two services is two instances, and changes of both run at once."""
        other = await self.make_service(registry, namespace)
        await asyncio.gather(
            must(registry, service, register("a", {"in": "one"})), must(registry, other, register("a", {"in": "two"}))
        )
        await must(registry, service, deregister("a"))
        assert await listed(registry, service) == {}
        assert (await listed(registry, other))["a"]["in"] == "two"

    async def test_all_instances_are_listed_beyond_one_page(self, registry: Registry, service: ServiceRef) -> None:
        """An answer is whole or an error."""
        changes = [register(f"i-{number}", {"number": str(number)}) for number in range(_MORE_THAN_A_PAGE)]
        await fill(registry, service, changes)
        expected = {str(change.instance_id): attributes_of(change) for change in changes}
        assert await listed(registry, service) == expected
        await fill(registry, service, [deregister(str(change.instance_id)) for change in changes])
        assert await listed(registry, service) == {}

    async def test_closing_the_outcomes_early_leaves_the_registry_usable(
        self, registry: Registry, service: ServiceRef
    ) -> None:
        """What was under way is doubtful; the same changes may be asked for again."""
        changes = [register(f"i-{number}") for number in range(20)]
        outcomes = registry.apply(service, changes)
        assert (await anext(outcomes)).error is None
        await outcomes.aclose()  # type: ignore[attr-defined]
        await must_in_the_end(registry, service, *changes)
        assert len(await listed(registry, service)) == len(changes)

    async def test_cancelling_whoever_applies_leaves_the_registry_usable(
        self, registry: Registry, service: ServiceRef
    ) -> None:
        """At any moment: here after none, one and a few turns of the loop."""
        for turns in (0, 1, 5):
            task = asyncio.create_task(apply(registry, service, *(register(f"i-{number}") for number in range(20))))
            for _ in range(turns):
                await asyncio.sleep(0)
            if task.cancel():  # else it was quicker than that
                with pytest.raises(asyncio.CancelledError):
                    await task
        await must_in_the_end(registry, service, *(register(f"i-{number}", {"last": "yes"}) for number in range(20)))
        assert {each["last"] for each in (await listed(registry, service)).values()} == {"yes"}

    async def test_of_two_writers_of_one_instance_none_loses_what_the_other_wrote(
        self, registry: Registry, second: Registry, service: ServiceRef
    ) -> None:
        """Who has listed it before the other wrote is told so, and looks again; its own writes are no others'."""
        await registry.instances(service)
        await must(second, service, register("new", {"foreign": "yes"}))
        await self._overtaken(registry, service, "new", {"foreign": "yes"})
        await must_in_the_end(second, service, register("new", {"stage": "prod", "foreign": "no"}))
        await self._overtaken(registry, service, "new", {"stage": "prod", "foreign": "no"})
        for number in range(3):
            await must(registry, service, register("new", {"stage": str(number)}))
        await must(registry, service, deregister("new"))
        await must(registry, service, register("new"))

    async def test_what_others_took_out_can_be_registered_in_the_end(
        self, registry: Registry, second: Registry, service: ServiceRef
    ) -> None:
        """Also where nothing else was written since."""
        await registry.instances(service)
        await must(registry, service, register("a"), register("b"))
        await must(second, service, deregister("b"))
        await must_in_the_end(registry, service, register("b", {"stage": "dev"}))
        await must(second, service, deregister("a"), deregister("b"))
        assert await listed(registry, service) == {}
        await must(registry, service, register("a"))

    async def _overtaken(self, registry: Registry, service: ServiceRef, name: str, theirs: Mapping[str, str]) -> None:
        wish = register(name, {"stage": "dev"})
        for _ in range(2):  # however often it asks, until it looks
            outcomes = await apply(registry, service, wish, register("beside"))
            assert isinstance(outcomes[InstanceId(name)].error, Conflict)
            assert outcomes[InstanceId("beside")].error is None
        there = (await listed(registry, service))[name]
        assert theirs.items() <= there.items()
        await must(registry, service, Register(Instance(InstanceId(name), {**there, "stage": "dev"}), wish.origin))
        assert (await listed(registry, service))[name] == {**there, "stage": "dev"}

    async def test_an_instance_without_a_port_has_none(self, registry: Registry, service: ServiceRef) -> None:
        """Nothing is made up."""
        await must(registry, service, Register(Instance(InstanceId("a"), {IPV4: "10.0.0.1"}), builders.origin("a")))
        assert PORT not in (await listed(registry, service))["a"]
