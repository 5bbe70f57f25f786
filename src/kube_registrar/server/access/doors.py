"""Who is let in: everybody on this machine, or whoever signs with a key.

On loopback without keys, the Host header must be an address or localhost. With keys it may be anything: a page that
points a name of its own at this address (DNS rebinding) has no key, and the name is part of what is signed.
"""

from collections.abc import Mapping
from typing import Protocol

from kube_registrar.model.cloudmap.errors import CloudMapError
from kube_registrar.server.access import hosts, roles
from kube_registrar.server.access.keys import AccessKey
from kube_registrar.server.access.rates import ClientRates, too_many
from kube_registrar.server.access.verifying import Verifier


class Door(Protocol):
    """What a request must pass. Headers are by lower-case name; each method raises CloudMapError."""

    @property
    def is_open(self) -> bool:
        """Whether nobody needs a key."""

    @property
    def counts_addresses(self) -> bool:
        """Whether it needs to know the address that a request comes from."""

    def greet(self, headers: Mapping[str, str]) -> None:
        """Refuse what can be refused by its headers alone, before its body is waited for."""

    def admit(
        self, operation: str, headers: Mapping[str, str], body: bytes, *, target: str = "/", client: str = ""
    ) -> AccessKey | None:
        """Return the key that asks, None where nobody has one. `target`: of the request line; `client`: an address."""

    def try_admit(self, operation: str, headers: Mapping[str, str], body: bytes) -> AccessKey | None:
        """Let in whom `admit` lets in, and count nobody else: who is refused asks again, of `admit`."""

    def give_back(self, key: AccessKey | None) -> None:
        """Do not count a request that `try_admit` let in, by this key: it asks again, of `admit`."""


class OpenDoor:
    """For loopback: whoever can reach it is let in, under the names of this machine."""

    is_open = True

    def __init__(self, rates: ClientRates | None = None) -> None:
        self._rates = rates

    @property
    def counts_addresses(self) -> bool:
        """Whether there is a rate."""
        return self._rates is not None and self._rates.is_limited

    def greet(self, headers: Mapping[str, str]) -> None:
        """Check the Host header."""
        if not hosts.is_allowed(headers.get("host")):
            message = (
                "The Host header must be an address or localhost: a name may be anybody's, and nobody is authenticated"
            )
            raise CloudMapError("AccessDeniedException", message)

    def admit(
        self,
        operation: str,
        headers: Mapping[str, str],  # noqa: ARG002 - of the protocol
        body: bytes,  # noqa: ARG002 - of the protocol
        *,
        target: str = "/",  # noqa: ARG002 - of the protocol
        client: str = "",
    ) -> AccessKey | None:
        """Count the request for its address."""
        if self._rates is not None and not self._rates.admit(client):
            raise too_many(operation)
        return None

    def try_admit(self, operation: str, headers: Mapping[str, str], body: bytes) -> AccessKey | None:
        """Let it in: where addresses are counted nobody may ask this."""
        return self.admit(operation, headers, body)

    def give_back(self, key: AccessKey | None) -> None:
        """Nothing was counted."""


class KeyedDoor:
    """For everywhere: a signature, and a role that includes what is asked for."""

    is_open = False
    counts_addresses = False

    def __init__(self, verifier: Verifier, rates: ClientRates | None = None) -> None:
        self._verifier = verifier
        self._rates = rates

    def greet(self, headers: Mapping[str, str]) -> None:
        """Check what is claimed: a stranger need not send his body."""
        self._verifier.claimed(headers)

    def admit(
        self,
        operation: str,
        headers: Mapping[str, str],
        body: bytes,
        *,
        target: str = "/",
        client: str = "",  # noqa: ARG002 - of the protocol
    ) -> AccessKey | None:
        """Verify the signature, count the request for its key, and look at the key's role."""
        key = self._verifier.verify(headers, body, target=target)
        self._count(key, operation)
        roles.check(key, operation)
        return key

    def try_admit(self, operation: str, headers: Mapping[str, str], body: bytes) -> AccessKey | None:
        """Do the same, and count last."""
        key = self._verifier.verify(headers, body)
        roles.check(key, operation)
        self._count(key, operation)
        return key

    def give_back(self, key: AccessKey | None) -> None:
        """Take back what was counted for a key."""
        if self._rates is not None and key is not None:
            self._rates.give_back(key.id)

    def _count(self, key: AccessKey, operation: str) -> None:
        if self._rates is not None and not self._rates.admit(key.id):
            raise too_many(operation)
