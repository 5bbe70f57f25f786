"""Changes against a scripted endpoint: duplicates, doubts, stale ids, and operations that fail late."""

import asyncio
from collections.abc import Sequence

import pytest

from kube_registrar.model.changes import Change, Outcome
from kube_registrar.model.errors import Conflict, NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Health
from kube_registrar.registries.cloudmap import client
from kube_registrar.registries.port import Registry
from kube_registrar.testing.builders import service_ref
from kube_registrar.testing.contract.base import deregister, register, set_health
from tests.registries.cloudmap.scripted import Drop, Error, Hang, Raw, Reply, Script

SERVICE = service_ref()
ABOUT = "registering a in default:test-namespace/flask-app"


def operation(status: str, code: str = "", message: str = "") -> Reply:
    said = {key: text for key, text in {"ErrorCode": code, "ErrorMessage": message}.items() if text}
    return {"Operation": {"Status": status, **said}}


async def outcome(registry: Registry, change: Change) -> Outcome:
    [only] = [each async for each in registry.apply(SERVICE, [change])]
    assert only.change is change
    return only


async def failure(registry: Registry, change: Change) -> RegistryError:
    error = (await outcome(registry, change)).error
    assert error is not None
    return error


def is_doubtful(error: RegistryError | None) -> bool:
    return isinstance(error, Unreachable) and error.doubtful


async def test_a_change_is_confirmed_by_its_own_operation(registry: Registry, script: Script) -> None:
    script.on("GetOperation", operation("SUBMITTED"), operation("PENDING"), operation("SUCCESS"))
    assert (await outcome(registry, register("a", {"stage": "dev"}))).error is None
    [request] = script.asked("RegisterInstance")
    assert (request["ServiceId"], request["InstanceId"]) == ("srv-1", "a")
    assert request["Attributes"] == {"AWS_INSTANCE_IPV4": "10.0.0.1", "AWS_INSTANCE_PORT": "8080", "stage": "dev"}
    assert script.asked("GetOperation") == [{"OperationId": "op-register"}] * 3


async def test_ids_are_looked_up_once(registry: Registry, script: Script) -> None:
    for name in "abc":
        assert (await outcome(registry, register(name))).error is None
    assert len(script.asked("ListNamespaces")) == 1
    assert script.asked("ListServices") == [
        {"MaxResults": 100, "Filters": [{"Name": "NAMESPACE_ID", "Values": ["ns-1"], "Condition": "EQ"}]}
    ]


async def test_a_register_that_meets_somebody_elses_operation_waits_for_its_end_and_is_planned_anew(
    registry: Registry, script: Script
) -> None:
    busy = Error("DuplicateRequest", 409, {"DuplicateOperationId": "op-other"})
    script.on("RegisterInstance", busy, {"OperationId": "op-register"})
    script.on("GetOperation", operation("PENDING"), operation("FAIL", "INTERNAL_FAILURE"), operation("SUCCESS"))
    error = await failure(registry, register("a"))
    assert isinstance(error, Conflict)
    assert str(error) == f"{ABOUT}: somebody else has changed it meanwhile. It is looked at anew"
    assert [request["OperationId"] for request in script.asked("GetOperation")] == ["op-other", "op-other"]
    assert len(script.asked("RegisterInstance")) == 1, "what the other one wrote is not overwritten unseen"
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert (await outcome(registry, deregister("a"))).error is None, "nothing of ours may land"


async def test_a_register_that_meets_an_operation_of_its_own_comes_again(registry: Registry, script: Script) -> None:
    script.on("GetOperation", operation("PENDING"))
    applying = asyncio.ensure_future(outcome(registry, register("a")))
    await script.has_come("GetOperation")
    applying.cancel()
    await asyncio.gather(applying, return_exceptions=True)
    busy = Error("DuplicateRequest", 409, {"DuplicateOperationId": "op-register"})
    script.on("RegisterInstance", busy, {"OperationId": "op-again"})
    script.on("GetOperation", operation("SUCCESS"))
    assert (await outcome(registry, register("a"))).error is None
    assert script.asked("GetOperation")[-1] == {"OperationId": "op-again"}


async def test_a_deregister_waits_for_the_other_operation_and_comes_again(registry: Registry, script: Script) -> None:
    busy = Error("DuplicateRequest", 409, {"DuplicateOperationId": "op-other"})
    script.on("DeregisterInstance", busy, {"OperationId": "op-deregister"})
    script.on("GetOperation", operation("PENDING"), operation("SUCCESS"))
    assert (await outcome(registry, deregister("a"))).error is None
    looked_at = [request["OperationId"] for request in script.asked("GetOperation")]
    assert looked_at == ["op-other", "op-other", "op-deregister"]


