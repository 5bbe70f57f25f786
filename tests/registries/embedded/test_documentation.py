"""What can be configured is documented, and nothing else is."""

import re
from pathlib import Path

from kube_registrar.model.simulation import KEYS
from kube_registrar.registries.embedded import rules, storage
from kube_registrar.registries.embedded.options import CUSTOM_HEALTH_DELAY

PAGE = (Path(__file__).parents[3] / "docs" / "embedded-registry.md").read_text(encoding="utf-8")


def test_every_switch_has_a_row() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Simulated troubles")[2], re.MULTILINE)
    assert rows == list(KEYS)


def test_the_numbers_are_those_of_the_code() -> None:
    text = " ".join(PAGE.split())
    for sentence in (
        f"{rules.INSTANCES_OF_SERVICE:,} instances in a service, {rules.INSTANCES_OF_NAMESPACE:,} in a namespace",
        f"{rules.NAMESPACES} namespaces; {rules.CUSTOM_ATTRIBUTES} custom attributes",
        f"{rules.ATTRIBUTE_CHARACTERS:,} characters an instance; {rules.TAGS} tags",
        f"takes effect after {CUSTOM_HEALTH_DELAY:.0f} s",
        f"kept for a day, the newest {storage.OPERATIONS_KEPT:,} of them",
    ):
        assert sentence in text
    assert storage.OPERATION_SECONDS == 24 * 3600
