"""Which of several replicas works: the one that leads; without an election, this one."""

import asyncio
from collections.abc import Sequence

from kube_registrar.cli.watchdogs import Watchdog
from kube_registrar.cluster.election import Elector, Lead, new_identity
from kube_registrar.cluster.lease import ApiLease, own_namespace
from kube_registrar.cluster.preflight import RIGHTS, Right, lease_rights
from kube_registrar.cluster.session import Session
from kube_registrar.cluster.status import Statuses
from kube_registrar.declared.settings import Configuration
from kube_registrar.operator import running
from kube_registrar.operator.context import Context
from kube_registrar.operator.keeping import Keeper
from kube_registrar.operator.notices import Notices
from kube_registrar.operator.reachability import Permitted, Reachability
from kube_registrar.operator.standing import StatusWriter
from kube_registrar.operator.tallies import Tallies
from kube_registrar.registries.loading import is_shared
from kube_registrar.runtime.clock import Clock
from kube_registrar.runtime.fence import WRITE_SECONDS, Fence
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.runtime.tasks import keep_running
from kube_registrar.server.wedges import idle_election
from kube_registrar.sync.engine import Engine

FIRST_LOOK_SECONDS = 3.0
"""kopf reads every object of ours when it starts, which takes the processor for seconds when there are hundreds. What a
predecessor left undone comes first, for so long at most."""


def has_election(configuration: Configuration) -> bool:
    """Whether replicas elect one that leads: as it was said, else where two processes can share a registry."""
    if configuration.leader_election is not None:
        return configuration.leader_election
    return _has_shared_registry(configuration)


def _has_shared_registry(configuration: Configuration) -> bool:
    return any(is_shared(entry.kind) for entry in configuration.registries.values())


def rights(configuration: Configuration) -> Sequence[Right]:
    """Return what this replica must be allowed."""
    if not has_election(configuration):
        return RIGHTS
    return (*RIGHTS, *lease_rights(_namespace(configuration), configuration.lease_name))


def straggler_seconds(configuration: Configuration) -> float:
    """Return for how long writes of who led before may be on their way: without an election, of our own last run."""
    return WRITE_SECONDS if _has_shared_registry(configuration) else 0.0


def elector(configuration: Configuration, session: Session, fence: Fence, metrics: Metrics) -> Elector | None:
    """Return who takes part in the election, the fence closed until it is won; None where there is no election."""
    if not has_election(configuration):
        metrics.leader.set(1)
        return None
    lease = ApiLease(session, _namespace(configuration), configuration.lease_name)
    made = Elector(lease, new_identity(), fence, session.clock)
    metrics.before_render(lambda: metrics.leader.set(made.is_leading))
    return made


def watchdogs(elector: Elector | None, clock: Clock) -> list[Watchdog]:
    """Return what looks after the election: nothing where there is none, or while no part is taken in it."""
    if elector is None:
        return []

    def look() -> Sequence[str]:
        last = elector.attempted_at
        return idle_election(clock.monotonic() - last) if last is not None else []

    return [look]


async def take_part(elector: Elector | None, engine: Engine, lead: Lead) -> None:
    """Do `lead` whenever this replica leads, until cancelled. It takes no part before it could do anything."""
    if elector is None:
        await lead()
        return
    await engine.warm()
    await elector.run(lead)


def leading(engine: Engine, context: Context, session: Session, namespaces: Sequence[str]) -> Lead:
    """Return what only the leader does: registries, our kinds, and their statuses."""

    async def our_kinds() -> None:
        await engine.first_look(FIRST_LOOK_SECONDS)
        await running.run(context, session.login, namespaces)

    async def lead() -> None:
        async with asyncio.TaskGroup() as group:
            keep_running(group, "registries", engine.lead())
            keep_running(group, "kopf", our_kinds())
            if context.writes_statuses:
                keep_running(group, "statuses", _statuses(engine, context, session).run())
            keep_running(group, "keeper", Keeper(context, Statuses(session)).run())

    return lead


def _statuses(engine: Engine, context: Context, session: Session) -> StatusWriter:
    catalog = context.catalog
    standings = (
        Tallies(engine, catalog),
        Reachability(engine.circuits, catalog),
        Permitted(engine.permissions, catalog),
        Notices(engine),
    )
    return StatusWriter(catalog, Statuses(session), context.clock, standings)


def _namespace(configuration: Configuration) -> str:
    return configuration.lease_namespace or own_namespace()
