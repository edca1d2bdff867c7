"""Byte streams of trajectory files, plain or compressed."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

from mofmd.errors import InputError, MissingFileError

CHUNK = 1 << 22


class TruncatedError(Exception):
    """The file ends within a frame: it was being written, or copied in part."""


@contextmanager
def open_stream(path: Path) -> Iterator[IO[bytes]]:
    """Open a file, decompressing ``.gz`` and ``.zst``."""
    if not path.is_file():
        raise MissingFileError(f"{path}: no such trajectory; a run writes it as trajectory.dump")
    if path.suffix == ".gz":
        with gzip.open(path, "rb") as packed:
            yield cast("IO[bytes]", packed)
    elif path.suffix == ".zst":
        import zstandard

        with (
            path.open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked,
        ):
            yield cast("IO[bytes]", unpacked)
    else:
        with path.open("rb") as file:
            yield file


def plain_suffix(path: Path) -> str:
    """Suffix of the name without the suffix of a compression."""
    return Path(path.stem).suffix if path.suffix in (".gz", ".zst") else path.suffix


class Window:
    """A part of a stream in memory: from the frame being read to as far as was needed.

    Memory does not grow with the length of the file.
    """

    def __init__(self, path: Path, stream: IO[bytes]) -> None:
        self.path = path
        self._stream = stream
        self._data = bytearray()
        self._ended = False

    def find(self, marker: bytes, start: int = 0) -> int:
        """Position of a marker, read as far as needed; −1 if the file ends before it."""
        while True:
            found = self._data.find(marker, start)
            searched = len(self._data)
            if found >= 0 or not self._more():
                return found
            start = max(start, searched - len(marker))

    def size(self, at_least: int) -> int:
        """Bytes in the window after reading as many as asked for, fewer at the file's end."""
        while len(self._data) < at_least and self._more():
            pass
        return len(self._data)

    def take(self, length: int) -> bytes:
        """Bytes from the window's start, which moves behind them."""
        if self.size(length) < length:
            raise TruncatedError
        taken = bytes(memoryview(self._data)[:length])
        del self._data[:length]
        return taken

    def peek(self, length: int) -> bytes:
        """Bytes from the window's start, fewer at the file's end."""
        self.size(length)
        return bytes(memoryview(self._data)[:length])

    def _more(self) -> bool:
        if self._ended:
            return False
        try:
            # gzip: read1 gives all that came before the place where compressed data stop short
            read = self._stream.read1 if isinstance(self._stream, gzip.GzipFile) else None
            chunk = (read or self._stream.read)(CHUNK)
        except (EOFError, zlib.error):
            chunk = b""
        except Exception as error:
            if _is_zstd(error):
                raise InputError(f"{self.path}: is damaged: {error}") from error
            raise
        self._ended = not chunk
        self._data += chunk
        return not self._ended


def _is_zstd(error: Any) -> bool:
    return type(error).__module__.startswith("zstandard")
