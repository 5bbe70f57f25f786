"""Access keys from a file, or from the files of a folder, as a mounted Secret is one.

    - accessKeyID: AKIAREGISTRAR0000001
      secretAccessKey: …            # or secretAccessKeyFile: a path, beside this file if it is not absolute
      role: read                    # read, write or admin
      registryNamespaces: [shop]    # optional

No message repeats what may be part of a secret: an entry is named by its number and, where that can be read, its id.
"""

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from kube_registrar.model.errors import UserError
from kube_registrar.server.access.keys import AccessKey, Role

FLAG: Final = "--access-keys"
SECRET_CHARACTERS: Final = 20
"""The least. Whoever sees one signed request can try secrets on it for as long as he likes."""

_KEYS: Final = ("accessKeyID", "secretAccessKey", "secretAccessKeyFile", "role", "registryNamespaces")
_ID = re.compile(r"\w{3,128}", re.ASCII)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """What was read: the keys, the files that they came from, and those of them that anybody may read."""

    keys: tuple[AccessKey, ...]
    files: tuple[Path, ...]
    exposed: tuple[Path, ...]


def read(path: Path) -> KeyFile:
    """Read the access keys. Raises UserError, one sentence: what is wrong where, what is allowed."""
    files = _files(path)
    keys = list[AccessKey]()
    secrets = list[Path]()
    for file in files:
        for number, entry in enumerate(_entries(file), 1):
            where = f"{file}: key {number}"
            keys.append(_key(where, entry, file.parent, secrets))
    _check_together(path, keys)
    everything = (*files, *secrets)
    return KeyFile(tuple(keys), everything, tuple(each for each in everything if _is_exposed(each)))


def _files(path: Path) -> Sequence[Path]:
    try:
        if not path.is_dir():
            return (path,)
        # A mounted Secret holds links, and hidden folders in which what they lead to is exchanged.
        files = tuple(sorted(each for each in path.iterdir() if not each.name.startswith(".") and each.is_file()))
    except OSError as error:
        raise _unreadable(path, error) from None
    if not files:
        raise UserError(f"the folder of access keys {path} is empty: put a file of keys there, or correct {FLAG}")
    return files


def _entries(file: Path) -> Sequence[object]:
    text = _text(file)
    try:
        found = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise UserError(f"{file}{line} is no YAML: write a list of access keys, as docs/access.md shows") from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise UserError(f"{file} is no YAML: write a list of access keys, as docs/access.md shows") from None
    if not isinstance(found, list):
        raise UserError(f"{file} holds no list: write `- accessKeyID: …` and what belongs to it, for each key")
    return found


def _key(where: str, entry: object, folder: Path, secrets: list[Path]) -> AccessKey:
    if not isinstance(entry, Mapping):
        raise UserError(f"{where} is no mapping: allowed are {', '.join(_KEYS)}")
    if any(key not in _KEYS for key in entry):
        # Which one is not said: what is out of place may be a secret.
        raise UserError(f"{where} has a member that is not known: allowed are {', '.join(_KEYS)}")
    identifier = entry.get("accessKeyID")
    if not isinstance(identifier, str) or not _ID.fullmatch(identifier):
        raise UserError(f"{where} has no accessKeyID: 3 to 128 letters, digits and _ are needed, in quotes if need be")
    where = f"{where} ({identifier})"
    role = entry.get("role")
    if role not in list(Role):
        raise UserError(f"{where} has no role: allowed are {', '.join(Role)}")
    return AccessKey(identifier, _secret(where, entry, folder, secrets), Role(role), _namespaces(where, entry))


def _secret(where: str, entry: Mapping[object, object], folder: Path, secrets: list[Path]) -> str:
    given, named = entry.get("secretAccessKey"), entry.get("secretAccessKeyFile")
    if (given is None) == (named is None):
        raise UserError(f"{where} needs secretAccessKey or secretAccessKeyFile: give one of the two")
    if named is not None:
        if not isinstance(named, str) or not named:
            raise UserError(f"{where}: secretAccessKeyFile must be the path of a file")
        file = folder / named
        given = _text(file).strip()
        secrets.append(file)
    if isinstance(given, int | float):
        raise UserError(f"{where}: the secret access key is a number as it stands: put it in quotes")
    if not isinstance(given, str) or len(given) < SECRET_CHARACTERS or not given.isascii() or not given.isprintable():
        raise UserError(
            f"{where}: the secret access key must be a text of {SECRET_CHARACTERS} printable ASCII characters or more, "
            "such as `openssl rand -base64 30` makes"
        )
    return given


def _namespaces(where: str, entry: Mapping[object, object]) -> frozenset[str] | None:
    names = entry.get("registryNamespaces")
    if names is None:
        return None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        raise UserError(
            f"{where}: registryNamespaces must be a list of names of registry namespaces; leave it out for all of them"
        )
    return frozenset(names)


def _check_together(path: Path, keys: Sequence[AccessKey]) -> None:
    if not keys:
        raise UserError(f"{path} holds no access keys: write one at least, or leave {FLAG} out")
    ids = [key.id for key in keys]
    twice = sorted({identifier for identifier in ids if ids.count(identifier) > 1})
    if twice:
        raise UserError(f"{path} has the access key {twice[0]} twice: keep one of them")


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise _unreadable(file, error) from None
    except UnicodeDecodeError:
        raise UserError(f"the file of access keys {file} is no UTF-8 text: correct {FLAG}") from None


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"the file of access keys {path} cannot be read ({error.strerror}): correct {FLAG}")


def _is_exposed(file: Path) -> bool:
    """Whether anybody on this machine may read it."""
    try:
        return bool(file.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
