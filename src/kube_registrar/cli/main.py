"""The command `kube-registrar`: finds the subcommand, and turns every error into one sentence and an exit code.

Exit codes: 0 it happened; 1 it did not, and a sentence on standard error says why; 2 the command line is wrong;
130 interrupted. Each subcommand is imported only when it is used, so help and completion are there at once.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise

import click
from click.shell_completion import CompletionItem

PROGRAM = "kube-registrar"
INTERRUPTED = 130

COMMANDS = {
    "run": "Keep registries true to this cluster's workloads.",
    "serve": "Serve a Cloud Map, or discovery before any registry.",
    "demo": "See it work: pods become instances, roll over and go.",
    "plan": "Say what run would change, and change nothing.",
    "explain": "Show the gates on an object's way into a registry.",
    "approve": "Let deregistrations go that are held for safety.",
    "discover": "Ask a registry for the instances of a service.",
    "namespaces": "List the registry namespaces of a registry.",
    "services": "List the registry services of a registry.",
    "instances": "List all instances of a registry service.",
    "registries": "List the kinds of registry that are installed.",
    "backup": "Copy an embedded registry, also while it runs.",
    "gc": "Take a dead cluster's instances out of registries.",
    "takeover": "Make another cluster UID's instances this cluster's own.",
    "release": "Take the operator's finalizers away, before an uninstall.",
    "completion": "Print the completion script of a shell.",
    "version": "Print the versions of this program and of what it stands on.",
}
"""Each is `command` of the module of its name in `kube_registrar.cli.commands`."""


class LazyGroup(click.Group):
    """A group that knows the names and summaries of its commands and imports one when it is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names, in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import the command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"kube_registrar.cli.commands.{cmd_name}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments begin with; an unknown one is told with the nearest that is known."""
        try:
            return super().resolve_command(ctx, args)
        except click.exceptions.NoSuchCommand as error:
            raise click.exceptions.NoSuchCommand(error.command_name, possibilities=COMMANDS, ctx=ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the list of commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the names of commands without importing them."""
        found = [CompletionItem(name, help=text) for name, text in COMMANDS.items() if name.startswith(incomplete)]
        return found or click.Command.shell_complete(self, ctx, incomplete)


def _print_version(ctx: click.Context, _: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
    if value and not ctx.resilient_parsing:
        from importlib.metadata import version  # noqa: PLC0415 - help does not wait for it

        click.echo(f"{PROGRAM} {version(PROGRAM)}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_print_version, help="Show the version."
)
def cli() -> None:
    """Keep AWS Cloud Map, or a registry of your own, exactly true to Kubernetes workloads.

    Exit codes: 0 done; 1 not done, and a sentence says why; 2 wrong command line; 130 interrupted.
    """


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code."""
    args = sys.argv[1:] if args is None else args
    try:
        result = cli.main(args=list(args), prog_name=PROGRAM, standalone_mode=False)
        sys.stdout.flush()
        code = result if isinstance(result, int) else 0
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        code = INTERRUPTED
    except BrokenPipeError:
        # The reader has seen enough. Python would complain once more when it closes standard output.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:  # noqa: BLE001 - the last one who can make a sentence of it
        code = _told(error, args)
    sys.exit(code)


def _told(error: Exception, args: Sequence[str]) -> int:
    """Say an error in a sentence for each of its causes, and return the exit code."""
    from kube_registrar.model.errors import KubeRegistrarError  # noqa: PLC0415 - only a failure needs it
    from kube_registrar.runtime.tasks import causes  # noqa: PLC0415 - see above

    found = list(causes(error))
    if any(isinstance(cause, KeyboardInterrupt) for cause in found):
        return INTERRUPTED
    bugs = [cause for cause in found if not isinstance(cause, KubeRegistrarError)]
    for sentence in dict.fromkeys(str(cause) for cause in found if isinstance(cause, KubeRegistrarError)):
        click.echo(f"{PROGRAM}: {sentence}", err=True)
    for bug in bugs:
        where = "".join(f", {note}" for note in getattr(bug, "__notes__", ()))
        click.echo(
            f"{PROGRAM}: this is a bug in {PROGRAM}: {type(bug).__name__}: {bug}{where}. "
            "Report it with what KUBE_REGISTRAR_LOG_LEVEL=debug prints",
            err=True,
        )
    if bugs and _is_debug(args):
        import traceback  # noqa: PLC0415 - see above

        traceback.print_exception(error)
    return 1


def _is_debug(args: Sequence[str]) -> bool:
    given = [*args, ""]
    return (
        "--log-level=debug" in given
        or any(pair == ("--log-level", "debug") for pair in pairwise(given))
        or os.environ.get("KUBE_REGISTRAR_LOG_LEVEL") == "debug"
    )
