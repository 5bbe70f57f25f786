"""Cloud Map's errors.

Source: the `error` traits of the service model (API version 2017-03-14) and the AWS JSON 1.1 protocol for the codes
that every service shares.
"""

from kube_registrar.model.errors import KubeRegistrarError

HTTP_STATUS = {
    "AccessDeniedException": 403,
    "CustomHealthNotFound": 404,
    "DuplicateRequest": 409,
    "InstanceNotFound": 404,
    "InternalFailure": 500,
    "NamespaceNotFound": 404,
    "OperationNotFound": 404,
    "RequestLimitExceeded": 429,
    "RequestTimeoutException": 408,
    "ResourceInUse": 409,
    "ResourceNotFoundException": 404,
    "ServiceNotFound": 404,
    "ServiceUnavailable": 503,
}
"""The HTTP status of each code that is not answered with 400."""


class CloudMapError(KubeRegistrarError):
    """An error that Cloud Map's API has a code for.

    `members` are the extra fields of its answer, such as DuplicateOperationId. Where a value was refused, `field`
    names it and `rule` says what is allowed, for those who do not speak the wire.
    """

    def __init__(self, code: str, message: str, *, field: str = "", rule: str = "", **members: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.field = field
        self.rule = rule
        self.members = members

    @property
    def status(self) -> int:
        """Its HTTP status. Clients branch on the code: SDKs of different ages disagree on the status."""
        return HTTP_STATUS.get(self.code, 400)


def invalid(field: str, found: object, rule: str) -> CloudMapError:
    """Return the InvalidInput for a value: which field, what was found, what is allowed."""
    return CloudMapError("InvalidInput", f"{field} is {shown(found)}: {rule}", field=field, rule=rule)


def shown(value: object) -> str:
    """Return a value as messages show it: quoted, and cut so that no message grows with its input."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:76]}...{text[-1]}"  # noqa: PLR2004
