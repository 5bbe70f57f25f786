"""`python -m kube_registrar.testing`: build the test ground, or keep a control plane up to look at."""

import argparse
import signal
import sys
from collections.abc import Sequence

from kube_registrar.testing import binaries, recipes
from kube_registrar.testing.control_plane import ControlPlane
from kube_registrar.testing.errors import GroundError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m kube_registrar.testing", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="build the binaries that are not there yet")
    build.add_argument(
        "names", nargs="*", choices=[*recipes.NAMES, []], metavar="NAME", help=f"of: {', '.join(recipes.NAMES)}"
    )
    up = commands.add_parser("up", help="run a control plane until Ctrl-C")
    up.add_argument("--nodes", type=int, default=2, metavar="N", help="kwok nodes to make (default: 2)")
    return parser


def _build(names: Sequence[str]) -> None:
    for name, path in binaries.build(names or recipes.CONTROL_PLANE).items():
        print(f"{name}: {path}")  # noqa: T201  # the answer of a command


def _up(nodes: int) -> None:
    binaries.build()
    with ControlPlane(nodes=nodes) as plane:
        print("Ctrl-C ends it.", file=sys.stderr)  # noqa: T201  # the answer of a command
        # The last thing said: whoever reads it may end us at once.
        print(f"export KUBECONFIG={plane.kubeconfig}", flush=True)  # noqa: T201  # the answer of a command
        signal.pause()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code; what a user can cause is said in a sentence."""
    parsed = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ends as Ctrl-C does: in order
    try:
        if parsed.command == "build":
            _build(parsed.names)
        else:
            _up(parsed.nodes)
    except GroundError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201  # the answer of a command
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
