"""What a registry cannot do of what an object asks is said in its condition, by capabilities and not by names."""

from dataclasses import replace
from typing import Any

import pytest

from kube_registrar.model.policy import Policy
from kube_registrar.model.specs import NamespaceType, RecordType, Setting
from kube_registrar.registries.port import Capabilities
from kube_registrar.testing.fake import LIKE_CLOUD_MAP
from kube_registrar.testing.faults import Op
from tests.unit.operator.test_policies import NAMESPACE, SERVICE, Ground, namespace_object, service_object

NARROW = Capabilities(
    namespace_types=frozenset({NamespaceType.HTTP}), record_types=frozenset(), custom_health=False, watches=False
)
SOME_DNS = replace(NARROW, namespace_types=frozenset(NamespaceType), record_types=frozenset({RecordType.A}))
CHANGE = ". Change it, or use another registry"


def ground_of(can: Capabilities) -> Ground:
    ground = Ground(Policy.SYNC)
    ground.registry.capabilities = can
    return ground


@pytest.mark.parametrize("type_", ["DNSPublic", "DNSPrivate"])
async def test_a_type_of_namespace(type_: str) -> None:
    ground = ground_of(NARROW)
    verdict = await ground.ensure(namespace_object(type=type_, **({"vpcID": "vpc-1"} if type_ == "DNSPrivate" else {})))
    assert (verdict.ready, verdict.problem.reason, verdict.retry_after) == (False, "RefusedSettings", None)
    assert verdict.problem.message == (
        "Registry 'default' refuses Registry namespace test-namespace: "
        f"spec.type is {type_}: this registry can do HTTP{CHANGE}"
    )
    assert ground.registry.asked(Op.ENSURE) == []


@pytest.mark.parametrize(
    ("can", "spec", "said"),
    [
        (
            NARROW,
            {"healthCheck": {"type": "Custom"}, "notReadyPolicy": "MarkUnhealthy"},
            "spec.healthCheck.type is Custom: this registry can do None",
        ),
        (
            replace(NARROW, custom_health=True),
            {"healthCheck": {"type": "Route53", "route53": {"type": "HTTP"}}},
            "spec.healthCheck.type is Route53: this registry can do Custom, None",
        ),
        (
            SOME_DNS,
            {"dns": {"records": [{"type": "A", "ttlSeconds": 5}, {"type": "SRV", "ttlSeconds": 5}]}},
            "spec.dns.records is SRV: this registry can do A",
        ),
    ],
)
async def test_health_checks_and_records(can: Capabilities, spec: dict[str, Any], said: str) -> None:
    ground = ground_of(LIKE_CLOUD_MAP)
    dns = "dns" in spec or "Route53" in str(spec)
    declared = namespace_object(type="DNSPublic") if dns else namespace_object()
    ground.catalog.put_object(declared)
    assert (await ground.ensure(declared)).ready
    ground.registry.capabilities = can
    ground.registry.calls.clear()
    verdict = await ground.ensure(service_object(**spec))
    assert (verdict.ready, verdict.problem.reason) == (False, "RefusedSettings")
    assert verdict.problem.message == (
        f"Registry 'default' refuses Registry service test-namespace/flask-app: {said}{CHANGE}"
    )
    assert ground.registry.asked(Op.ENSURE) == []


async def test_tags_are_left_out_and_that_is_said_while_all_else_works() -> None:
    ground = ground_of(NARROW)
    verdict = await ground.ensure(namespace_object(tags={"team": "web", "stage": "dev"}))
    assert verdict.ready
    assert verdict.synced is not None
    assert verdict.synced.message.endswith(
        "spec.tags is stage, team, and this registry keeps no tags: leave them out. Write here what is there, or make "
        "another object under another name and move to it"
    )
    assert (await ground.ensure(service_object())).synced is None


@pytest.mark.parametrize(
    ("namespace", "service", "said"),
    [
        ({"soaTTLSeconds": 17}, None, "spec.soaTTLSeconds is 17, and this registry's DNS has its own: leave it out"),
        (
            {"type": "DNSPrivate", "vpcID": "vpc-0123456789abcdef0"},
            None,
            "spec.vpcID is vpc-0123456789abcdef0, and this registry knows no VPCs: its DNS answers whoever asks",
        ),
        (
            {},
            {"records": [{"type": "A", "ttlSeconds": 5}], "routingPolicy": "Weighted"},
            "spec.dns.routingPolicy is Weighted, and this registry's DNS answers with all instances",
        ),
        (
            {},
            {"records": [{"type": "A", "ttlSeconds": 60}, {"type": "AAAA", "ttlSeconds": 5}]},
            "spec.dns.records has the ttlSeconds 5, 60, and this registry has one for all records: the shortest, 5",
        ),
        ({}, {"records": [{"type": "A", "ttlSeconds": 5}, {"type": "AAAA", "ttlSeconds": 5}]}, ""),
    ],
)
async def test_what_means_nothing_in_a_registry_is_said_while_all_else_works(
    namespace: dict[str, Any], service: dict[str, Any] | None, said: str
) -> None:
    for heeds, expected in ((frozenset[Setting](), said), (frozenset(Setting), "")):
        ground = ground_of(replace(LIKE_CLOUD_MAP, heeds=heeds))
        declared = namespace_object(**{"type": "DNSPublic", **namespace})
        ground.catalog.put_object(declared)
        verdict = await ground.ensure(declared)
        if service is not None:
            assert verdict.synced is None
            verdict = await ground.ensure(service_object(dns=service))
        assert verdict.ready
        assert (verdict.synced is not None) == bool(expected)
        if verdict.synced is not None:
            assert expected in verdict.synced.message


async def test_what_a_registry_can_do_is_not_refused() -> None:
    ground = ground_of(LIKE_CLOUD_MAP)
    assert (await ground.ensure(namespace_object(tags={"team": "web"}))).synced is None
    verdict = await ground.ensure(service_object(healthCheck={"type": "Custom"}, notReadyPolicy="MarkUnhealthy"))
    assert verdict.ready
    assert {str(NAMESPACE), str(SERVICE)} == set(ground.specs())
