"""Forces and virial are the derivatives of the energy; energy is conserved."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.models.files.embedded import embedded_model
from tests.engine.conservation import assert_energy_is_conserved
from tests.engine.lammps import checked, evaluate, pair_lines, run_lammps, write_structure
from tests.engine.systems import SPECIES, SYSTEMS, crystal

STEP = 1e-4


def lower_triangular(atoms: Atoms) -> Atoms:
    """Return the atoms rotated so that LAMMPS takes their cell."""
    rotation, upper = np.linalg.qr(atoms.cell.array.T)
    signs = np.diag(np.sign(np.diag(upper)))
    rotated = atoms.copy()
    rotated.set_cell(np.tril((signs @ upper).T))
    rotated.set_positions(atoms.positions @ rotation @ signs)
    return rotated


MODELS = [
    "nequip-f64.nequip.pth",
    "nequip-f64.nequip.pt2",
    "allegro-cut.nequip.pth",
    "allegro-f64.nequip.pt2",
    "mace-f64.model-lammps.pt",
]
# the gate of every deployed file differentiates too
SLOW = ["allegro-cut.nequip.pth", "mace-f64.model-lammps.pt"]
QUICK = [pytest.param(f, marks=pytest.mark.long) if f in SLOW else f for f in MODELS]


@pytest.mark.frameworks
@pytest.mark.parametrize("file", QUICK)
def test_forces_are_minus_the_gradient_of_the_energy(
    file: str, nequip_models: Path, mace_models: Path, tmp_path: Path
) -> None:
    atoms = SYSTEMS["tilted"]()
    folder = mace_models if file.startswith("mace") else nequip_models
    components = [(0, 0), (5, 1), (11, 2), (17, 0)]  # a C, a C, an H and a Zn
    displaced = []
    for atom, axis in components:
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * STEP
            displaced.append(moved)
    reference, *shifted = evaluate([atoms, *displaced], tmp_path, pair_lines(folder / file))
    for k, (atom, axis) in enumerate(components):
        slope = (shifted[2 * k].energy - shifted[2 * k + 1].energy) / (2 * STEP)
        force = reference.forces[atom, axis]
        assert abs(force + slope) < 1e-5 * max(1.0, abs(force))


@pytest.mark.frameworks
@pytest.mark.parametrize("file", QUICK)
@pytest.mark.parametrize("system", ["tilted", pytest.param("thin", marks=pytest.mark.long)])
def test_stress_is_the_derivative_by_all_nine_strains(
    file: str, system: str, nequip_models: Path, mace_models: Path, tmp_path: Path
) -> None:
    atoms = SYSTEMS[system]()
    folder = mace_models if file.startswith("mace") else nequip_models
    strained = []
    for a in range(3):
        for b in range(3):
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * STEP
                moved = atoms.copy()
                moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                strained.append(lower_triangular(moved))
    reference, *shifted = evaluate([atoms, *strained], tmp_path, pair_lines(folder / file))
    energies = np.array([result.energy for result in shifted]).reshape(3, 3, 2)
    slopes = (energies[..., 0] - energies[..., 1]) / (2 * STEP) / atoms.get_volume()
    scale = max(1e-3, float(np.abs(slopes).max()))
    np.testing.assert_allclose(reference.stress, slopes, rtol=0, atol=2e-6 * scale)


@pytest.mark.frameworks
def test_energy_is_conserved_without_thermostat(nequip_models: Path, tmp_path: Path) -> None:
    """NVE of a hot cell in float64: the error of velocity Verlet falls as the step squared."""
    assert_energy_is_conserved(pair_lines(nequip_models / "nequip-f64.nequip.pth"), tmp_path)


def test_per_atom_virials_add_up(tmp_path: Path) -> None:
    """Edge-gradient files give per-atom virials; their sum is the virial, tilted and on 2 ranks."""
    atoms = crystal()
    atoms.set_cell(atoms.cell.array @ [[1, 0, 0], [0.1, 1, 0], [-0.05, 0.08, 1]], scale_atoms=True)
    write_structure(atoms, tmp_path / "0.data")
    script = f"""
units metal
atom_style atomic
read_data 0.data
pair_style allegro
pair_coeff * * {embedded_model("zif4-allegro-s")} {" ".join(SPECIES)}
compute w all stress/atom NULL virial
compute sum all reduce sum c_w[*]
variable volume equal vol
thermo_style custom step pxx pyy pzz pxy pxz pyz c_sum[*]
run 0
print "mofmd $(pxx*vol) $(pyy*vol) $(pzz*vol) $(pxy*vol) $(pxz*vol) $(pyz*vol)"
print "mofmd $(-c_sum[1]) $(-c_sum[2]) $(-c_sum[3]) $(-c_sum[4]) $(-c_sum[5]) $(-c_sum[6])"
"""
    for ranks in (1, 2):
        output = checked(run_lammps(script, tmp_path, ranks))
        rows = [line.split()[1:] for line in output.splitlines() if line.startswith("mofmd ")]
        total, summed = np.array(rows, dtype=float)
        np.testing.assert_allclose(summed, total, rtol=1e-6, atol=1e-3 * np.abs(total).max())


def test_embedded_model_is_the_derivative_of_its_energy(tmp_path: Path) -> None:
    """The shipped file, float32: forces and stress of the crystal against finite differences."""
    atoms = crystal()
    step = 0.01
    moves = []
    direction = np.random.default_rng(8).normal(size=(len(atoms), 3))
    direction /= np.linalg.norm(direction)
    for sign in (1, -1):
        moved = atoms.copy()
        moved.positions += sign * step * direction
        moves.append(moved)
    for sign in (1, -1):
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array * (1 + sign * 1e-3), scale_atoms=True)
        moves.append(moved)
    pair = (
        f"pair_style allegro\npair_coeff * * {embedded_model('zif4-allegro-s')} {' '.join(SPECIES)}"
    )
    reference, plus, minus, larger, smaller = evaluate([atoms, *moves], tmp_path, pair)
    slope = (plus.energy - minus.energy) / (2 * step)
    assert abs(slope + np.sum(reference.forces * direction)) < 2e-2
    dilation = (larger.energy - smaller.energy) / 2e-3 / atoms.get_volume()
    assert abs(dilation - np.trace(reference.stress)) < 2e-4 + 0.01 * abs(dilation)
