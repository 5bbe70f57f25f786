"""The settings of this program, each with its type, its default and the words that explain it.

One table serves the configuration file, the environment, the command line and the documentation: a field `cluster_name`
is the key `clusterName`, the variable `KUBE_REGISTRAR_CLUSTER_NAME` and the flag `--cluster-name`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec

from kube_registrar.model.policy import Policy

VARIABLE_PREFIX = "KUBE_REGISTRAR_"


class LogFormat(StrEnum):
    """How log lines look."""

    PLAIN = "plain"
    JSON = "json"


class LogLevel(StrEnum):
    """What is logged: this and all that is worse."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def _meta(description: str, allowed: str, *, flag: str | None = None, least: int | None = None) -> msgspec.Meta:
    return msgspec.Meta(description=description, extra={"allowed": allowed, "flag": flag}, ge=least)


_TEXT = "it must be a text"


class RegistryEntry(msgspec.Struct, frozen=True):
    """One configured registry. `options` are for its backend, which validates them when it is opened.

    `policy`: None where the entry has none, so that the operator's applies.
    """

    kind: str
    options: Mapping[str, object] = {}
    policy: Policy | None = None


class Configuration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """All settings of one process, merged and checked. Registries are empty where none was asked for."""

    cluster_name: Annotated[
        str, _meta("A name of this cluster for people; instances carry it as KUBE_CLUSTER.", _TEXT)
    ] = ""
    default_registry: Annotated[
        str, _meta("The registry that is meant where none is named.", "it must be the name of a configured registry")
    ] = "default"
    registries: Annotated[
        Mapping[str, RegistryEntry],
        _meta(
            "The registries: a name each, with its kind and the options of that kind.",
            "it must map names to {kind: …, and the options of that kind}",
            flag="",
        ),
    ] = {}
    watch_namespaces: Annotated[
        tuple[str, ...],
        _meta(
            "The Kubernetes namespaces to watch; none: all of them.",
            "it must be a list of names of Kubernetes namespaces",
            flag="--watch-namespace",
        ),
    ] = ()
    policy: Annotated[
        Policy,
        _meta(
            "What may be done in registries: everything, nothing removed, nothing of ours changed either, or nothing "
            "at all. An entry of registries may have its own.",
            f"allowed are {', '.join(Policy)}",
        ),
    ] = Policy.SYNC
    resync_seconds: Annotated[
        int,
        _meta(
            "How often each registry service is read in full, to find and repair what somebody else changed.",
            "it must be a whole number of seconds, 10 at least",
            least=10,
        ),
    ] = 600
    allow_undeclared: Annotated[
        bool,
        _meta(
            "Let any Kubernetes namespace use registry namespaces that no RegistryNamespace declares, and bare ARNs. "
            "For clusters with one tenant.",
            "allowed are true, false",
        ),
    ] = False
    leader_election: Annotated[
        bool | None,
        _meta(
            "Let one of several replicas lead, by a Lease. On by itself, but off where every registry is embedded: "
            "no two processes can share one.",
            "allowed are true, false",
        ),
    ] = None
    lease_namespace: Annotated[
        str | None,
        _meta(
            "The Kubernetes namespace of that Lease; without it the pod's own, or default outside of one.",
            "it must be the name of a Kubernetes namespace",
        ),
    ] = None
    lease_name: Annotated[
        str, _meta("The name of that Lease: replicas with the same one are one operator.", "it must be a name")
    ] = "kube-registrar"
    listen: Annotated[
        str, _meta("Where probes and metrics are served; port 0 picks a free one.", "it must be HOST:PORT")
    ] = "127.0.0.1:8080"
    api_listen: Annotated[
        str, _meta("Where the Cloud Map API is served; port 0 picks a free one.", "it must be HOST:PORT")
    ] = "127.0.0.1:8081"
    served_registry: Annotated[
        str | None,
        _meta(
            "The registry that the Cloud Map API and DNS stand before: of any kind, and without it the embedded one.",
            "it must be the name of a configured registry",
        ),
    ] = None
    access_keys: Annotated[
        str | None,
        _meta(
            "A YAML file of access keys, or a folder of such files, as a mounted Secret. With it every request to the "
            "Cloud Map API must be signed; beyond this machine it is needed.",
            "it must be the path of a file or folder",
        ),
    ] = None
    api_rate: Annotated[
        str,
        _meta(
            "How many requests a second, and how many at once, each access key may ask of the Cloud Map API (each "
            "address, where there are no keys); none: no limit.",
            "it must be RATE/BURST, such as 1000/2000",
        ),
    ] = ""
    api_at_once: Annotated[
        int,
        _meta(
            "How many requests the Cloud Map API works on at once; more are throttled.",
            "it must be a whole number, 1 at least",
            least=1,
        ),
    ] = 1000
    api_connections: Annotated[
        int,
        _meta(
            "How many connections the Cloud Map API holds at once; a new one beyond that is closed.",
            "it must be a whole number, 1 at least",
            least=1,
        ),
    ] = 10_000
    tls_cert: Annotated[
        str | None,
        _meta("A PEM file with the certificate, and its chain, of the Cloud Map API; read again on change.", _TEXT),
    ] = None
    tls_key: Annotated[str | None, _meta("A PEM file with the key of that certificate.", _TEXT)] = None
    dns_listen: Annotated[
        str | None,
        _meta(
            "Where the registry that is served answers DNS, over UDP and TCP, to anybody who asks; port 0 picks a free "
            "one. Off without it.",
            "it must be HOST:PORT",
        ),
    ] = None
    kubeconfig: Annotated[
        str | None,
        _meta("The kubeconfig file; without it $KUBECONFIG, ~/.kube/config or the pod's own account.", _TEXT),
    ] = None
    context: Annotated[str | None, _meta("The context of the kubeconfig; without it its current one.", _TEXT)] = None
    log_format: Annotated[LogFormat, _meta("How log lines look.", "allowed are plain, json")] = LogFormat.PLAIN
    log_level: Annotated[LogLevel, _meta("The least that is logged.", "allowed are debug, info, warning, error")] = (
        LogLevel.INFO
    )

    def policy_of(self, registry: str) -> Policy:
        """Return the policy of a configured registry: its own, else the operator's."""
        return self.registries[registry].policy or self.policy


