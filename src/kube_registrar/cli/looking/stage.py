"""The real engine between the real cluster and registries that are only read: what `plan` and `explain` look at.

Two things make sure that nothing is written: a session that sends no writes, and registries that keep them to
themselves. Neither kopf runs nor anything that posts events.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from kube_registrar.cli import watches
from kube_registrar.cli.looking.collecting import Collector, Silence
from kube_registrar.cli.worlds import world_of
from kube_registrar.cluster import preflight
from kube_registrar.cluster.lookup import Lookup
from kube_registrar.cluster.preflight import Cluster
from kube_registrar.cluster.session import Session, open_session
from kube_registrar.declared.settings import Configuration, RegistryEntry
from kube_registrar.model.errors import UserError
from kube_registrar.model.policy import Policy
from kube_registrar.model.refs import RegistryName
from kube_registrar.operator.context import Context
from kube_registrar.operator.withholding import Withholding
from kube_registrar.registries.contained import Contained
from kube_registrar.registries.dryrun import DryRun
from kube_registrar.registries.loading import is_shared
from kube_registrar.registries.opening import opened
from kube_registrar.registries.port import Registry
from kube_registrar.runtime.clock import Clock, SystemClock
from kube_registrar.runtime.tasks import causes, keep_running
from kube_registrar.sync.catalog import Catalog
from kube_registrar.sync.engine import Engine
from kube_registrar.sync.terms import Terms

_POLL_SECONDS = 0.2
_POLLS = 3
"""All must be quiet for so many looks: what waits to be gathered falls due in between (`sync.reconcile`)."""

_ELSEWHERE = (
    ". The embedded registry of a running operator is read through its API: --registry cloudmap --endpoint-url "
    "http://127.0.0.1:8081"
)


class Unsettled(UserError):
    """The time was not enough. The text names what is missing."""


@contextmanager
def late(code: int) -> Iterator[None]:
    """End the program with this code, and the sentence, where the time was not enough."""
    try:
        yield
    except (Unsettled, ExceptionGroup) as error:
        found = next((cause for cause in causes(error) if isinstance(cause, Unsettled)), None)
        if found is None:
            raise
        click.echo(f"kube-registrar: {found}", err=True)
        sys.exit(code)


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that is looked at."""

    configuration: Configuration
    session: Session
    cluster: Cluster
    registries: Mapping[RegistryName, DryRun]
    policies: Mapping[RegistryName, Policy]
    catalog: Catalog
    engine: Engine
    watching: watches.Watches
    collector: Collector
    context: Context
    clock: Clock

    def missing(self) -> Sequence[str]:
        """Return what is not known yet, in plain words."""
        kinds = [f"{kind} objects have not all been read yet" for kind in sorted(self.engine.missing_kinds)]
        found = [*kinds, *(trouble for watch in self.watching.all for trouble in watch.troubles)]
        found += self.engine.interest.troubles
        is_quiet = self.engine.is_quiet and not self.collector.is_counting
        return found or ([] if is_quiet else ["the engine is still at work"])

    async def settle(self, deadline: float, progress: Callable[[str], None]) -> None:
        """Return once everything has been read and worked off. Raises Unsettled at the deadline (monotonic)."""
        quiet = 0
        while quiet < _POLLS:
            missing = self.missing()
            quiet = 0 if missing else quiet + 1
            if missing and self.clock.monotonic() >= deadline:
                raise Unsettled(f"not all is known within the time: {'; '.join(missing)}. Give it more with --timeout")
            progress(missing[0] if missing else "the engine is at rest")
            left = max(0.0, deadline - self.clock.monotonic())
            await self.clock.sleep(min(_POLL_SECONDS, left) if missing else _POLL_SECONDS)


@asynccontextmanager
async def looking(
    configuration: Configuration, *, namespaces: Sequence[str] | None = None, reads_instances: bool = True
) -> AsyncIterator[Stage]:
    """Run the engine on a dry run while the context is open.

    `namespaces`: the Kubernetes namespaces to watch, instead of those of the configuration. `reads_instances`: whether
    all instances are read, or none. Raises UserError for what a person must change first.
    """
    within = configuration.watch_namespaces if namespaces is None else namespaces
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(
            open_session(configuration.kubeconfig, configuration.context, reads_only=True)
        )
        cluster = await preflight.check(session, within, preflight.READING, patience=0.0)
        registries = {
            name: DryRun(registry, reads_instances=reads_instances)
            for name, registry in (await _opened(stack, configuration)).items()
        }
        made = _stage(configuration, session, cluster, registries, within)
        async with asyncio.TaskGroup() as group:
            tasks = [
                keep_running(group, f"watch of {watch.resource.plural}", made.watching.run(watch))
                for watch in made.watching.all
            ]
            tasks += [keep_running(group, "engine", made.engine.run()), keep_running(group, "lead", made.engine.lead())]
            try:
                yield made
            finally:
                for task in tasks:
                    task.cancel()


async def _opened(stack: AsyncExitStack, configuration: Configuration) -> Mapping[RegistryName, Registry]:
    clock = SystemClock()
    found = {}
    for key, entry in configuration.registries.items():
        _check_folder(entry)
        name = RegistryName(key)
        try:
            registry = await stack.enter_async_context(opened(entry.kind, entry.options, name, clock))
        except UserError as error:
            raise UserError(f"{error}{'' if is_shared(entry.kind) else _ELSEWHERE}") from None
        found[name] = Contained(registry)
    return found


def _check_folder(entry: RegistryEntry) -> None:
    """Raise UserError where opening a registry would make it."""
    folder = str(entry.options.get("data", ""))
    if not is_shared(entry.kind) and folder and not Path(folder).is_dir():
        raise UserError(
            f"there is no folder {folder}, so no {entry.kind} registry: correct --data, or start kube-registrar run, "
            "which makes it"
        )


def _stage(
    configuration: Configuration,
    session: Session,
    cluster: Cluster,
    registries: Mapping[RegistryName, DryRun],
    namespaces: Sequence[str],
) -> Stage:
    clock = session.clock
    silence = Silence()
    collector = Collector(silence, silence)
    policies = {name: configuration.policy_of(name) for name in registries}
    catalog = Catalog(world_of(configuration, cluster.uid, list(registries.values())))
    lookup = Lookup(session)
    engine = Engine(list(registries.values()), catalog, lookup, collector, clock, terms=Terms(policies))
    lookup.selects(engine.interest.pod, engine.interest.service)
    context = Context(
        registries=registries,
        catalog=catalog,
        recorder=silence,
        clock=clock,
        cluster_uid=cluster.uid,
        default_registry=RegistryName(configuration.default_registry),
        main=asyncio.get_running_loop(),
        withholding=Withholding(policies, silence),
    )
    watching = watches.watches(session, engine, namespaces, nodes=cluster.may_read_nodes)
    return Stage(
        configuration, session, cluster, registries, policies, catalog, engine, watching, collector, context, clock
    )
