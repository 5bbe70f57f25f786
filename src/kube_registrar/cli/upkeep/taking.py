"""`takeover`: another cluster UID's instances, found, compared with the connected cluster, asked about and re-owned."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import click

from kube_registrar.cli.upkeep import kube, showing
from kube_registrar.cli.upkeep.asking import DONE, Request, asked, progress, say, say_nothing_found, told
from kube_registrar.cli.upkeep.kube import Here
from kube_registrar.cli.upkeep.reading import Where, chosen, opened, registries_of, survey
from kube_registrar.cli.upkeep.selection import Entry, instances, taken_over, to_take_over
from kube_registrar.cli.upkeep.writing import carry_out
from kube_registrar.declared.settings import Configuration
from kube_registrar.model.changes import Register, Urgency
from kube_registrar.model.refs import Origin, Uid, registry_of
from kube_registrar.runtime.clock import Clock, SystemClock


@dataclass(frozen=True, slots=True)
class Found:
    """All instances that clusters own where we looked, those to take over, and what is here of their objects."""

    all: Sequence[Entry]
    chosen: Sequence[Entry]
    new: Uid
    here: Mapping[Origin, Here]


@dataclass(frozen=True, slots=True)
class Takeover:
    """One run of `takeover`, from the cluster UID `old` to the connected cluster."""

    configuration: Configuration
    old: str
    where: Where
    clock: Clock = field(default_factory=SystemClock)

    async def find(self) -> Found:
        """Find what is to change hands. Raises UserError or ApiError without a cluster to own it."""
        entries = chosen(self.configuration, self.where)
        new = await kube.connected(self.configuration)
        name = self.configuration.cluster_name
        async with opened(entries, self.clock) as registries:
            everything = await survey(registries, self.where)
        found = to_take_over(everything, Uid(self.old), new, name)
        here = await kube.standings(self.configuration, [entry.origin for entry in found])
        return Found(everything, found, new, here)

    def ask(self, found: Found, output: str, *, yes: bool, dry_run: bool) -> int | None:
        """Show what was found and ask. None: go on; else the exit code."""
        head = {"from": self.old, "to": str(found.new), "clusterName": self.configuration.cluster_name}
        shown = showing.text(found.chosen, output, head, lambda entry: found.here[entry.origin])
        if shown:
            click.echo(shown)
        if not found.chosen:
            say_nothing_found(f"no instance to take over from cluster UID {self.old!r}", found.all)
            return DONE
        request = Request(
            self._warning(found),
            f"Make {instances(len(found.chosen))} the own ones of cluster {self._new_name(found)}?",
            self._forbidden(found.chosen),
        )
        return asked(request, yes=yes, dry_run=dry_run)

    def _warning(self, found: Found) -> str:
        if self.old == found.new:
            return (
                "If a clone of this cluster runs under the other name, these are those of its live pods, and the "
                "operator here will remove them: then leave them alone."
            )
        return (
            f"If cluster {self.old} still runs, its operator will register its pods anew, and both will fight over "
            "them. Instances whose pods do not live here are removed by this cluster's operator."
        )

    def _new_name(self, found: Found) -> str:
        name = self.configuration.cluster_name
        return f"{found.new} ({name})" if name else f"{found.new}, which has no name"

    def _forbidden(self, entries: Sequence[Entry]) -> str:
        for name in registries_of(entries):
            policy = self.configuration.policy_of(name)
            if not policy.updates:
                return (
                    f"registry {name} has the policy {policy}, under which nothing that is there is changed: "
                    "use --policy sync, or that entry's own `policy`, or leave it out with --registry-name"
                )
        return ""

    async def carry_out(self, found: Found) -> int:
        """Re-own what was shown and agreed to, and return the exit code."""
        entries = chosen(self.configuration, self.where)
        name = self.configuration.cluster_name
        async with opened({each: entries[each] for each in registries_of(found.chosen)}, self.clock) as registries:

            def register(entry: Entry) -> Register:
                can = registries[registry_of(entry.service)].capabilities
                return Register(taken_over(entry, found.new, name, can), entry.origin, Urgency.REPAIR)

            with progress("Taking over", len(found.chosen)) as advance:
                result = await carry_out(registries, found.chosen, register, self.clock, advance)
        code = told(result, "taken over")
        if result.done:
            say("The operator sees them when it is started, or at its next full look within some ten minutes")
        return code
