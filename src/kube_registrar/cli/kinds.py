"""The kinds that `explain` knows, by all the names that kubectl takes for them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind: its name, its names on the command line, and where the API server serves it. `group`: with version."""

    name: str
    names: tuple[str, ...]
    root: str
    namespaced: bool = True

    @property
    def plural(self) -> str:
        """As the API server names the collection."""
        return self.names[1]

    def path(self, namespace: str, name: str = "") -> str:
        """Return the path of the collection, or of one object."""
        within = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{self.root}{within}/{self.plural}" + (f"/{name}" if name else "")


_OURS = "/apis/kube-registrar.dev/v1alpha1"
KINDS = (
    Kind("Pod", ("pod", "pods", "po"), "/api/v1"),
    Kind("Service", ("service", "services", "svc"), "/api/v1"),
    Kind("RegistryService", ("registryservice", "registryservices", "regsvc"), _OURS),
    Kind("RegistryNamespace", ("registrynamespace", "registrynamespaces", "regns"), _OURS, namespaced=False),
    Kind("Deployment", ("deployment", "deployments", "deploy"), "/apis/apps/v1"),
    Kind("StatefulSet", ("statefulset", "statefulsets", "sts"), "/apis/apps/v1"),
    Kind("DaemonSet", ("daemonset", "daemonsets", "ds"), "/apis/apps/v1"),
    Kind("Job", ("job", "jobs"), "/apis/batch/v1"),
)


def kind_of(text: str) -> Kind | None:
    """Return the kind that is meant, None if there is none."""
    return next((kind for kind in KINDS if text.lower() in kind.names), None)
