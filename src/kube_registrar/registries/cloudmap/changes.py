"""One change of one instance: sent, accepted, confirmed."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from kube_registrar.model.changes import Change, Deregister, Register, SetHealth
from kube_registrar.model.errors import NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Health
from kube_registrar.model.refs import ServiceRef
from kube_registrar.registries.cloudmap.client import Client
from kube_registrar.registries.cloudmap.doubts import Doubts, Pair
from kube_registrar.registries.cloudmap.faults import Answered
from kube_registrar.registries.cloudmap.names import Names
from kube_registrar.registries.cloudmap.operations import Operations, is_terminal
from kube_registrar.registries.cloudmap.rules import check_instance

_MOST_TRIES: Final = 5
_EXPECTED: Final = {
    "RegisterInstance": ("ServiceNotFound", "DuplicateRequest"),
    "DeregisterInstance": ("ServiceNotFound", "DuplicateRequest", "InstanceNotFound"),
    "UpdateInstanceCustomHealthStatus": ("ServiceNotFound",),
}
"""The error codes that are dealt with here."""


class Changes:
    """Makes changes, each confirmed by looking at its own operation."""

    def __init__(self, client: Client, names: Names, operations: Operations, doubts: Doubts) -> None:
        self._client = client
        self._names = names
        self._operations = operations
        self._doubts = doubts

    async def make(self, service: ServiceRef, change: Change) -> None:
        """Return once Cloud Map confirmed the change; else raise a RegistryError."""
        match change:
            case Register():
                await self._register(service, change)
            case Deregister():
                await self._deregister(service, change)
            case SetHealth():
                await self._set_health(service, change)

    async def _register(self, service: ServiceRef, change: Register) -> None:
        check_instance(change.instance)
        about, pair = f"registering {change.instance_id} in {service}", (service, change.instance_id)
        request = {"InstanceId": change.instance_id, "Attributes": dict(change.instance.attributes)}
        before = self._doubts.of(pair)
        try:
            operation_id = await self._submit("RegisterInstance", service, change, request, about)
            self._doubts.accepted(pair, operation_id)
            await self._confirm(operation_id, service, change, about)
        except Unreachable as error:
            if not error.doubtful:
                self._doubts.refused(pair, before)
            raise
        except RegistryError:
            self._doubts.refused(pair, before)
            raise
        # On cancellation the note stays: what was sent may land.
        self._doubts.resolved(pair)

    async def _deregister(self, service: ServiceRef, change: Deregister) -> None:
        about, pair = f"deregistering {change.instance_id} from {service}", (service, change.instance_id)
        request = {"InstanceId": change.instance_id}
        for _ in range(_MOST_TRIES):
            try:
                operation_id = await self._submit("DeregisterInstance", service, change, request, about)
            except NotFound:  # the service is gone, and with it all that was in it
                self._doubts.resolved(pair)
                return
            except Answered:  # InstanceNotFound: done, unless a register of ours may still land
                if await self._nothing_may_land(pair, about):
                    return
            else:
                await self._confirm(operation_id, service, change, about)
                # It was accepted, so no operation of an earlier register was under way any more.
                self._doubts.resolved(pair)
                return
        raise Retryable(f"{about}: it comes and goes. Look who else writes it", after=1.0)

    async def _nothing_may_land(self, pair: Pair, about: str) -> bool:
        """Whether an absent instance stays absent: True for good, False if it is worth asking again at once."""
        doubt = self._doubts.of(pair)
        if doubt is None:
            return True
        if doubt.operation_id is not None:
            try:
                is_over = is_terminal(await self._operations.look(doubt.operation_id, about))
            except NotFound:  # Cloud Map forgets operations, terminal ones only
                is_over = True
            if is_over:
                self._doubts.resolved(pair)
                return False
        raise Unreachable(f"{about}: it is not there, but a register sent before may still land", doubtful=True)

    async def _set_health(self, service: ServiceRef, change: SetHealth) -> None:
        """Set the status. Cloud Map applies it about 30 s later; asking again would not hasten it."""
        about = f"setting the status of {change.instance_id} in {service}"
        if change.health is Health.UNKNOWN:
            rule = "HEALTHY or UNHEALTHY"
            raise Refused(f"{about}: it is UNKNOWN; allowed: {rule}", field="health", rule=rule)
        request = {"InstanceId": change.instance_id, "Status": change.health.value}
        await self._call("UpdateInstanceCustomHealthStatus", service, change, request, about)

    async def _submit(
        self, operation: str, service: ServiceRef, change: Change, request: Mapping[str, object], about: str
    ) -> str:
        """Return the id of the operation that was accepted. Answered if InstanceNotFound; RegistryError."""
        send = partial(self._call, operation, service, change, request, about)
        return await self._operations.submit(send, operation, about, change.urgency)

    async def _call(
        self, operation: str, service: ServiceRef, change: Change, request: Mapping[str, object], about: str
    ) -> Mapping[str, Any]:
        """Make the call for a service by name; an id that is no longer good is looked up once more."""
        pair = (service, change.instance_id)
        for _ in range(2):
            known = await self._names.service(service)
            try:
                return await self._client.call(
                    operation,
                    {"ServiceId": known.id, **request},
                    about,
                    expected=_EXPECTED[operation],
                    urgency=change.urgency,
                    sending=(lambda: self._doubts.sent(pair)) if isinstance(change, Register) else None,
                )
            except Answered as refusal:
                if refusal.code != "ServiceNotFound":
                    raise
                self._names.forget(service)
        raise NotFound(f"{about}: registry service {service} is listed, but gone. It is looked up again")

    async def _confirm(self, operation_id: str, service: ServiceRef, change: Change, about: str) -> None:
        try:
            await self._operations.confirm(operation_id, about, change.urgency)
        except RegistryError:
            # A register into a service that is gone is accepted, and fails like this.
            self._names.forget(service)
            raise
