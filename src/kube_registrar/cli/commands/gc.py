"""`kube-registrar gc`: takes a dead cluster's instances out of registries."""

import asyncio
from collections.abc import Sequence

import click

from kube_registrar.cli.options import configured, seconds_option
from kube_registrar.cli.upkeep.options import upkeep_options


@click.command("gc")
@click.option(
    "--cluster",
    required=True,
    metavar="NAME-OR-UID",
    help="The dead cluster: its UID, or its name where that is one's.",
)
@click.option(
    "--no-kube",
    is_flag=True,
    help="Go on where no cluster can be asked whether it is this one. One that can, is asked.",
)
@seconds_option("--wait", 10.0, "Without a cluster to ask, its instances must stay as they are for this long.")
@upkeep_options()
def command(
    *,
    cluster: str,
    no_kube: bool,
    wait: float,
    registry_name: Sequence[str],
    namespace: str,
    service: str,
    output: str,
    dry_run: bool,
    yes: bool,
    **flags: object,
) -> int:
    """Take a dead cluster's instances out of registries. They are shown first, and it asks.

    The cluster that the kubeconfig leads to is never evicted: its operator removes what is gone. So connect to any
    other cluster. With --no-kube it does without one where none can be reached; make sure then that the dead cluster is
    dead: no operator of it runs any more, and no pod of it serves clients. docs/clusters.md tells how.

    \b
      kube-registrar gc --cluster prod-old --registry cloudmap --region eu-west-1
      kube-registrar gc --cluster 6d3a… --config registrar.yaml --dry-run -o json
      kube-registrar gc --cluster prod-old --registry cloudmap --endpoint-url http://127.0.0.1:8081

    Exit codes: 0 done, or nothing to do; 1 an error, or some instances stay; 2 found and left as they are (a dry run,
    not agreed, or no terminal to ask at).
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    configuration = configured(flags)
    from kube_registrar.cli.upkeep.eviction import Eviction  # noqa: PLC0415 - help does not need it
    from kube_registrar.cli.upkeep.reading import Where  # noqa: PLC0415 - see above
    from kube_registrar.runtime import logs  # noqa: PLC0415 - see above

    logs.configure(configuration.log_format, configuration.log_level)
    where = Where(registry_name, namespace, service)
    eviction = Eviction(configuration, cluster, where, asks_no_cluster=no_kube, wait_seconds=wait)
    found = asyncio.run(eviction.find())
    code = eviction.ask(found, output, yes=yes, dry_run=dry_run)
    return asyncio.run(eviction.carry_out(found)) if code is None else code
