"""The options of a `cloudmap` registry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from kube_registrar.model.errors import UserError
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.limits import Rate

DEFAULT_RATES: Final[Mapping[str, Rate]] = MappingProxyType(
    {
        "RegisterInstance": Rate(48, 90),
        "DeregisterInstance": Rate(48, 90),
        "UpdateInstanceCustomHealthStatus": Rate(48, 90),
        "GetOperation": Rate(96, 180),
        "ListOperations": Rate(5, 10),
        "CreateService": Rate(4.8, 45),
        "UpdateService": Rate(4.8, 45),
        "DeleteService": Rate(4.8, 45),
        "GetService": Rate(48, 48),
        "ListServices": Rate(1.9, 9),
        "CreateHttpNamespace": Rate(0.5, 5),
        "CreatePrivateDnsNamespace": Rate(0.5, 5),
        "CreatePublicDnsNamespace": Rate(0.5, 5),
        "UpdateHttpNamespace": Rate(0.5, 5),
        "UpdatePrivateDnsNamespace": Rate(0.5, 5),
        "UpdatePublicDnsNamespace": Rate(0.5, 5),
        "DeleteNamespace": Rate(0.5, 5),
        "GetNamespace": Rate(4.8, 10),
        "ListNamespaces": Rate(0.5, 5),
        "ListInstances": Rate(48, 48),
        "GetInstancesHealthStatus": Rate(48, 48),
        "ListTagsForResource": Rate(4.8, 45),
        "TagResource": Rate(4.8, 45),
        "DiscoverInstances": Rate(950, 1_900),
    }
)
"""Just under what AWS's own controller keeps to, or what users report; AWS publishes none for the control plane.

The quotas of DiscoverInstances are in "AWS Cloud Map quotas", 1,000 a second and 2,000 at once.
"""

INSTANCE_WRITES: Final = ("RegisterInstance", "DeregisterInstance")
"""AWS does not say whether it counts these together. As if it did, neither is ever throttled for the other's sake, and
dead pods go first; the price is half the rate while both are wanted."""

FIRST_POLL_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True)
class Options:
    """All that may be configured; what is None is left to the AWS SDK's own sources (environment, profile, role)."""

    region: str | None = None
    endpoint_url: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    external_id: str | None = None
    rates: Mapping[str, Rate] = field(default_factory=lambda: DEFAULT_RATES)
    shared_writes: bool = True
    """Whether registering and deregistering are kept to one rate together."""
    poll_seconds: float = FIRST_POLL_SECONDS
    """The first pause before an operation is looked at; it grows to `operations.LONGEST_POLL_SECONDS`."""


_NAMES: Final = ("endpointUrl", "externalId", "pollSeconds", "profile", "rates", "region", "roleArn", "sharedWrites")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]{1,576}")


def read_options(config: Mapping[str, object], name: RegistryName) -> Options:
    """Read the options, each optional.

    `{region, endpointUrl, profile, roleArn, externalId, rates: {OPERATION: "48/90"}, sharedWrites, pollSeconds}`.
    Raises UserError naming the option, what was found and what is allowed.
    """
    for option in config:
        if option not in _NAMES:
            raise UserError(
                f"registry {name!r} of kind cloudmap has no option {option!r}; allowed: {', '.join(_NAMES)}. Remove it"
            )
    return Options(
        region=_text(config, "region", name),
        endpoint_url=_url(config, name),
        profile=_text(config, "profile", name),
        role_arn=_role(config, name),
        external_id=_text(config, "externalId", name),
        rates={**DEFAULT_RATES, **_rates(config.get("rates"), name)},
        shared_writes=_flag(config, "sharedWrites", name, default=True),
        poll_seconds=_seconds(config, name),
    )


def _wrong(name: RegistryName, option: str, found: object, rule: str) -> UserError:
    return UserError(f"registry {name!r}: option {option} is {found!r}; allowed: {rule}. Correct it")


def _text(config: Mapping[str, object], option: str, name: RegistryName) -> str | None:
    value = config.get(option)
    if value is None or (isinstance(value, str) and value):
        return value
    raise _wrong(name, option, value, "a text that is not empty")


def _flag(config: Mapping[str, object], option: str, name: RegistryName, *, default: bool) -> bool:
    value = config.get(option, default)
    if isinstance(value, bool):
        return value
    raise _wrong(name, option, value, "true or false")


def _url(config: Mapping[str, object], name: RegistryName) -> str | None:
    url = _text(config, "endpointUrl", name)
    if url is not None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise _wrong(name, "endpointUrl", url, "a URL such as http://127.0.0.1:8081")
    return url


def _role(config: Mapping[str, object], name: RegistryName) -> str | None:
    role = _text(config, "roleArn", name)
    if role is not None and not _ROLE.fullmatch(role):
        raise _wrong(name, "roleArn", role, "the ARN of a role, such as arn:aws:iam::123456789012:role/registrar")
    if role is None and config.get("externalId") is not None:
        raise UserError(f"registry {name!r}: option externalId goes with roleArn only. Add that, or remove it")
    return role


def _rates(rates: object, name: RegistryName) -> Mapping[str, Rate]:
    if rates is None:
        return {}
    if not isinstance(rates, Mapping):
        raise _wrong(name, "rates", rates, "a mapping such as {RegisterInstance: 48/90}")
    read = dict[str, Rate]()
    for operation, text in rates.items():
        if operation not in DEFAULT_RATES:
            raise UserError(
                f"registry {name!r}: option rates names the operation {operation!r}; "
                f"allowed: {', '.join(sorted(DEFAULT_RATES))}. Correct it"
            )
        try:
            read[operation] = Rate.parse(str(text))
        except ValueError as error:
            raise _wrong(name, f"rates.{operation}", text, str(error)) from None
    return read


def _seconds(config: Mapping[str, object], name: RegistryName) -> float:
    value = config.get("pollSeconds", FIRST_POLL_SECONDS)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 60:  # noqa: PLR2004
        raise _wrong(name, "pollSeconds", value, "a number of seconds above 0, at most 60")
    return float(value)