async def test_somebody_who_is_always_first_is_no_endless_wait(registry: Registry, script: Script) -> None:
    script.on("DeregisterInstance", Error("DuplicateRequest", 409, {"DuplicateOperationId": "op-other"}))
    error = await failure(registry, deregister("a"))
    assert isinstance(error, Retryable)
    assert "somebody else keeps changing the same thing" in str(error)


async def test_a_service_made_anew_is_found_under_its_new_id(registry: Registry, script: Script) -> None:
    await outcome(registry, register("a"))
    script.on("RegisterInstance", Error("ServiceNotFound", 404), {"OperationId": "op-register"})
    script.on("ListServices", {"Services": [{"Id": "srv-2", "Name": "flask-app"}]})
    assert (await outcome(registry, register("a"))).error is None
    assert [request["ServiceId"] for request in script.asked("RegisterInstance")] == ["srv-1", "srv-1", "srv-2"]


async def test_a_namespace_made_anew_is_found_under_its_new_id(registry: Registry, script: Script) -> None:
    await outcome(registry, register("a"))
    script.on("RegisterInstance", Error("ServiceNotFound", 404), {"OperationId": "op-register"})
    script.on("ListServices", {"Services": []}, {"Services": [{"Id": "srv-2", "Name": "flask-app"}]})
    script.on("GetNamespace", Error("NamespaceNotFound", 404))
    script.on("ListNamespaces", {"Namespaces": [{"Id": "ns-2", "Name": "test-namespace", "Type": "HTTP"}]})
    assert (await outcome(registry, register("a"))).error is None
    assert script.asked("ListServices")[-1]["Filters"][0]["Values"] == ["ns-2"]
    assert script.asked("RegisterInstance")[-1]["ServiceId"] == "srv-2"


async def test_after_a_failed_operation_ids_are_looked_up_again(registry: Registry, script: Script) -> None:
    await outcome(registry, register("a"))
    script.on("GetOperation", operation("FAIL", "INTERNAL_FAILURE"), operation("SUCCESS"))
    assert isinstance(await failure(registry, register("a")), Retryable)
    script.on("ListServices", {"Services": []})
    assert isinstance(await failure(registry, register("a")), NotFound)


@pytest.mark.parametrize(
    ("code", "field", "words"),
    [
        ("ACCESS_DENIED", "permissions", '"Action": "route53:ChangeResourceRecordSets"'),
        ("CANNOT_CREATE_HOSTED_ZONE", "name", "Needed: route53:CreateHostedZone"),
        ("HOSTED_ZONE_NOT_FOUND", "name", "the hosted zone is gone"),
        ("INVALID_CHANGE_BATCH", "attributes", "Route 53 refused the records"),
        ("INTERNAL_FAILURE", "", "failed with INTERNAL_FAILURE"),
        ("EXPIRED_TOKEN", "", "the credentials expired"),
        ("THROTTLED_REQUEST", "", "was throttled"),
        ("SOMETHING_NEW", "", "failed with SOMETHING_NEW"),
        ("", "", "failed with no error code"),
    ],
)
async def test_an_operation_that_fails_late_says_why(
    registry: Registry, script: Script, code: str, field: str, words: str
) -> None:
    script.on("GetOperation", operation("PENDING"), operation("FAIL", code, "as Cloud Map\nputs it"))
    error = await failure(registry, register("a"))
    assert isinstance(error, Refused if field else Retryable)
    assert str(error).startswith(f"{ABOUT}: ")
    assert words in str(error)
    assert code in str(error)
    assert "as Cloud Map puts it)" in str(error)
    assert getattr(error, "field", "") == field
    assert bool(getattr(error, "rule", "")) == bool(field)


async def test_deregistering_what_is_gone_is_done(registry: Registry, script: Script) -> None:
    script.on("DeregisterInstance", Error("InstanceNotFound", 404))
    assert (await outcome(registry, deregister("a"))).error is None
    assert script.asked("GetOperation") == []


async def test_deregistering_from_a_service_that_is_gone_is_done(registry: Registry, script: Script) -> None:
    script.on("DeregisterInstance", Error("ServiceNotFound", 404))
    script.on("ListServices", {"Services": []})
    assert (await outcome(registry, deregister("a"))).error is None


