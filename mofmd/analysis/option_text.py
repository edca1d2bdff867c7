"""Values of options as text: numbers, elements, pairs of elements, and numbers for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from mofmd.errors import InputError, did_you_mean

Parser = Callable[[str, str], Any]  # of a value, and of what errors name


def number(text: str, where: str) -> float:
    """Read a finite number."""
    try:
        value = float(text)
    except ValueError:
        raise InputError(f"{where}: {text!r} is no number") from None
    if not math.isfinite(value):
        raise InputError(f"{where}: {text!r}, expected a finite number")
    return value


def whole_number(text: str, where: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"{where}: {text!r} is no whole number") from None


def whole_numbers(text: str, where: str) -> tuple[int, ...]:
    """Read whole numbers: ``4,6``."""
    return tuple(whole_number(part, where) for part in words(text, where))


def word(text: str, where: str) -> str:
    """Read a word."""
    found = text.strip()
    if not found:
        raise InputError(f"{where}: expected a word")
    return found


def flag(text: str, where: str) -> bool:
    """Read yes or no."""
    known = {"yes": True, "true": True, "no": False, "false": False}
    if text.lower() not in known:
        raise InputError(f"{where}: {text!r}, expected yes or no")
    return known[text.lower()]


def words(text: str, where: str) -> tuple[str, ...]:
    """Read elements: ``Zn,N``."""
    found = tuple(word.strip() for word in text.split(","))
    if not all(found):
        raise InputError(f"{where}: expected values with commas between them")
    return found


def two_numbers(text: str, where: str) -> tuple[float, float]:
    """Read a range: ``0.1:0.5``."""
    low, separator, high = text.partition(":")
    if not separator:
        raise InputError(f"{where}: expected two numbers, such as 0.1:0.5")
    return number(low, where), number(high, where)


def pairs(text: str, where: str) -> list[tuple[str, str]]:
    """Read pairs of elements: ``Zn-N,Zn-Zn``."""
    return [_elements(word, where, 2) for word in words(text, where)]


def triples(text: str, where: str) -> list[tuple[str, str, str]]:
    """Read triples of elements, the centre between the others: ``N-Zn-N``."""
    return [_elements(word, where, 3) for word in words(text, where)]


def numbers_by_element(text: str, where: str) -> dict[str, float]:
    """Read a number for each of some elements: ``Ce:2.0,Zn:1.39``."""
    found = dict(_named_number(word, where, "Ce:2.0") for word in words(text, where))
    for name in found:
        _check_element(name, where)
    return found


def numbers_by_pair(text: str, where: str) -> dict[tuple[str, str], float]:
    """Read a number for each of some pairs of elements: ``Zn-N:2.5,Zr-O:2.6``."""
    named = (_named_number(word, where, "Zr-O:2.6") for word in words(text, where))
    return {_elements(name, where, 2): value for name, value in named}


def limits(text: str, where: str) -> dict[tuple[str, str] | None, float]:
    """Read one number for all pairs (None), or one for each of some: ``2.5`` or ``Zr-O:2.6``."""
    if ":" in text:
        return dict(numbers_by_pair(text, where).items())
    return {None: number(text, where)}


def limit_of(given: Mapping[tuple[str, str] | None, float], pair: tuple[str, str]) -> float | None:
    """Take the limit that was given for a pair in either order or for all; None if there is none.

    Parameters
    ----------
    given
        What ``limits`` read.
    pair
        Two elements.
    """
    found = (given.get(key) for key in (pair, pair[::-1], None))
    return next((limit for limit in found if limit is not None), None)


def _named_number(text: str, where: str, example: str) -> tuple[str, float]:
    name, separator, value = text.partition(":")
    if not separator:
        raise InputError(f"{where}: {text!r}, expected a name and a number, such as {example}")
    return name.strip(), number(value, where)


def _elements(text: str, where: str, count: int) -> Any:
    found = tuple(word.strip() for word in text.split("-"))
    if len(found) != count or not all(found):
        raise InputError(f"{where}: {text!r}, expected {count} elements, such as {EXAMPLES[count]}")
    for name in found:
        _check_element(name, where)
    return found


def _check_element(name: str, where: str) -> None:
    from ase.data import atomic_numbers

    if name not in atomic_numbers:
        raise InputError(f"{where}: {name!r} is no element{did_you_mean(name, atomic_numbers)}")


EXAMPLES = {2: "Zn-N", 3: "N-Zn-N"}
