"""YAML files that hold a mapping, and single values; numbers are what people write as numbers."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from mofmd.errors import InputError, MissingFileError, absent

_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_OTHERS = (_INT, _FLOAT, "tag:yaml.org,2002:timestamp")  # those of version 1.1


def read_mapping(path: Path) -> dict[str, Any]:
    """Read a YAML file that holds a mapping, in which no key may occur twice."""
    if not path.is_file():
        raise MissingFileError(f"{path}: {absent(path)}")
    try:
        return parse_mapping(path.read_text(encoding="utf-8"), str(path))
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: cannot be read as YAML: {error}") from error


def parse_mapping(text: str, name: str) -> dict[str, Any]:
    """Read the text of such a file; ``name`` stands for it in messages."""
    try:
        values = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise InputError(f"{name}: cannot be read as YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{name}: expected lines of the form key: value")
    return values


def parse_value(text: str) -> Any:
    """Read a single value.

    Raises
    ------
    yaml.YAMLError
        If it is none.

    Examples
    --------
    >>> parse_value("1e-5"), parse_value("3e2"), parse_value("300"), parse_value("[2, 1e3]")
    (1e-05, 300.0, 300, [2, 1000.0])
    >>> parse_value("0300"), parse_value("1:30"), parse_value("0x10")
    (300, '1:30', '0x10')
    """
    return yaml.load(text, Loader=_Loader)


def _decimal(_: yaml.SafeLoader, node: yaml.Node) -> int:
    return int(node.value)


class _Loader(yaml.SafeLoader):
    """YAML, but a key that is given twice is refused, and numbers are those of version 1.2.

    PyYAML knows version 1.1 of YAML, where 0300 is 192 (octal) and 1:30 is 90, and where a number
    with an exponent needs a point and a sign. Here digits are decimal ones; anything else is text,
    which is refused where a number is expected.
    """

    # per first character, as the base class keeps them
    yaml_implicit_resolvers = {  # noqa: RUF012 - a class variable of the base
        first: [(tag, pattern) for tag, pattern in known if tag not in _OTHERS]
        for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise yaml.YAMLError(f"a key that is no word{key_node.start_mark}")
            if key_node.value in seen:
                raise yaml.YAMLError(f"{key_node.value}: given twice{key_node.start_mark}")
            seen.add(key_node.value)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(_INT, re.compile(r"[-+]?[0-9]+\Z"), list("-+0123456789"))
_Loader.add_implicit_resolver(
    _FLOAT,
    re.compile(
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z"
        r"|[-+]?\.(inf|Inf|INF)\Z|\.(nan|NaN|NAN)\Z"
    ),
    list("-+.0123456789"),
)
_Loader.add_constructor(_INT, _decimal)
