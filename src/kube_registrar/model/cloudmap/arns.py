"""ARNs in Cloud Map's form.

Source: the service authorization reference.
"""

import re

from kube_registrar.model.cloudmap.errors import invalid

_ARN = re.compile(
    r"arn:aws[a-z-]*:servicediscovery:(?P<region>[a-z0-9-]*):(?P<account>\d{12}):(?P<kind>namespace|service)/(?P<id>.+)"
)


def arn(region: str, account: str, kind: str, identifier: str) -> str:
    """Return the ARN of a namespace or service; `kind` is `namespace` or `service`."""
    return f"arn:aws:servicediscovery:{region}:{account}:{kind}/{identifier}"


def plain_id(field: str, value: str, kind: str, account: str) -> str | None:
    """Return the id that an id or ARN names, or None for an ARN of another account.

    The Region of an ARN is not compared: one registry answers for every Region, with that of the request in its ARNs.
    Raises CloudMapError for an ARN that is none, or of another kind.
    """
    if not value.startswith("arn:"):
        return value
    found = _ARN.fullmatch(value)
    if not found or found["kind"] != kind:
        raise invalid(field, value, f"an id or arn:aws:servicediscovery:REGION:ACCOUNT:{kind}/ID is allowed")
    return found["id"] if found["account"] == account else None


def any_resource(field: str, value: str, account: str) -> str | None:
    """Return the id that the ARN of a namespace or service names, or None for one of another account."""
    found = _ARN.fullmatch(value)
    if not found:
        raise invalid(field, value, "arn:aws:servicediscovery:REGION:ACCOUNT:namespace/ID or :service/ID is allowed")
    return found["id"] if found["account"] == account else None
