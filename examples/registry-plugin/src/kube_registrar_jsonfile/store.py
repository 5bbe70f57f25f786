"""The file: read whole, written whole, and replaced in one step, by one process at a time."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from kube_registrar.model.errors import Unreachable

T = TypeVar("T")
Content = dict[str, Any]


class Store:
    """Blocking calls, for threads. Raises Unreachable where the file cannot be read or written."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Content:
        """Return the content: a writer replaces the file, so what is read is whole."""
        try:
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return {"next": 1, "namespaces": {}}
        except (OSError, ValueError) as error:
            raise Unreachable(f"{self._path} cannot be read ({error}): look at the file and its rights") from None

    def change(self, change: Callable[[Content], T]) -> T:
        """Let `change` alter the content while no other process does; nothing is written if it raises."""
        with self._locked():
            content = self.read()
            result = change(content)
            self._replace(content)
            return result

    @contextmanager
    def _locked(self) -> Iterator[None]:
        # A file of its own: the lock of a file that is replaced would be that of the old one.
        try:
            lock = os.open(f"{self._path}.lock", os.O_CREAT | os.O_RDWR, 0o600)
        except OSError as error:
            raise Unreachable(f"{self._path}.lock cannot be opened ({error}): look at its folder") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _replace(self, content: Content) -> None:
        new = self._path.with_name(self._path.name + ".new")
        try:
            with new.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=1)
                file.flush()
                os.fsync(file.fileno())  # an outcome without error is durable
            new.replace(self._path)
        except OSError as error:
            raise Unreachable(f"{self._path} cannot be written ({error}): look at its disk and rights") from None
