"""Reference of YAML keys: of protocols, and of the files that `mofmd learn` reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import text

from mofmd.learning.data.distort import Distortion
from mofmd.learning.loops.config import DistilConfig
from mofmd.learning.loops.density_find import ClusterOptions, DensityOptions
from mofmd.learning.sample.conditions import DEFAULTS
from mofmd.learning.sample.sampling import SampleOptions
from mofmd.learning.train.options import TrainOptions
from mofmd.simulation.deck.protocol_file import known_protocols
from mofmd.simulation.protocols.base.fields import expected_of
from mofmd.simulation.protocols.base.protocol import Protocol

TAKES = {"charges": "mapping, such as {Fe: 2}"}
HEAD = ("key", "unit", "default", "takes", "meaning")
_WORDS = {str: "text", Path: "file", int: "whole number", float: "number", bool: "true or false"}


def protocols_page() -> str:
    """Write the reference of all protocols."""
    kinds = known_protocols()
    shared = {each.name for each in fields(Protocol)}
    rows = [(f"[`{name}`](#protocol-{name})", text.summary(kind)) for name, kind in kinds.items()]
    parts = [text.table(("protocol", "what it does"), rows)]
    parts.append("## Keys of every protocol\n\n" + _table(Protocol, {}, shared))
    for name, kind in kinds.items():
        own = {each.name for each in fields(kind)} - shared
        parts.append(f"(protocol-{name})=\n## {name}\n\n{text.prose(kind)}")
        parts.append(f"Python: {{py:class}}`~{kind.__module__}.{kind.__qualname__}`")
        parts.append(_table(kind, {}, own))
        changed = {
            each.name
            for each in fields(kind)
            if each.name in shared and each.default != _default_in(Protocol, each.name)
        }
        if changed:
            parts.append("Other defaults than above:\n\n" + _table(kind, {}, changed))
    return "\n\n".join(parts)


def sampling_page() -> str:
    """Write the defaults of sampling runs that differ from the protocols'."""
    rows = [(text.code(name), text.unit_of(name), text.code(DEFAULTS[name])) for name in DEFAULTS]
    return text.table(("field", "unit", "default of a sampling run"), rows)


def distil_page() -> str:
    """Write the reference of a distillation's file."""
    groups = {
        "training": TrainOptions,
        "sampling": SampleOptions,
        "distortion": Distortion,
        "density": DensityOptions,
        "clusters": ClusterOptions,
    }
    own = {each.name for each in fields(DistilConfig)} - {"text"}
    given = {name: f"[keys below](#distil-{name})" for name in groups}
    parts = [_table(DistilConfig, given, own)]
    # what the file holds elsewhere than in the group
    elsewhere = {"training": {"stress"}}
    for name, kind in groups.items():
        keys = {each.name for each in fields(kind)} - elsewhere.get(name, set())
        parts.append(
            f"(distil-{name})=\n### {name}\n\n{text.prose(kind)}\n\n{_table(kind, TAKES, keys)}"
        )
    return "\n\n".join(parts)


def _table(kind: type, takes: Mapping[str, str], names: set[str]) -> str:
    meanings = text.parameters(kind)
    hints = get_type_hints(kind)
    rows = []
    for each in fields(kind):  # type: ignore[arg-type]
        if each.name in names:
            what = takes.get(each.name) or expected_of(each) or _takes(hints[each.name])
            meaning = meanings.get(each.name)
            if not meaning:
                raise ValueError(f"{kind.__name__}: no docstring says what {each.name} is")
            rows.append(
                (text.code(each.name), text.unit_of(each.name), _default(each), what, meaning)
            )
    return text.table(HEAD, rows)


def _default_in(kind: type, name: str) -> Any:
    return next(each.default for each in fields(kind) if each.name == name)  # type: ignore[arg-type]


def _default(each: Field[Any]) -> str:
    if each.default is MISSING:
        return "" if each.default_factory is not MISSING else "required"
    if isinstance(each.default, tuple):
        return text.code(list(each.default))
    words = {None: "null", True: "true", False: "false"}
    plain = each.default if isinstance(each.default, int | float) else None
    if isinstance(each.default, bool) or each.default is None:
        return text.code(words[each.default])
    return text.code(f"{plain:g}" if plain is not None else each.default)


def _takes(kind: Any) -> str:
    """Say what a key takes, by the type of the field."""
    if get_origin(kind) in (Union, UnionType):
        some = [each for each in get_args(kind) if each is not NoneType]
        return " or ".join([*map(_takes, some), "null"])
    if get_origin(kind) is Literal:
        return " or ".join(map(text.code, get_args(kind)))
    if get_origin(kind) is tuple:
        inner = get_args(kind)
        many = inner[-1] is Ellipsis
        return f"list of {_takes(inner[0])}s" if many else f"{len(inner)} {_takes(inner[0])}s"
    return "" if is_dataclass(kind) else _WORDS[kind]
