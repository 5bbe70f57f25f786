"""The IAM policies in `deploy/iam/`: each lets through all that is called in its mode, and nothing beside."""

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import pytest

from kube_registrar.model.errors import Conflict, Forbidden, NotFound, RegistryError
from kube_registrar.model.instances import Health, Query
from kube_registrar.model.refs import DEFAULT_REGISTRY, NamespaceRef, ServiceRef
from kube_registrar.model.specs import (
    CreationPolicy,
    DnsRecord,
    DnsSettings,
    HealthCheckType,
    NamespaceSpec,
    NamespaceType,
    RecordType,
)
from kube_registrar.registries.cloudmap import registry as backend
from kube_registrar.registries.cloudmap.options import DEFAULT_RATES
from kube_registrar.registries.cloudmap.permissions import POLICIES, Scope, operations, rendered, statement
from kube_registrar.registries.cloudmap.rules import CAPABILITIES
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.testing.contract import (
    Base,
    ChangesContract,
    DiscoveryContract,
    HealthContract,
    LimitsContract,
    RegistryContract,
    ResourcesContract,
)
from kube_registrar.testing.contract.base import CREATOR, apply, deregister, must, register, service_spec, set_health
from tests.registries.cloudmap.policed import Police, policed

FOLDER = Path(__file__).parents[3] / "deploy" / "iam"
WHOLE = ("register", "register-health", "services", "namespaces", "private-dns", "public-dns")


# The documents.


@pytest.mark.parametrize("policy", POLICIES)
def test_the_document_is_what_the_table_says(policy: str) -> None:
    text = (FOLDER / f"{policy}.json").read_text(encoding="utf-8")
    again = "run `python -m kube_registrar.registries.cloudmap.permissions deploy/iam`"
    assert text == rendered(policy), again


def test_there_is_no_other_document() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(POLICIES)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_document_allows_single_actions_and_everything_only_where_it_must(policy: str) -> None:
    document = json.loads((FOLDER / f"{policy}.json").read_text(encoding="utf-8"))
    assert document["Version"] == "2012-10-17"
    actions = [action for each in document["Statement"] for action in each["Action"]]
    assert len(actions) == len(set(actions))
    assert all(re.fullmatch(r"[a-z0-9]+:[A-Za-z0-9]+", action) for action in actions)
    writes = [each["Action"] for each in document["Statement"] if each["Resource"] == "*"]
    everywhere = {action.partition(":")[2] for actions in writes for action in actions}
    # What is made has no ARN yet; whatever changes or removes something is confined to ARNs.
    assert not [name for name in everywhere if not name.startswith(("List", "Get", "Describe", "Create", "Discover"))]


def test_each_whole_policy_holds_the_one_before_it() -> None:
    for smaller, larger in (*pairwise(WHOLE[:5]), ("namespaces", "public-dns")):
        assert operations(smaller) < operations(larger)


def test_every_operation_with_a_rate_is_in_a_policy() -> None:
    allowed = set().union(*(operations(policy) for policy in POLICIES))
    assert set(DEFAULT_RATES) <= allowed | {"GetInstance"}


def test_a_statement_names_the_resource_that_is_known() -> None:
    assert json.loads(statement("servicediscovery:RegisterInstance")) == {
        "Effect": "Allow",
        "Action": "servicediscovery:RegisterInstance",
        "Resource": Scope.SERVICES,
    }
    arn = "arn:aws:servicediscovery:eu-west-1:123456789012:service/srv-1"
    assert json.loads(statement("servicediscovery:RegisterInstance", arn))["Resource"] == arn
    assert json.loads(statement("servicediscovery:Unknown"))["Resource"] == "*"


# The contract, within a policy. What the mode may not make is made behind the wire.


