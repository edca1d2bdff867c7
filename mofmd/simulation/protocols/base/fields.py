"""Fields of protocols: numbers that check themselves, by the name that the user wrote."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import MISSING, Field, field, fields
from typing import Any

from mofmd.errors import InputError

Check = Callable[[str, Any], Any]  # of the name and the value, to the value as it is kept


def positive(default: float) -> Any:
    """Field for a number of more than zero."""
    return _field(default, _check_positive, _POSITIVE)


def non_negative(default: float) -> Any:
    """Field for a number of zero or more."""
    return _field(default, _check_non_negative, _NON_NEGATIVE)


def number(default: float) -> Any:
    """Field for any finite number."""
    return _field(default, _check_finite, _NUMBER)


def whole(default: int, least: int = 1, most: int | None = None) -> Any:
    """Field for a whole number of at least ``least``, and at most ``most``."""
    return _field(default, _whole_check(least, most), _whole(least, most))


def choice(default: str, allowed: tuple[str, ...]) -> Any:
    """Field for one of a few words."""
    return _field(default, _choice_check(allowed), _choice(allowed))


def numbers(default: tuple[float, ...]) -> Any:
    """Field for as many finite numbers as the default has."""
    return _field(default, _numbers_check(len(default)), _numbers(len(default)))


def number_list(default: tuple[float, ...], *, positive_only: bool = False) -> Any:
    """Field for one or more numbers, each once; for none as well where none is the default."""
    check = _list_check(positive_only, may_be_empty=not default)
    return _field(default, check, _list(positive_only))


def wholes(default: tuple[int, ...]) -> Any:
    """Field for as many whole numbers of at least 1 as the default has."""
    return _field(default, _wholes_check(len(default)), _wholes(len(default)))


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


def expected_of(each: Field[Any]) -> str:
    """Say what values a field takes, in the words of its messages; empty where any will do."""
    return str(each.metadata.get("expected", ""))


def default_of(each: Field[Any]) -> Any:
    """Give the default of a field; None where it has none."""
    return None if each.default is MISSING else each.default


# what a field takes, in words: for messages and for the reference
_POSITIVE = "a number of more than zero"
_NON_NEGATIVE = "a number of zero or more"
_NUMBER = "a number"
_COUNT_WORDS = {3: "three", 6: "six"}


def _whole(least: int, most: int | None = None) -> str:
    return f"a whole number of at least {least}" + ("" if most is None else f", at most {most}")


def _choice(allowed: tuple[str, ...]) -> str:
    return f"one of {', '.join(allowed)}"


def _numbers(count: int) -> str:
    return f"{_COUNT_WORDS.get(count, str(count))} numbers"


def _list(positive_only: bool) -> str:
    return f"a list of {'numbers of more than zero' if positive_only else 'numbers'}"


def _wholes(count: int) -> str:
    return f"{_COUNT_WORDS.get(count, str(count))} whole numbers of at least 1"


def _field(default: Any, check: Check, expected: str) -> Any:
    return field(default=default, metadata={"check": check, "expected": expected})


def _finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _check_positive(name: str, value: Any) -> float:
    if not _finite(value) or value <= 0:
        raise InputError(f"{name}: {value!r}, expected {_POSITIVE}")
    return float(value)


def _check_non_negative(name: str, value: Any) -> float:
    if not _finite(value) or value < 0:
        raise InputError(f"{name}: {value!r}, expected {_NON_NEGATIVE}")
    return float(value)


def _check_finite(name: str, value: Any) -> float:
    if not _finite(value):
        raise InputError(f"{name}: {value!r}, expected {_NUMBER}")
    return float(value)


def _is_whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _whole_check(least: int, most: int | None) -> Any:
    def check(name: str, value: Any) -> int:
        if not _is_whole(value, least) or (most is not None and value > most):
            raise InputError(f"{name}: {value!r}, expected {_whole(least, most)}")
        return int(value)

    return check


def _choice_check(allowed: tuple[str, ...]) -> Any:
    def check(name: str, value: Any) -> str:
        if value not in allowed:
            raise InputError(f"{name}: {value!r}, expected {_choice(allowed)}")
        return str(value)

    return check


def _numbers_check(count: int) -> Any:
    def check(name: str, value: Any) -> tuple[float, ...]:
        if (
            not isinstance(value, list | tuple)
            or len(value) != count
            or not all(map(_finite, value))
        ):
            raise InputError(f"{name}: {value!r}, expected {_numbers(count)}")
        return tuple(float(each) for each in value)

    return check


def _list_check(positive_only: bool, *, may_be_empty: bool) -> Any:
    def check(name: str, value: Any) -> tuple[float, ...]:
        fits = isinstance(value, list | tuple) and all(map(_finite, value))
        fits = fits and (len(value) > 0 or may_be_empty)
        if not fits or (positive_only and any(each <= 0 for each in value)):
            raise InputError(f"{name}: {value!r}, expected {_list(positive_only)}, such as [1, 2]")
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
            raise InputError(f"{name}: {value!r}, expected {_wholes(count)}")
        return tuple(int(each) for each in value)

    return check
