"""The words, limits and rules of RegistryService."""

from typing import Final

from kube_registrar.declared import labels
from kube_registrar.declared.attributes import KEY, MAX_KEY_CHARACTERS, read_pairs
from kube_registrar.declared.problems import field_of
from kube_registrar.declared.schemas.fields import Field, Fields, Rule
from kube_registrar.declared.schemas.shared import description_and_tags, label_selector
from kube_registrar.model.attributes import RESERVED_KEYS, RESERVED_PREFIXES

DESCRIPTION: Final = (
    "RegistryService declares a service of a registry namespace. Pods are registered in it by their "
    "annotation kube-registrar.dev/service, or because its selector or serviceRef asks for them."
)
RULES: Final = (
    Rule(
        (
            "(has(self.spec.name) ? self.spec.name : self.metadata.name).size() <= 127 && "
            "(has(self.spec.name) ? self.spec.name : self.metadata.name).matches('^[A-Za-z0-9"
            "_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?([.][A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0"
            "-9_])?)*$')"
        ),
        (
            "the service's name (spec.name, or else the object's) must be letters, digits, hyphens and "
            "underscores, in labels of at most 63 characters joined by dots, at most 127 in all"
        ),
    ),
)
"""Rules on the whole object."""

_PLAIN: Final = "^[A-Za-z0-9_.-]{1,100}$"
_RESERVED: Final = " || ".join(
    [f"key in {sorted(RESERVED_KEYS)}", *(f"key.startsWith('{each}')" for each in RESERVED_PREFIXES)]
)


def _keys(field: str) -> tuple[Rule, ...]:
    """Return what the operator asks of the keys of a field too; their characters are left to it."""
    return (
        Rule(
            f"self.all(key, key.size() >= 1 && key.size() <= {MAX_KEY_CHARACTERS} && !key.contains(','))",
            f"the key of an attribute must have 1 to {MAX_KEY_CHARACTERS} characters, and no comma",
        ),
        Rule(
            f"self.all(key, !({_RESERVED}))",
            "keys that begin with AWS_, ECS_ or KUBE_, and AVAILABILITY_ZONE and REGION, are set by kube-registrar",
            _reserved(field),
        ),
    )


def _reserved(field: str) -> str:
    """Return the operator's words for the first key that is reserved; nothing where it would have to be quoted."""
    said = str(read_pairs([("REGION", "")])[1][0]).replace(field_of(KEY), f"spec.{field} of this object")
    before, after = said.split("'REGION'")
    told = f"""key.matches('{_PLAIN}') ? "{before}'" + key + "'{after}" : ''"""
    return f"self.filter(key, {_RESERVED}).map(key, {told})[0]"


