"""The options of a `consul` registry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Final
from urllib.parse import urlsplit

from kube_registrar.model.errors import Unreadable, UserError
from kube_registrar.model.refs import RegistryName

DEFAULT_ADDRESS: Final = "http://127.0.0.1:8500"
DEFAULT_NODE: Final = "kube-registrar"
DEFAULT_PREFIX: Final = "kube-registrar/"
DEFAULT_SERVICE_NAME: Final = "{namespace}-{service}"


@dataclass(frozen=True, slots=True)
class Options:
    """All that may be configured."""

    address: str = DEFAULT_ADDRESS
    """The URL of an agent or server, without a path."""
    datacenter: str | None = None
    """None: that of whoever answers at the address."""
    token_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    node: str = DEFAULT_NODE
    """The external node that the instances stand on."""
    prefix: str = DEFAULT_PREFIX
    """What begins the keys of ours in the key-value store."""
    service_name: str = DEFAULT_SERVICE_NAME
    """The name in Consul of a registry service, of `{namespace}` and `{service}`."""


_NAMES: Final = (
    "address", "caFile", "certFile", "datacenter", "keyFile", "node", "prefix", "serviceName", "tokenFile",
)  # fmt: skip
_PATTERNS: Final = {
    "datacenter": (r"[a-zA-Z0-9_-]{1,63}", "1 to 63 of A-Z a-z 0-9 _ -"),
    "node": (r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", "a DNS label of A-Z a-z 0-9 -"),
    "prefix": (r"(?:[a-zA-Z0-9_.-]{1,64}/){1,8}", "folders of A-Z a-z 0-9 _ . - that end with a slash"),
}


def read_options(config: Mapping[str, object], name: RegistryName) -> Options:
    """Read the options, each optional. Raises UserError naming the option, what was found and what is allowed."""
    for option in config:
        if option not in _NAMES:
            raise UserError(
                f"registry {name!r} of kind consul has no option {option!r}; allowed: {', '.join(_NAMES)}. Remove it"
            )
    options = Options(
        address=_address(config, name),
        datacenter=_matching(config, "datacenter", name),
        token_file=_file(config, "tokenFile", name),
        ca_file=_file(config, "caFile", name),
        cert_file=_file(config, "certFile", name),
        key_file=_file(config, "keyFile", name),
        node=_matching(config, "node", name) or DEFAULT_NODE,
        prefix=_matching(config, "prefix", name) or DEFAULT_PREFIX,
        service_name=_service_name(config, name),
    )
    _check_tls(options, name)
    return options


def _wrong(name: RegistryName, option: str, found: object, rule: str) -> UserError:
    return UserError(f"registry {name!r}: option {option} is {found!r}; allowed: {rule}. Correct it")


def _text(config: Mapping[str, object], option: str, name: RegistryName) -> str | None:
    value = config.get(option)
    if value is None or (isinstance(value, str) and value):
        return value
    raise _wrong(name, option, value, "a text that is not empty")


def _matching(config: Mapping[str, object], option: str, name: RegistryName) -> str | None:
    value = _text(config, option, name)
    pattern, rule = _PATTERNS[option]
    if value is not None and not re.fullmatch(pattern, value):
        raise _wrong(name, option, value, rule)
    return value


def _address(config: Mapping[str, object], name: RegistryName) -> str:
    address = _text(config, "address", name) or DEFAULT_ADDRESS
    rule = f"a URL without a path or a password, such as {DEFAULT_ADDRESS} or https://consul.example.com:8501"
    try:
        parts = urlsplit(address)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        raise _wrong(name, "address", address, rule) from None
    if not is_url or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise _wrong(name, "address", address, rule)
    return f"{parts.scheme}://{parts.netloc}"


def _file(config: Mapping[str, object], option: str, name: RegistryName) -> Path | None:
    value = config.get(option)
    if value is None:
        return None
    if not isinstance(value, str | Path) or not str(value):
        raise _wrong(name, option, value, "the path of a file")
    path = Path(value).expanduser()
    try:
        path.read_bytes()
    except OSError as error:
        raise Unreadable(
            f"registry {name!r}: option {option} is {str(path)!r}, which cannot be read: {error.strerror}. Correct it"
        ) from None
    return path


def _service_name(config: Mapping[str, object], name: RegistryName) -> str:
    value = _text(config, "serviceName", name) or DEFAULT_SERVICE_NAME
    rule = "letters, digits and hyphens around {service} and, if wanted, {namespace}"
    try:
        parts = [(text, field) for text, field, *_ in Formatter().parse(value)]
    except ValueError:
        raise _wrong(name, "serviceName", value, rule) from None
    fields = {field for _, field in parts if field is not None}
    texts = "".join(text for text, _ in parts)
    if "service" not in fields or fields - {"service", "namespace"} or not re.fullmatch(r"[a-z0-9-]*", texts):
        raise _wrong(name, "serviceName", value, rule)
    return value


def _check_tls(options: Options, name: RegistryName) -> None:
    given = {"caFile": options.ca_file, "certFile": options.cert_file, "keyFile": options.key_file}
    if options.address.startswith("http:"):
        for option, path in given.items():
            if path is not None:
                raise UserError(
                    f"registry {name!r}: option {option} goes with an address that begins with https:, and it is "
                    f"{options.address!r}. Correct the address, or remove the option"
                )
    if (options.cert_file is None) != (options.key_file is None):
        there, missing = ("certFile", "keyFile") if options.cert_file else ("keyFile", "certFile")
        raise UserError(f"registry {name!r}: option {there} goes with {missing}, which is not given. Give both")
