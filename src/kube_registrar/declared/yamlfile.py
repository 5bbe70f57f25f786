"""A YAML file of settings, read so that every complaint can name the line.

`yaml.safe_load` forgets lines and takes the last of two equal keys in silence; both matter in what a person wrote.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import yaml

from kube_registrar.model.errors import UserError


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a file says: its top-level keys and the line of each. `lines` has `registries.edge` for nested keys too."""

    name: str
    values: Mapping[str, object] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def where(self, path: str) -> str:
        """Return `FILE:LINE` of a key, or of the nearest one around it."""
        while path and path not in self.lines:
            path = path.rpartition(".")[0]
        return f"{self.name}:{self.lines[path]}" if path else self.name


def read(name: str, text: str) -> SettingsFile:
    """Parse the text of a settings file. Raises UserError where it is no mapping, or says a thing twice."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UserError(f"{where} is no YAML: {error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise UserError(f"{name} is no YAML: {' '.join(str(error).split())}") from None
    except ValueError as error:  # such as the 31st of February
        raise UserError(f"{name} holds a value that YAML cannot read: {error}") from None
    if node is None:
        return SettingsFile(name)
    if not isinstance(node, yaml.MappingNode):
        raise UserError(f"{name} must be a mapping of settings, such as `clusterName: prod`")
    lines: dict[str, int] = {}
    _collect(name, node, "", lines)
    return SettingsFile(name, values, lines)


def _collect(name: str, node: yaml.MappingNode, prefix: str, lines: dict[str, int]) -> None:
    for key, value in node.value:
        path = prefix + str(key.value)
        line = key.start_mark.line + 1
        if path in lines:
            raise UserError(f"{name}:{line} says {path} again, after line {lines[path]}: keep one of them")
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise UserError(f"{name}:{line}: the key {key.value!r} must be a text: write it in quotes")
        lines[path] = line
        if isinstance(value, yaml.MappingNode):
            _collect(name, value, f"{path}.", lines)
