"""Fields of protocols: numbers that check themselves, by the name that the user wrote."""

from __future__ import annotations

import math
import re
from dataclasses import MISSING, Field, field, fields
from typing import Any

from mofmd.errors import InputError


def positive(default: float) -> Any:
    """Field for a number of more than zero."""
    return field(default=default, metadata={"check": _check_positive})


def non_negative(default: float) -> Any:
    """Field for a number of zero or more."""
    return field(default=default, metadata={"check": _check_non_negative})


def number(default: float) -> Any:
    """Field for any finite number."""
    return field(default=default, metadata={"check": _check_finite})


def whole(default: int, least: int = 1) -> Any:
    """Field for a whole number of at least ``least``."""
    return field(default=default, metadata={"check": _whole_check(least)})


def choice(default: str, allowed: tuple[str, ...]) -> Any:
    """Field for one of a few words."""
    return field(default=default, metadata={"check": _choice_check(allowed)})


def numbers(default: tuple[float, ...]) -> Any:
    """Field for as many finite numbers as the default has."""
    return field(default=default, metadata={"check": _numbers_check(len(default))})


def number_list(default: tuple[float, ...], *, positive_only: bool = False) -> Any:
    """Field for one or more numbers, each once."""
    return field(default=default, metadata={"check": _list_check(positive_only)})


def wholes(default: tuple[int, ...]) -> Any:
    """Field for as many whole numbers of at least 1 as the default has."""
    return field(default=default, metadata={"check": _wholes_check(len(default))})


def check_fields(record: Any) -> None:
    """Check and normalise every field of a frozen dataclass that was declared with this module.

    Raises
    ------
    InputError
        Naming the field, what it holds and what it may hold.
    """
    for each in fields(record):
        check = each.metadata.get("check")
        if check is not None:
            # 300 and 300.0, [2, 2, 2] and (2, 2, 2) are the same protocol: one manifest
            object.__setattr__(record, each.name, check(each.name, getattr(record, each.name)))


def default_of(each: Field[Any]) -> Any:
    """Give the default of a field; None where it has none."""
    return None if each.default is MISSING else each.default


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_positive(name: str, value: Any) -> float:
    if not _finite(value) or value <= 0:
        raise InputError(f"{name}: {value!r}, expected a number of more than zero")
    return float(value)


def _check_non_negative(name: str, value: Any) -> float:
    if not _finite(value) or value < 0:
        raise InputError(f"{name}: {value!r}, expected a number of zero or more")
    return float(value)


def _check_finite(name: str, value: Any) -> float:
    if not _finite(value):
        raise InputError(f"{name}: {value!r}, expected a number")
    return float(value)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _whole_check(least: int) -> Any:
    def check(name: str, value: Any) -> int:
        if not _is_whole(value, least):
            raise InputError(f"{name}: {value!r}, expected a whole number of at least {least}")
        return int(value)

    return check


def _choice_check(allowed: tuple[str, ...]) -> Any:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise InputError(f"{name}: {value!r}, expected one of {', '.join(allowed)}")
        return str(value)

    return check


_COUNT_WORDS = {3: "three", 6: "six"}


def _numbers_check(count: int) -> Any:
    def check(name: str, value: Any) -> tuple[float, ...]:
        if (
            not isinstance(value, list | tuple)
            or len(value) != count
            or not all(map(_finite, value))
        ):
            words = _COUNT_WORDS.get(count, str(count))
            raise InputError(f"{name}: {value!r}, expected {words} numbers")
        return tuple(float(each) for each in value)

    return check


def _list_check(positive_only: bool) -> Any:
    def check(name: str, value: Any) -> tuple[float, ...]:
        fits = isinstance(value, list | tuple) and len(value) > 0 and all(map(_finite, value))
        if not fits or (positive_only and min(value) <= 0):
            kind = "numbers of more than zero" if positive_only else "numbers"
            raise InputError(f"{name}: {value!r}, expected a list of {kind}, such as [1, 2]")
        found = tuple(float(each) for each in value)
        if len(set(found)) != len(found):
            raise InputError(f"{name}: {value!r} holds a number twice; leave one out")
        return found

    return check


def _wholes_check(count: int) -> Any:
    def check(name: str, value: Any) -> tuple[int, ...]:
        if isinstance(value, str) and re.fullmatch(r"\d+([x×]\d+)+", value):
            value = [int(word) for word in re.split("[x×]", value)]  # 2x2x1
        fits = isinstance(value, list | tuple) and len(value) == count
        if not fits or not all(_is_whole(each, 1) for each in value):
            words = _COUNT_WORDS.get(count, str(count))
            raise InputError(f"{name}: {value!r}, expected {words} whole numbers of at least 1")
        return tuple(int(each) for each in value)

    return check
