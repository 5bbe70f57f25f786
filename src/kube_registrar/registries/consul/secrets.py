"""The token and the TLS settings: read from files, and read again when these change."""

import ssl

from kube_registrar.model.errors import Unreachable, Unreadable
from kube_registrar.model.refs import RegistryName
from kube_registrar.registries.consul.options import Options
from kube_registrar.runtime.files import OfFiles, tls_of


class Secrets:
    """Of one registry. A file that cannot be read, or used, makes every call Unreachable until it can."""

    def __init__(self, options: Options, name: RegistryName) -> None:
        """Raises Unreadable if the files of TLS cannot be used."""
        self._token_file = options.token_file
        self._is_https = options.address.startswith("https:")
        self._token = OfFiles(self._read_token, () if options.token_file is None else (options.token_file,))
        self._tls = tls_of(options.ca_file, options.cert_file, options.key_file)
        try:
            if self._is_https:
                self._tls.get()
        except (OSError, ValueError) as error:
            raise Unreadable(f"registry {name!r}: {_tls_trouble(error)}") from None

    def headers(self, about: str) -> dict[str, str]:
        """Return what says who we are. Raises Unreachable."""
        if self._token_file is None:
            return {}
        try:
            return {"X-Consul-Token": self._token.get()}
        except (OSError, ValueError) as error:
            raise Unreachable(
                f"{about}: the token in {self._token_file} (option tokenFile) cannot be read: {_said(error)}. Put one "
                "there; it is read again by itself"
            ) from None

    def tls(self, about: str) -> ssl.SSLContext | bool:
        """Return how a connection is made safe; True where the address asks for no TLS. Raises Unreachable."""
        if not self._is_https:
            return True
        try:
            return self._tls.get()
        except (OSError, ValueError) as error:
            raise Unreachable(f"{about}: {_tls_trouble(error)}") from None

    def _read_token(self) -> str:
        token = self._token_file.read_text(encoding="ascii").strip() if self._token_file else ""
        if not token or not token.isprintable() or " " in token:
            raise ValueError("it holds no token")
        return token


def _tls_trouble(error: Exception) -> str:
    return (
        f"the files of the options caFile, certFile and keyFile cannot be used: {_said(error)}. Put there PEM files "
        "that belong together; they are read again by themselves"
    )


def _said(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error) or type(error).__name__
