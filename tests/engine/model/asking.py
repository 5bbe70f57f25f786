"""Who else asks for pods: Services with their slices, RegistryServices with selectors, the namespace by default."""

from dataclasses import replace

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from tests.engine.model.asks import NAMESPACE_ASKS, SELECTINGS, SERVICE_ASKS, SERVICES, Selecting, kube_namespace
from tests.engine.model.pods import LabelRules, names

services = st.sampled_from(sorted(SERVICES))

selecting_names = st.sampled_from(sorted({each.name for each in SELECTINGS}))


class AskingRules(LabelRules):
    """They come, change, are mistyped and go."""

    @rule(name=names, number=st.sampled_from(range(6)), shared=st.sampled_from([None, True, False]))
    def create_silent(self, name: str, number: int, shared: bool | None) -> None:
        """Make a pod that asks for nothing by itself."""
        self.create(name, annotations={}, ready=True, number=number, node="node-1", shared=shared)

    @rule(name=services, annotations=st.sampled_from(SERVICE_ASKS), shared=st.sampled_from([None, True, False]))
    def apply_service(self, name: str, annotations: dict[str, str], shared: bool | None) -> None:
        """Make a Service, or write its annotations anew."""

        def applied() -> None:
            known = self.truth.services.get(("default", name))
            service = known or replace(SERVICES[name], uid=self.truth.new_uid())
            self.truth.services["default", name] = replace(service, annotations=annotations)
            self.slices_follow(shared)

        self.do(applied)

    @rule(name=services, slices_stay=st.booleans())
    def delete_service(self, name: str, slices_stay: bool) -> None:
        """Delete a Service; its slices go with it, or later."""

        def deleted() -> None:
            self.truth.services.pop(("default", name), None)
            if not slices_stay:
                self.truth.endpoints_follow(name, shared=True)

        self.do(deleted)

    @rule(name=services, shared=st.booleans())
    def slices_are_made_anew(self, name: str, shared: bool) -> None:
        """Let the slices of a Service be what they should be: one for all pods, or one for each."""
        self.do(self.truth.endpoints_follow, name, shared=shared)

    @rule(number=st.sampled_from(range(10)))
    def delete_slice(self, number: int) -> None:
        """Delete one slice, of many or of few."""
        found = sorted(self.truth.slices)
        if found:
            self.do(self.truth.slices.pop, found[number % len(found)])

    @rule(selecting=st.sampled_from(SELECTINGS))
    def apply_registry_service(self, selecting: Selecting) -> None:
        """Make a RegistryService, or change whom it selects."""
        self.do(self.truth.select, selecting, selecting.name)

    @rule(name=selecting_names)
    def selector_moves(self, name: str) -> None:
        """Let a RegistryService select the others."""
        known = self.truth.registry_services.get(("default", name))
        selecting = Selecting.of(known) if known else next(each for each in SELECTINGS if each.name == name)
        self.do(self.truth.select, replace(selecting, app="api" if selecting.app == "web" else "web"), name)

    @rule(name=selecting_names)
    def delete_registry_service(self, name: str) -> None:
        """Delete a RegistryService."""
        self.do(self.truth.select, None, name)

    @rule(annotations=st.sampled_from(NAMESPACE_ASKS))
    def namespace_defaults(self, annotations: dict[str, str]) -> None:
        """Write defaults for all pods of the namespace."""
        self.do(self.truth.namespaces.__setitem__, ("", "default"), kube_namespace(annotations))

    @precondition(lambda self: any(brake.held() for brake in self.leader.engine.holds.brakes.values()))
    @rule()
    def approve(self) -> None:
        """Approve what is held just now."""
        engine = self.leader.engine
        notices = [(key, notice) for key, notice in engine.holds.notices().items() if notice.held]
        for (_, namespace, name), notice in notices:
            kind = self.truth.registry_services if namespace else self.truth.registry_namespaces
            known = kind.get((namespace, name))
            if known is not None and notice.held is not None:
                self.do(kind.__setitem__, (namespace, name), replace(known, annotations={"approve": notice.held.token}))
