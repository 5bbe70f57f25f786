"""`kube-registrar takeover`: makes another cluster UID's instances this cluster's own."""

import asyncio
from collections.abc import Sequence

import click

from kube_registrar.cli.options import configured
from kube_registrar.cli.upkeep.options import upkeep_options


@click.command("takeover")
@click.option(
    "--from",
    "old",
    required=True,
    metavar="UID",
    help="The cluster UID that they carry; this cluster's own UID for its instances under another name.",
)
@upkeep_options("cluster_name")
def command(
    *,
    old: str,
    registry_name: Sequence[str],
    namespace: str,
    service: str,
    output: str,
    dry_run: bool,
    yes: bool,
    **flags: object,
) -> int:
    """Make another cluster UID's instances this cluster's own. They are shown first, and it asks.

    For a cluster that was rebuilt or restored, so that its UID is a new one, or that was renamed. Each instance is
    shown with what the connected cluster has under the name of its pod: it lives there, another of that name does, or
    it is gone. The operator then removes or replaces them by the evidence it always wants, and so at no risk to live
    pods. They get the cluster name of --cluster-name, which must be the operator's; without one they lose theirs. All
    other attributes stay as they are.

    \b
      kube-registrar takeover --from 6d3a… --config registrar.yaml
      kube-registrar takeover --from 6d3a… --registry cloudmap --endpoint-url http://127.0.0.1:8081

    Exit codes: 0 done, or nothing to do; 1 an error, or some instances stay; 2 found and left as they are (a dry run,
    not agreed, or no terminal to ask at).
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    configuration = configured(flags)
    from kube_registrar.cli.upkeep.reading import Where  # noqa: PLC0415 - help does not need it
    from kube_registrar.cli.upkeep.taking import Takeover  # noqa: PLC0415 - see above
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above

    logs.configure(configuration.log_format, configuration.log_level)
    takeover = Takeover(configuration, old, Where(registry_name, namespace, service))
    found = asyncio.run(takeover.find())
    code = takeover.ask(found, output, yes=yes, dry_run=dry_run)
    return asyncio.run(takeover.carry_out(found)) if code is None else code
