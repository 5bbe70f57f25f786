"""The other side of the registry: boto3 as any application uses it, and the history that the registry keeps itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kube_registrar.registries.embedded.history import history
from kube_registrar.testing.waiting import wait_until

SECONDS = 30.0
REGISTER, DEREGISTER = "REGISTER_INSTANCE", "DEREGISTER_INSTANCE"

Attributes = Mapping[str, str]


class Registry:
    """A Cloud Map client of one registry namespace."""

    def __init__(
        self, endpoint: str, namespace: str, key: str = "test", secret: str = "test", *, ca_file: Path | None = None
    ) -> None:
        self.namespace = namespace
        self.api: Any = boto3.client(
            "servicediscovery",
            endpoint_url=endpoint,
            region_name="us-east-1",
            verify=str(ca_file) if ca_file else None,
            aws_access_key_id=key,
            aws_secret_access_key=secret,
            config=Config(
                inject_host_prefix=False,
                connect_timeout=5,
                read_timeout=10,
                retries={"total_max_attempts": 1},
                proxies={},
            ),
        )

    def instances(self, service: str, **query: str) -> Sequence[Mapping[str, Any]]:
        """Return what DiscoverInstances answers; nothing while there is no such service, or nobody answers."""
        try:
            answer = self.api.discover_instances(
                NamespaceName=self.namespace, ServiceName=service, QueryParameters=query, MaxResults=1000
            )
        except BotoCoreError:
            return []
        except ClientError as error:
            if error.response["Error"]["Code"] in {"NamespaceNotFound", "ServiceNotFound"}:
                return []
            raise
        found: Sequence[Mapping[str, Any]] = answer["Instances"]
        return found

    def discover(self, service: str, **query: str) -> dict[str, Attributes]:
        """Return the attributes of what is found, by the name of the pod, or by the id where no pod is named."""
        found = self.instances(service, **query)
        return {one["Attributes"].get("KUBE_POD", one["InstanceId"]): one["Attributes"] for one in found}

    def expect(self, service: str, names: set[str], *, within: float = SECONDS, **query: str) -> dict[str, Attributes]:
        """Wait until exactly these pods are found, `within` seconds, and return their attributes."""
        found: dict[str, Attributes] = {}

        def as_expected() -> bool:
            nonlocal found
            found = self.discover(service, **query)
            return set(found) == names

        def seen() -> str:
            missing, surplus = names - set(found), set(found) - names
            return f"{self.namespace}/{service} to hold {_few(names)}: missing {_few(missing)}, surplus {_few(surplus)}"

        wait_until(as_expected, seen, seconds=within)
        return found

    def expect_attributes(self, service: str, pod: str, accept: Callable[[Attributes], bool]) -> Attributes:
        """Wait until a pod's attributes are accepted, and return them."""

        def accepted() -> Attributes | None:
            found = self.discover(service).get(pod)
            return found if found is not None and accept(found) else None

        return wait_until(accepted, lambda: f"other attributes than {self.discover(service).get(pod)}", seconds=SECONDS)

    def namespace_id(self) -> str:
        """Return the id of the registry namespace; empty where there is none."""
        found = self.api.list_namespaces(Filters=[{"Name": "NAME", "Values": [self.namespace]}])["Namespaces"]
        return str(found[0]["Id"]) if found else ""

    def service_id(self, service: str) -> str:
        """Return the id of a registry service; empty where there is none."""
        namespace = self.namespace_id()
        if not namespace:
            return ""
        found = self.api.list_services(Filters=[{"Name": "NAMESPACE_ID", "Values": [namespace]}])["Services"]
        return next((str(one["Id"]) for one in found if one["Name"] == service), "")

    def create(self, service: str) -> str:
        """Make the registry namespace, if need be, and a service in it, as somebody else would; return its id."""
        if not self.namespace_id():
            self.api.create_http_namespace(Name=self.namespace)
            wait_until(self.namespace_id, "the registry namespace to be made")
        made = self.api.create_service(Name=service, NamespaceId=self.namespace_id())
        return str(made["Service"]["Id"])

    def register(self, service: str, instance: str, **attributes: str) -> None:
        """Register an instance as somebody else would, and wait until it is found."""
        self.api.register_instance(ServiceId=self.service_id(service), InstanceId=instance, Attributes=attributes)
        wait_until(
            lambda: instance in {one["InstanceId"] for one in self.instances(service)}, f"{instance} to be found"
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A change of an instance as the registry remembers it; `pod` and `uid`: whose instance it was by then."""

    type: str
    service: str
    instance_id: str
    pod: str
    uid: str


def changes(data: Path) -> Sequence[Change]:
    """Return every change of an instance since the registry in this folder was made, the oldest first."""
    owners: dict[tuple[str, str], Attributes] = {}
    found = []
    for entry in history(data):
        key = (entry.service, entry.instance_id)
        if entry.operation == REGISTER:
            owners[key] = entry.attributes
        if entry.operation in {REGISTER, DEREGISTER}:
            owner = owners.get(key, {})
            pod, uid = owner.get("KUBE_POD", entry.instance_id), owner.get("KUBE_POD_UID", "")
            found.append(Change(entry.operation, entry.service, entry.instance_id, pod, uid))
    return found


def registered(data: Path, within: str = "") -> list[str]:
    """Return the pods, by name, whose instances were registered: in order, and as often as that was.

    `within`: in this registry namespace alone.
    """
    return _pods(data, REGISTER, within)


def deregistered(data: Path, within: str = "") -> list[str]:
    """Return the pods, by name, whose instances were deregistered: in order, and as often as that was."""
    return _pods(data, DEREGISTER, within)


def _pods(data: Path, type_: str, within: str) -> list[str]:
    prefix = f"{within}/" if within else ""
    return [change.pod for change in changes(data) if change.type == type_ and change.service.startswith(prefix)]


def _few(names: set[str]) -> str:
    shown = sorted(names)[:5]
    return f"{len(names)} ({', '.join(shown)}{', …' if names - set(shown) else ''})" if names else "none"
