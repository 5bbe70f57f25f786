"""One change of one instance: sent, accepted, confirmed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kube_registrar.model.changes import Change, Deregister, Register, SetHealth
from kube_registrar.model.errors import NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.model.instances import Health, Instance
from kube_registrar.model.refs import ServiceRef
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.registries.cloudmap.client import Client, Sending
from kube_registrar.registries.cloudmap.doubts import Doubt, Doubts, Pair
from kube_registrar.registries.cloudmap.faults import Answered
from kube_registrar.registries.cloudmap.instances import check_in_service, check_instance
from kube_registrar.registries.cloudmap.names import Names
from kube_registrar.registries.cloudmap.operations import Operations
from kube_registrar.registries.cloudmap.passage import Passage
from kube_registrar.registries.cloudmap.sweep import is_terminal

_MOST_TRIES: Final = 5
_EXPECTED: Final = {
    "RegisterInstance": ("ServiceNotFound", "DuplicateRequest"),
    "DeregisterInstance": ("ServiceNotFound", "DuplicateRequest", "InstanceNotFound"),
    "UpdateInstanceCustomHealthStatus": ("ServiceNotFound",),
}
"""The error codes that are dealt with here."""
_NOTHING: Final[Mapping[str, object]] = {}


@dataclass(frozen=True, slots=True)
class _Work:
    """One change of one instance, and whom to tell when its call was answered: what is left then is to wait."""

    service: ServiceRef
    change: Change
    about: str
    passage: Passage
    answered: Callable[[], None]

    @property
    def pair(self) -> Pair:
        """What one operation at a time is about."""
        return self.service, self.change.instance_id


@dataclass(frozen=True, slots=True)
class _Sending(Sending):
    """One call: a register may land from the moment in which it leaves, until it is turned away.

    `before`: a register of the same pair that may still land.
    """

    work: _Work
    doubts: Doubts
    before: Doubt | None

    def leaves(self) -> None:
        """See `Sending`."""
        self.work.passage.leaves()
        if isinstance(self.work.change, Register):
            self.doubts.sent(self.work.pair)

    def comes_back(self) -> None:
        """See `Sending`."""
        if isinstance(self.work.change, Register):
            self.doubts.refused(self.work.pair, self.before)
        self.work.passage.comes_back()


class Changes:
    """Makes changes, each confirmed by what became of its own operation."""

    def __init__(self, client: Client, names: Names, operations: Operations, doubts: Doubts) -> None:
        self._client = client
        self._names = names
        self._operations = operations
        self._doubts = doubts

    async def make(self, service: ServiceRef, change: Change, passage: Passage, answered: Callable[[], None]) -> None:
        """Return once Cloud Map confirmed the change; else raise a RegistryError.

        `passage` hears of each try, and ends it when nobody wants it any more. `answered` is called as soon as it has
        been sent and answered: what is left is to wait.
        """
        match change:
            case Register():
                about = f"registering {change.instance_id} in {service}"
                await self._register(_Work(service, change, about, passage, answered), change.instance)
            case Deregister():
                about = f"deregistering {change.instance_id} from {service}"
                await self._deregister(_Work(service, change, about, passage, answered))
            case SetHealth():
                about = f"setting the status of {change.instance_id} in {service}"
                await self._set_health(_Work(service, change, about, passage, answered), change.health)

    async def _register(self, work: _Work, instance: Instance) -> None:
        await self._check(work.service, instance)
        before = self._doubts.of(work.pair)
        try:
            operation_id = await self._submit("RegisterInstance", work, {"Attributes": dict(instance.attributes)})
            self._doubts.accepted(work.pair, operation_id)
            await self._confirm(operation_id, work)
        except Unreachable as error:
            if not error.doubtful:
                self._doubts.refused(work.pair, before)
            raise
        except RegistryError:
            self._doubts.refused(work.pair, before)
            raise
        # On cancellation the note stays: what was sent may land.
        self._doubts.resolved(work.pair)

    async def _check(self, service: ServiceRef, instance: Instance) -> None:
        """Raise Refused for what the service does not take; what is remembered of it may be old: it is read again."""
        check_instance(instance)
        try:
            await self._check_in(service, instance, fresh=False)
        except Refused:
            await self._check_in(service, instance, fresh=True)

    async def _check_in(self, service: ServiceRef, instance: Instance, *, fresh: bool) -> None:
        known = await self._names.service(service, fresh=fresh)
        parent = await self._names.namespace(service.namespace)
        if isinstance(known.spec, ServiceSpec) and isinstance(parent.found.spec, NamespaceSpec):
            check_in_service(instance, known.spec, parent.found.spec.type)

    async def _deregister(self, work: _Work) -> None:
        for _ in range(_MOST_TRIES):
            try:
                operation_id = await self._submit("DeregisterInstance", work)
            except NotFound:  # the service is gone, and with it all that was in it
                self._doubts.resolved(work.pair)
                return
            except Answered:  # InstanceNotFound: done, unless a register of ours may still land
                if await self._nothing_may_land(work.pair, work.about):
                    return
            else:
                await self._confirm(operation_id, work)
                # It was accepted, so no operation of an earlier register was under way any more.
                self._doubts.resolved(work.pair)
                return
        raise Retryable(f"{work.about}: it comes and goes. Look who else writes it", after=1.0)

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

    async def _set_health(self, work: _Work, health: Health) -> None:
        """Set the status. Cloud Map applies it about 30 s later; asking again would not hasten it."""
        if health is Health.UNKNOWN:
            rule = "HEALTHY or UNHEALTHY"
            raise Refused(f"{work.about}: it is UNKNOWN; allowed: {rule}", field="health", rule=rule)
        await self._call("UpdateInstanceCustomHealthStatus", work, {"Status": health.value})

    async def _submit(self, operation: str, work: _Work, request: Mapping[str, object] = _NOTHING) -> str:
        """Return the id of the operation that was accepted. Answered if InstanceNotFound; RegistryError."""
        send = partial(self._call, operation, work, request)
        repeats = partial(self._is_ours, work) if isinstance(work.change, Register) else None
        return await self._operations.submit(send, operation, work.about, work.change.urgency, repeats)

    def _is_ours(self, work: _Work, operation_id: str) -> bool:
        """Whether an operation is that of an earlier register of ours."""
        doubt = self._doubts.of(work.pair)
        return doubt is not None and doubt.operation_id == operation_id

    async def _call(self, operation: str, work: _Work, request: Mapping[str, object]) -> Mapping[str, Any]:
        """Make the call for a service by name; an id that is no longer good is looked up once more."""
        sending = _Sending(work, self._doubts, self._doubts.of(work.pair))
        try:
            for _ in range(2):
                known = await self._names.service(work.service)
                try:
                    return await self._client.call(
                        operation,
                        {"ServiceId": known.id, "InstanceId": work.change.instance_id, **request},
                        work.about,
                        expected=_EXPECTED[operation],
                        urgency=work.change.urgency,
                        sending=sending,
                    )
                except Answered as refusal:
                    if refusal.code != "ServiceNotFound":
                        raise
                    self._names.forget(work.service)
        finally:
            work.answered()
        text = f"{work.about}: registry service {work.service} is listed, but gone. It is looked up again"
        raise NotFound(text)

    async def _confirm(self, operation_id: str, work: _Work) -> None:
        try:
            await self._operations.settle(operation_id, work.about, work.change.urgency)
        except RegistryError:
            # A register into a service that is gone is accepted, and fails like this.
            self._names.forget(work.service)
            raise