@pytest.mark.parametrize(
    "lost",
    [
        Drop,
        Error("InternalFailure", 500),
        Error("ServiceUnavailable", 503),
        Error("NobodyKnowsThisOne", 400),
        Raw(b"<html>no JSON</html>", 502),
        Raw(b"no JSON", 200),
    ],
    ids=["dropped", "InternalFailure", "ServiceUnavailable", "unknown code", "html", "garbage"],
)
async def test_a_write_whose_answer_says_nothing_is_doubtful(registry: Registry, script: Script, lost: Reply) -> None:
    for change, name in ((register("a"), "RegisterInstance"), (deregister("b"), "DeregisterInstance")):
        script.on(name, lost)
        assert is_doubtful(await failure(registry, change))
        assert len(script.asked(name)) == 1, "a doubtful write is never repeated by itself"


async def test_a_write_without_any_answer_is_doubtful_after_its_time_out(registry: Registry, script: Script) -> None:
    script.on("RegisterInstance", Hang)
    error = await failure(registry, register("a"))
    assert is_doubtful(error)
    assert "Read timeout" in str(error)
    # Together shorter than what a lease of 10 s with a renew deadline of 6 s leaves.
    assert client.CONNECT_TIMEOUT_SECONDS + client.READ_TIMEOUT_SECONDS < 4.0


@pytest.mark.parametrize(
    ("code", "field"),
    [
        ("InvalidInput", "attributes"),
        ("ValidationException", "attributes"),
        ("ResourceLimitExceeded", "quota"),
        ("AccessDeniedException", "permissions"),
        ("UnknownOperationException", "endpointUrl"),
    ],
)
async def test_a_refusal_names_field_and_rule_and_is_not_doubtful(
    registry: Registry, script: Script, code: str, field: str
) -> None:
    script.on("RegisterInstance", Error(code))
    error = await failure(registry, register("a"))
    assert isinstance(error, Refused)
    assert error.field == field
    assert error.rule
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert (await outcome(registry, deregister("a"))).error is None


@pytest.mark.parametrize("code", ["UnrecognizedClientException", "ExpiredTokenException", "InvalidSignatureException"])
async def test_credentials_that_are_not_taken_are_no_doubt(registry: Registry, script: Script, code: str) -> None:
    script.on("RegisterInstance", Error(code, 403))
    error = await failure(registry, register("a"))
    assert isinstance(error, Unreachable)
    assert not error.doubtful
    assert "Renew them" in str(error)


async def test_after_a_lost_register_an_absent_instance_is_doubtful(registry: Registry, script: Script) -> None:
    script.on("RegisterInstance", Drop)
    assert is_doubtful(await failure(registry, register("a")))
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert is_doubtful(await failure(registry, deregister("a")))
    assert (await outcome(registry, deregister("b"))).error is None, "its neighbours are not"


async def test_a_refused_register_says_nothing_of_a_lost_one_before_it(registry: Registry, script: Script) -> None:
    script.on("RegisterInstance", Drop, Error("InvalidInput", 400, {}))
    await failure(registry, register("a"))
    assert not is_doubtful(await failure(registry, register("a")))
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert is_doubtful(await failure(registry, deregister("a"))), "the lost one may still land"


async def test_a_register_that_lands_late_is_found_by_the_next_deregister(registry: Registry, script: Script) -> None:
    script.on("RegisterInstance", Drop)
    await failure(registry, register("a"))
    busy = Error("DuplicateRequest", 409, {"DuplicateOperationId": "op-of-the-lost-register"})
    script.on("DeregisterInstance", busy, {"OperationId": "op-deregister"})
    assert (await outcome(registry, deregister("a"))).error is None
    looked_at = [request["OperationId"] for request in script.asked("GetOperation")]
    assert looked_at == ["op-of-the-lost-register", "op-deregister"]
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert (await outcome(registry, deregister("a"))).error is None, "the doubt is over"


