"""Configurations of the frameworks' trainers: a commented YAML file, and what is changed in it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from mofmd.disk.yaml_file import read_mapping
from mofmd.errors import InputError, did_you_mean
from mofmd.learning.train.options import Family

CONFIGS = Path(__file__).parent / "configs"


def read_template(family: Family, config: Path | None = None) -> dict[str, Any]:
    """Read the package's configuration of a family, or a file of the user's in its place."""
    return read_mapping(CONFIGS / f"{family}.yaml" if config is None else config)


def chosen_size(template: Mapping[str, Any], size: str) -> dict[str, Any]:
    """Values of one of a configuration's ``sizes``; none where it has no sizes at all.

    Raises
    ------
    InputError
        If it has no such size.
    """
    sizes = template.get("sizes")
    if sizes is None:
        return {}
    if size not in sizes:
        raise InputError(f"size: {size!r} is not one of {', '.join(sizes)}")
    return dict(sizes[size])


def change(config: dict[str, Any], settings: Sequence[str]) -> None:
    """Set keys, given as ``key.of.key=value`` with YAML values, in place.

    A leading ``+`` adds a key that the configuration does not have.

    Raises
    ------
    InputError
        If a key does not exist, with the nearest one that does.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name.strip("+"):
            raise InputError(f"set: {setting!r}, expected key=value")
        *parents, last = name.removeprefix("+").split(".")
        place: Any = config
        for key in parents:
            _require(place, key, name)
            place = place[key]
        if not name.startswith("+"):
            _require(place, last, name)
        if not isinstance(place, dict):
            raise InputError(f"set {name}: {'.'.join(parents)} is no group of keys")
        try:
            place[last] = _value(text)
        except yaml.YAMLError as error:
            raise InputError(f"set {name}: {text!r} is not a YAML value") from error


def _value(text: str) -> Any:
    """Read a YAML value; 1e-3, which YAML takes for a word, is a number."""
    value = yaml.safe_load(text)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _require(place: Any, key: str, name: str) -> None:
    known = list(place) if isinstance(place, dict) else []
    if key not in known:
        names = [str(each) for each in known]
        hint = did_you_mean(key, names) or f"; there are {', '.join(names)}"
        raise InputError(f"set {name}: the configuration has no {key!r}{hint} (+{name} adds it)")
