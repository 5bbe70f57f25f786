"""One typed configuration from flags, environment and a file: flag > environment > file > default.

Every error names the setting, what was found, what is allowed and where it came from. A key that nobody knows is an
error too: a setting that is misspelt would otherwise be a setting that is silently not made.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from kube_registrar.declared.settings import SETTINGS, VARIABLE_PREFIX, Configuration, RegistryEntry, Setting
from kube_registrar.declared.yamlfile import SettingsFile
from kube_registrar.model.errors import UserError
from kube_registrar.model.policy import Policy

# What Kubernetes puts into the environment of every container for a Service named kube-registrar, or
# kube-registrar-console: "Discovering services", kubernetes.io/docs/concepts/services-networking/service.
_SERVICE_LINK = re.compile(
    VARIABLE_PREFIX + r"([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_[A-Z]+)?)?)"
)
_ELSEWHERE = frozenset({VARIABLE_PREFIX + "CONFIG", VARIABLE_PREFIX + "CACHE"})
"""The variables of ours that are no settings: the configuration file, and the cache of the test ground."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ONE_REGISTRY = "default"


@dataclass(frozen=True, slots=True)
class _Given:
    """A value and where it was found: `--listen`, `KUBE_REGISTRAR_LISTEN` or `FILE:LINE: listen`."""

    value: object
    where: str


def configuration(
    flags: Mapping[str, object], environ: Mapping[str, str], file: SettingsFile | None = None
) -> Configuration:
    """Merge and check the three places that settings come from.

    `flags` are keyed by setting name (`cluster_name`); None and () mean that a flag was not used. Raises UserError.
    """
    given = _from_file(file) | _from_environment(environ) | _from_flags(flags)
    values = {setting.name: _typed(setting, given[setting.name]) for setting in SETTINGS if setting.name in given}
    shorthand = {setting.name: values.pop(setting.name, "") for setting in SETTINGS if setting.is_shorthand}
    registries = _one_registry(shorthand, given)
    if registries:
        values["registries"] = registries
    result = Configuration(**values)  # type: ignore[arg-type]  # each was converted to its field's type
    _check(result, given)
    return result


