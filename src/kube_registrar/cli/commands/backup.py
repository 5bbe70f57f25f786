"""`kube-registrar backup`: a copy of an embedded registry."""

import sys

import click

from kube_registrar.declared.settings import VARIABLE_PREFIX


@click.command("backup")
@click.option(
    "--data",
    required=True,
    envvar=f"{VARIABLE_PREFIX}DATA",
    metavar="FOLDER",
    help=f"The folder of the registry's data. [env: {VARIABLE_PREFIX}DATA]",
)
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
@click.argument("file")
def command(*, data: str, force: bool, file: str) -> None:
    """Copy an embedded registry, also while it runs.

    FILE is what was stored at one moment; it is checked before it has its name. To restore it, stop the registry
    and put FILE in the place of registry.sqlite3 (docs/embedded-registry.md).

    \b
      kube-registrar backup --data ./data registry-monday.sqlite3
    """  # noqa: D301 - \b is the character by which click leaves lines as they are
    from pathlib import Path  # noqa: PLC0415 - help does not need it

    from kube_registrar.registries.embedded.backup import backup  # noqa: PLC0415 - see above

    is_shown = sys.stderr.isatty()

    def show(copied: int, pages: int) -> None:
        if is_shown:
            click.echo(f"\rcopied {copied:,} of {pages:,} pages", nl=copied == pages, err=True)

    found = backup(Path(data).expanduser(), Path(file).expanduser(), replaces=force, progress=show)
    click.echo(
        f"{file}: {found.namespaces:,} namespaces, {found.services:,} services, {found.instances:,} instances; "
        f"{found.size / 2**20:.1f} MiB, checked"
    )
