"""Errors by origin, element and role of atoms, and maps of them."""

import csv
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import read

from mofmd.learning.data.dataset import Labels, labelled
from mofmd.learning.evaluate.evaluation import compare_labels, write_evaluation
from mofmd.learning.evaluate.parts import error_maps, errors_of_parts, part_rows
from mofmd.structures.crystals.zif import zif4


def labels(forces: np.ndarray) -> Labels:
    return Labels(0.0, np.asarray(forces, dtype=np.float64), None)


def cluster(origin: str, roles: list[str]) -> Atoms:
    atoms = Atoms("CH", positions=[[0, 0, 0], [1.1, 0, 0]])
    atoms.set_array("role", np.array(roles))
    atoms.info["origin"] = origin
    return atoms


def test_parts_by_hand() -> None:
    frames = [cluster("ld", ["core", "cap"]), cluster("reo", ["core", "mantle"])]
    zero = np.zeros((2, 3))
    errors = [[[0.001, 0, 0], [0, 0.003, 0]], [[0, 0, 0.002], [0, 0, 0]]]
    parts = errors_of_parts(
        frames, [labels(zero), labels(zero)], [labels(np.array(each)) for each in errors]
    )
    found = {(part.origin, part.element, part.role): part for part in parts}
    everything = found["", "", ""]
    assert everything.atoms == 4
    assert everything.errors["force_mae"] == pytest.approx(6.0 / 12)
    assert found["ld", "C", "core"].errors["force_mae_p95"] == pytest.approx(1.0)
    assert found["", "", "core"].errors["force_mae"] == pytest.approx(3.0 / 6)
    assert found["reo", "", ""].errors["force_mae"] == pytest.approx(2.0 / 6)
    assert found["", "H", "mantle"].errors["force_rmse"] == 0.0
    assert ("ld", "", "mantle") not in found  # there are no such atoms
    rows = part_rows({"m": parts})
    assert rows[0][:5] == ["model", "origin", "element", "role", "atoms"]
    assert len(rows) == 1 + len(parts)


def test_maps_show_the_atom_that_is_wrong(tmp_path: Path) -> None:
    crystal = zif4()
    crystal.info |= {"origin": "crystal", "trajectory": "t"}
    frames, predictions = [], []
    for k in range(3):
        frames.append(labelled(crystal, labels(np.zeros((len(crystal), 3)))))
        forces = np.zeros((len(crystal), 3))
        forces[7, 1] = 0.1 * (k + 1)
        predictions.append(labels(forces))
    result = compare_labels("m", frames, predictions)
    (mapped,) = result.maps.values()
    values = mapped.arrays["force_mae_p95"]
    assert values[7] == pytest.approx(300.0)  # the largest of nine components
    assert values.sum() == pytest.approx(300.0)
    write_evaluation([result], tmp_path, "test")
    again = read(tmp_path / "maps" / "m-crystal.extxyz")
    assert again.arrays["force_mae_p95"] == pytest.approx(values)
    page = (tmp_path / "maps" / "maps.html").read_text()
    assert f"worst is atom 8 ({crystal.symbols[7]}): 300 meV/Å" in page
    with (tmp_path / "atoms.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["element"] for row in rows} == {"", "C", "H", "N", "Zn"}
    # molecules have no map, and others of an origin have one of their own
    molecule = cluster("ld", ["core", "cap"])
    half = crystal[:136]
    shown = error_maps(
        [molecule, half, *frames],
        [labels(np.zeros((len(each), 3))) for each in (molecule, half, *frames)],
        [labels(np.zeros((len(each), 3))) for each in (molecule, half, *frames)],
    )
    assert sorted(map(len, shown.values())) == [136, 272]
