"""YAML files that hold a mapping."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mofmd.errors import InputError, MissingFileError


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, in which no key may occur twice."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such file")
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_UniqueKeys)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected lines of the form key: value")
    return values


class _UniqueKeys(yaml.SafeLoader):
    """YAML as usual, but a key that is given twice is refused."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.YAMLError(f"a key that is no word{key_node.start_mark}")
            if key_node.value in seen:
                raise yaml.YAMLError(f"{key_node.value}: given twice{key_node.start_mark}")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)
