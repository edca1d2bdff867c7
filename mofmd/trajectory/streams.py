"""Byte streams of trajectory files, plain or compressed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from mofmd.errors import InputError, MissingFileError, absent

CHUNK = 1 << 21


class Stream(Protocol):
    """What bytes are read from."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Fill a buffer as far as there are bytes; how many."""


class TruncatedError(Exception):
    """The file ends within a frame: it was being written, or copied in part."""


@contextmanager
def open_stream(path: Path) -> Iterator[Stream]:
    """Open a file, decompressing ``.gz`` and ``.zst``."""
    if not path.is_file():
        raise MissingFileError(
            f"{path}: {absent(path, 'trajectory')}; a run writes it as trajectory.dump"
        )
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            yield packed
    elif path.suffix == ".zst":
        import zstandard

        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked,
        ):
            yield unpacked
    else:
        with path.open("rb", buffering=0) as raw:
            yield raw


def plain_suffix(path: Path) -> str:
    """Suffix of the name without the suffix of a compression."""
    return Path(path.stem).suffix if path.suffix in (".gz", ".zst") else path.suffix


class Window:
    """A part of a stream in memory: from the frame being read to as far as was needed.

    Memory does not grow with the length of the file.
    """

    def __init__(self, path: Path, stream: Stream) -> None:
        self.path = path
        self._stream = stream
        self._data = bytearray()
        # the window is this part of them
        self._start, self._end = 0, 0
        self._ended = False

    def find(self, marker: bytes, start: int = 0) -> int:
        """Position of a marker, read as far as needed; −1 if the file ends before it."""
        while True:
            begin = self._start + start
            # one byte is looked for many times faster than several
            found = self._data.find(marker[:1], begin, self._end)
            if found >= 0 and not self._data.startswith(marker, found, self._end):
                found = self._data.find(marker, found, self._end)
            if found >= 0:
                return found - self._start
            searched = self._end - self._start
            if not self._more():
                return -1
            start = max(start, searched - len(marker))

    def size(self, at_least: int) -> int:
        """Bytes in the window after reading as many as asked for, fewer at the file's end."""
        while self._end - self._start < at_least and self._more():
            pass
        return self._end - self._start

    def take(self, length: int) -> memoryview:
        """Bytes from the window's start, which moves behind them; they are not copied."""
        if self.size(length) < length:
            raise TruncatedError
        taken = memoryview(self._data)[self._start : self._start + length].toreadonly()
        self._start += length
        return taken

    def peek(self, length: int) -> bytes:
        """Bytes from the window's start, fewer at the file's end."""
        size = min(length, self.size(length))
        return bytes(self._data[self._start : self._start + size])

    def _more(self) -> bool:
        if self._ended:
            return False
        # what was taken is still read by others: what was not moves to new memory
        rest = memoryview(self._data)[self._start : self._end]
        data = bytearray(len(rest) + max(CHUNK, len(rest)))
        data[: len(rest)] = rest
        try:
            # gzip: readinto1 gives all that came before the place where compressed data stop short
            read = self._stream.readinto1 if isinstance(self._stream, gzip.GzipFile) else None
            count = (read or self._stream.readinto)(memoryview(data)[len(rest) :]) or 0
        except (EOFError, zlib.error):
            count = 0
        except Exception as error:  # zstandard is imported only where a file needs it
            if _is_zstd(error):
                raise InputError(f"{self.path}: is damaged: {error}") from error
            raise
        self._data, self._start, self._end = data, 0, len(rest) + count
        self._ended = count == 0
        return not self._ended


def _is_zstd(error: Any) -> bool:
    return type(error).__module__.startswith("zstandard")