class Within(Base):
    """The contract of a mode; that nothing outside its policy was asked for is looked at after each test."""

    allowed: ClassVar[frozenset[str]]
    may_make: ClassVar[bool] = False
    types: ClassVar[frozenset[NamespaceType]] = CAPABILITIES.namespace_types

    @pytest.fixture(autouse=True)
    def within_the_types(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(backend, "CAPABILITIES", replace(CAPABILITIES, namespace_types=self.types))

    @pytest.fixture
    async def fence(self) -> Fence:
        return Fence(SystemClock())

    @pytest.fixture
    async def police(self, tmp_path: Path, fence: Fence) -> AsyncIterator[Police]:
        async with policed(tmp_path, self.allowed, fence) as police:
            yield police
        assert police.outside == set()

    @pytest.fixture
    async def registry(self, police: Police) -> Registry:
        self._maker = police.registry if self.may_make else police.truth
        return police.registry

    @pytest.fixture
    async def namespace(self, registry: Registry) -> NamespaceRef:
        spec = self.namespace_spec(registry, NamespaceType.HTTP)
        await self._maker.ensure(spec, CREATOR)
        return spec.ref

    async def make_service(self, registry: Registry, namespace: NamespaceRef, **overrides: Any) -> ServiceRef:
        return await super().make_service(self._maker, namespace, **overrides)

    async def dns_namespace(self, registry: Registry) -> NamespaceRef:
        return await super().dns_namespace(self._maker)


@pytest.mark.extended
class TestRegisterOnly(Within, ChangesContract, LimitsContract):
    allowed = operations("register")


class TestWithHealth(Within, HealthContract):
    allowed = operations("register-health") | operations("discover")


class TestDiscovery(Within, DiscoveryContract):
    allowed = operations("register") | operations("discover")


@pytest.mark.extended
class TestNamespaces(Within, ResourcesContract):
    allowed = operations("namespaces") | operations("discover")
    may_make = True
    types = frozenset({NamespaceType.HTTP})


@pytest.mark.extended
class TestPrivateDns(Within, RegistryContract):
    allowed = operations("private-dns") | operations("discover")
    may_make = True
    types = frozenset({NamespaceType.HTTP, NamespaceType.DNS_PRIVATE})


@pytest.mark.extended
class TestPublicDns(Within, ResourcesContract):
    allowed = operations("public-dns") | operations("discover")
    may_make = True
    types = frozenset({NamespaceType.HTTP, NamespaceType.DNS_PUBLIC})


# A walk through all that a mode does: nothing in its policy is there for nothing.

ON_OCCASION = {"ListOperations", "ListTagsForResource", "TagResource"}
"""Asked for when many operations are open at once, and where tags are to be compared or have changed."""

Walk = Callable[[Police], Awaitable[None]]
HTTP = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "http"))
PRIVATE = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "private.test"), NamespaceType.DNS_PRIVATE, vpc_id="vpc-1")
PUBLIC = NamespaceSpec(NamespaceRef(DEFAULT_REGISTRY, "example.com"), NamespaceType.DNS_PUBLIC)
WEB = service_spec(HTTP.ref, "web", health_check=HealthCheckType.CUSTOM)
PLAIN = service_spec(HTTP.ref, "plain")
CHECKED = service_spec(PUBLIC.ref, "checked", records="A", health_check=HealthCheckType.ROUTE53)


async def register_and_deregister(police: Police) -> None:
    await police.truth.ensure(HTTP, "somebody")
    assert len(await police.registry.find(None)) == 1
    assert await police.registry.find(HTTP.ref) == ()  # which asks whether the namespace is there
    await police.truth.ensure(PUBLIC, "somebody")
    for spec in (PLAIN, WEB, CHECKED):
        await police.truth.ensure(spec, "somebody")
    for adopted in (HTTP, PLAIN):
        await police.registry.ensure(adopted, CREATOR, CreationPolicy.ADOPT)
    for service in (PLAIN, WEB, CHECKED):  # whatever check it has
        await must(police.registry, service.ref, register("a"), register("b"))
        assert len(await police.registry.instances(service.ref)) == 2
        await must(police.registry, service.ref, deregister("a"), deregister("b"))


