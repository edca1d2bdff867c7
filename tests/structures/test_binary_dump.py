"""Binary dumps written here by the layout of LAMMPS, whole and damaged in each of their parts."""

import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from mofmd.errors import InputError
from mofmd.trajectory.in_memory import read_dump

TYPES = {1: "Zn", 2: "N"}
ROWS = ((2.0, 2.0, 1.5, 2.5, 3.5), (1.0, 1.0, 0.5, -0.25, 4.0))  # id type xu yu zu


@dataclass(frozen=True)
class Dump:
    """One frame, field by field as the file has them."""

    magic: bytes = b"DUMPCUSTOM"
    endian: int = 1
    revision: int = 2
    step: int = 7
    atoms: int = 2
    triclinic: int = 0
    columns: int = 5
    units: bytes = b"metal"
    names: bytes = b"id type xu yu zu"
    chunks: tuple[tuple[float, ...], ...] = ROWS

    def content(self) -> bytes:
        tilts = struct.pack("<3d", 1.0, 0.0, 0.0) if self.triclinic else b""
        parts = [
            struct.pack("<q", -len(self.magic)) + self.magic,
            struct.pack("<iiqqi", self.endian, self.revision, self.step, self.atoms,
                        self.triclinic),
            struct.pack("<6i", 0, 0, 0, 0, 1, 1),
            struct.pack("<6d", 0.0, 4.0, -1.0, 4.0, 0.0, 6.0) + tilts,
            struct.pack("<i", self.columns),
            struct.pack("<i", len(self.units)) + self.units,
            struct.pack("<bd", 1, 0.0035),
            struct.pack("<i", len(self.names)) + self.names,
            struct.pack("<i", len(self.chunks)),
            *(struct.pack(f"<i{len(rows)}d", len(rows), *rows) for rows in self.chunks),
        ]  # fmt: skip
        return b"".join(parts)


def written(folder: Path, *frames: Dump) -> Path:
    path = folder / "a.bin"
    path.write_bytes(b"".join(frame.content() for frame in frames))
    return path


def test_frames_of_several_ranks(tmp_path: Path) -> None:
    whole = replace(Dump(), step=8, units=b"", chunks=(ROWS[0] + ROWS[1], ()))
    found = read_dump(written(tmp_path, Dump(), whole), type_names=TYPES)
    assert found.timesteps.tolist() == [7, 8]
    assert found.species == ("Zn", "N")
    assert found.positions.tolist() == [[[0.5, -0.25, 4.0], [1.5, 2.5, 3.5]]] * 2
    np.testing.assert_array_equal(found.cells[0], np.diag([4.0, 5.0, 6.0]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"magic": b"GRIDS"}, "kind b'GRIDS', revision 2"),
        ({"endian": 1 << 24}, "byte order 0x1000000; expected .* little-endian"),
        ({"revision": 1}, "revision 1, byte order 0x1; expected .* revision 2"),
        ({"triclinic": 2}, "general triclinic binary dump; write a text dump"),
        ({"columns": 6}, "6 columns but 5 names of them"),
        ({"atoms": 3}, "10 numbers for 3 × 5"),
        ({"chunks": ()}, "0 numbers for 2 × 5"),
        ({"chunks": (ROWS[0], ROWS[1][:4])}, "9 numbers for 2 × 5"),
        ({"units": b"furlong"}, "furlong"),
    ],
)
def test_damaged_dumps_are_refused(damage: dict, message: str, tmp_path: Path) -> None:
    path = written(tmp_path, replace(Dump(), **damage))
    with pytest.raises(InputError, match=message):
        read_dump(path, type_names=TYPES)


def test_a_part_of_less_than_nothing_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, Dump())
    last = len(ROWS[1]) * 8 + 4
    content = path.read_bytes()
    path.write_bytes(content[:-last] + struct.pack("<i", -4) + content[-last + 4 :])
    with pytest.raises(InputError, match="is damaged: a part of -4 numbers"):
        read_dump(path, type_names=TYPES)


def test_a_dump_that_stops_anywhere_keeps_its_whole_frames(tmp_path: Path) -> None:
    """As a run that was killed leaves it."""
    path = written(tmp_path, Dump(), replace(Dump(), step=8))
    content = path.read_bytes()
    for length in range(len(content) // 2 + 1, len(content), 7):
        path.write_bytes(content[:length])
        found = read_dump(path, type_names=TYPES)
        assert found.timesteps.tolist() == [7]
        assert found.incomplete_frame
