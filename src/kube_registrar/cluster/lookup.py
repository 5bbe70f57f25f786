"""One object, for evidence: quorum reads (no resourceVersion), where only the API server's own NotFound means gone."""

from kube_registrar.cluster.codec import Unreadable
from kube_registrar.cluster.errors import ApiError, ApiNotFound
from kube_registrar.cluster.resources import NAMESPACES, PODS, R_co, Resource
from kube_registrar.cluster.session import Session
from kube_registrar.model.records import BarePod, KubeNamespace, Pod
from kube_registrar.model.refs import Uid


class Lookup:
    """Gets single objects. Every method raises ApiError (and its kinds) for all that is no evidence."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def pod(self, namespace: str, name: str) -> Pod | BarePod | None:
        """Return the pod as it is; None: the API server says that it is not there."""
        return await self.get(PODS, namespace, name)

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
