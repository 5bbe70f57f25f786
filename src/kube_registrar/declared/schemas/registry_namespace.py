"""The words, limits and rules of RegistryNamespace."""

from typing import Final

from kube_registrar.declared.schemas.fields import Field, Fields, Rule
from kube_registrar.declared.schemas.shared import description_and_tags, label_selector

DESCRIPTION: Final = (
    "RegistryNamespace declares a namespace of a registry (in AWS Cloud Map: an HTTP namespace, or "
    "a private or public DNS namespace) and says which Kubernetes namespaces may use it."
)
RULES: Final = (
    Rule(
        (
            "self.spec.type != 'DNSPublic' || (has(self.spec.name) ? self.spec.name : "
            "self.metadata.name).matches( '^([a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?[.])+"
            "[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?$')"
        ),
        (
            "the name of a DNSPublic namespace (spec.name, or else the object's) must be a domain name of "
            "two labels or more, such as example.com"
        ),
    ),
)
"""Rules on the whole object."""

FIELDS: Final[Fields] = {
    "": Field(
        "The registry namespace as it is wanted.",
        rules=(
            Rule(
                "self.type == 'DNSPrivate' ? (has(self.vpcID) || has(self.arn)) : !has(self.vpcID)",
                "vpcID is required with type DNSPrivate and not allowed with HTTP and DNSPublic",
            ),
            Rule(
                "!has(self.arn) || self.creationPolicy != 'Create'",
                "what arn names exists, so creationPolicy Create is not allowed with it",
            ),
            Rule(
                "has(self.arn) == has(oldSelf.arn) && (!has(self.arn) || self.arn == oldSelf.arn)",
                "arn is immutable; for another one, create another RegistryNamespace",
            ),
            Rule(
                "self.type != 'HTTP' || !has(self.soaTTLSeconds)",
                "soaTTLSeconds is allowed with the types DNSPrivate and DNSPublic only",
            ),
            Rule(
                "self.type != 'DNSPrivate' || !has(self.name) || self.name.size() <= 253",
                "the name of a DNSPrivate namespace must have at most 253 characters",
            ),
            Rule(
                (
                    "has(self.registry) == has(oldSelf.registry) && (!has(self.registry) || self.registry == "
                    "oldSelf.registry)"
                ),
                "registry is immutable; to move, create another RegistryNamespace",
            ),
            Rule(
                "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",
                "name is immutable; for another name, create another RegistryNamespace",
            ),
        ),
    ),
    "registry": Field(
        "The configured registry that holds the namespace. Default, the operator's default registry.",
        limits={"maxLength": 63},
        rules=(
            Rule(
                "self.matches('^[a-z0-9]([a-z0-9-]*[a-z0-9])?$')",
                (
                    "registry must be lower-case letters, digits and hyphens, beginning and ending with a letter or "
                    "digit"
                ),
            ),
        ),
    ),
    "name": Field(
        ("The namespace's name in the registry, by which annotations refer to it. Default, the name of this object."),
        limits={"maxLength": 1024},
        rules=(
            Rule(
                "self.matches('^[!-~]+$')",
                "name must be 1 to 1024 visible ASCII characters",
            ),
            Rule(
                "!self.startsWith('arn:')",
                "name must not begin with arn:, which begins the ARN of a resource; write its name",
            ),
        ),
    ),
    "arn": Field(
        (
            "The ARN of a namespace that exists, such as one that another account shares (AWS RAM). It is "
            "used for every call, and never made. Its name there must be that of this object, or spec.name."
        ),
        limits={"maxLength": 255},
        rules=(
            Rule(
                ("self.matches('^arn:aws[a-z-]*:servicediscovery:[a-z0-9-]+:[0-9]{12}:namespace/[a-zA-Z0-9_-]+$')"),
                (
                    "arn must be the ARN of a namespace, such as "
                    "arn:aws:servicediscovery:eu-west-1:123456789012:namespace/ns-0123456789abcdef"
                ),
            ),
        ),
    ),
    "type": Field(
        (
            "How instances are found: HTTP, by API only; DNSPrivate, by API and DNS within a VPC; "
            "DNSPublic, by API and public DNS."
        ),
        rules=(
            Rule(
                "self == oldSelf",
                "type is immutable; for another type, create another RegistryNamespace",
            ),
        ),
    ),
    "vpcID": Field(
        "The VPC whose resolvers answer for the namespace. Required with, and only with, type DNSPrivate.",
        limits={"maxLength": 64},
        rules=(
            Rule(
                "self.matches('^[!-~]+$')",
                "vpcID must be the id of a VPC, such as vpc-0123456789abcdef0",
            ),
            Rule(
                "self == oldSelf",
                "vpcID is immutable; for another VPC, create another RegistryNamespace",
            ),
        ),
    ),
    "soaTTLSeconds": Field(
        (
            "How long, in seconds, resolvers remember that a name does not exist (the TTL of the zone's SOA "
            "record). Only with the types DNSPrivate and DNSPublic. Default, the registry's; Cloud Map's is "
            "900."
        ),
        limits={"minimum": 0, "maximum": 2147483647},
    ),
    **description_and_tags("namespace"),
    "allowedNamespaces": Field(
        (
            "Which Kubernetes namespaces may use this registry namespace: register pods in its services, "
            "and declare RegistryServices in it. Required, so that nobody has to guess."
        ),
        rules=(
            Rule(
                "self.from == 'Selector' ? has(self.selector) : !has(self.selector)",
                "selector is required with from: Selector and not allowed with All and None",
            ),
        ),
    ),
    "allowedNamespaces.from": Field(
        "All: every Kubernetes namespace. Selector: those that selector matches. None: no one.",
    ),
    **label_selector(
        "allowedNamespaces.selector",
        (
            "Selects Kubernetes namespaces by their labels; all of it must hold. "
            "kubernetes.io/metadata.name is the label with a namespace's name."
        ),
        if_empty="an empty selector would match every Kubernetes namespace; write from: All if that is meant",
        limits={"x-kubernetes-map-type": "atomic"},
    ),
    "allowEndpointsWithoutPods": Field(
        (
            "Whether Services may register endpoints here that stand for no pod: machines outside the "
            "cluster, in EndpointSlices made by hand, and external names. Default, no, for whoever may "
            "write EndpointSlices could name any address."
        ),
    ),
    "creationPolicy": Field(
        (
            "CreateOrAdopt: make the namespace, or use one of that name that is there. Create: make it, and "
            "report a conflict if it is there. Adopt: use one that is there, and never make it."
        ),
    ),
    "deletionPolicy": Field(
        (
            "What happens in the registry when this object is deleted. Retain: nothing. Delete: the "
            "namespace goes too, if this object made it and it is empty."
        ),
    ),
    "deletionTimeoutSeconds": Field(
        (
            "How long, in seconds, the deletion of this object may wait with deletionPolicy Delete. What "
            "still cannot be removed then stays in the registry, and an event says so."
        ),
        limits={"minimum": 0, "maximum": 86400},
    ),
}
