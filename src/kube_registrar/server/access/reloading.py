"""Files that are read again when they change: access keys, and the certificate of TLS.

They are looked at every few seconds and compared by what they hold: links of a mounted Secret are exchanged as a whole,
and no file system event tells of that everywhere. What cannot be used is said once, and what was there before stays.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from kube_registrar.model.errors import KubeRegistrarError
from kube_registrar.runtime.clock import Clock

LOOK_SECONDS: Final = 2.0

Told = Callable[[str, str], None]
"""Is told what was read again (`access-keys`, `tls`), and whether it could be used: `ok` or `error`."""

_log = logging.getLogger(__name__)


class Watched:
    """Something that was made of files. `load` reads them, uses them if it can, and returns which they are.

    `load` is called in a thread when something has changed; it raises UserError, and then it has changed nothing.
    """

    def __init__(self, what: str, load: Callable[[], Sequence[Path]], told: Told) -> None:
        self._what = what
        self._load = load
        self._told = told
        self._files: Sequence[Path] = load()
        self._seen = _fingerprint(self._files)

    def look(self) -> bool:
        """Read the files again if they have changed; return whether they had."""
        seen = _fingerprint(self._files)
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._files = self._load()
        except (KubeRegistrarError, OSError) as error:
            _log.error("%s; what was read before is used on", error)
            self._told(self._what, "error")
            return True
        self._seen = _fingerprint(self._files)
        _log.info("the %s were read again: %s", self._what, ", ".join(map(str, self._files[:3])))
        self._told(self._what, "ok")
        return True


async def keep_reading(watched: Sequence[Watched], clock: Clock) -> None:
    """Look at them for ever."""
    while True:
        await clock.sleep(LOOK_SECONDS)
        for each in watched:
            await asyncio.to_thread(each.look)


def _fingerprint(files: Sequence[Path]) -> bytes:
    found = hashlib.sha256()
    for file in files:
        try:
            content = (
                file.read_bytes() if not file.is_dir() else b"\n".join(sorted(bytes(one) for one in file.iterdir()))
            )
        except OSError as error:
            content = str(error.errno).encode()
        found.update(b"%d:%b" % (len(content), content))
    return found.digest()
