"""The options of an embedded registry in the configuration."""

import difflib
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kube_registrar.model.errors import UserError
from kube_registrar.model.simulation import Simulation, simulation
from kube_registrar.registries.embedded import quotas
from kube_registrar.registries.embedded.checks.addresses import Addresses
from kube_registrar.registries.embedded.quotas import CLOUD_MAP, Quotas

CUSTOM_HEALTH_DELAY = 30.0
"""Seconds: "AWS Cloud Map waits for approximately 30 seconds" (HealthCheckCustomConfig in the API reference)."""

CHECK_INTERVAL = 30.0
"""Seconds: "every 30 seconds" (HealthCheckConfig in the API reference)."""

DEFAULT_ACCOUNT = "000000000000"
DEFAULT_REGION = "us-east-1"

_TEXTS = {
    "accountId": (DEFAULT_ACCOUNT, r"\d{12}"),
    "region": (DEFAULT_REGION, r"[a-z]{2}(-[a-z]+)+-\d+"),
}

KNOWN = (
    "data", "accountId", "region", "quotas", "customHealthDelaySeconds", "checkIntervalSeconds", "checkAddresses",
    "simulate",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Options:
    """What can be configured. `region` stands in ARNs where a request names none."""

    data: Path
    account: str = DEFAULT_ACCOUNT
    region: str = DEFAULT_REGION
    custom_health_delay: float = CUSTOM_HEALTH_DELAY
    check_interval: float = CHECK_INTERVAL
    check_addresses: Addresses = field(default_factory=Addresses)
    quotas: Quotas = CLOUD_MAP
    simulation: Simulation = field(default_factory=Simulation)


def options(config: Mapping[str, object], name: str) -> Options:
    """Read the options of the registry called `name`. Raises UserError, naming the option."""
    for key in config:
        if key not in KNOWN:
            near = difflib.get_close_matches(key, KNOWN, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(f"Registry {name}: unknown option {key!r}; known are {', '.join(KNOWN)}{hint}")
    switches = config.get("simulate", "")
    if not isinstance(switches, str | Mapping):
        raise _refused(name, "simulate", switches, "key=value,key=value or a mapping is needed")
    simulated = simulation(switches)
    delay = _seconds(config, name, "customHealthDelaySeconds", CUSTOM_HEALTH_DELAY, 0)
    if simulated.custom_health_delay is not None:
        delay = simulated.custom_health_delay
    return Options(
        data=_folder(config, name),
        account=_matching(config, name, "accountId", "12 digits in quotes are needed"),
        region=_matching(config, name, "region", "a Region such as eu-west-1 is needed"),
        custom_health_delay=delay,
        check_interval=_seconds(config, name, "checkIntervalSeconds", CHECK_INTERVAL, 1),
        check_addresses=_addresses(config, name),
        quotas=_quotas(config, name),
        simulation=simulated,
    )


def _folder(config: Mapping[str, object], name: str) -> Path:
    data = config.get("data")
    if data is None or data == "":
        raise UserError(
            f"Registry {name}: the embedded registry needs a folder for its data: give it with --data or `data`"
        )
    if not isinstance(data, str | Path):
        raise _refused(name, "data", data, "the path of a folder is needed")
    return Path(data).expanduser()


def _seconds(config: Mapping[str, object], name: str, key: str, default: float, least: int) -> float:
    value = config.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= 3600:  # noqa: PLR2004
        raise _refused(name, key, value, f"a number of seconds from {least} to 3,600 is needed")
    return float(value)


def _addresses(config: Mapping[str, object], name: str) -> Addresses:
    value = config.get("checkAddresses")
    if value is None:
        return Addresses()
    try:
        if not isinstance(value, list | tuple) or not value:
            raise ValueError(value)
        return Addresses(tuple(ipaddress.ip_network(str(each)) for each in value))
    except ValueError:
        rule = "a list of address ranges such as 10.0.0.0/8 or 2001:db8::/32 is needed, with no bits beyond the prefix"
        raise _refused(name, "checkAddresses", value, rule) from None


def _quotas(config: Mapping[str, object], name: str) -> Quotas:
    value = config.get("quotas") or "cloud-map"
    if not isinstance(value, str) or value not in quotas.BY_NAME:
        raise _refused(name, "quotas", value, f"{' or '.join(quotas.BY_NAME)} is allowed")
    return quotas.BY_NAME[value]


def _matching(config: Mapping[str, object], name: str, key: str, rule: str) -> str:
    default, pattern = _TEXTS[key]
    value = config.get(key) or default
    if not isinstance(value, str) or not re.fullmatch(pattern, value):
        raise _refused(name, key, value, rule)
    return value


def _refused(name: str, key: str, value: object, rule: str) -> UserError:
    return UserError(f"Registry {name}: option {key} is {value!r}: {rule}")
