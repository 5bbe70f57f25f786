"""Evidence: quorum reads (no resourceVersion), where only the API server's own NotFound means gone."""

from collections.abc import Collection, Mapping
from ipaddress import ip_address

import msgspec

from kube_registrar.cluster.codec import ListMeta, Unreadable
from kube_registrar.cluster.errors import ApiError, ApiNotFound
from kube_registrar.cluster.projection import Selects
from kube_registrar.cluster.resources import NAMESPACES, PODS, R_co, Resource, pods, services
from kube_registrar.cluster.session import Session
from kube_registrar.model.records import BarePod, KubeNamespace, KubeService, Pod, Unselected
from kube_registrar.model.refs import Uid

METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
PAGE_SIZE = 500
PAGE_SECONDS = 60.0


class _Identity(msgspec.Struct, gc=False):
    uid: str


class _Identified(msgspec.Struct, gc=False):
    metadata: _Identity


class _Identities(msgspec.Struct):
    kind: str
    metadata: ListMeta
    items: list[_Identified] | None = None


class _PlacedMeta(msgspec.Struct, gc=False):
    namespace: str


class _PlacedSpec(msgspec.Struct, rename="camel", gc=False):
    host_network: bool = False


class _PlacedIp(msgspec.Struct, gc=False):
    ip: str = ""


class _PlacedStatus(msgspec.Struct, rename={"pod_ips": "podIPs"}, gc=False):
    phase: str = ""
    pod_ips: list[_PlacedIp] | None = None


class _PlacedPod(msgspec.Struct, gc=False):
    metadata: _PlacedMeta
    spec: _PlacedSpec
    status: _PlacedStatus


class _Placed(msgspec.Struct):
    metadata: ListMeta
    items: list[_PlacedPod] | None = None


class Lookup:
    """Reads what is there now. Every method raises ApiError (and its kinds) for all that is no evidence."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._pods = PODS
        self._services = services()

    def selects(self, pod: Selects, service: Selects) -> None:
        """Tell what is asked for though it does not ask by itself: it is read whole, as the watches do."""
        self._pods, self._services = pods(pod), services(service)

    async def pod(self, namespace: str, name: str) -> Pod | BarePod | None:
        """Return the pod as it is; None: the API server says that it is not there."""
        return await self.get(self._pods, namespace, name)

    async def service(self, namespace: str, name: str) -> KubeService | Unselected | None:
        """Return the Service as it is; None: the API server says that it is not there."""
        return await self.get(self._services, namespace, name)

    async def pod_uids(self, namespace: str) -> frozenset[Uid]:
        """Return the UIDs of all pods of a Kubernetes namespace, or of all namespaces if it is empty."""
        return await self._uids(PODS.path(namespace))

    async def service_uids(self, namespace: str) -> frozenset[Uid]:
        """Return the UIDs of all Services of a Kubernetes namespace, or of all namespaces if it is empty."""
        return await self._uids(self._services.path(namespace))

    async def _uids(self, path: str) -> frozenset[Uid]:
        """Read pages of metadata only, all of the one moment when the first was read: in full, or an error."""
        found: set[Uid] = set()
        token = ""
        while True:
            page = await self._identities(path, token)
            found.update(Uid(one.metadata.uid) for one in page.items or ())
            token = page.metadata.continue_
            if not token:
                return frozenset(found)

    async def namespaces_of_addresses(self, addresses: Collection[str]) -> Mapping[str, str]:
        """Return the Kubernetes namespace of the pod that has each address; empty where none has it.

        Pods of all namespaces are read, whatever is watched, page by page, once for all the addresses: no selector of
        the API server finds a pod by its second address. A pod on its node's network has the node's address and is
        passed over: that address is the node's to give away.
        """
        found = dict.fromkeys(addresses, "")
        wanted = {_canonical(address): address for address in found}
        token = ""
        while True:
            page = await self._placed(token)
            for pod in page.items or ():
                if pod.spec.host_network or pod.status.phase in {"Succeeded", "Failed"}:
                    continue
                for each in pod.status.pod_ips or ():
                    if address := wanted.get(_canonical(each.ip)):
                        found[address] = pod.metadata.namespace
            token = page.metadata.continue_
            if not token:
                return found

    async def _placed(self, token: str) -> _Placed:
        path, params = PODS.path(), {"limit": str(PAGE_SIZE), **({"continue": token} if token else {})}
        body = await self._session.get(path, params, seconds=PAGE_SECONDS)
        try:
            return msgspec.json.decode(body, type=_Placed)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(f"GET {path}: not a list of pods: {error}") from None

    async def _identities(self, path: str, token: str) -> _Identities:
        params = {"limit": str(PAGE_SIZE), **({"continue": token} if token else {})}
        body = await self._session.get(path, params, seconds=PAGE_SECONDS, accept=METADATA_LIST)
        try:
            page = msgspec.json.decode(body, type=_Identities)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ApiError(f"GET {path}: not a list of metadata: {error}") from None
        if page.kind != "PartialObjectMetadataList":
            raise ApiError(f"GET {path}: not a list of metadata but a {page.kind}")
        return page

    async def namespace(self, name: str) -> KubeNamespace | None:
        """Return the Kubernetes namespace; None: the API server says that it is not there."""
        return await self.get(NAMESPACES, "", name)

    async def cluster_uid(self) -> Uid:
        """Return what tells this cluster from all others: the UID of its `kube-system` namespace."""
        found = await self.namespace("kube-system")
        if found is None:
            raise ApiError(f"{self._session.server} has no namespace kube-system, whose UID identifies the cluster")
        return found.uid

    async def get(self, resource: Resource[R_co], namespace: str, name: str) -> R_co | None:
        """Return one object of any kind that we know; None: the API server says that it is not there."""
        path = resource.path(namespace, name)
        try:
            return resource.codec.one(await self._session.get(path))
        except ApiNotFound:
            return None
        except Unreadable as error:
            raise ApiError(f"GET {path}: {error}") from None


def _canonical(address: str) -> str:
    """Return an address in the one form of its family: of IPv6 there are many."""
    try:
        return str(ip_address(address))
    except ValueError:
        return address
