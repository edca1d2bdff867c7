"""Tables of numbers in text, parsed by compiled code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.compiled import compiled
from mofmd.errors import InputError

# what a column is; a number from zero on is the column of the result that it goes to
SKIP, NAME, ID = -1, -2, -3
POWERS = 10.0 ** np.arange(23)  # exact in float64
MANTISSA_MAX = 900719925474098  # ten times this and nine more stay below 2**53
NAME_LENGTH = 8
HARD_MAX = 4096
NAMES_MAX = 128


@dataclass(frozen=True)
class Rows:
    """Parsed rows.

    Parameters
    ----------
    ids
        (rows,) integers of the ID column, zero without one.
    names
        (rows,) words of the NAME column, up to eight bytes packed into an integer.
    values
        (rows, columns) float64.
    """

    ids: np.ndarray
    names: np.ndarray
    values: np.ndarray


def parse_table(text: bytes, n_rows: int, kinds: np.ndarray, where: str) -> Rows:
    """Parse the first rows of a table of words separated by blanks.

    Every number becomes the float64 that is nearest to its decimal digits, as ``float`` does it:
    up to 15 digits and powers of ten to 22 by one exact operation, others by ``float`` itself.

    Parameters
    ----------
    text
        Lines, each ended by a newline.
    n_rows
        Rows to read.
    kinds
        (columns,) SKIP, NAME, ID, or the column of ``values``.
    where
        Names the table in errors.

    Raises
    ------
    InputError
        If a row is missing, short, or a word is no number.
    """
    data = np.frombuffer(text, dtype=np.uint8)
    rows = Rows(
        ids=np.zeros(n_rows, dtype=np.int64),
        names=np.zeros(n_rows, dtype=np.uint64),
        values=np.empty((n_rows, max(0, kinds.max(initial=-1)) + 1)),
    )
    done = 0
    start = 0
    hard = np.empty((HARD_MAX, 4), dtype=np.int64)
    while done < n_rows:
        read, start, n_hard = _parse(data, start, done, kinds, *_arrays(rows), hard)
        if read < 0:
            raise InputError(f"{where}: row {-read} is incomplete: {_line(text, start)!r}")
        for row, column, begin, end in hard[:n_hard]:
            word = text[begin:end]
            try:
                rows.values[row, column] = float(word)
            except ValueError:
                raise InputError(
                    f"{where}: row {row + 1} has {word.decode(errors='replace')!r}, expected a "
                    "number"
                ) from None
        done = read
    return rows


def distinct_names(names: np.ndarray) -> tuple[tuple[str, ...], np.ndarray]:
    """Different words of the NAME column, and each row's index among them."""
    found = np.zeros(NAMES_MAX, dtype=np.uint64)
    codes = np.zeros(len(names), dtype=np.int64)
    n_found = _distinct(names, found, codes)
    if n_found < 0:
        raise InputError(f"elements: more than {NAMES_MAX} different words; is that the column?")
    return tuple(unpack_name(packed) for packed in found[:n_found]), codes


def unpack_name(packed: int) -> str:
    """Word of the NAME column."""
    return int(packed).to_bytes(NAME_LENGTH, "big").lstrip(b"\0").decode("utf-8", "replace")


def _arrays(rows: Rows) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return rows.ids, rows.names, rows.values


def _line(text: bytes, position: int) -> str:
    begin = text.rfind(b"\n", 0, position) + 1
    end = text.find(b"\n", position)
    return text[begin : end if end >= 0 else None].decode(errors="replace")[:60]


@compiled
def _parse(  # noqa: PLR0912, PLR0913, PLR0915, PLR0917 - one loop over bytes
    data: np.ndarray,
    pos: int,
    row: int,
    kinds: np.ndarray,
    ids: np.ndarray,
    names: np.ndarray,
    values: np.ndarray,
    hard: np.ndarray,
) -> tuple[int, int, int]:
    """Rows parsed (negative: the row that is incomplete), position, words left to ``float``."""
    size = len(data)
    n_hard = 0
    n_columns = len(kinds)
    while row < len(ids):
        if n_hard + n_columns > len(hard):
            return row, pos, n_hard
        for column in range(n_columns):
            while pos < size and (data[pos] == 32 or data[pos] == 9):
                pos += 1
            begin = pos
            kind = kinds[column]
            if kind >= 0 or kind == ID:
                negative = False
                if pos < size and (data[pos] == 45 or data[pos] == 43):
                    negative = data[pos] == 45
                    pos += 1
                mantissa = 0
                scale = 0
                fraction = 0
                digits = 0
                exact = True
                while pos < size:
                    c = data[pos]
                    if 48 <= c <= 57:
                        if mantissa <= MANTISSA_MAX:
                            mantissa = mantissa * 10 + (c - 48)
                            scale -= fraction
                        else:
                            exact = False
                        digits += 1
                    elif c == 46 and fraction == 0:
                        fraction = 1
                    else:
                        break
                    pos += 1
                if pos < size and (data[pos] == 101 or data[pos] == 69) and digits > 0:
                    pos += 1
                    minus = False
                    if pos < size and (data[pos] == 45 or data[pos] == 43):
                        minus = data[pos] == 45
                        pos += 1
                    exponent = 0
                    digits = 0
                    while pos < size and 48 <= data[pos] <= 57:
                        exponent = min(9999, exponent * 10 + (data[pos] - 48))
                        digits += 1
                        pos += 1
                    scale += -exponent if minus else exponent
                ended = pos >= size or data[pos] <= 32
                if digits == 0 or not ended or not exact or abs(scale) > 22:
                    while pos < size and data[pos] > 32:
                        pos += 1
                    if kind == ID:
                        return -(row + 1), begin, n_hard
                    if pos > begin:
                        hard[n_hard, 0] = row
                        hard[n_hard, 1] = kind
                        hard[n_hard, 2] = begin
                        hard[n_hard, 3] = pos
                        n_hard += 1
                elif kind == ID:
                    ids[row] = -mantissa if negative else mantissa
                else:
                    value = float(mantissa)
                    if scale < 0:
                        value /= POWERS[-scale]
                    else:
                        value *= POWERS[scale]
                    values[row, kind] = -value if negative else value
            else:
                packed = np.uint64(0)
                while pos < size and data[pos] > 32:
                    packed = (packed << np.uint64(8)) | np.uint64(data[pos])
                    pos += 1
                if kind == NAME:
                    names[row] = packed
                    if pos - begin > NAME_LENGTH:
                        return -(row + 1), begin, n_hard
            if pos == begin:
                return -(row + 1), begin, n_hard
        while pos < size and data[pos] != 10:
            pos += 1
        if pos >= size:
            return -(row + 1), pos, n_hard
        pos += 1
        row += 1
    return row, pos, n_hard


@compiled
def _distinct(names: np.ndarray, found: np.ndarray, codes: np.ndarray) -> int:
    n_found = 0
    last = 0
    for row in range(len(names)):
        name = names[row]
        if last >= n_found or found[last] != name:
            last = 0
            while last < n_found and found[last] != name:
                last += 1
            if last == n_found:
                if n_found == len(found):
                    return -1
                found[n_found] = name
                n_found += 1
        codes[row] = last
    return n_found
