"""Tables of numbers in text, parsed by compiled code."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.compiled import compiled
from mofmd.errors import InputError
from mofmd.trajectory.text.byte_access import byte_at
from mofmd.trajectory.text.decimal import (
    LITTLE_ENDIAN,
    POWERS,
    REACH,
    any_number,
    common_number,
    word_length,
)

# what a column is; a number from zero on is the column of the result that it goes to
SKIP, NAME, ID = -1, -2, -3
NAME_LENGTH = 8
HARD_MAX = 4096
ENDS = np.full(16, ord("\n"), dtype=np.uint8)


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


def parse_table(text: bytes | memoryview, n_rows: int, kinds: np.ndarray, where: str) -> Rows:
    """Parse the first rows of a table of words separated by blanks.

    Every number becomes the float64 that is nearest to its decimal digits, as ``float`` does it:
    what ``mofmd.trajectory.text.decimal`` cannot do exactly is left to ``float`` itself.

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
    # the parser stops at newlines alone
    if len(data) < len(ENDS) or data[-1] != ENDS[-1]:
        data = np.concatenate([data, ENDS])
        # of one type with what comes from bytes, or all would be compiled twice
        data.setflags(write=False)
    # a garbled number of atoms must not ask for more memory than the text could fill
    if n_rows > len(text):
        raise InputError(
            f"{where}: has {bytes(text).count(10)} rows, {n_rows} are announced; the number is "
            "wrong, or rows are missing"
        )
    rows = Rows(
        ids=np.zeros(n_rows, dtype=np.int64),
        names=np.zeros(n_rows, dtype=np.uint64),
        values=np.empty((n_rows, max(0, kinds.max(initial=-1)) + 1)),
    )
    done = 0
    start = 0
    hard = np.empty((HARD_MAX, 4), dtype=np.int64)
    while done < n_rows:
        read, start, n_hard = _parse(
            data, start, done, kinds, rows.ids, rows.names, rows.values, hard
        )
        if read < 0:
            raise InputError(f"{where}: row {-read} is incomplete: {_line(text, start)!r}")
        for row, column, begin, end in hard[:n_hard]:
            word = bytes(text[begin:end])
            try:
                rows.values[row, column] = float(word)
            except ValueError:
                raise InputError(
                    f"{where}: row {row + 1} has {word.decode(errors='replace')!r}, expected a "
                    "number"
                ) from None
        done = read
    return rows


def unpack_name(packed: int) -> str:
    """Word of the NAME column."""
    return int(packed).to_bytes(NAME_LENGTH, "big").lstrip(b"\0").decode("utf-8", "replace")


def _line(text: bytes | memoryview, position: int) -> str:
    before = bytes(text[:position])
    return (
        (before[before.rfind(b"\n") + 1 :] + bytes(text[position:]).split(b"\n")[0])[:60]
    ).decode(errors="replace")


@compiled
def _parse(  # noqa: PLR0912, PLR0913, PLR0917 - one loop over words, plain arrays
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
    # before this a word in the common form ends within the data
    common = size - REACH if LITTLE_ENDIAN else 0
    n_hard = 0
    n_columns = len(kinds)
    while row < len(ids):
        if n_hard + n_columns > len(hard):
            return row, pos, n_hard
        if pos >= size:
            return -(row + 1), pos, n_hard
        for column in range(n_columns):
            while byte_at(data, pos) == 32 or byte_at(data, pos) == 9:
                pos += 1
            begin = pos
            kind = kinds[column]
            if kind >= 0 or kind == ID:
                mantissa, scale, pos = 0, 0, -1
                exact = True
                if begin < common:
                    mantissa, decimals, pos = common_number(data, begin)
                    scale = -decimals
                if pos < 0:
                    mantissa, scale, pos, exact = any_number(data, begin)
                if kind == ID:
                    if not exact or scale != 0:
                        return -(row + 1), begin, n_hard
                    ids[row] = mantissa
                elif not exact:
                    hard[n_hard, 0] = row
                    hard[n_hard, 1] = kind
                    hard[n_hard, 2] = begin
                    hard[n_hard, 3] = pos
                    n_hard += pos > begin
                elif scale < 0:
                    values[row, kind] = mantissa / POWERS[-scale]
                else:
                    values[row, kind] = mantissa * POWERS[scale]
            elif kind == SKIP and begin < common:
                pos += max(0, word_length(data, begin))
                while byte_at(data, pos) > 32:
                    pos += 1
            else:
                packed = np.uint64(0)
                while byte_at(data, pos) > 32:
                    packed = (packed << np.uint64(8)) | np.uint64(byte_at(data, pos))
                    pos += 1
                if kind == NAME:
                    names[row] = packed
                    if pos - begin > NAME_LENGTH:
                        return -(row + 1), begin, n_hard
            if pos == begin:
                return -(row + 1), begin, n_hard
        while byte_at(data, pos) != 10:
            pos += 1
        pos += 1
        row += 1
    return row, pos, n_hard
