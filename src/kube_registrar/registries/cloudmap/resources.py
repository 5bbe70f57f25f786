"""Registry namespaces and registry services: made, adopted, updated and removed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from kube_registrar.model.errors import Conflict, NotFound, Refused, Retryable
from kube_registrar.model.ownership import owns
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef
from kube_registrar.model.specs import CreationPolicy, NamespaceSpec, NamespaceType, ServiceSpec
from kube_registrar.registries.cloudmap import shapes
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.differences import conflict, needs_update
from kube_registrar.registries.cloudmap.faults import Answered
from kube_registrar.registries.cloudmap.names import KnownNamespace, Names
from kube_registrar.registries.cloudmap.operations import Operations
from kube_registrar.registries.cloudmap.rules import check_description, check_service
from kube_registrar.registries.cloudmap.tags import Tags
from kube_registrar.registries.port import Found

_TRIES: Final = 2
"""Once with what is remembered, once with what a fresh list says."""


class Resources:
    """What `ensure` and `remove` do."""

    def __init__(self, client: Client, names: Names, operations: Operations, registry: RegistryName) -> None:
        self._client = client
        self._names = names
        self._operations = operations
        self._registry = registry
        self._tags = Tags(client)

    # Registry namespaces.

    async def ensure_namespace(self, spec: NamespaceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Make, adopt or update a registry namespace.

        It is looked for first: Cloud Map would make a second one of the same name, of another type or VPC.
        """
        check_description(spec)
        if spec.arn:
            return await self._use_namespace(spec, creator, policy)
        about = f"making registry namespace {spec.ref}"
        try:
            known = await self._names.namespace(spec.ref, fresh=True)
            namespace_id = known.found.id
        except NotFound:
            if policy is CreationPolicy.ADOPT:
                raise
            namespace_id = await self._create_namespace(spec, creator, about)
        try:
            json = await self._get_namespace(namespace_id, about)
        except NotFound as error:
            self._names.forget(spec.ref)
            raise Retryable(f"{about}: it was removed at the same time ({error})", after=1.0) from None
        return await self._settle_namespace(spec, json, creator, policy)

    async def _use_namespace(self, spec: NamespaceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Use what an ARN names. Raises NotFound; Refused where it has another name."""
        about = f"looking for registry namespace {spec.ref}, {spec.arn}"
        json = await self._get_namespace(spec.arn, about)
        if json["Name"] != spec.ref.name:
            rule = f"{json['Name']!r}, which is its name there"
            text = f"{about}: it is not called {spec.ref.name!r}; allowed: {rule}. Correct spec.name or spec.arn"
            raise Refused(text, field="name", rule=rule)
        found = shapes.namespace_found(self._registry, {**json, "Arn": spec.arn}, _creator(json, creator))
        self._names.pin(found, shapes.http_name(json))
        return await self._settle_namespace(spec, {**json, "Arn": spec.arn, "Id": spec.arn}, creator, policy)

    async def _create_namespace(self, spec: NamespaceSpec, creator: str, about: str) -> str:
        if spec.type is NamespaceType.DNS_PRIVATE and not spec.vpc_id:
            rule = "the id of a VPC, for namespaces of type DNSPrivate"
            raise Refused(f"{about}: it names no VPC; needed: {rule}. Set vpcID", field="vpcID", rule=rule)
        operation, request = shapes.create_namespace(spec, creator)
        try:
            done = await self._operate(operation, request, about, expected=("NamespaceAlreadyExists",))
        except Answered as refusal:
            if "NamespaceId" not in refusal.fields:
                raise refusal.as_error(operation, about) from None
            there: str = refusal.fields["NamespaceId"]
            return there
        made: str = done["Targets"]["NAMESPACE"]
        return made

    async def _settle_namespace(
        self, spec: NamespaceSpec, json: Mapping[str, Any], creator: str, policy: CreationPolicy
    ) -> Found:
        found = shapes.namespace_found(self._registry, json, _creator(json, creator))
        self._names.learn_namespace(KnownNamespace(found, shapes.http_name(json)))
        tags = await self._tags.of(found)
        if not _is_own(spec, found, tags, creator, policy):
            return _tagged(found, tags)
        if needs_update(found.spec, spec):
            about = f"updating registry namespace {spec.ref}"
            operation, request = shapes.update_namespace(spec, found.id)
            await self._operate(operation, request, about)
            json = {**await self._get_namespace(found.id, about), "Id": found.id}  # the ARN, where it is meant by that
            found = shapes.namespace_found(self._registry, json, found.created_by)
            self._names.learn_namespace(KnownNamespace(found, shapes.http_name(json)))
        return _tagged(found, await self._tags.put(found, tags, spec.tags))

    async def _get_namespace(self, namespace_id: str, about: str) -> Mapping[str, Any]:
        json: Mapping[str, Any] = (await self._client.call("GetNamespace", {"Id": namespace_id}, about))["Namespace"]
        return json

    async def remove_namespace(self, ref: NamespaceRef) -> None:
        """Remove a registry namespace; what is gone is done. Conflict while it holds services."""
        about = f"removing registry namespace {ref}"
        try:
            known = await self._names.namespace(ref, fresh=True)
            await self._operate("DeleteNamespace", {"Id": known.found.id}, about)
        except NotFound:
            pass
        self._names.forget(ref)

    # Registry services.

    async def ensure_service(self, spec: ServiceSpec, creator: str, policy: CreationPolicy) -> Found:
        """Make, adopt or update a registry service."""
        about = f"making registry service {spec.ref}"
        for _ in range(_TRIES):
            namespace = await self._names.namespace(spec.ref.namespace)
            if not isinstance(namespace.found.spec, NamespaceSpec):
                raise TypeError(namespace)
            check_service(spec, namespace.found.spec)
            try:
                known = await self._names.service(spec.ref, fresh=True)
                json = await self._get_service(known.id, about)
                return await self._settle_service(spec, json, creator, policy)
            except NotFound:
                if policy is CreationPolicy.ADOPT:
                    raise
            try:
                json, tags = await self._create_service(spec, namespace, creator, about)
                return await self._settle_service(spec, json, creator, policy, tags)
            except NotFound:
                self._names.forget(spec.ref.namespace)
        raise NotFound(f"{about}: registry namespace {spec.ref.namespace} is listed, but gone. Create it first")

    async def _create_service(
        self, spec: ServiceSpec, namespace: KnownNamespace, creator: str, about: str
    ) -> tuple[Mapping[str, Any], Mapping[str, str] | None]:
        """Return it, and its tags; None where somebody else was faster, so that they have to be read."""
        request = shapes.create_service(spec, namespace.found.id, creator)
        try:
            answer = await self._client.call("CreateService", request, about, expected=("ServiceAlreadyExists",))
        except Answered as refusal:
            if "ServiceId" not in refusal.fields:
                raise refusal.as_error("CreateService", about) from None
            return await self._get_service(refusal.fields["ServiceId"], about), None
        return answer["Service"], dict(spec.tags)

    async def _settle_service(
        self,
        spec: ServiceSpec,
        json: Mapping[str, Any],
        creator: str,
        policy: CreationPolicy,
        tags: Mapping[str, str] | None = None,
    ) -> Found:
        found = self._names.service_found(spec.ref.namespace, json, _creator(json, creator))
        self._names.learn_service(found, spec.ref)
        if tags is None:
            tags = await self._tags.of(found)
        if not _is_own(spec, found, tags, creator, policy):
            return _tagged(found, tags)
        known = await self._names.namespace(spec.ref.namespace)
        is_http = isinstance(known.found.spec, NamespaceSpec) and known.found.spec.type is NamespaceType.HTTP
        if needs_update(found.spec, spec) and not is_http:  # there UpdateService is refused: what is there stays
            about = f"updating registry service {spec.ref}"
            await self._operate("UpdateService", shapes.update_service(spec, found.id), about)
            json = await self._get_service(found.id, about)
            found = self._names.service_found(spec.ref.namespace, json, found.created_by)
            self._names.learn_service(found, spec.ref)
        return _tagged(found, await self._tags.put(found, tags, spec.tags))

    async def _get_service(self, service_id: str, about: str) -> Mapping[str, Any]:
        json: Mapping[str, Any] = (await self._client.call("GetService", {"Id": service_id}, about))["Service"]
        return json

    async def remove_service(self, ref: ServiceRef) -> None:
        """Remove a registry service; what is gone is done. Conflict while it holds instances."""
        about = f"removing registry service {ref}"
        try:
            known = await self._names.service(ref, fresh=True)
            await self._client.call("DeleteService", {"Id": known.id}, about)
        except NotFound:
            pass
        self._names.forget(ref)

    async def _operate(
        self, operation: str, request: Mapping[str, object], about: str, *, expected: Sequence[str] = ()
    ) -> Mapping[str, Any]:
        """Make a call that starts an operation, and return that operation once it succeeded."""
        send = partial(self._client.call, operation, request, about, expected=("DuplicateRequest", *expected))
        return await self._operations.confirm(await self._operations.submit(send, operation, about), about)


def _creator(json: Mapping[str, Any], creator: str) -> str | None:
    """Return who made it: `creator` itself, if its token is there, else the token that is."""
    there: str | None = json.get("CreatorRequestId")
    return creator if there == shapes.token(creator) else there


def _is_own(
    spec: NamespaceSpec | ServiceSpec, found: Found, tags: Mapping[str, str], creator: str, policy: CreationPolicy
) -> bool:
    """Whether its settings are the creator's to change. Raises Conflict if what is there cannot be used."""
    own = owns(tags, spec.tags, made=found.created_by == creator)
    if difference := conflict(found.spec, spec, own=own):
        raise Conflict(f"{spec.ref} exists and {difference}. Ask for the same, or choose another name", found=found)
    if not own and policy is CreationPolicy.CREATE:
        text = f"{spec.ref} exists and was made by {found.created_by or 'somebody else'}. Allow adoption, or rename it"
        raise Conflict(text, found=found)
    return own


def _tagged(found: Found, tags: Mapping[str, str]) -> Found:
    return replace(found, spec=replace(found.spec, tags=dict(tags)))
