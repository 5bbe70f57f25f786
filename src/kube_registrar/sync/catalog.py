"""Which registry namespaces and services are declared, and which exist: the world that wishes are made of."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kube_registrar.declared import specs
from kube_registrar.declared.annotations import Reading, read_annotations
from kube_registrar.declared.ports import PortRequest
from kube_registrar.declared.specs import LabelSelector
from kube_registrar.declared.templates import Template
from kube_registrar.model.errors import NotFound
from kube_registrar.model.reasons import Problem
from kube_registrar.model.records import CustomObject, KubeNamespace, Node
from kube_registrar.model.refs import NamespaceRef, ObjectRef, RegistryName, ServiceRef, Uid, registry_of
from kube_registrar.model.specs import NamespaceSpec, ServiceSpec
from kube_registrar.registries.port import Found, Registry
from kube_registrar.sources.endpoints import EndpointIndex
from kube_registrar.sources.published import problems_of_namespace
from kube_registrar.sources.world import DeclaredNamespace, DeclaredService, World

_log = logging.getLogger(__name__)

Ref = NamespaceRef | ServiceRef


@dataclass(frozen=True, slots=True)
class _ServiceObject:
    """A RegistryService with its spec typed. With `why` something of it cannot be read; None: nothing of it can."""

    thing: CustomObject
    spec: specs.RegistryServiceSpec | None
    why: str = ""
    port: PortRequest | None = None
    attributes: Mapping[str, Template] = field(default_factory=dict)
    selector: LabelSelector | None = None
    """Whom it selects; where that cannot be read any more, whom it selected before: those are held."""


class Catalog:
    """Declared and found things.

    `on_change` is called, at once, when a wish may come out differently, and only then: who hears it makes the wish of
    every pod anew.
    """

    def __init__(self, world: World) -> None:
        """`world` carries the identity and the configured registries; its mappings are replaced by live ones."""
        self.on_change: Callable[[], None] = lambda: None
        self._identity = world
        self._namespace_objects: dict[str, tuple[CustomObject, DeclaredNamespace | None]] = {}
        self._service_objects: dict[tuple[str, str], _ServiceObject] = {}
        self._kube_namespaces: dict[str, KubeNamespace] = {}
        self.endpoints = EndpointIndex()
        """The Services that somebody asks for. What changes in it is the engine's to follow up."""
        self.nodes: dict[str, Node] = {}
        """By name. What changes in it is the engine's to follow up."""
        self.pod_addresses: Mapping[str, str] = {}
        """By address, whose pod has it, as far as that was asked: a live view of the engine's."""
        self.unreachable: set[str] = set()
        """The names of those that Kubernetes hears nothing of."""
        self._found: dict[Ref, Found] = {}
        self._namespaces: dict[NamespaceRef, NamespaceSpec] = {}
        self._services: dict[ServiceRef, ServiceSpec] = {}
        self._arns: dict[str, ServiceRef] = {}
        self._listed: set[NamespaceRef] = set()
        self._listed_registries: set[RegistryName] = set()
        self._refused: dict[Uid, str] = {}
        self._newer: dict[RegistryName, set[Ref]] = {}
        """For each registry that is being read: what was made or went since."""
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

    def put_object(self, thing: CustomObject) -> bool:
        """Take in an object of our kinds; return whether that changes anything: its status alone does not."""
        if thing.kind == "RegistryNamespace":
            known = self._namespace_objects.get(thing.name)
            self._namespace_objects[thing.name] = (thing, self._declared_namespace(thing))
            before = known[0] if known else None
        else:
            key = (thing.namespace, thing.name)
            service = self._service_objects.get(key)
            self._service_objects[key] = _service_object(thing, service)
            before = service.thing if service else None
        is_changed = before is None or _said(before) != _said(thing)
        if is_changed:
            self._changed()
        return is_changed

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
        if known is None or (known.labels, known.annotations) != (namespace.labels, namespace.annotations):
            self._changed()

    def drop_kube_namespace(self, namespace: KubeNamespace) -> None:
        """Forget a Kubernetes namespace."""
        if self._kube_namespaces.pop(namespace.name, None) is not None:
            self._changed()

    def put_node(self, node: Node) -> None:
        """Take in a node."""
        self.nodes[node.name] = node
        (self.unreachable.discard if node.reachable else self.unreachable.add)(node.name)

    def drop_node(self, node: Node) -> Node | None:
        """Forget a node; return what was known of it."""
        self.unreachable.discard(node.name)
        return self.nodes.pop(node.name, None)

    def refuse(self, uid: Uid, why: str) -> None:
        """Note that the registry does not hold what this object declares; an empty `why` takes it back."""
        if self._refused.get(uid, "") != why:
            self._refused[uid] = why
            self._changed()

    # What the registries hold. The world has live views of it, so it need not be made anew.

    def learn(self, found: Found) -> None:
        """Take in one thing that was made or found."""
        self._note_newer(found.spec.ref)
        if self._put_found(found):
            self.on_change()

    def forget(self, ref: Ref) -> None:
        """Take out one thing that is gone from its registry."""
        self._note_newer(ref)
        if self._drop_found(ref):
            self.on_change()

    async def refresh(self, registry: Registry) -> frozenset[ServiceRef]:
        """Read which namespaces and services the registry has; return the services. Raises RegistryError.

        What was made or went while it was read is newer than what was read.
        """
        newer = self._newer[registry.name] = set()
        try:
            namespaces = [f for f in await registry.find(None) if isinstance(f.spec, NamespaceSpec)]
            services: list[Found] = []
            for namespace in list(namespaces):
                try:
                    services += await registry.find(namespace.spec.ref)  # type: ignore[arg-type]
                except NotFound:  # it went meanwhile
                    namespaces.remove(namespace)
        finally:
            del self._newer[registry.name]
        self._replace(registry.name, [*namespaces, *services], newer)
        return frozenset(ref for ref in self._services if ref.namespace.registry == registry.name)

    def _replace(self, registry: RegistryName, found: Sequence[Found], newer: set[Ref]) -> None:
        there = {each.spec.ref: each for each in found if each.spec.ref not in newer}
        gone = [ref for ref in self._found if registry_of(ref) == registry and ref not in there and ref not in newer]
        changes = [self._drop_found(ref) for ref in gone] + [self._put_found(each) for each in there.values()]
        listed = {ref for ref in self._namespaces if ref.registry == registry}
        is_listed = registry in self._listed_registries and listed <= self._listed
        if any(changes) or not is_listed:
            self._listed -= {ref for ref in self._listed if ref.registry == registry}
            self._listed |= listed
            self._listed_registries.add(registry)
            self.on_change()

    def _put_found(self, found: Found) -> bool:
        """Return whether anything is different from before."""
        spec = found.spec
        before = self._found.get(spec.ref)
        self._found[spec.ref] = found
        if isinstance(spec, NamespaceSpec):
            self._namespaces[spec.ref] = spec
        else:
            if before is not None and before.arn and before.arn != found.arn:
                self._arns.pop(before.arn, None)
            self._services[spec.ref] = spec
            if found.arn:
                self._arns[found.arn] = spec.ref
        return before is None or (before.spec, before.arn) != (spec, found.arn)

    def _drop_found(self, ref: Ref) -> bool:
        found = self._found.pop(ref, None)
        if isinstance(ref, NamespaceRef):
            self._namespaces.pop(ref, None)
            self._listed.discard(ref)
        else:
            self._services.pop(ref, None)
            if found is not None and found.arn:
                self._arns.pop(found.arn, None)
        return found is not None

    def _note_newer(self, ref: Ref) -> None:
        newer = self._newer.get(registry_of(ref))
        if newer is not None:
            newer.add(ref)

    # What follows.

    def objects(self) -> Iterator[CustomObject]:
        """Give every RegistryNamespace and RegistryService as the watch last told it."""
        yield from [thing for thing, _declared in self._namespace_objects.values()]
        yield from [each.thing for each in self._service_objects.values()]

    def namespace_of(self, object_name: str) -> DeclaredNamespace | None:
        """Return what the RegistryNamespace of this name declares; None if there is none or its spec is invalid."""
        return self._namespace_objects.get(object_name, (None, None))[1]

    def found(self, ref: Ref) -> Found | None:
        """Return what a registry was last seen to have under a name."""
        return self._found.get(ref)

    def is_listed(self, ref: Ref) -> bool:
        """Whether the lists that would hold it were read, so that it is missing if it is not found."""
        if isinstance(ref, NamespaceRef):
            return ref.registry in self._listed_registries
        is_without_namespace = self.is_listed(ref.namespace) and ref.namespace not in self._namespaces
        return ref.namespace in self._listed or is_without_namespace

    def service_of(self, kube_namespace: str, object_name: str) -> ServiceRef | None:
        """Return the registry service that a RegistryService stands for."""
        declared = self.world.declared_services.get((kube_namespace, object_name))
        return declared.ref if declared else None

    def ref_of(self, kind: str, namespace: str, name: str) -> ObjectRef | None:
        """Return what events of a RegistryService, Service or Namespace concern; None where it is not known."""
        if kind == "Service":
            service = self.endpoints.services.get((namespace, name))
            return service.ref if service else None
        if kind == "Namespace":
            found = self._kube_namespaces.get(name)
            return ObjectRef("v1", kind, "", name, found.uid) if found else None
        each = self._service_objects.get((namespace, name))
        return each.thing.ref if each else None

    def problems_of_namespaces(self) -> Iterator[tuple[ObjectRef, tuple[Problem, ...]]]:
        """Yield every Kubernetes namespace with what is wrong with its own annotations, nothing included."""
        for name, namespace in self._kube_namespaces.items():
            ref = ObjectRef("v1", "Namespace", "", name, namespace.uid)
            yield ref, problems_of_namespace(name, self.world)

    def _make_world(self) -> World:
        namespaces: dict[NamespaceRef, list[DeclaredNamespace]] = {}
        for _thing, declared in self._namespace_objects.values():
            if declared:
                namespaces.setdefault(declared.ref, []).append(declared)
        return replace(
            self._identity,
            declared_namespaces=namespaces,
            declared_services={key: self._declared_service(each) for key, each in self._service_objects.items()},
            kube_namespaces={name: namespace.labels for name, namespace in self._kube_namespaces.items()},
            defaults=self._defaults(),
            endpoints=self.endpoints,
            nodes=self.nodes,
            unreachable_nodes=self.unreachable,
            pod_addresses=self.pod_addresses,
            namespaces=self._namespaces,
            services=self._services,
            arns=self._arns,
            listed=self._listed,
            listed_registries=self._listed_registries,
        )

    def _defaults(self) -> Mapping[str, Reading]:
        annotated = ((name, each.annotations) for name, each in self._kube_namespaces.items() if each.annotations)
        return {name: read_annotations(annotations) for name, annotations in annotated}

    def _declared_namespace(self, thing: CustomObject) -> DeclaredNamespace | None:
        try:
            spec = specs.registry_namespace(thing)
        except specs.InvalidSpec:
            return None  # said in the object's own condition
        ref = specs.namespace_ref(spec, thing.name, self._identity.default_registry)
        machines = spec.allow_endpoints_without_pods
        return DeclaredNamespace(thing.name, ref, spec.type, spec.allowed_namespaces, machines)

    def _declared_service(self, each: _ServiceObject) -> DeclaredService:
        name, spec = each.thing.name, each.spec
        if spec is None:
            return DeclaredService(name, None, ready=False, why=each.why)
        namespace = self.namespace_of(spec.namespace_ref.name)
        ref = ServiceRef(namespace.ref, spec.name or name) if namespace else None
        missing = "" if ref else "its RegistryNamespace does not exist"
        why = each.why or self._refused.get(each.thing.uid, "") or missing
        # One that goes may wait for its registry service to be empty: it asks for nothing any more.
        asks = not each.thing.terminating
        return DeclaredService(
            name,
            ref,
            ready=not why,
            why=why,
            selector=each.selector if asks else None,
            kube_service=spec.service_ref.name if spec.service_ref and asks else "",
            port=each.port,
            attributes=each.attributes,
            marks_unhealthy=spec.not_ready_policy is specs.NotReadyPolicy.MARK_UNHEALTHY,
            why_unread=each.why,
        )


def _service_object(thing: CustomObject, before: _ServiceObject | None) -> _ServiceObject:
    spec = None
    try:
        spec = specs.registry_service(thing)
        specs.check_selection(spec)
        port, attributes = specs.service_port(spec), specs.service_attributes(spec)
    except specs.InvalidSpec as error:
        # Whom it selects is known all the same: they are held.
        return _ServiceObject(thing, spec, str(error), selector=_selector_of(thing, spec, before))
    return _ServiceObject(thing, spec, port=port, attributes=attributes, selector=spec.selector)


def _selector_of(
    thing: CustomObject, spec: specs.RegistryServiceSpec | None, before: _ServiceObject | None
) -> LabelSelector | None:
    selector = spec.selector if spec else None
    is_same = before is not None and before.thing.uid == thing.uid
    return before.selector if before and is_same and specs.wrong_selector(selector) else selector


def _said(thing: CustomObject) -> tuple[object, ...]:
    """Return what wishes depend on."""
    return (thing.uid, thing.spec, thing.terminating)
