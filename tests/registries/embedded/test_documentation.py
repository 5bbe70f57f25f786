"""What can be configured is documented, and nothing else is."""

import re
from pathlib import Path

from kube_registrar.model.simulation import KEYS
from kube_registrar.registries.embedded import storage
from kube_registrar.registries.embedded.checks import checker, probing
from kube_registrar.registries.embedded.options import CHECK_INTERVAL, CUSTOM_HEALTH_DELAY
from kube_registrar.registries.embedded.quotas import CLOUD_MAP

PAGE = (Path(__file__).parents[3] / "docs" / "embedded-registry.md").read_text(encoding="utf-8")


def test_every_switch_has_a_row() -> None:
    rows = re.findall(r"^\| `([^`]+)` \|", PAGE.partition("## Simulated troubles")[2], re.MULTILINE)
    assert rows == list(KEYS)


def test_the_numbers_are_those_of_the_code() -> None:
    text, most = " ".join(PAGE.split()), CLOUD_MAP
    for sentence in (
        (
            f"{most.namespaces} namespaces; {most.instances_of_service:,} instances in a service, "
            f"{most.instances_of_namespace:,} in a namespace; {most.custom_attributes} custom attributes and "
            f"{most.attribute_characters:,} characters an instance; {most.service_attributes} attributes a service; "
            f"{most.tags} tags"
        ),
        f"every {CHECK_INTERVAL:.0f} s, a tenth more or less",
        f"{checker.CONCURRENT} at once",
        f"TCP within {probing.TCP_SECONDS:.0f} s",
        f"within {probing.CONNECT_SECONDS:.0f} s to connect and {probing.ANSWER_SECONDS:.0f} s to answer",
        f"the newest {storage.TRANSITIONS_KEPT:,} changes of health",
        f"takes effect after {CUSTOM_HEALTH_DELAY:.0f} s",
        f"kept for a day, the newest {storage.OPERATIONS_KEPT:,} of them",
    ):
        assert sentence in text
    assert storage.OPERATION_SECONDS == 24 * 3600