async def set_statuses(police: Police) -> None:
    await register_and_deregister(police)
    await must(police.registry, WEB.ref, register("a"))
    await must(police.registry, WEB.ref, set_health("a", Health.UNHEALTHY))
    assert [each.health for each in await police.registry.instances(WEB.ref)] == [Health.UNHEALTHY]
    await must(police.registry, WEB.ref, deregister("a"))


async def make_services(police: Police) -> None:
    await set_statuses(police)
    await police.truth.ensure(PRIVATE, "somebody")
    spec = service_spec(PRIVATE.ref, "web", dns=DnsSettings((DnsRecord(RecordType.A),)), tags={"team": "web"})
    await police.registry.ensure(spec, CREATOR)
    await police.registry.ensure(replace(spec, description="changed"), CREATOR)
    await police.registry.remove(spec.ref)


async def make_namespaces(police: Police) -> None:
    await make_services(police)
    await make(police, replace(HTTP, ref=NamespaceRef(DEFAULT_REGISTRY, "another")))


async def make_private(police: Police) -> None:
    await make_namespaces(police)
    await make(police, replace(PRIVATE, ref=NamespaceRef(DEFAULT_REGISTRY, "another.test")))


async def make_public(police: Police) -> None:
    await make_namespaces(police)
    await make(police, replace(PUBLIC, ref=NamespaceRef(DEFAULT_REGISTRY, "another.example.com")))


async def make(police: Police, spec: NamespaceSpec) -> None:
    await police.registry.ensure(replace(spec, tags={"team": "web"}), CREATOR)
    await police.registry.ensure(replace(spec, description="changed"), CREATOR)
    await police.registry.remove(spec.ref)


async def discover(police: Police) -> None:
    await police.truth.ensure(HTTP, "somebody")
    with pytest.raises(NotFound):
        await police.registry.discover(Query(PLAIN.ref))


@pytest.mark.parametrize(
    ("policy", "walk"),
    [
        ("register", register_and_deregister),
        ("register-health", set_statuses),
        ("services", make_services),
        ("namespaces", make_namespaces),
        ("private-dns", make_private),
        ("public-dns", make_public),
        ("discover", discover),
    ],
)
async def test_a_mode_calls_all_that_its_policy_allows_and_no_more(tmp_path: Path, policy: str, walk: Walk) -> None:
    async with policed(tmp_path, operations(policy)) as police:
        await walk(police)
        assert police.outside == set()
        assert operations(policy) - set(police.asked) - ON_OCCASION == set()


# What is said where something is missing.


@pytest.mark.parametrize(
    ("policy", "missing"),
    [("register", "RegisterInstance"), ("register", "ListInstances"), ("register", "ListServices")],
)
async def test_what_is_missing_is_named_with_the_statement_to_add(tmp_path: Path, policy: str, missing: str) -> None:
    async with policed(tmp_path, operations(policy) - {missing}) as police:
        await police.truth.ensure(HTTP, "somebody")
        await police.truth.ensure(PLAIN, "somebody")
        error = await first_error(police.registry)
        assert isinstance(error, Forbidden)
        added = json.loads(str(error).partition("Add to the IAM policy: ")[2])
        assert added["Action"] == f"servicediscovery:{missing}"
        assert added["Effect"] == "Allow"
        assert added == json.loads(error.rule)
        police.allowed = operations(policy)
        await must(police.registry, PLAIN.ref, register("a"))
        with pytest.raises(Conflict):
            await police.truth.remove(PLAIN.ref)


async def first_error(registry: Registry) -> RegistryError | None:
    try:
        await registry.instances(PLAIN.ref)
    except RegistryError as error:
        return error
    (outcome,) = (await apply(registry, PLAIN.ref, register("a"))).values()
    return outcome.error
