"""`gc`: a dead cluster's instances, found, asked about and deregistered."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import click

from kube_registrar.cli.upkeep import kube, showing
from kube_registrar.cli.upkeep.asking import DONE, Request, asked, progress, say, say_nothing_found, told
from kube_registrar.cli.upkeep.reading import Where, chosen, opened, registries_of, survey
from kube_registrar.cli.upkeep.selection import Entry, instances, of_cluster, signs_of_life
from kube_registrar.cli.upkeep.writing import carry_out
from kube_registrar.cluster.errors import ApiError
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.changes import Deregister
from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import Uid
from kube_registrar.runtime.clock import Clock, SystemClock

_WHY = "its cluster is gone, said whoever ran `kube-registrar gc`"


@dataclass(frozen=True, slots=True)
class Found:
    """All instances that clusters own where we looked, and those of the cluster to evict."""

    all: Sequence[Entry]
    chosen: Sequence[Entry]


@dataclass(frozen=True, slots=True)
class Eviction:
    """One run of `gc`. `asks_no_cluster`: whether it goes on where no cluster can be reached."""

    configuration: Configuration
    cluster: str
    where: Where
    asks_no_cluster: bool = False
    wait_seconds: float = 10.0
    clock: Clock = field(default_factory=SystemClock)

    async def find(self) -> Found:
        """Find what is to go. Raises UserError where it is not certain that it is another cluster's."""
        entries = chosen(self.configuration, self.where)
        connected = await self._connected()
        async with opened(entries, self.clock) as registries:
            everything = await survey(registries, self.where)
            found = of_cluster(everything, self.cluster, connected)
            if connected is None and found:
                say(f"Looking again in {self.wait_seconds:g} s whether anything of that cluster changes")
                await self.clock.sleep(self.wait_seconds)
                self._check_dead(found, of_cluster(await survey(registries, self.where), self.cluster, None))
        return Found(everything, found)

    async def _connected(self) -> Uid | None:
        try:
            return await kube.connected(self.configuration)
        except (UserError, ApiError) as error:
            if not self.asks_no_cluster:
                raise UserError(
                    f"nobody can say whether {self.cluster!r} is the cluster you are connected to ({error}): connect "
                    "to another cluster with --context or --kubeconfig or, where it is dead for certain, add --no-kube"
                ) from None
            say(f"Warning: no cluster was asked ({error}). Make sure that {self.cluster!r} is dead")
            return None

    def _check_dead(self, before: Sequence[Entry], after: Sequence[Entry]) -> None:
        signs = signs_of_life(before, after)
        if signs:
            raise UserError(
                f"{self.cluster!r} is alive, or something writes in its name ({signs[0]} while we looked): "
                "stop its operator first, or connect to another cluster instead of --no-kube"
            )

    def ask(self, found: Found, output: str, *, yes: bool, dry_run: bool) -> int | None:
        """Show what was found and ask. None: go on; else the exit code."""
        head: dict[str, object] = {"cluster": self.cluster, "clusterUIDs": sorted({str(e.uid) for e in found.chosen})}
        shown = showing.text(found.chosen, output, head)
        if shown:
            click.echo(shown)
        if not found.chosen:
            say_nothing_found(f"no instance of cluster {self.cluster!r}", found.all)
            return DONE
        who = f"cluster {found.chosen[0].uid}" + (f" ({found.chosen[0].name})" if found.chosen[0].name else "")
        request = Request(
            f"If {who} still runs, clients lose these until its operator registers them anew.",
            f"Deregister {instances(len(found.chosen))} of {who}?",
            self._forbidden(found.chosen),
        )
        return asked(request, yes=yes, dry_run=dry_run)

    def _forbidden(self, entries: Sequence[Entry]) -> str:
        for name in registries_of(entries):
            policy = self.configuration.policy_of(name)
            if not policy.removes:
                return (
                    f"registry {name} has the policy {policy}, under which nothing is removed: "
                    "use --policy sync, or that entry's own `policy`, or leave it out with --registry-name"
                )
        return ""

    async def carry_out(self, found: Found) -> int:
        """Deregister what was shown and agreed to, and return the exit code."""
        entries = chosen(self.configuration, self.where)
        async with opened({name: entries[name] for name in registries_of(found.chosen)}, self.clock) as registries:
            with progress("Deregistering", len(found.chosen)) as advance:
                result = await carry_out(registries, found.chosen, _deregister, self.clock, advance)
        return told(result, "deregistered")


def _deregister(entry: Entry) -> Deregister:
    return Deregister(entry.instance.id, entry.origin, _WHY)
