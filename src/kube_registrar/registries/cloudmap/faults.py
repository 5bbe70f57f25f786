"""What went wrong in a call, in the words and classes of `kube_registrar.model.errors`.

Codes decide, never HTTP statuses: botocore annotates the modelled errors with statuses that Cloud Map does not send.
Sources: the errors of each action in the AWS Cloud Map API reference; "Common errors" there; botocore.exceptions.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from botocore import exceptions as sdk

from kube_registrar.model.errors import Conflict, Forbidden, NotFound, Refused, RegistryError, Retryable, Unreachable
from kube_registrar.registries.cloudmap import permissions

THROTTLES: Final = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_ABSENT: Final = frozenset(
    {"InstanceNotFound", "NamespaceNotFound", "OperationNotFound", "ResourceNotFoundException", "ServiceNotFound"}
)
_IN_THE_WAY: Final = frozenset({"NamespaceAlreadyExists", "ResourceInUse", "ServiceAlreadyExists"})
_FORBIDDEN: Final = frozenset(
    {"AccessDenied", "AccessDeniedException", "NotAuthorized", "OptInRequired", "UnauthorizedOperation"}
)
_NOT_WHO_WE_ARE: Final = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "RequestExpired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MALFORMED: Final = frozenset({"InvalidInput", "SerializationException", "TooManyTagsException", "ValidationException"})
_UNSUPPORTED: Final = frozenset({"UnknownOperation", "UnknownOperationException"})

WAYS_TO_GIVE_CREDENTIALS: Final = (
    "Give some: IRSA or EKS Pod Identity on the service account, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
    "environment, or the option profile"
)
_LONGEST_TEXT: Final = 480

_DENIED = re.compile(r"not authorized to perform: ([a-z0-9-]+:[A-Za-z0-9]+)(?: on resource: (arn:[^\s…]+)(?=\s|$))?")
"""How AWS says what was denied. Source: "Troubleshoot access denied error messages" (IAM user guide)."""
_EXPLICIT: Final = "explicit deny"


class Answered(Exception):
    """Cloud Map answered an error that the caller said it deals with. `fields`: the error's own."""

    def __init__(self, code: str, message: str, fields: Mapping[str, Any]) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.fields = fields

    def as_error(self, operation: str, about: str) -> RegistryError:
        """Return the error of the port that it is for whoever does not deal with it after all."""
        return _by_code(self, operation, about)


@dataclass(frozen=True, slots=True)
class Fault:
    """What went wrong. `ambiguous`: the call may have been carried out; `is_identity`: it lies with the credentials."""

    error: RegistryError
    ambiguous: bool = False
    is_identity: bool = False


def of_answer(error: sdk.ClientError) -> Answered:
    """Return code, message and fields of an error that Cloud Map answered."""
    answer = {key: value for key, value in error.response.items() if key not in {"Error", "ResponseMetadata"}}
    details = error.response.get("Error", {})
    return Answered(str(details.get("Code", "")), _one_line(details.get("Message") or answer.get("Message")), answer)


def of_code(answer: Answered, operation: str, about: str, *, write: bool) -> Fault:
    """Return what an answered error means. A code that nobody knows is no promise that nothing was done."""
    error = _by_code(answer, operation, about)
    if isinstance(error, Unreachable) and answer.code not in _NOT_WHO_WE_ARE:
        return Fault(Unreachable(str(error), doubtful=write), ambiguous=True)
    return Fault(error, is_identity=answer.code in _NOT_WHO_WE_ARE)


def of_transport(error: Exception, operation: str, about: str, *, write: bool) -> Fault:
    """Return what an error of the SDK itself means: no credentials, no connection, no answer."""
    match error:
        case sdk.ParamValidationError():
            rule = _one_line(error)
            return Fault(Refused(f"{about}: {rule}. Correct it", field=_field(operation), rule=rule))
        case sdk.NoCredentialsError() | sdk.PartialCredentialsError():
            text = f"{about}: no AWS credentials were found. {WAYS_TO_GIVE_CREDENTIALS}"
            return Fault(Unreachable(text), is_identity=True)
        case (
            sdk.CredentialRetrievalError()
            | sdk.TokenRetrievalError()
            | sdk.SSOError()
            | sdk.LoginError()
            | sdk.MetadataRetrievalError()
            | sdk.RefreshWithMFAUnsupportedError()
            | sdk.InvalidConfigError()
        ):
            text = f"{about}: AWS credentials could not be had: {_one_line(error)}. {WAYS_TO_GIVE_CREDENTIALS}"
            return Fault(Unreachable(text), is_identity=True)
        case (
            sdk.EndpointConnectionError()
            | sdk.ConnectTimeoutError()
            | sdk.ProxyConnectionError()
            | sdk.SSLError()
            | sdk.EndpointProviderError()
        ):
            what = f"{about}: no connection to Cloud Map: {_one_line(error)}"
            return Fault(Unreachable(f"{what}. Correct the options region and endpointUrl, or what lies between"))
        case _:
            text = f"{about}: no answer from Cloud Map to {operation}: {_one_line(error)}"
            return Fault(Unreachable(text, doubtful=write), ambiguous=True)


