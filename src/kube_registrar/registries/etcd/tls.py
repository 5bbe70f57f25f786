"""The certificates of an etcd client, read again when their files change."""

import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kube_registrar.model.errors import Unreachable
from kube_registrar.registries.etcd.options import Options

_LOOK_SECONDS: Final = 1.0
"""How often files are looked at."""


class Tls:
    """Gives the context for the next connection. Connections that are open go on with what they began with."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._files = [file for file in (options.ca_file, options.cert_file, options.key_file) if file]
        self._is_used = options.endpoints[0].startswith("https:")
        self._context: ssl.SSLContext | None = None
        self._read: Sequence[tuple[int, int]] = ()
        self._look_at = float("-inf")

    def context(self, now: float) -> ssl.SSLContext | None:
        """Return what to connect with; None for plain HTTP. `now`: monotonic seconds. Raises Unreachable."""
        if not self._is_used:
            return None
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._look()
        if self._context is None:
            self._context = self._made()
        return self._context

    def _look(self) -> None:
        try:
            seen = [(file.stat().st_mtime_ns, file.stat().st_ino) for file in self._files]
        except OSError as error:
            raise _unreadable(error) from None
        if seen != self._read:
            self._context, self._read = None, seen

    def _made(self) -> ssl.SSLContext:
        options = self._options
        try:
            context = ssl.create_default_context(cafile=options.ca_file)
            if options.cert_file and options.key_file:
                context.load_cert_chain(options.cert_file, options.key_file)
        except (OSError, ssl.SSLError) as error:
            self._look_at = float("-inf")
            raise _unreadable(error, self._files) from None
        return context


def _unreadable(error: Exception, files: Sequence[Path] = ()) -> Unreachable:
    named = f" (one of {', '.join(map(str, files))})" if files else ""
    return Unreachable(f"etcd is not asked, for a certificate file cannot be used{named}: {error}. Correct the file")
