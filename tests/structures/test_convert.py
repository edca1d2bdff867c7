"""Structures in other cells: the primitive one, and files of it."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.simulation.ensemble.structures import are_alike, fingerprint
from mofmd.structures.primitive import primitive_cell
from mofmd.structures.read import read_structure
from tests.structures.test_cif import COLUMNS, cif


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def convert(*words: str) -> str:
    done = CliRunner().invoke(app, ["convert", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def test_primitive_cell_of_a_framework() -> None:
    told = convert("uio-66", "--primitive", "-o", "pr.extxyz")
    assert "114 atoms" in told
    assert "(from 456 atoms)" in told
    whole, smaller = read_structure("uio-66"), read_structure("pr.extxyz")
    assert len(smaller) == 114
    assert smaller.get_volume() == pytest.approx(whole.get_volume() / 4)
    assert are_alike(fingerprint(whole), fingerprint(smaller))
    # in the same orientation: each atom stands where one stood
    fractional = smaller.positions @ np.linalg.inv(whole.cell.array)
    apart = fractional[:, None, :] - whole.get_scaled_positions()[None, :, :]
    apart = (apart - np.rint(apart)) @ whole.cell.array
    assert np.linalg.norm(apart, axis=2).min(axis=1).max() < 1e-2
    again = convert("pr.extxyz", "--primitive", "-o", "again.cif")
    assert "(from 114 atoms, primitive already)" in again
    assert "912 atoms" in convert("uio-66", "--primitive", "--supercell", "2x2x2", "-o", "l.data")


def test_tolerance_of_the_primitive_cell() -> None:
    moved = bulk("Cu", cubic=True)
    moved.positions[0] += [0.01, 0.0, 0.0]
    assert len(primitive_cell(moved)) == 4
    assert len(primitive_cell(moved, 0.1)) == 1
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    with pytest.raises(InputError, match="not periodic in three directions"):
        primitive_cell(slab)


def test_what_is_occupied_partly_is_refused() -> None:
    Path("half.cif").write_text(cif("Zn1 Zn 0 0 0 0.5", columns=(*COLUMNS, "occupancy")))
    words = ["convert", "half.cif", "--primitive", "-o", "pr.cif"]
    with pytest.raises(InputError, match="site Zn1 is occupied partly"):
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert not Path("pr.cif").exists()