def parse_listen(text: str) -> tuple[str, int]:
    """Split `HOST:PORT` into the host, without the brackets of an IPv6 address, and the port (0: a free one).

    Raises UserError, which begins with what was found.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise UserError(f"{text!r} is not HOST:PORT: write an IPv6 address in brackets, such as [::1]:8080")
    if not colon or not host:
        raise UserError(f"{text!r} is not HOST:PORT: write it like 127.0.0.1:8080")
    if not (port.isascii() and port.isdigit() and int(port) <= 65535):  # noqa: PLR2004 - the highest TCP port
        raise UserError(f"{text!r} has the port {port!r}: allowed are 0 (a free one) to 65535")
    return host, int(port)


def _from_flags(flags: Mapping[str, object]) -> dict[str, _Given]:
    known = {setting.name: setting for setting in SETTINGS}
    return {
        name: _Given(value, known[name].flag)
        for name, value in flags.items()
        if name in known and value is not None and value != ()
    }


def _from_environment(environ: Mapping[str, str]) -> dict[str, _Given]:
    known = {setting.variable: setting for setting in SETTINGS if setting.variable}
    given = {}
    for variable, value in environ.items():
        if not variable.startswith(VARIABLE_PREFIX) or variable in _ELSEWHERE or _SERVICE_LINK.fullmatch(variable):
            continue
        if variable not in known:
            raise UserError(f"the environment variable {variable} is no setting{_instead(variable, known)}")
        if value:  # an empty variable is how a manifest says: not set
            setting = known[variable]
            given[setting.name] = _Given(_of_text(setting, value), variable)
    return given


def _of_text(setting: Setting, text: str) -> object:
    return [part.strip() for part in text.split(",")] if isinstance(setting.default, tuple) else text


def _from_file(file: SettingsFile | None) -> dict[str, _Given]:
    if file is None:
        return {}
    known = {setting.key: setting for setting in SETTINGS if not setting.is_shorthand}
    given = {}
    for key, value in file.values.items():
        if key not in known:
            raise UserError(f"{file.where(key)}: {key} is no setting{_instead(key, known)}")
        value_given = _entries(file, value) if key == "registries" else value
        given[known[key].name] = _Given(value_given, f"{file.where(key)}: {key}")
    return given


def _entries(file: SettingsFile, value: object) -> object:
    """Split each entry of `registries` into its kind, its policy and the options of that kind."""
    if not isinstance(value, dict):
        return value  # said by _typed
    entries = {}
    for name, entry in value.items():
        where = f"{file.where(f'registries.{name}')}: registries.{name}"
        if not _NAME.fullmatch(name):
            raise UserError(f"{where}: a registry's name is at most 63 of a-z, 0-9 and -, and begins with no -")
        if not isinstance(entry, dict) or not isinstance(entry.get("kind"), str) or not entry["kind"]:
            raise UserError(f"{where} has no kind: write {name}: {{kind: embedded, data: …}} or another kind")
        options = {key: item for key, item in entry.items() if key not in {"kind", "policy"}}
        entries[name] = RegistryEntry(entry["kind"], options, _policy(entry, where))
    return entries


def _policy(entry: Mapping[str, object], where: str) -> Policy | None:
    if "policy" not in entry:
        return None
    found = entry["policy"]
    if found not in list(Policy):
        raise UserError(f"{where} has the policy {found!r}: allowed are {', '.join(Policy)}")
    return Policy(str(found))


def _typed(setting: Setting, given: _Given) -> object:
    if setting.name == "registries" and isinstance(given.value, dict):
        return given.value
    is_text = given.where == setting.variable
    try:
        value = msgspec.convert(given.value, setting.type, strict=not is_text)
    except msgspec.ValidationError:
        raise UserError(f"{given.where} is {_shown(given.value)}: {setting.allowed}") from None
    if isinstance(value, str) and not value and not setting.is_shorthand and given.value is not None:
        raise UserError(f"{given.where} is empty: leave it out, or give it a value")
    return value


def _shown(value: object) -> str:
    return ", ".join(map(repr, value)) if isinstance(value, list) else repr(value)


def _one_registry(shorthand: Mapping[str, object], given: Mapping[str, _Given]) -> dict[str, RegistryEntry]:
    """Return the registry that `--registry KIND` and its options ask for; empty where it was not used."""
    used = [given[name].where for name, value in shorthand.items() if value]
    if not used:
        return {}
    if "registries" in given:
        raise UserError(
            f"{used[0]} asks for one registry called {_ONE_REGISTRY}, but {given['registries'].where} has registries: "
            "use one of the two"
        )
    kind = shorthand["registry"]
    if not kind:
        raise UserError(f"{used[0]} is an option of a registry: say which kind with --registry, such as embedded")
    keys = {setting.name: setting.key for setting in SETTINGS}
    options = {keys[name]: value for name, value in shorthand.items() if value and name != "registry"}
    return {_ONE_REGISTRY: RegistryEntry(str(kind), options)}


def _check(result: Configuration, given: Mapping[str, _Given]) -> None:
    """Say what no type can say."""
    for name in ("listen", "api_listen", "dns_listen"):
        if name in given:
            try:
                parse_listen(getattr(result, name))
            except UserError as error:
                raise UserError(f"{given[name].where}: {error}") from None
    for name, what in (("lease_namespace", "a namespace's name"), ("lease_name", "the name of a Lease")):
        found = getattr(result, name)
        if found is not None and not _NAME.fullmatch(found):
            raise UserError(f"{given[name].where} is {found!r}: {what} is at most 63 of a-z, 0-9 and -")
    for namespace in result.watch_namespaces:
        if not _NAME.fullmatch(namespace):
            where = given["watch_namespaces"].where
            raise UserError(f"{where} has {namespace!r}: a namespace's name is at most 63 of a-z, 0-9 and -")
    if result.served_registry is not None and result.served_registry not in result.registries:
        where, names = given["served_registry"].where, ", ".join(sorted(result.registries)) or "none"
        raise UserError(f"{where} is {result.served_registry!r}, which no registry is called: there is {names}")
    if result.registries and result.default_registry not in result.registries:
        where = given["default_registry"].where if "default_registry" in given else "defaultRegistry"
        names = ", ".join(sorted(result.registries))
        raise UserError(f"{where} is {result.default_registry!r}, which no registry is called: there is {names}")


def _instead(wrong: str, known: Iterable[str]) -> str:
    by_lower = {name.lower(): name for name in sorted(known)}
    near = difflib.get_close_matches(wrong.lower(), by_lower, n=1)
    meant = f" (did you mean {by_lower[near[0]]}?)" if near else ""
    return f"{meant}: known are {', '.join(by_lower.values())}"
