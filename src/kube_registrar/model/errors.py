"""Errors, by what the one who catches them must do.

    KubeRegistrarError
    ├── UserError            a person must change something; the command ends with this one sentence
    │   ├── InUse            another process has it
    │   ├── BrokenBackend    the package that brings a kind of registry is at fault, and not what was configured
    │   └── NotOpen          a registry could not be opened, for a reason that may pass by itself
    │       └── Unreadable   a file that it needs cannot be read, or used
    └── RegistryError
        ├── Retryable        try again, not before `after` seconds (throttled, busy, an operation that failed)
        │   ├── NotLeading   not sent, for another replica may lead by now: nothing to say, and nothing in doubt
        │   └── Withdrawn    not sent, for whoever asked for it took it back
        ├── Unreachable      try again; with `doubtful` nobody knows whether the change was made
        ├── Conflict         it exists otherwise, or is not empty: look again
        ├── NotFound         the namespace, service or instance is not there
        └── Refused          the registry will never take it as it is: `field` and `rule` say why
            └── Forbidden    whoever we are there may not do it: `rule` is what to allow

Messages name the object, what was found, what is allowed and the next step, and hold no secret.
"""


class KubeRegistrarError(Exception):
    """The root of every error this project raises on purpose."""


class UserError(KubeRegistrarError):
    """Something a person must change. Its text is the whole message; no traceback is shown."""


class InUse(UserError):
    """Another process holds what only one may have. Its text says first what, then a colon and what to do."""


class BrokenBackend(UserError):
    """A kind of registry that cannot be used: it fails to import, is for another version of the port, or opens none."""


class NotOpen(UserError):
    """A registry could not be opened, and may be later: its server is away, it does not take our credentials."""


class Unreadable(NotOpen):
    """A configured file cannot be read or used. It may be a wrong path, or a file that is not there yet."""


class RegistryError(KubeRegistrarError):
    """A registry did not do what it was asked."""

    reason: str = "RegistryError"


class Retryable(RegistryError):
    """It may work later. `after`: seconds to wait at least."""

    reason = "RegistryRetry"

    def __init__(self, message: str, *, after: float = 0.0) -> None:
        super().__init__(message)
        self.after = after


class NotLeading(Retryable):
    """A write that was not sent, because this replica leads no more, or not for long enough."""

    reason = "NotLeading"


class Withdrawn(Retryable):
    """A change that was taken back before it was sent, because something else is wished by now."""

    reason = "Withdrawn"


class Unreachable(RegistryError):
    """No answer. `doubtful`: the request may have reached the registry, so its effect is unknown."""

    reason = "RegistryUnreachable"

    def __init__(self, message: str, *, doubtful: bool = False) -> None:
        super().__init__(message)
        self.doubtful = doubtful


class Conflict(RegistryError):
    """It exists already with other settings, or is not empty. `found`: what stands in the way."""

    reason = "RegistryConflict"

    def __init__(self, message: str, *, found: object = None) -> None:
        super().__init__(message)
        self.found = found


class NotFound(RegistryError):
    """The registry namespace, service or instance is not there."""

    reason = "NotFoundInRegistry"


class Refused(RegistryError):
    """The registry will never take it as it is. `field`: what is wrong; `rule`: what is allowed."""

    reason = "RefusedByRegistry"

    def __init__(self, message: str, *, field: str = "", rule: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.rule = rule


class Forbidden(Refused):
    """We may not do it, until somebody allows it: `rule` says what to add to which policy."""

    reason = "PermissionMissing"

    def __init__(self, message: str, *, rule: str = "") -> None:
        super().__init__(message, field="permissions", rule=rule)
