"""What a person sees before anything is changed: a table, or the same as a document for programs."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from kube_registrar.cli.tables import table
from kube_registrar.cli.upkeep.selection import Entry
from kube_registrar.model import attributes as keys
from kube_registrar.model.refs import registry_of

FORMATS = ("table", "json", "yaml")

Here = Callable[[Entry], str]
"""What is said of the object behind an instance, where the connected cluster was asked."""


def text(entries: Sequence[Entry], form: str, head: Mapping[str, object], here: Here | None = None) -> str:
    """Return what to print. `head`: what the document says of the whole; `here`: for a takeover."""
    if form == "table":
        return _tables(entries, here) if entries else ""
    document = {**head, "instances": [_instance(one, here) for one in entries], "services": _services(entries)}
    if form == "json":
        return json.dumps(document, indent=2, ensure_ascii=False)
    import yaml  # noqa: PLC0415 - the other forms do not need it

    dumped: str = yaml.safe_dump(document, sort_keys=False, allow_unicode=True)
    return dumped.rstrip()


def _tables(entries: Sequence[Entry], here: Here | None) -> str:
    headings = ["REGISTRY", "SERVICE", "INSTANCE", "NAMESPACE", "POD", "ADDRESS"]
    rows = [_row(entry) for entry in entries]
    if here is not None:
        headings += ["CLUSTER", "HERE"]
        rows = [[*row, entry.name, here(entry)] for row, entry in zip(rows, entries, strict=True)]
    counts = [[one["registry"], f"{one['namespace']}/{one['service']}", str(one["count"])] for one in _counts(entries)]
    return f"{table(headings, rows)}\n\n{table(['REGISTRY', 'SERVICE', 'INSTANCES'], counts)}"


def _row(entry: Entry) -> list[str]:
    origin = entry.origin
    name = origin.name if origin.kind == "Pod" else f"{origin.kind}/{origin.name}"
    return [registry_of(entry.service), _service(entry), entry.instance.id, origin.namespace, name, _address(entry)]


def _service(entry: Entry) -> str:
    return f"{entry.service.namespace.name}/{entry.service.name}"


def _address(entry: Entry) -> str:
    given = entry.instance.attributes
    port = given.get(keys.PORT, "")
    ips = [given[key] for key in (keys.IPV4, keys.IPV6) if key in given]
    return ",".join(_joined(ip, port) for ip in ips)


def _joined(ip: str, port: str) -> str:
    if not port:
        return ip
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def _instance(entry: Entry, here: Here | None) -> Mapping[str, object]:
    origin = entry.origin
    return {
        "registry": str(registry_of(entry.service)),
        "namespace": entry.service.namespace.name,
        "service": entry.service.name,
        "instance": str(entry.instance.id),
        "clusterUID": str(entry.uid),
        "clusterName": entry.name,
        "origin": {
            "kind": origin.kind,
            "namespace": origin.namespace,
            "name": origin.name,
            "uid": str(origin.uid),
        },
        **({} if here is None else {"here": here(entry)}),
        "attributes": dict(entry.instance.attributes),
    }


def _services(entries: Sequence[Entry]) -> Sequence[Mapping[str, object]]:
    return [
        {**{k: v for k, v in one.items() if k != "count"}, "instances": int(one["count"])} for one in _counts(entries)
    ]


def _counts(entries: Sequence[Entry]) -> Sequence[Mapping[str, str]]:
    counts = Counter(entry.service for entry in entries)
    return [
        {
            "registry": str(registry_of(service)),
            "namespace": service.namespace.name,
            "service": service.name,
            "count": str(count),
        }
        for service, count in sorted(counts.items())
    ]
