"""kopf, without the `kubernetes` package, which it imports where it finds it and of which it needs nothing here.

It recognises objects of that package's classes, and we have none. Where it is not installed kopf goes without it, and a
name that is None in `sys.modules` is as good as not installed (Python's reference, "The import system"). That spares a
pod 17 MB and half a second.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

HIDDEN: Final = "kubernetes"


@contextmanager
def _hidden(package: str) -> Iterator[None]:
    if package in sys.modules:  # it is paid for already
        yield
        return
    sys.modules[package] = None  # type: ignore[assignment]  # see above
    try:
        yield
    finally:
        del sys.modules[package]


with _hidden(HIDDEN):
    import kopf

__all__ = ["kopf"]
