"""Decimal numbers in bytes, parsed by compiled code: exact, or left to ``float``.

A number of up to 15 digits whose power of ten is at most 22 is one whole number below 2**53 and one
exact power of ten: their quotient or product is rounded once, so that it is the float64 nearest to
the digits (Clinger, PLDI 1990, 92). Eight digits at a time are turned into a number by three
multiplications, as in simdjson (Langdale and Lemire, VLDB J. 2019, 28, 941).
"""

from __future__ import annotations

import sys

import numpy as np

from mofmd.compiled import compiled, inlined
from mofmd.trajectory.text.byte_access import byte_at, eight_bytes_at

POWERS = 10.0 ** np.arange(23)  # exact in float64
TENS = 10 ** np.arange(16, dtype=np.int64)
MANTISSA_MAX = 900719925474098  # ten times this and nine more stay below 2**53
DIGITS_MAX = 15
# bytes from the start of a word in the common form that may be looked at
REACH = 40
# eight bytes are read as one number whose lowest byte is the first character
LITTLE_ENDIAN = sys.byteorder == "little"
ZEROS = np.uint64(0x3030303030303030)
POINTS = np.uint64(0x2E2E2E2E2E2E2E2E)
PRINTED = np.uint64(0x2121212121212121)  # the first character that is no blank
NINES = np.uint64(0x7676767676767676)  # carries into the highest bit from ten on
HIGHEST = np.uint64(0x8080808080808080)
LOWEST = np.uint64(0x0101010101010101)
PAIRS = np.uint64(0x000000FF000000FF)
FIRST_PAIRS = np.uint64(0x000F424000000064)
SECOND_PAIRS = np.uint64(0x0000271000000001)
ZERO, ONE, TEN = np.uint64(0), np.uint64(1), np.uint64(10)
BYTE, TWO_BYTES, FOUR_BYTES, SEVEN_BYTES = (np.uint64(8 * n) for n in (1, 2, 4, 7))


@inlined
def _first(marks: np.uint64) -> int:
    """Which of eight bytes is the first that is marked in its highest bit."""
    below = (marks & (~marks + ONE)) - ONE
    return int(((below & LOWEST) * LOWEST) >> SEVEN_BYTES) - 1


@inlined
def word_length(data: np.ndarray, pos: int) -> int:
    """Characters before the next blank, up to 23; −1 if there are more."""
    # the borrow of a subtraction can mark only bytes behind the first that is marked
    for part in range(3):
        word = eight_bytes_at(data, pos + 8 * part)
        marks = (word - PRINTED) & ~word & HIGHEST
        if marks != ZERO:
            return 8 * part + _first(marks)
    return -1


@inlined
def _number(digits: np.uint64) -> int:
    """Turn eight digits, the first in the lowest byte, into a number."""
    pairs = digits * TEN + (digits >> BYTE)
    first = (pairs & PAIRS) * FIRST_PAIRS
    second = ((pairs >> TWO_BYTES) & PAIRS) * SECOND_PAIRS
    return int((first + second) >> FOUR_BYTES)


@inlined
def common_number(data: np.ndarray, pos: int) -> tuple[int, int, int]:
    """Parse ``-1234567.12345678...`` where REACH bytes follow.

    Where a word ends is found by itself, so that a processor can begin with the next one before
    this one is a number.

    Returns
    -------
    mantissa, decimals, end
        The digits without the point, how many stand behind it, and where the word ends; an end of
        −1 if it has another form.
    """
    end = pos + word_length(data, pos)
    negative = byte_at(data, pos) == 45
    if negative:
        pos += 1
    size = end - pos
    word = eight_bytes_at(data, pos)
    unlike = word ^ POINTS
    marks = (unlike - LOWEST) & ~unlike & HIGHEST
    n_whole = min(size, 8 if marks == ZERO else _first(marks))
    decimals = size - n_whole - 1
    if n_whole < 1 or n_whole > 7 or size > DIGITS_MAX + 1 or decimals == 0:
        return 0, 0, -1
    digits = (word ^ ZEROS) << np.uint64(64 - 8 * n_whole)
    mantissa = _number(digits)
    bad = (digits + NINES) | digits
    if decimals > 0:
        count = min(decimals, 8)
        digits = (eight_bytes_at(data, pos + n_whole + 1) ^ ZEROS) << np.uint64(64 - 8 * count)
        bad |= (digits + NINES) | digits
        mantissa = mantissa * TENS[count] + _number(digits)
        if decimals > 8:
            digits = (eight_bytes_at(data, end - 8) ^ ZEROS) >> np.uint64(8 * (16 - decimals))
            digits <<= np.uint64(8 * (16 - decimals))
            bad |= (digits + NINES) | digits
            mantissa = mantissa * TENS[decimals - 8] + _number(digits)
    else:
        decimals = 0
    # minus zero is no whole number
    if bad & HIGHEST != ZERO or (negative and mantissa == 0):
        return 0, 0, -1
    return -mantissa if negative else mantissa, decimals, end


@compiled
def any_number(data: np.ndarray, pos: int) -> tuple[int, int, int, bool]:
    """Parse a number in any form.

    Returns
    -------
    mantissa, scale, end, exact
        The number is mantissa · 10**scale if it is exact, and for ``float`` to read otherwise.
    """
    negative = byte_at(data, pos) == 45
    if negative or byte_at(data, pos) == 43:
        pos += 1
    mantissa = 0
    scale = 0
    fraction = 0
    digits = 0
    exact = True
    while 48 <= byte_at(data, pos) <= 57 or (byte_at(data, pos) == 46 and fraction == 0):
        if byte_at(data, pos) == 46:
            fraction = 1
        else:
            if mantissa <= MANTISSA_MAX:
                mantissa = mantissa * 10 + (byte_at(data, pos) - 48)
                scale -= fraction
            else:
                exact = False
            digits += 1
        pos += 1
    if digits > 0 and (byte_at(data, pos) == 101 or byte_at(data, pos) == 69):
        pos += 1
        minus = byte_at(data, pos) == 45
        if minus or byte_at(data, pos) == 43:
            pos += 1
        exponent = 0
        digits = 0
        while 48 <= byte_at(data, pos) <= 57:
            exponent = min(9999, exponent * 10 + (byte_at(data, pos) - 48))
            digits += 1
            pos += 1
        scale += -exponent if minus else exponent
    exact = exact and digits > 0 and byte_at(data, pos) <= 32 and abs(scale) <= 22
    while byte_at(data, pos) > 32:
        pos += 1
    exact = exact and not (negative and mantissa == 0)
    return -mantissa if negative else mantissa, scale, pos, exact
