"""The contract of limits: what capabilities say is taken to the last character, and not one more."""

import pytest

from kube_registrar.model.attributes import IPV4
from kube_registrar.model.changes import Register
from kube_registrar.model.errors import Refused, RegistryError
from kube_registrar.model.instances import Instance
from kube_registrar.model.refs import InstanceId, ServiceRef
from kube_registrar.registries.port import Registry
from kube_registrar.testing import builders
from kube_registrar.testing.contract.base import Base, apply, attributes_of, fill, listed, must, register

_MOST = 1_000


class LimitsContract(Base):
    """Limits and characters."""

    async def test_attributes_are_counted(self, registry: Registry, service: ServiceRef) -> None:
        """`AWS_*` does not count."""
        limit = registry.capabilities.max_attributes
        if limit is None:
            pytest.skip("this registry has no such limit")
        most = register("a", {f"key-{number}": "x" for number in range(limit)})
        await must(registry, service, most)
        await self._is_refused(registry, service, {f"key-{number}": "x" for number in range(limit + 1)})
        assert await listed(registry, service) == {"a": attributes_of(most)}

    async def test_a_value_has_a_length(self, registry: Registry, service: ServiceRef) -> None:
        """And keys have one, too."""
        limit = registry.capabilities.max_attribute_value
        if limit is None:
            pytest.skip("this registry has no such limit")
        longest = register("a", {"key": "v" * limit})
        await must(registry, service, longest)
        await self._is_refused(registry, service, {"key": "v" * (limit + 1)})
        assert await listed(registry, service) == {"a": attributes_of(longest)}

    async def test_all_attributes_together_have_a_size(self, registry: Registry, service: ServiceRef) -> None:
        """Keys and values, `AWS_*` included."""
        limit, value = registry.capabilities.max_attribute_characters, registry.capabilities.max_attribute_value
        if limit is None or value is None or registry.capabilities.max_attributes is None:
            pytest.skip("this registry has no such limit")
        attributes = {IPV4: "10.0.0.1"}
        left = limit - len(IPV4) - len("10.0.0.1")
        while left:
            key = f"k{len(attributes):02}"
            attributes[key] = "v" * min(value, left - len(key))
            left -= len(key) + len(attributes[key])
            if 0 < left <= len(key):
                attributes[key] = attributes[key][: -len(key)]
                left += len(key)
        assert len(attributes) <= registry.capabilities.max_attributes + 1
        await must(registry, service, Register(Instance(InstanceId("a"), attributes), builders.origin("a")))
        last = max(attributes)
        await self._is_refused(registry, service, {**attributes, last: attributes[last] + "v"})
        assert (await listed(registry, service))["a"][last] == attributes[last]

    @pytest.mark.parametrize("text", ["größe", "日本語", "🙂", "a\nb", "a\u00a0b", "e\u0301"])
    async def test_other_characters_are_refused_or_kept(
        self, registry: Registry, service: ServiceRef, text: str
    ) -> None:
        """Never mangled: what is confirmed reads as it was written."""
        changes = {
            "value": register("a", {"key": text}),
            "key": register("b", {text: "value"}),
            "id": register(text),
        }
        outcomes = await apply(registry, service, *changes.values())
        found = await listed(registry, service)
        for what, change in changes.items():
            error = outcomes[change.instance_id].error
            if error is None:
                assert found[change.instance_id] == attributes_of(change), what
            else:
                assert isinstance(error, Refused), what
                assert error.field, what
                assert error.rule, what
                assert change.instance_id not in found, what

    async def test_a_full_service_takes_no_more(self, registry: Registry, service: ServiceRef) -> None:
        """But upserts of what it holds, and more again when there is room."""
        limit = registry.capabilities.max_instances
        if limit is None or limit > _MOST:
            pytest.skip("this registry takes more than a test should make")
        await fill(registry, service, [register(f"i-{number}") for number in range(limit)])
        outcomes = await apply(registry, service, register("one-more"), register("i-0", {"stage": "dev"}))
        assert isinstance(outcomes[InstanceId("one-more")].error, RegistryError)
        assert outcomes[InstanceId("i-0")].error is None
        assert "one-more" not in await listed(registry, service)

    async def _is_refused(self, registry: Registry, service: ServiceRef, attributes: dict[str, str]) -> None:
        change = Register(Instance(InstanceId("a"), {IPV4: "10.0.0.1", **attributes}), builders.origin("a"))
        error = (await apply(registry, service, change))[InstanceId("a")].error
        assert isinstance(error, Refused)
        assert error.field
        assert error.rule