FIELDS: Final[Fields] = {
    "": Field(
        "The registry service as it is wanted.",
        rules=(
            Rule(
                "has(self.name) == has(oldSelf.name) && (!has(self.name) || self.name == oldSelf.name)",
                "name is immutable; for another name, create another RegistryService",
            ),
            Rule(
                "has(self.dns) == has(oldSelf.dns)",
                "dns can be neither added nor removed; create another RegistryService",
            ),
            Rule(
                (
                    "(has(self.healthCheck) && self.healthCheck.type == 'Custom') == (has(oldSelf.healthCheck) && "
                    "oldSelf.healthCheck.type == 'Custom')"
                ),
                "a Custom health check can be neither added nor removed; create another RegistryService",
            ),
            Rule(
                "!(has(self.selector) && has(self.serviceRef))",
                "selector and serviceRef exclude each other; for both, create two RegistryServices",
            ),
            Rule(
                "!has(self.port) || has(self.selector) || has(self.serviceRef)",
                ("port belongs to selector or serviceRef; without them the pods' own annotations say which port"),
            ),
            Rule(
                (
                    "!has(self.notReadyPolicy) || self.notReadyPolicy != 'MarkUnhealthy' || (has(self.healthCheck) "
                    "&& self.healthCheck.type == 'Custom')"
                ),
                "notReadyPolicy MarkUnhealthy needs healthCheck type Custom; elsewhere nobody can be told",
            ),
            Rule(
                (
                    "!has(self.attributes) || !has(self.attributesFromLabels) || self.attributes.all(key, !(key in "
                    "self.attributesFromLabels))"
                ),
                "a key stands in attributes or in attributesFromLabels, not in both",
            ),
            Rule(
                (
                    "!(has(self.healthCheck) && self.healthCheck.type == 'Route53' && has(self.dns) && "
                    "self.dns.records.exists(record, record.type == 'CNAME'))"
                ),
                "a Route53 health check is not allowed with a CNAME record; use Custom or None",
            ),
        ),
    ),
    "namespaceRef": Field(
        ("The RegistryNamespace that the service is in. It must allow the Kubernetes namespace of this object."),
        rules=(
            Rule(
                "self == oldSelf",
                "namespaceRef is immutable; to move, create another RegistryService",
            ),
        ),
    ),
    "namespaceRef.name": Field(
        "The name of the RegistryNamespace object.",
        limits={"minLength": 1, "maxLength": 253},
    ),
    "name": Field(
        ("The service's name in the registry, by which annotations refer to it. Default, the name of this object."),
        limits={"minLength": 1, "maxLength": 127},
    ),
    **description_and_tags("service"),
    "dns": Field(
        (
            "The DNS records of each instance. Leave it out for a service that is found by API only, and in "
            "namespaces of type HTTP."
        ),
        rules=(
            Rule(
                (
                    "self.records.size() == 1 || (self.records.size() == 2 && self.records.all(record, record.type "
                    "in ['A', 'AAAA']))"
                ),
                "records may be A, AAAA, A with AAAA, SRV alone, or CNAME alone",
            ),
            Rule(
                "self.routingPolicy == 'Weighted' || !self.records.exists(record, record.type == 'CNAME')",
                "a CNAME record needs routingPolicy Weighted",
            ),
            Rule(
                (
                    "self.records.size() == oldSelf.records.size() && self.records.all(record, "
                    "oldSelf.records.exists(old, old.type == record.type))"
                ),
                ("the types of records are immutable (ttlSeconds is not); for others, create another RegistryService"),
            ),
        ),
    ),
    "dns.records": Field(
        "A, AAAA, A with AAAA, SRV alone, or CNAME alone.",
        limits={"minItems": 1, "maxItems": 4, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    ),
    "dns.records[].type": Field(
        "The record's type. SRV holds the instance's port, the others do not.",
    ),
    "dns.records[].ttlSeconds": Field(
        "How long, in seconds, resolvers may remember the record.",
        limits={"minimum": 0, "maximum": 2147483647},
    ),
    "dns.routingPolicy": Field(
        "Multivalue: an answer holds up to eight healthy instances. Weighted: it holds one, at random.",
        rules=(
            Rule(
                "self == oldSelf",
                "routingPolicy is immutable; for another, create another RegistryService",
            ),
        ),
    ),
    "healthCheck": Field(
        "Who decides whether an instance is healthy. Default, type None: nobody does.",
        rules=(
            Rule(
                "self.type == 'Route53' ? has(self.route53) : !has(self.route53)",
                "route53 is required with type Route53 and not allowed with None and Custom",
            ),
        ),
    ),
    "healthCheck.type": Field(
        (
            "None: nobody. Custom: kube-registrar, from the pod's readiness. Route53: checks made by Route "
            "53, in namespaces of type HTTP and DNSPublic only."
        ),
    ),
    "healthCheck.route53": Field(
        "The check that Route 53 makes.",
        rules=(
            Rule(
                "self.type != 'TCP' || !has(self.resourcePath)",
                "resourcePath is allowed with the types HTTP and HTTPS only",
            ),
        ),
    ),
    "healthCheck.route53.type": Field(
        "What the check speaks.",
    ),
    "healthCheck.route53.resourcePath": Field(
        "The path that is asked for, such as /healthz. Only with HTTP and HTTPS.",
        limits={"maxLength": 255},
    ),
    "healthCheck.route53.failureThreshold": Field(
        "How many checks in a row must fail, or succeed, before the status changes.",
        limits={"format": "int32", "minimum": 1, "maximum": 10},
    ),
    **label_selector(
        "selector",
        "Registers the ready pods of this object's Kubernetes namespace that it matches; they need no annotation.",
        if_empty="an empty selector would match every pod of the Kubernetes namespace; select by a label",
    ),
    "serviceRef": Field(
        (
            "Registers what a Service of this object's Kubernetes namespace stands for, as if the Service "
            "had the annotation kube-registrar.dev/service."
        ),
    ),
    "serviceRef.name": Field(
        "The name of the Service.",
        limits={"minLength": 1, "maxLength": 63, "pattern": labels.NAME},
    ),
    "port": Field(
        (
            "With selector, the port of the pods: its name, its number, or container:port. With serviceRef, "
            "the port of the Service, by name or number. Default, the only one there is."
        ),
        limits={"maxLength": 79},
        rules=(
            Rule(
                (
                    "type(self) == int ? self >= 1 && self <= 65535 : "
                    "self.matches('^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?:)?([0-9]{1,5}|[a-z0-9-]{1,15})$')"
                ),
                "port must be a port's name, its number from 1 to 65535, or container:port",
            ),
        ),
    ),
    "attributes": Field(
        (
            "Attributes of every instance from this object's Kubernetes namespace in this registry service. "
            "Those that a Service or pod sets go over them. Values may read the pod, such as "
            "$(spec.nodeName)."
        ),
        limits={"maxProperties": 30},
        rules=_keys("attributes"),
    ),
    "attributes{}": Field(
        limits={"maxLength": 1024},
    ),
    "attributesFromLabels": Field(
        "More attributes, each with the value of a label of the pod: attribute key to label key.",
        limits={"maxProperties": 30},
        rules=_keys("attributesFromLabels"),
    ),
    "attributesFromLabels{}": Field(
        limits={"minLength": 1, "maxLength": 317},
    ),
    "notReadyPolicy": Field(
        (
            "What becomes of the instance of a pod that is not ready. Deregister: it goes. MarkUnhealthy: "
            "it stays and its status is UNHEALTHY, which needs healthCheck type Custom. Pods that end go "
            "always."
        ),
    ),
    "creationPolicy": Field(
        (
            "CreateOrAdopt: make the service, or use one of that name that is there. Create: make it, and "
            "report a conflict if it is there. Adopt: use one that is there, and never make it."
        ),
    ),
    "deletionPolicy": Field(
        (
            "What happens in the registry when this object is deleted. Retain: nothing. Delete: the service "
            "goes too, if this object made it and it is empty."
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
