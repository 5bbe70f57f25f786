"""What `approve` takes and shows; tests/scenarios/test_brake.py has it at work."""

import pytest
from click.testing import CliRunner

from kube_registrar.cli.approving import Held, shown
from kube_registrar.cli.commands.approve import command


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "name what to approve, such as registryservice/NAME, or say --all"),
        (["registryservice/web", "--all"], "name what to approve"),
        (["web"], "'web' is not registryservice/NAME or registrynamespace/NAME"),
        (["pod/web"], "'pod/web' is not registryservice/NAME"),
        (["registryservice/"], "'registryservice/' is not"),
        (["regsvc/a/b"], "'regsvc/a/b' is not"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(args: list[str], said: str) -> None:
    result = CliRunner().invoke(command, args)
    assert result.exit_code == 2
    assert said in result.output


def test_what_is_held_is_shown_with_its_causes_and_first_pods() -> None:
    held = Held(
        "RegistryService",
        "shop",
        "web",
        count=3,
        since="2026-01-01T00:00:00Z",
        token="t",
        causes=(("Configuration", 2), ("Missing", 1)),
        pods=("shop/a", "shop/b"),
    )
    assert shown(held).splitlines() == [
        "registryservice/web -n shop: 3 held since 2026-01-01T00:00:00Z (Configuration 2, Missing 1)",
        "  shop/a",
        "  shop/b",
        "  and 1 more",
    ]
    assert shown(Held("RegistryNamespace", "", "ns")) == "registrynamespace/ns: nothing is held"
