"""Every reason we give, with its sentence: the same words in events, conditions and explanations.

A reason is API: it is documented, never renamed, and CamelCase as Kubernetes' conventions ask.
Templates are filled by `Problem.of` and name the field, what was found, what is allowed and the next step.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Reason:
    """A CamelCase name and the sentence that goes with it."""

    name: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Problem:
    """A reason with its sentence filled in."""

    reason: str
    message: str

    @classmethod
    def of(cls, reason: Reason, **fields: object) -> "Problem":
        """Fill the sentence of `reason`."""
        return cls(reason.name, reason.sentence.format(**fields))

    def __str__(self) -> str:
        return self.message


# What a user wrote.
MALFORMED_ANNOTATION = Reason("MalformedAnnotation", "{field} is {found}: {rule}. {next_step}")
UNKNOWN_SERVICE = Reason(
    "UnknownService",
    "{field} names {found}, but registry namespace {namespace!r} has no service {service!r}. "
    "Create a RegistryService for it, or correct the annotation",
)
UNKNOWN_NAMESPACE = Reason(
    "UnknownNamespace",
    "{field} names {found}, but no RegistryNamespace of registry {registry!r} declares {namespace!r}. "
    "Ask for one, or correct the annotation",
)
UNKNOWN_REGISTRY_SERVICE = Reason(
    "UnknownRegistryService",
    "{field} names {found}, but Kubernetes namespace {kube_namespace!r} has no RegistryService of that name. "
    "Create one, or write namespace/service",
)
UNKNOWN_ARN = Reason(
    "UnknownArn",
    "{field} names {found}, but no registry namespace that a RegistryNamespace declares has a service of that ARN. "
    "Ask for its namespace to be declared, or correct the annotation",
)
UNKNOWN_REGISTRY = Reason(
    "UnknownRegistry", "{field} names {found}, but no registry {registry!r} is configured; there is {known}. Correct it"
)
AMBIGUOUS_SERVICE = Reason(
    "AmbiguousService", "{field} is {found}, which may mean {candidates}. Write the one that you mean"
)
NAMESPACE_NOT_ALLOWED = Reason(
    "NamespaceNotAllowed",
    "{field} names {found}, but RegistryNamespace {namespace!r} does not allow Kubernetes namespace "
    "{kube_namespace!r}. Ask for it in spec.allowedNamespaces, or use another registry namespace",
)
INVALID_ATTRIBUTE = Reason("InvalidAttribute", "{field} has {found}: {rule}. {next_step}")
TOO_MANY_ATTRIBUTES = Reason(
    "TooManyAttributes",
    "{field} has {found} attributes, but {left} of the registry's {limit} are left beside the standard ones. "
    "Remove {excess}",
)
INVALID_PORT = Reason("InvalidPort", "{field} is {found}: {rule}. {next_step}")
MISSING_ADDRESS = Reason(
    "MissingAddress", "{field} names {found}, which needs {rule}, but {whose} has {addresses}. {next_step}"
)
UNKNOWN_LABEL = Reason(
    "UnknownLabel",
    "{field} reads {found}, which {whose} does not have; the attribute is left out. {next_step}",
)
INVALID_PUBLISH = Reason("InvalidPublish", "{field} is {found}: {rule}. {next_step}")
ENDPOINTS_NOT_ALLOWED = Reason(
    "EndpointsNotAllowed",
    "{field} names {found}, but RegistryNamespace {namespace!r} does not allow Kubernetes namespace "
    "{kube_namespace!r} to register what is no pod. Ask for spec.allowEndpointsWithoutPods, or use another registry "
    "namespace",
)
ADDRESS_NOT_ALLOWED = Reason("AddressNotAllowed", "{field} has address {found}: {rule}. {next_step}")
RESERVED_ATTRIBUTE = Reason("ReservedAttribute", "{field} sets {found}: {rule}. Choose another key")
UNKNOWN_ANNOTATION = Reason("UnknownAnnotation", "{field} is not known, so nothing reads it. {next_step}")
INVALID_SPEC = Reason("InvalidSpec", "{field} is wrong: {rule}. {next_step}")

SELECTION_NOT_READ = Reason(
    "SelectionNotRead",
    "What it selects in Kubernetes namespace {namespace!r} cannot be read: {error}. Until it is read, no pod there "
    "loses an instance because nothing asks for it. It is tried again by itself",
)

# What the engine did, or could not do.
REGISTERED = Reason("Registered", "Registered as {instance} in {service}")
DEREGISTERED = Reason("Deregistered", "Deregistered {instance} from {service}: {why}")
REGISTRATION_FAILED = Reason("RegistrationFailed", "Could not register {instance} in {service}: {error}")
DEREGISTRATION_FAILED = Reason("DeregistrationFailed", "Could not deregister {instance} from {service}: {error}")
WITHHELD = Reason(
    "Withheld",
    "Withheld the {action} of {what}: the policy of registry {registry!r} is {policy}. It is done once the policy "
    "allows it",
)
DELETION_HELD = Reason(
    "DeletionHeld",
    "{instance} {stays} in {service}, although {why}: {held}. Restore what was changed, or approve it with "
    "kube-registrar approve",
)
DELETIONS_HELD = Reason(
    "DeletionsHeld",
    "{count} instances {stay}, because too many would go at once: {causes}. "
    "Restore what was changed, or approve it with kube-registrar approve {what}",
)
NO_DELETIONS_HELD = Reason("NoDeletionsHeld", "No deregistration is held")
NOTHING_FOUND = Reason("NothingFound", "There is nothing of the kind any more")
DELETIONS_APPROVED = Reason(
    "DeletionsApproved", "{count} deregistrations or marks that were held are approved and made now"
)
DUPLICATE_CLUSTER = Reason(
    "DuplicateCluster",
    "{why}. No instance is removed for want of its pod any more, until kube-registrar is started again. Give each "
    "cluster its own name (clusterName), and stop the other writer",
)
CLUSTER_NAME_DIFFERS = Reason(
    "ClusterNameDiffers",
    "{found} with this cluster's UID, and this cluster is called {name!r}: a clone of it wrote them, or it was "
    "renamed. They are neither changed nor removed. If they are this cluster's, run kube-registrar takeover --from "
    "{uid}",
)
CLUSTER_UID_DIFFERS = Reason(
    "ClusterUidDiffers",
    "{found} with this cluster's name {name!r}: another cluster's, or those of this cluster before it was rebuilt. "
    "They are left alone. If the other cluster is gone, run kube-registrar takeover --from its UID; else rename one",
)
NOTHING_TO_REGISTER = Reason("NothingToRegister", "Nothing of it is to be registered: {why}")
GATE_NOT_OPENED = Reason(
    "GateNotOpened",
    "The readiness gate kube-registrar.dev/registered could not be opened: {error}. {next_step}",
)
REGISTRY_UNAVAILABLE = Reason(
    "RegistryUnavailable", "Registry {registry!r} does not answer: {error}. It is tried again by itself"
)
REGISTRY_ANSWERS = Reason("RegistryAnswers", "Registry {registry!r} answers")
PERMISSION_MISSING = Reason(
    "PermissionMissing", "Registry {registry!r} does not let this operator do what it must: {error}"
)
PERMITTED = Reason("Permitted", "Registry {registry!r} lets this operator do what it was asked for")
NOT_ASKED_YET = Reason("NotAskedYet", "Registry {registry!r} has not been asked yet, or has not answered yet")

# The life of RegistryNamespaces and RegistryServices.
CREATED = Reason("Created", "Created {what} in registry {registry!r}")
ADOPTED = Reason("Adopted", "{what} exists in registry {registry!r} and is used as it is")
CONFLICTING = Reason("Conflicting", "{what} exists in registry {registry!r} with other settings: {error}")
NOT_READY = Reason("NotReady", "{what} is not ready: {error}")
REMOVED = Reason("Removed", "Removed {what} from registry {registry!r}")
RETAINED = Reason("Retained", "{what} stays in registry {registry!r}: {why}")
NOT_EMPTY = Reason("NotEmpty", "{what} cannot be removed yet: {error}. After {timeout} s it is left in the registry")
REFUSED_SETTINGS = Reason("RefusedSettings", "Registry {registry!r} refuses {what}: {error}")
SETTINGS_DIFFER = Reason(
    "SettingsDiffer", "{what} is used as it is, and its settings are not those of this object: {error}"
)
CANNOT_BE_CHANGED = Reason(
    "CannotBeChanged",
    "{what} has other settings, which registry {registry!r} cannot change: {error}. Write here what is there, or make "
    "another object under another name and move to it",
)
IN_SYNC = Reason("InSync", "{what} is as this object says")
OWNER = Reason("Owner", "The settings of {what} are this object's")
OWNED_BY_ANOTHER = Reason(
    "OwnedByAnother",
    "The settings of {what} are those of {owner}, so it is used as it is. Have them changed there; to hand them over, "
    "give it in the registry the tags {tags}",
)
REPAIRED = Reason("Repaired", "{what} was not as this object says ({error}), and is again")
