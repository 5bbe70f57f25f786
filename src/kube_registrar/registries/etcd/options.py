"""The options of an `etcd` registry."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from kube_registrar.model.errors import Unreadable, UserError
from kube_registrar.model.refs import RegistryName

DEFAULT_PREFIX: Final = "/kube-registrar/"
DEFAULT_SKYDNS_PATH: Final = "/skydns"

KNOWN: Final = (
    "endpoints", "endpointUrl", "prefix", "skydnsPath", "user", "userFile", "passwordFile", "caFile", "certFile",
    "keyFile", "leaseSeconds", "leaseName",
)  # fmt: skip

_PREFIX: Final = re.compile(r"/(?:[a-z0-9_.-]+/)+"), "a path such as /kube-registrar/"
_SKYDNS: Final = re.compile(r"/[a-z0-9_.-]+"), "a path of one part, such as /skydns"
_LEASE_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,63}"), "1 to 63 of A-Z a-z 0-9 _ . -"
_SHORTEST_LEASE = 15
_LONGEST_LEASE = 86_400


@dataclass(frozen=True, slots=True)
class Options:
    """All that may be configured. Files are read again when they change."""

    endpoints: Sequence[str]
    """Client URLs of the members, without a slash at the end."""
    prefix: str = DEFAULT_PREFIX
    """Begins the keys of all that is not SkyDNS; ends with a slash."""
    skydns_path: str = DEFAULT_SKYDNS_PATH
    """Begins the keys that CoreDNS reads; what its option `path` says, with a slash before it."""
    user: str = ""
    user_file: Path | None = None
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    lease_seconds: int = 0
    """How long instances outlive the last replica of the operator; 0: for ever."""
    lease_name: str = ""


def read_options(config: Mapping[str, object], name: RegistryName) -> Options:
    """Read the options of the registry `name`. Raises UserError, naming the option, what was found and allowed."""
    for option in config:
        if option not in KNOWN:
            near = difflib.get_close_matches(option, KNOWN, 1)
            hint = f"; did you mean {near[0]}?" if near else ""
            raise UserError(
                f"registry {name!r} of kind etcd has no option {option!r}; allowed: {', '.join(KNOWN)}{hint}. Remove it"
            )
    options = Options(
        endpoints=_endpoints(config, name),
        prefix=_matching(config, "prefix", name, _PREFIX, DEFAULT_PREFIX),
        skydns_path=_matching(config, "skydnsPath", name, _SKYDNS, DEFAULT_SKYDNS_PATH),
        user=_text(config, "user", name),
        user_file=_file(config, "userFile", name),
        password_file=_file(config, "passwordFile", name),
        ca_file=_file(config, "caFile", name),
        cert_file=_file(config, "certFile", name),
        key_file=_file(config, "keyFile", name),
        lease_seconds=_lease_seconds(config, name),
        lease_name=_matching(config, "leaseName", name, _LEASE_NAME),
    )
    _check(options, name)
    return options


def _check(options: Options, name: RegistryName) -> None:
    """Say what is wrong with options that are right one by one."""
    pairs = (
        ("certFile", options.cert_file, "keyFile", options.key_file),
        ("keyFile", options.key_file, "certFile", options.cert_file),
        ("passwordFile", options.password_file, "user or userFile", options.user or options.user_file),
        ("user", options.user, "passwordFile", options.password_file),
        ("userFile", options.user_file, "passwordFile", options.password_file),
        ("leaseSeconds", options.lease_seconds, "leaseName", options.lease_name),
        ("leaseName", options.lease_name, "leaseSeconds", options.lease_seconds),
    )
    for option, found, other, needed in pairs:
        if found and not needed:
            raise UserError(f"registry {name!r}: option {option} goes with {other} only. Add that, or remove it")
    if options.user and options.user_file:
        raise UserError(f"registry {name!r}: options user and userFile both name the user. Remove one of them")
    if f"{options.skydns_path}/".startswith(options.prefix) or options.prefix.startswith(f"{options.skydns_path}/"):
        raise UserError(
            f"registry {name!r}: option prefix is {options.prefix!r} and skydnsPath {options.skydns_path!r}, one in "
            "the other; allowed: two that are apart, for CoreDNS reads all of the second. Change one of them"
        )
    plain = [each for each in options.endpoints if each.startswith("http:")]
    if plain and (options.ca_file or options.cert_file):
        raise UserError(
            f"registry {name!r}: option endpoints has {plain[0]!r}, which is not encrypted, beside caFile or certFile; "
            "allowed then: https:// URLs. Correct it"
        )


def _wrong(name: RegistryName, option: str, found: object, rule: str) -> UserError:
    return UserError(f"registry {name!r}: option {option} is {found!r}; allowed: {rule}. Correct it")


def _endpoints(config: Mapping[str, object], name: RegistryName) -> Sequence[str]:
    rule = "a list of client URLs such as https://10.0.0.1:2379"
    found = config.get("endpoints", config.get("endpointUrl"))
    if "endpoints" in config and "endpointUrl" in config:
        raise UserError(f"registry {name!r}: options endpoints and endpointUrl both name members. Remove one of them")
    if found is None:
        raise UserError(f"registry {name!r} of kind etcd has no option endpoints; needed: {rule}. Add it")
    listed = [each.strip() for each in found.split(",")] if isinstance(found, str) else found
    if not isinstance(listed, list | tuple) or not listed:
        raise _wrong(name, "endpoints", found, rule)
    for each in listed:
        if not isinstance(each, str) or not _is_url(each):
            raise _wrong(name, "endpoints", each, rule)
    if len({str(each).partition(":")[0] for each in listed}) > 1:
        raise _wrong(name, "endpoints", found, "URLs that all begin with https:// or all with http://")
    return tuple(str(each).rstrip("/") for each in listed)


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0 and not parts.username
    except ValueError:  # a port that is none
        return False


def _text(config: Mapping[str, object], option: str, name: RegistryName) -> str:
    value = config.get(option, "")
    if option in config and not (isinstance(value, str) and value):
        raise _wrong(name, option, value, "a text that is not empty")
    return str(value)


def _matching(
    config: Mapping[str, object], option: str, name: RegistryName, rule: tuple[re.Pattern[str], str], default: str = ""
) -> str:
    value = _text(config, option, name) or default
    if value and not rule[0].fullmatch(value):
        raise _wrong(name, option, value, rule[1])
    return value


def _file(config: Mapping[str, object], option: str, name: RegistryName) -> Path | None:
    value = config.get(option)
    if value is None:
        return None
    if not isinstance(value, str | Path) or not str(value):
        raise _wrong(name, option, value, "the path of a file")
    path = Path(value).expanduser()
    if not path.is_file():
        raise Unreadable(f"registry {name!r}: option {option} is {str(path)!r}, where there is no file. Correct it")
    return path


def _lease_seconds(config: Mapping[str, object], name: RegistryName) -> int:
    value = config.get("leaseSeconds", 0)
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if not is_number or (value != 0 and not _SHORTEST_LEASE <= int(str(value)) <= _LONGEST_LEASE):
        rule = f"0 (instances stay until they are taken out), or {_SHORTEST_LEASE} to {_LONGEST_LEASE:,} seconds"
        raise _wrong(name, "leaseSeconds", value, rule)
    return int(str(value))