class Shorthand(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One registry called `default`, without a file: flags and variables that `registries` excludes."""

    registry: Annotated[
        str, _meta("The kind of the one registry to use, such as embedded or cloudmap; it is called default.", _TEXT)
    ] = ""
    endpoint_url: Annotated[
        str, _meta("Its endpoint, where it is not AWS itself: any Cloud Map-compatible URL.", _TEXT)
    ] = ""
    region: Annotated[str, _meta("Its AWS region.", _TEXT)] = ""
    data: Annotated[str, _meta("The folder in which the embedded registry keeps its data.", _TEXT)] = ""
    quotas: Annotated[
        str,
        _meta("How much the embedded registry lets there be: cloud-map, as much as Cloud Map does, or none.", _TEXT),
    ] = ""
    simulate: Annotated[
        str,
        _meta(
            "What the embedded registry pretends, to test clients with, such as "
            "latency=20ms,operation-delay=0.3s-1s,throttle=50/100.",
            _TEXT,
        ),
    ] = ""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting, as the file, the environment and the command line know it. `flag` is empty where it has none."""

    name: str
    key: str
    type: Any
    default: object
    description: str
    allowed: str
    flag: str
    is_shorthand: bool

    @property
    def variable(self) -> str:
        """Its environment variable; empty for what only a file can say."""
        return VARIABLE_PREFIX + self.name.upper() if self.flag else ""


def _settings_of(struct: type[msgspec.Struct], *, is_shorthand: bool) -> tuple[Setting, ...]:
    found = []
    for field in msgspec.structs.fields(struct):
        meta: msgspec.Meta = field.type.__metadata__[0]
        extra = meta.extra or {}
        flag = "--" + field.name.replace("_", "-") if extra["flag"] is None else str(extra["flag"])
        default = () if field.default is msgspec.NODEFAULT else field.default
        found.append(
            Setting(
                name=field.name,
                key=field.encode_name,
                type=field.type,
                default=default,
                description=meta.description or "",
                allowed=extra["allowed"],
                flag=flag,
                is_shorthand=is_shorthand,
            )
        )
    return tuple(found)


SETTINGS = _settings_of(Shorthand, is_shorthand=True) + _settings_of(Configuration, is_shorthand=False)
