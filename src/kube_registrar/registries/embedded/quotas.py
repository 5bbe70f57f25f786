"""How much of everything there may be: Cloud Map's quotas, or none.

Sources: "AWS Cloud Map service quotas" in the developer guide; RegisterInstance ("up to 30 custom attributes"; "the
total size of all provided attributes (sum of all keys and values) must not exceed 5,000 characters"), Tags and
ServiceAttributes in the API reference. Its rates are no quotas here: `simulate` has throttles.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Quotas:
    """The most that there may be of each; None: no bound but that of the service model for one request."""

    namespaces: int | None = None
    instances_of_service: int | None = None
    instances_of_namespace: int | None = None
    custom_attributes: int | None = None
    attribute_characters: int | None = None
    service_attributes: int | None = None
    tags: int | None = None


CLOUD_MAP: Final = Quotas(
    namespaces=50,
    instances_of_service=1000,
    instances_of_namespace=2000,
    custom_attributes=30,
    attribute_characters=5000,
    service_attributes=30,
    tags=50,
)

BY_NAME: Final[Mapping[str, Quotas]] = {"cloud-map": CLOUD_MAP, "none": Quotas()}
"""What the option `quotas` may say."""
