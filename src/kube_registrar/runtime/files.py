"""What is made of files - a token, certificates - and made anew once a file is another one."""

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class OfFiles(Generic[T]):
    """What `make` made of files, as they were when it was asked for last; they are looked at each time."""

    make: Callable[[], T]
    files: tuple[Path, ...]
    _seen: tuple[tuple[int, int, int], ...] | None = None
    _value: T | None = None

    def get(self) -> T:
        """Return it, made anew if a file is another one. Raises OSError, or what `make` raises, each time anew."""
        seen = tuple((found.st_ino, found.st_mtime_ns, found.st_size) for found in map(Path.stat, self.files))
        if self._value is None or seen != self._seen:
            self._value, self._seen = self.make(), seen
        return self._value


def tls_of(authority: Path | None, certificate: Path | None, key: Path | None) -> OfFiles[ssl.SSLContext]:
    """Return the context of a TLS client: whom it trusts (None: whom the system does), and what it shows, if anything.

    Getting it raises OSError or ValueError for files that cannot be used, or do not belong together.
    """

    def make() -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=authority)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        return context

    return OfFiles(make, tuple(file for file in (authority, certificate, key) if file is not None))
