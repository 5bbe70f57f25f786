"""Builds every part of the operator and runs them in one TaskGroup: the one place that knows them all."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

from kube_registrar.cli import front, replicas, watches
from kube_registrar.cli.counting import Counting, new_metrics
from kube_registrar.cli.watchdogs import Watchdogs
from kube_registrar.cli.worlds import world_of
from kube_registrar.cluster import preflight
from kube_registrar.cluster.events import Recorder
from kube_registrar.cluster.gate import PodGates
from kube_registrar.cluster.lookup import Lookup
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.errors import BrokenBackend, NotOpen, Unreadable
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import RegistryName
from kube_registrar.operator.context import Context
from kube_registrar.operator.withholding import Withholding
from kube_registrar.registries.absent import Absent
from kube_registrar.registries.awaited import Awaited
from kube_registrar.registries.contained import Contained, patience
from kube_registrar.registries.loading import backend
from kube_registrar.registries.metered import Metered
from kube_registrar.registries.opening import opened
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.allocator import take_stock
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.runtime.fence import Fence
from kube_registrar.runtime.metrics import Metrics
from kube_registrar.runtime.tasks import keep_running
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.gauges import set_gauges
from kube_registrar.sync.reporting import Reporter
from kube_registrar.sync.terms import Terms

FLUSH_SECONDS = 1.0
"""How long a stop may take for the last events."""

_log = logging.getLogger(__name__)


async def operate(configuration: Configuration) -> None:
    """Run the operator until cancelled. Raises UserError for what a person must change before it can run."""
    clock = SystemClock()
    fence = Fence(clock)
    metrics = new_metrics()
    counting = Counting(metrics)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(open_session(configuration.kubeconfig, configuration.context))
        cluster = await preflight.check(session, configuration.watch_namespaces, replicas.rights(configuration))
        _log.info("cluster %s, Kubernetes %s, at %s", cluster.uid, cluster.version, session.server)
        elector = replicas.elector(configuration, session, fence, metrics)
        metered = partial(Metered, metrics=metrics, clock=clock)
        held = await _opened(stack, configuration, clock, fence, metered)
        for name in held:
            counting.begin(name)
        take_stock()
        front.check_dns(configuration, held)
        await front.serve_api(stack, configuration, held, clock, metrics)
        await front.serve_dns(stack, configuration, held, clock, metrics)
        registries = [_contained(each, metered) for each in held.values()]
        recorder = Recorder(session)
        policies = _policies(configuration)
        catalog = Catalog(world_of(configuration, cluster.uid, registries))
        engine = _engine(
            configuration,
            session,
            registries,
            catalog,
            Reporter(recorder, counting),
            policies=policies,
            counting=counting,
        )
        watching = watches.watches(session, engine, configuration.watch_namespaces, nodes=cluster.may_read_nodes)
        _show(metrics, engine, watching.all, recorder, clock)
        watchdogs = Watchdogs(engine, recorder, watching.all, replicas.watchdogs(elector, session.clock))
        await front.serve_probes(stack, configuration, metrics, partial(_not_ready, engine, watching.all), watchdogs)
        context = Context(
            registries=engine.registries,
            catalog=catalog,
            recorder=recorder,
            clock=clock,
            cluster_uid=cluster.uid,
            default_registry=RegistryName(configuration.default_registry),
            main=asyncio.get_running_loop(),
            withholding=Withholding(policies, counting),
            measures=counting,
            writes_statuses=cluster.may_write_statuses,
            vouch=engine.identity.vouch,
        )
        stack.push_async_callback(_flush, recorder)
        async with asyncio.TaskGroup() as group:
            keep_running(group, "events", recorder.run())
            for watch in watching.all:
                keep_running(group, f"watch of {watch.resource.plural}", watching.run(watch))
            for awaited in (each for each in registries if isinstance(each, Awaited)):
                keep_running(group, f"opening of registry {awaited.name}", awaited.keep())
            keep_running(group, "engine", engine.run())
            lead = replicas.leading(engine, context, session, configuration.watch_namespaces)
            keep_running(group, "election", replicas.take_part(elector, engine, lead))


def _contained(registry: Registry, metered: Callable[[Registry], Registry]) -> Registry:
    """Keep its surprises from the engine, and count what it is asked; one that is awaited sees to that itself."""
    return registry if isinstance(registry, Awaited) else Contained(metered(registry), patience(registry))


async def _opened(
    stack: AsyncExitStack,
    configuration: Configuration,
    clock: Clock,
    fence: Fence,
    metered: Callable[[Registry], Registry],
) -> Mapping[RegistryName, Registry]:
    """Open every configured registry until the stack closes.

    One that cannot be opened now is told, and tried again; one whose package is at fault is told, and stays away. Where
    that is the only one, or the files of the only one are not there, there is nothing to run: UserError, as for what
    is configured wrongly.
    """
    found: dict[RegistryName, Registry] = {}
    is_alone = len(configuration.registries) == 1
    for key, entry in configuration.registries.items():
        name = RegistryName(key)
        observes = configuration.policy_of(name) is Policy.OBSERVE
        opening = partial(
            opened, entry.kind, entry.options, name, clock, Fence(clock, shut=True) if observes else fence
        )
        try:
            found[name] = await stack.enter_async_context(opening())
        except BrokenBackend as error:
            if is_alone:
                raise
            _log.error("%s; registry %s is left out, and the others are kept", error, name)
            found[name] = Absent(name, str(error))
        except NotOpen as error:
            if is_alone and isinstance(error, Unreadable):
                raise
            _log.error("%s; registry %s is tried again by itself", error, name)
            can = backend(entry.kind).capabilities
            found[name] = Awaited(name, str(error), can, opening=opening, dress=metered, clock=clock)
    return found


def _engine(
    configuration: Configuration,
    session: Session,
    registries: Sequence[Registry],
    catalog: Catalog,
    reporter: Reporter,
    *,
    policies: Mapping[RegistryName, Policy],
    counting: Counting,
) -> Engine:
    """Build the engine, and what it asks of the API server directly."""
    lookup = Lookup(session)
    terms = Terms(
        policies=policies,
        straggler_seconds=replicas.straggler_seconds(configuration),
        gate_writer=PodGates(session),
        measures=counting,
        resync_seconds=configuration.resync_seconds,
    )
    engine = Engine(registries, catalog, lookup, reporter, session.clock, terms=terms)
    lookup.selects(engine.interest.pod, engine.interest.service)
    return engine


def _show(
    metrics: Metrics, engine: Engine, watching: Sequence[watches.AnyWatch], recorder: Recorder, clock: Clock
) -> None:
    """Have the metrics read what others count."""
    metrics.before_render(partial(set_gauges, engine, metrics))
    metrics.read_watches(partial(watches.states, watching, clock))
    metrics.read_events_dropped(lambda: recorder.counters.dropped + recorder.counters.failed)


def _policies(configuration: Configuration) -> Mapping[RegistryName, Policy]:
    policies = {RegistryName(name): configuration.policy_of(name) for name in configuration.registries}
    for name, policy in policies.items():
        if policy is not Policy.SYNC:
            _log.warning("the policy of registry %s is %s: what it withholds is logged and counted", name, policy)
    return policies


async def _flush(recorder: Recorder) -> None:
    """Post what is still to be said, if the API server takes it quickly."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(FLUSH_SECONDS):
            await recorder.flush()


def _not_ready(engine: Engine, watching: Sequence[watches.AnyWatch]) -> Sequence[str]:
    missing = [f"{kind} objects have not all been read yet" for kind in sorted(engine.missing_kinds)]
    return [*missing, *(trouble for watch in watching for trouble in watch.troubles)]
