"""Which registry namespaces and services are declared, and which exist: the world that wishes are made of."""

import logging
from collections.abc import Callable, Iterable

from kube_registrar.declared import specs
from kube_registrar.model.records import CustomObject, KubeNamespace
from kube_registrar.model.refs import NamespaceRef, RegistryName, ServiceRef, Uid
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Found, Registry
from kube_registrar.sources.world import DeclaredNamespace, DeclaredService, World

_log = logging.getLogger(__name__)


class Catalog:
    """Declared and found things. `on_change` is called, at once, when a wish may come out differently."""

    def __init__(self, world: World) -> None:
        """`world` carries the identity and the configured registries; its mappings are replaced by live ones."""
        self.on_change: Callable[[], None] = lambda: None
        self._identity = world
        self._namespace_objects: dict[str, CustomObject] = {}
        self._service_objects: dict[tuple[str, str], CustomObject] = {}
        self._kube_namespaces: dict[str, KubeNamespace] = {}
        self._namespaces: dict[NamespaceRef, NamespaceSpec] = {}
        self._services: dict[ServiceRef, ServiceSpec] = {}
        self._arns: dict[str, ServiceRef] = {}
        self._listed: set[NamespaceRef] = set()
        self._listed_registries: set[RegistryName] = set()
        self._refused: dict[Uid, str] = {}
        self._world: World | None = None

    @property
    def world(self) -> World:
        """The world as it is now; made anew after a change."""
        if self._world is None:
            self._world = self._make_world()
        return self._world

    def _changed(self) -> None:
        self._world = None
        self.on_change()

    # What the cluster declares.

    def put_object(self, thing: CustomObject) -> None:
        """Take in a RegistryNamespace or RegistryService."""
        if thing.kind == "RegistryNamespace":
            self._namespace_objects[thing.name] = thing
        else:
            self._service_objects[thing.namespace, thing.name] = thing
        self._changed()

    def drop_object(self, thing: CustomObject) -> None:
        """Forget a RegistryNamespace or RegistryService. What exists in a registry is not touched by it."""
        self._refused.pop(thing.uid, None)
        if thing.kind == "RegistryNamespace":
            self._namespace_objects.pop(thing.name, None)
        else:
            self._service_objects.pop((thing.namespace, thing.name), None)
        self._changed()

    def put_kube_namespace(self, namespace: KubeNamespace) -> None:
        """Take in a Kubernetes namespace."""
        known = self._kube_namespaces.get(namespace.name)
        self._kube_namespaces[namespace.name] = namespace
        if known is None or known.labels != namespace.labels:
            self._changed()

    def drop_kube_namespace(self, namespace: KubeNamespace) -> None:
        """Forget a Kubernetes namespace."""
        if self._kube_namespaces.pop(namespace.name, None) is not None:
            self._changed()

    def refuse(self, uid: Uid, why: str) -> None:
        """Note that the registry does not hold what this object declares; an empty `why` takes it back."""
        if self._refused.get(uid, "") != why:
            self._refused[uid] = why
            self._changed()

    # What the registries hold.

    def learn(self, found: Found) -> None:
        """Take in one thing that was made or found."""
        spec = found.spec
        if isinstance(spec, NamespaceSpec):
            self._namespaces[spec.ref] = spec
        else:
            self._services[spec.ref] = spec
            if found.arn:
                self._arns[found.arn] = spec.ref
        self._changed()

    def forget(self, ref: NamespaceRef | ServiceRef) -> None:
        """Take out one thing that is gone from its registry."""
        if isinstance(ref, ServiceRef):
            self._services.pop(ref, None)
            self._arns = {arn: service for arn, service in self._arns.items() if service != ref}
        else:
            self._namespaces.pop(ref, None)
        self._changed()

    async def refresh(self, registry: Registry) -> frozenset[ServiceRef]:
        """Read which namespaces and services the registry has; return the services. Raises RegistryError."""
        namespaces = {f.spec.ref: f for f in await registry.find(None) if isinstance(f.spec, NamespaceSpec)}
        services: list[Found] = []
        for ref in namespaces:
            services += await registry.find(ref)
        self._replace(registry.name, namespaces, services)
        return frozenset(f.spec.ref for f in services if isinstance(f.spec, ServiceSpec))

    def _replace(
        self, registry: RegistryName, namespaces: dict[NamespaceRef, Found], services: Iterable[Found]
    ) -> None:
        for gone in [ref for ref in self._namespaces if ref.registry == registry]:
            del self._namespaces[gone]
        for service in [ref for ref in self._services if ref.namespace.registry == registry]:
            del self._services[service]
        self._arns = {arn: ref for arn, ref in self._arns.items() if ref.namespace.registry != registry}
        self._listed = {ref for ref in self._listed if ref.registry != registry} | set(namespaces)
        self._listed_registries.add(registry)
        for found in [*namespaces.values(), *services]:
            self.learn(found)
        self._changed()

    # What follows.

    def namespace_of(self, object_name: str) -> DeclaredNamespace | None:
        """Return what the RegistryNamespace of this name declares; None if there is none or its spec is invalid."""
        thing = self._namespace_objects.get(object_name)
        return self._declared_namespace(thing) if thing else None

    def service_of(self, kube_namespace: str, object_name: str) -> ServiceRef | None:
        """Return the registry service that a RegistryService stands for."""
        declared = self.world.declared_services.get((kube_namespace, object_name))
        return declared.ref if declared else None

    def _make_world(self) -> World:
        namespaces: dict[NamespaceRef, list[DeclaredNamespace]] = {}
        for thing in self._namespace_objects.values():
            declared = self._declared_namespace(thing)
            if declared:
                namespaces.setdefault(declared.ref, []).append(declared)
        identity = self._identity
        return World(
            cluster_uid=identity.cluster_uid,
            cluster_name=identity.cluster_name,
            default_registry=identity.default_registry,
            allow_undeclared=identity.allow_undeclared,
            registries=identity.registries,
            declared_namespaces=namespaces,
            declared_services={key: self._declared_service(thing) for key, thing in self._service_objects.items()},
            kube_namespaces={name: namespace.labels for name, namespace in self._kube_namespaces.items()},
            namespaces=self._namespaces,
            services=self._services,
            arns=self._arns,
            listed=self._listed,
            listed_registries=self._listed_registries,
        )

    def _declared_namespace(self, thing: CustomObject) -> DeclaredNamespace | None:
        try:
            spec = specs.registry_namespace(thing)
        except specs.InvalidSpec:
            return None  # said in the object's own condition
        ref = specs.namespace_ref(spec, thing.name, self._identity.default_registry)
        return DeclaredNamespace(thing.name, ref, spec.type, spec.allowed_namespaces)

    def _declared_service(self, thing: CustomObject) -> DeclaredService:
        try:
            spec = specs.registry_service(thing)
        except specs.InvalidSpec as error:
            return DeclaredService(thing.name, None, ready=False, why=str(error))
        namespace = self.namespace_of(spec.namespace_ref.name)
        if namespace is None:
            return DeclaredService(thing.name, None, ready=False, why="its RegistryNamespace does not exist")
        ref = ServiceRef(namespace.ref, spec.name or thing.name)
        why = self._refused.get(thing.uid, "") or ("" if ref in self._services else "it is not in the registry yet")
        return DeclaredService(thing.name, ref, ready=not why, why=why)
