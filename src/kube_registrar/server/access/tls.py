"""TLS: a certificate and its key from PEM files, read again when they change."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kube_registrar.model.errors import UserError

CERT_FLAG: Final = "--tls-cert"
KEY_FLAG: Final = "--tls-key"


class Certificate:
    """What a server shows. `context` is one for good: connections that begin after `load` get what it read."""

    def __init__(self, cert: Path, key: Path) -> None:
        """Nothing is read before `load`."""
        self._cert = cert
        self._key = key
        self.context = _context()

    def load(self) -> Sequence[Path]:
        """Read both files and use them; return them. Raises UserError, and then what was used before is used on."""
        # Tried on another context first: half of a pair that does not fit must not be used.
        for context in (_context(), self.context):
            self._load(context)
        return (self._cert, self._key)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            # A password cannot be asked for: without an answer ready, OpenSSL would wait at the terminal.
            context.load_cert_chain(self._cert, self._key, password=lambda: "")
        except ssl.SSLError as error:
            raise UserError(
                f"the certificate {self._cert} and the key {self._key} cannot be used ({error.reason or 'no PEM'}): "
                f"give {CERT_FLAG} a PEM file with the whole chain and {KEY_FLAG} its key, without a password"
            ) from None
        except OSError as error:
            raise UserError(
                f"the certificate {self._cert} or the key {self._key} cannot be read ({error.strerror}): "
                f"correct {CERT_FLAG} and {KEY_FLAG}"
            ) from None


def _context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
