"""Whether addresses that Kubernetes does not vouch for may be registered: endpoints without pods, external names."""

from kube_registrar.declared.problems import field_of, shown
from kube_registrar.declared.specs import AllowedFrom
from kube_registrar.declared.tenancy import allows
from kube_registrar.model.reasons import ENDPOINTS_NOT_ALLOWED, Problem
from kube_registrar.sources.resolving import Target, Unresolved
from kube_registrar.sources.world import World


def check_consent(target: Target, kube_namespace: str, place: str, world: World) -> None:
    """Raise Unresolved unless somebody who declares the registry namespace allows it to this Kubernetes namespace.

    One object must allow both: of several that declare the same, what one lets its friends do is not for all.
    """
    declared = world.declared_namespaces.get(target.service.ref.namespace, ())
    if not declared:
        return  # only --allow-undeclared leads here, which is for clusters with one tenant
    labels = world.kube_namespaces.get(kube_namespace)
    consenting = [one.allowed for one in declared if one.allows_machines]
    if any(one.from_ is AllowedFrom.ALL or (labels is not None and allows(one, labels)) for one in consenting):
        return
    if labels is None and consenting:
        raise Unresolved(f"the labels of Kubernetes namespace {kube_namespace!r} have not been read yet")
    problem = Problem.of(
        ENDPOINTS_NOT_ALLOWED,
        field=field_of(place),
        found=shown(target.text),
        namespace=declared[0].object_name,
        kube_namespace=kube_namespace,
    )
    raise Unresolved(f"{target.text} is for pods only", problem)
