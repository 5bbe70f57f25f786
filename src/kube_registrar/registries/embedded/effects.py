"""What each asynchronous operation does when it is carried out, and what it keeps others from doing until then.

Requests are what `begin_…` stored with the operation, not what a client sent: they must be enough to carry it out in
another process, after a restart. Their members are part of the database's format.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from kube_registrar.model.refs import InstanceId
from kube_registrar.registries.embedded import storage
from kube_registrar.registries.embedded.ledger import Effect, Failure
from kube_registrar.registries.embedded.state import (
    CREATE_NAMESPACE,
    DELETE_NAMESPACE,
    DEREGISTER_INSTANCE,
    DNS_PRIVATE,
    REGISTER_INSTANCE,
    UPDATE_NAMESPACE,
    UPDATE_SERVICE,
    Instance,
    NamespaceRecord,
    Operation,
    ServiceRecord,
    State,
    Submission,
    renews_health,
)


def effect(state: State, operation: Operation, request: Mapping[str, Any], now_ms: int) -> Effect | Failure:
    """Return what the operation does, were it carried out now."""
    match operation.type:
        case "REGISTER_INSTANCE":
            return _register(state, operation, request, now_ms)
        case "DEREGISTER_INSTANCE":
            return _deregister(state, operation, now_ms)
        case "CREATE_NAMESPACE":
            return _create_namespace(state, operation, request)
        case "UPDATE_NAMESPACE":
            return _update_namespace(state, operation, request)
        case "DELETE_NAMESPACE":
            return _delete_namespace(state, operation)
        case _:
            return _update_service(state, operation, request)


def reserve(state: State, submission: Submission) -> None:
    """Mark the target as busy: one operation at a time for an instance, a service's settings, a namespace."""
    operation = submission.operation
    if operation.type in {REGISTER_INSTANCE, DEREGISTER_INSTANCE}:
        state.services[operation.service_id].busy[operation.instance_id] = submission
    elif operation.type == UPDATE_SERVICE:
        state.services[operation.service_id].updating = submission
    elif operation.type == CREATE_NAMESPACE:
        record = msgspec.convert(submission.request["namespace"], NamespaceRecord)
        state.arriving[operation.namespace_id] = (record, submission)
    else:
        state.namespaces[operation.namespace_id].busy = submission


def release(state: State, submission: Submission) -> None:
    """Take the mark off."""
    operation = submission.operation
    if operation.type in {REGISTER_INSTANCE, DEREGISTER_INSTANCE}:
        del state.services[operation.service_id].busy[operation.instance_id]
    elif operation.type == UPDATE_SERVICE:
        state.services[operation.service_id].updating = None
    elif operation.type == CREATE_NAMESPACE:
        del state.arriving[operation.namespace_id]
    elif operation.type in {UPDATE_NAMESPACE, DELETE_NAMESPACE} and operation.namespace_id in state.namespaces:
        state.namespaces[operation.namespace_id].busy = None


def _register(state: State, operation: Operation, request: Mapping[str, Any], now_ms: int) -> Effect:
    service = state.services[operation.service_id]
    attributes = storage.interned(request["attributes"])
    # A register makes the health check anew, so what UpdateInstanceCustomHealthStatus said before is gone
    # (RegisterInstance in the API reference: "deletes the old health check and creates a new one").
    health = attributes.get("AWS_INIT_HEALTH_STATUS", "HEALTHY")
    instance = Instance(InstanceId(operation.instance_id), attributes, request.get("creator", ""), health)
    before = service.instances.get(instance.id)
    # What clients would discover is as it was: then the revision is, too. None may wait for this one to be taken over,
    # for nothing else can be under way for this instance, but others may have taken the service's further.
    is_same = before is not None and before.attributes == attributes
    if is_same:
        return Effect(
            (storage.put_instance(operation.service_id, instance),),
            lambda: state.put_instance(service, instance, service.revision),
        )
    revision = state.next_revision(now_ms)

    def apply() -> None:
        state.put_instance(service, instance, revision)

    stored = storage.put_instance(operation.service_id, instance)
    return Effect((stored, storage.put_revision(operation.service_id, revision)), apply)


def _deregister(state: State, operation: Operation, now_ms: int) -> Effect:
    service = state.services[operation.service_id]
    revision = state.next_revision(now_ms)

    def apply() -> None:
        state.remove_instance(service, operation.instance_id, revision)

    stored = storage.remove_instance(operation.service_id, operation.instance_id)
    return Effect((stored, storage.put_revision(operation.service_id, revision)), apply)


def _create_namespace(state: State, operation: Operation, request: Mapping[str, Any]) -> Effect | Failure:
    record = msgspec.convert(request["namespace"], NamespaceRecord)
    tags = dict(request["tags"])
    overlap = _overlapping(state, operation, record)
    if overlap:
        return Failure(
            "CANNOT_CREATE_HOSTED_ZONE",
            f"The VPC {record.vpc} has the namespace {overlap!r}, and {record.name!r} overlaps with it",
        )
    stored = (storage.put_namespace(record), storage.put_tags("namespace", record.id, tags))
    return Effect(stored, lambda: state.add_namespace(record, tags))


def _overlapping(state: State, operation: Operation, record: NamespaceRecord) -> str | None:
    """Return the private namespace of the same VPC that is a parent or child domain of this one, if any.

    Those that were asked for earlier count too, though they are not made yet: of two that race the first is made.
    """
    if record.type != DNS_PRIVATE:
        return None
    earlier = [other for other, item in state.arriving.values() if item.operation.sequence < operation.sequence]
    name = f".{record.name.lower()}"
    for other in (*(namespace.record for namespace in state.namespaces.values()), *earlier):
        theirs = f".{other.name.lower()}"
        if other.vpc == record.vpc and (name.endswith(theirs) or theirs.endswith(name)):
            return other.name
    return None


def _update_namespace(state: State, operation: Operation, request: Mapping[str, Any]) -> Effect:
    namespace = state.namespaces[operation.namespace_id]
    record = replace(namespace.record, **request["change"])

    return Effect((storage.put_namespace(record),), lambda: state.change_namespace(namespace, record))


def _delete_namespace(state: State, operation: Operation) -> Effect:
    identifier = operation.namespace_id
    return Effect((storage.remove_namespace(identifier),), lambda: state.remove_namespace(identifier))


def _update_service(state: State, operation: Operation, request: Mapping[str, Any]) -> Effect:
    service = state.services[operation.service_id]
    record = msgspec.convert({**msgspec.to_builtins(service.record), **request["change"]}, ServiceRecord)

    stored = [storage.put_service(record, service.revision)]
    if renews_health(service.record, record):
        stored.append(storage.renew_health(record.id))
    return Effect(stored, lambda: state.change_service(service, record))