def too_long_throttled(operation: str, about: str) -> RegistryError:
    """Return the error of a call that was throttled over and over, and not made."""
    return Retryable(f"{about}: Cloud Map keeps throttling {operation}; lower its entry in the option rates", after=1.0)


def of_operation(code: str, message: str, about: str) -> RegistryError:
    """Return why an operation that Cloud Map had accepted failed. Source: Operation, AWS Cloud Map API reference."""
    said = f" ({code}: {_one_line(message)})" if message else f" ({code})"
    match code:
        case "ACCESS_DENIED":
            what = f"{about}: the operation failed for want of a permission{said}"
            return _forbidden(what, message, "route53:ChangeResourceRecordSets")
        case "CANNOT_CREATE_HOSTED_ZONE":
            rule = "route53:CreateHostedZone, and fewer hosted zones than the account's quota"
            return Refused(f"{about}: no hosted zone could be made{said}. Needed: {rule}", field="name", rule=rule)
        case "HOSTED_ZONE_NOT_FOUND":
            rule = "the hosted zone that the registry namespace was made with"
            text = f"{about}: the hosted zone is gone{said}. Make the registry namespace anew; it needs {rule}"
            return Refused(text, field="name", rule=rule)
        case "INVALID_CHANGE_BATCH":
            rule = "what Route 53 takes as a record set"
            return Refused(
                f"{about}: Route 53 refused the records{said}. Needed: {rule}", field="attributes", rule=rule
            )
        case "THROTTLED_REQUEST":
            return Retryable(f"{about}: the operation was throttled by what Cloud Map itself calls{said}", after=2.0)
        case "EXPIRED_TOKEN":
            return Retryable(f"{about}: the credentials expired before the operation was done{said}", after=1.0)
        case _:
            said = f" ({_one_line(message)})" if message else ""
            return Retryable(f"{about}: the operation failed with {code or 'no error code'}{said}", after=1.0)


def _by_code(answer: Answered, operation: str, about: str) -> RegistryError:
    code, message = answer.code, answer.message
    if code in _ABSENT:
        return NotFound(f"{about}: Cloud Map says {code} ({message}). Create it first, or look whether it was removed")
    if code in _IN_THE_WAY:
        return Conflict(f"{about}: Cloud Map says {code} ({message})", found=dict(answer.fields))
    if code in _FORBIDDEN:
        return _forbidden(f"{about}: not allowed ({message})", message, permissions.action_of(operation))
    if code in _NOT_WHO_WE_ARE:
        return Unreachable(f"{about}: Cloud Map takes the credentials for invalid or expired ({code}). Renew them")
    if code in _MALFORMED:
        return Refused(f"{about}: Cloud Map refuses it: {message}. Correct it", field=_field(operation), rule=message)
    if code == "CustomHealthNotFound":
        rule = "a status only in a registry service with custom health checks"
        return Refused(f"{about}: the service has no custom health check", field="health", rule=rule)
    if code == "ResourceLimitExceeded":
        rule = "Cloud Map's quota, such as 1,000 instances a service"
        text = f"{about}: a quota is used up ({message}). Raise it in Service Quotas, or use another service"
        return Refused(text, field="quota", rule=rule)
    if code in _UNSUPPORTED:
        rule = f"an endpoint that knows {operation}"
        return Refused(f"{about}: this endpoint does not know {operation}", field="endpointUrl", rule=rule)
    if code == "DuplicateRequest":
        return Retryable(f"{about}: another operation on it goes on ({message})", after=0.5)
    return Unreachable(f"{about}: Cloud Map answered {code or 'an error'} to {operation} ({message})")


def _forbidden(what: str, message: str, action: str) -> Forbidden:
    """Return the error with the IAM statement to add: for the action that AWS names, else for `action`."""
    denied = _DENIED.search(_one_line(message))
    resource = ""
    if denied:
        action, resource = denied[1], denied[2] or ""
    if _EXPLICIT in message:
        rule = f"no Deny of {action} in any policy that applies to this identity"
        return Forbidden(f"{what}. Adding an Allow does not help; needed: {rule}", rule=rule)
    rule = permissions.statement(action, resource)
    return Forbidden(f"{what}. Add to the IAM policy: {rule}", rule=rule)


def _field(operation: str) -> str:
    return "attributes" if operation == "RegisterInstance" else "spec"


def _one_line(text: object) -> str:
    """Return the text on one line, cut: whatever a server sends ends up in events and logs."""
    line = " ".join(str(text or "no message").split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[:_LONGEST_TEXT]}…"