async def test_a_register_whose_operation_goes_on_is_doubtful_until_it_is_terminal(
    registry: Registry, script: Script
) -> None:
    script.on("GetOperation", operation("PENDING"))
    applying = asyncio.ensure_future(outcome(registry, register("a")))
    await script.has_come("GetOperation")
    applying.cancel()
    await asyncio.gather(applying, return_exceptions=True)
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert is_doubtful(await failure(registry, deregister("a")))
    # Now it is terminal, and landed: absent a moment ago, there now.
    script.on("GetOperation", operation("SUCCESS"))
    script.on("DeregisterInstance", Error("InstanceNotFound"), {"OperationId": "op-deregister"})
    assert (await outcome(registry, deregister("a"))).error is None
    looked_at = [request["OperationId"] for request in script.asked("GetOperation")]
    assert looked_at[-2:] == ["op-register", "op-deregister"]


async def test_a_register_that_was_done_again_leaves_no_doubt(registry: Registry, script: Script) -> None:
    script.on("RegisterInstance", Drop, {"OperationId": "op-register"})
    await failure(registry, register("a"))
    assert (await outcome(registry, register("a"))).error is None
    script.on("DeregisterInstance", Error("InstanceNotFound"))
    assert (await outcome(registry, deregister("a"))).error is None


async def test_losing_sight_of_an_operation_for_a_while_loses_no_outcome(registry: Registry, script: Script) -> None:
    troubles: Sequence[Reply] = [Drop, Error("InternalFailure", 500), Error("ThrottlingException")]
    script.on("GetOperation", *troubles, operation("PENDING"), Drop, operation("SUCCESS"))
    assert (await outcome(registry, register("a"))).error is None
    assert len(script.asked("RegisterInstance")) == 1


async def test_an_operation_that_is_forgotten_is_doubtful(registry: Registry, script: Script) -> None:
    script.on("GetOperation", Error("OperationNotFound", 404))
    assert is_doubtful(await failure(registry, register("a")))


async def test_a_slow_operation_blocks_its_own_change_only(registry: Registry, script: Script) -> None:
    script.on("RegisterInstance", {"OperationId": "op-register"})
    script.on("GetOperation", *[operation("PENDING")] * 10, operation("SUCCESS"))
    changes: list[Change] = [register("slow"), set_health("quick", Health.UNHEALTHY)]
    script.on("UpdateInstanceCustomHealthStatus", {})
    order = [each.change.instance_id async for each in registry.apply(SERVICE, changes)]
    assert order == ["quick", "slow"]


async def test_setting_a_status_says_what_it_needs(registry: Registry, script: Script) -> None:
    script.on("UpdateInstanceCustomHealthStatus", Error("CustomHealthNotFound"))
    error = await failure(registry, set_health("a", Health.UNHEALTHY))
    assert isinstance(error, Refused)
    assert (error.field, error.rule) == ("health", "a status only in a registry service with custom health checks")
    error = await failure(registry, set_health("a", Health.UNKNOWN))
    assert isinstance(error, Refused)
    assert error.rule == "HEALTHY or UNHEALTHY"
    assert len(script.asked("UpdateInstanceCustomHealthStatus")) == 1


async def test_a_surprise_is_the_outcome_of_its_own_change(
    registry: Registry, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.on("RegisterInstance", {"Unexpected": "no OperationId"}, {"OperationId": "op-register"})
    outcomes = [each async for each in registry.apply(SERVICE, [register("a"), register("b")])]
    assert sorted(is_doubtful(each.error) for each in outcomes) == [False, True]
    assert "failed unexpectedly" in caplog.text


async def test_no_secret_is_in_a_message_or_a_log(
    registry: Registry, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for reply in (Error("UnrecognizedClientException", 403), Drop, Raw(b"garbage", 500), {"Unexpected": 1}):
        script.on("RegisterInstance", reply)
        assert "a-secret-that-nobody-prints" not in str(await failure(registry, register("a")))
    assert "a-secret-that-nobody-prints" not in caplog.text


async def test_a_thousand_changes_wait_in_line_and_not_each_in_a_task_of_its_own(
    registry: Registry, script: Script
) -> None:
    """And what was accepted makes room, however long its operation takes."""
    script.on("RegisterInstance", Hang)
    outcomes = registry.apply(SERVICE, [register(f"i-{number}") for number in range(1_000)])
    first = asyncio.ensure_future(anext(outcomes))
    await script.has_come("RegisterInstance")
    assert 100 < len(asyncio.all_tasks()) < 300
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    script.requests.clear()
    script.on("RegisterInstance", {"OperationId": "op-register"})
    script.on("GetOperation", operation("PENDING"))
    stuck = registry.apply(SERVICE, [register(f"i-{number}") for number in range(200)])
    waiting = asyncio.ensure_future(anext(stuck))
    await script.has_come("RegisterInstance", 200)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
