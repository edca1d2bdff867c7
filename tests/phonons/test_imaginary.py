"""Imaginary modes: found, removed, bounded."""

import json
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.errors import InputError
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.phonons.imaginary.moves import Host, RemovalOptions, Way
from mofmd.phonons.imaginary.removal import Removal, remove_imaginary
from mofmd.phonons.run import ForceOptions, Model
from mofmd.phonons.spectrum.groups import find_groups
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.soft import Soft
from mofmd.phonons.spectrum.spectrum import find_imaginary
from mofmd.phonons.spectrum.thermal import oscillators, thermal_functions
from tests.phonons.crystals import Counting, DoubleWell, argon, chain, pair, phonons


def removed(
    folder: Path,
    way: Way,
    evaluator: object = None,
    *,
    atoms: Atoms | None = None,
    rounds: int = 6,
) -> Removal:
    options = RemovalOptions(
        way=way,
        cell="fixed",
        amplitude_A=0.05,
        temperature_K=300.0,
        fmax_eV_per_A=1e-6,
        rounds=rounds,
    )
    return remove_imaginary(
        pair() if atoms is None else atoms,
        DoubleWell(),
        evaluator or InProcess(DoubleWell()),  # type: ignore[arg-type]
        Model("well"),
        folder,
        options,
        ForceOptions(supercell=(1, 1, 1)),
    )


@pytest.mark.parametrize(
    "way",
    [
        "map",
        *(pytest.param(way, marks=pytest.mark.long) for way in ("rattle", "mode-rattle", "nve")),
    ],
)
def test_pair_on_a_hill_goes_to_a_well(way: Way, tmp_path: Path) -> None:
    found = removed(tmp_path, way)
    well = DoubleWell
    assert found.stable
    assert [each.imaginary for each in found.history] == [1, 0]
    bottom = -(well.a**2) / (4 * well.b)
    assert 2 * found.history[-1].energy_eV_per_atom == pytest.approx(bottom, abs=1e-9)
    reduced = 12.011 * 15.999 / (12.011 + 15.999)
    hill = -np.sqrt(2 * well.a / reduced) * 15.6333023
    assert found.history[0].lowest_THz == pytest.approx(hill, rel=1e-4)
    assert (tmp_path / "stable.cif").exists()
    if way == "map":
        mapped = found.history[0].mapped
        assert mapped is not None
        assert min(mapped.energies_eV) < 0.7 * bottom
    # once more: nothing is evaluated but the map, and all is as it was
    history = (tmp_path / "history.json").read_text()
    again = removed(tmp_path, way, Counting(DoubleWell(), most=13 if way == "map" else 0))
    np.testing.assert_array_equal(again.atoms.positions, found.atoms.positions)
    assert (tmp_path / "history.json").read_text() == history
    assert json.loads(history)[0]["way"] == way


def test_rounds_of_another_structure_are_refused(tmp_path: Path) -> None:
    """And a calculation that goes on to the end takes back what it said before."""
    removed(tmp_path, "map", rounds=1)
    assert (tmp_path / "stable.cif").exists()
    (tmp_path / "stable.cif").rename(tmp_path / "last.cif")
    removed(tmp_path, "map")
    assert (tmp_path / "stable.cif").exists()
    assert not (tmp_path / "last.cif").exists()
    other = pair()
    other.positions[1, 1] += 0.01
    with pytest.raises(InputError, match=r"rounds of another structure; .* or --overwrite"):
        removed(tmp_path, "map", atoms=other)


def test_rounds_made_in_another_way_are_refused(tmp_path: Path) -> None:
    """They would go on from a start that was kept, whatever is asked for."""
    removed(tmp_path, "map", rounds=1)
    with pytest.raises(InputError, match=r"rounds made with way map; .* or --overwrite"):
        removed(tmp_path, "rattle", rounds=1)


def test_thermal_functions_have_bounds(tmp_path: Path) -> None:
    """Bounds hold the bottom of the well, whose frequency is the root of 2 times the hill's."""
    phonopy, _ = phonons(pair(), DoubleWell(), tmp_path, (1, 1, 1))
    mesh = make_mesh(phonopy, (1, 1, 1), find_groups(pair()))
    (mode,) = find_imaginary(mesh, 0.01)
    temperatures = np.array([0.0, 100.0, 300.0])
    found = thermal_functions(mesh, temperatures, 28.0)
    assert found.imaginary_share == pytest.approx(1 / 6)
    assert (found.low <= found.high).all()
    assert (found.high[:, 2] > found.low[:, 2]).all()
    nu = mesh.sample.frequencies_THz[0]
    real = nu[(nu > 0) & ~mesh.acoustic[0]]
    stable = np.append(real, np.sqrt(2.0) * -mode.frequency_THz)
    exact = oscillators(stable, temperatures).sum(axis=2)
    scale = np.array([96.4853, 96485.3, 96485.3])[:, None]
    assert (exact * scale >= found.low * (1 - 1e-5) - 1e-6).all()
    assert (exact * scale <= found.high * (1 + 1e-5) + 1e-6).all()


def test_modes_at_zero_have_a_floor(tmp_path: Path) -> None:
    """Chains do not resist across: four modes at zero, which count as of the tolerance."""
    phonopy, _ = phonons(chain(), argon(), tmp_path, (4, 1, 1))
    mesh = make_mesh(phonopy, (4, 1, 1))
    temperatures = np.array([300.0])
    found, other = (thermal_functions(mesh, temperatures, 1.0, t) for t in (0.01, 0.02))
    nu, weights = mesh.sample.frequencies_THz, mesh.weights[:, None] / mesh.weights.sum()
    zero = (np.abs(nu) < 0.01) & ~mesh.acoustic
    share = float((zero * weights).sum())
    assert share > 3.0
    each = oscillators(np.array([0.01, 0.02]), temperatures)[1, 0] * 96485.3
    difference = found.entropy_J_per_K_mol[0] - other.entropy_J_per_K_mol[0]
    assert difference == pytest.approx(share * (each[0] - each[1]), rel=1e-4)


def test_wave_in_a_supercell() -> None:
    """A wave of two cells moves atoms of neighbouring cells in opposite directions."""
    atoms = pair()
    vector = np.array([[1.0, 0, 0], [0, 0, 0]], dtype=complex)
    mode = Soft(np.array([0.5, 0, 0]), -1.0, vector)
    host = Host(atoms, np.arange(2), atoms.cell.array, np.ones(2))
    assert host.repetitions(mode.q) == (2, 1, 1)
    moved = host.repeated((2, 1, 1)).movement(mode)
    assert np.abs(moved).max() == pytest.approx(1.0)
    np.testing.assert_allclose(moved[0], -moved[2], atol=1e-12)
    # a cell of two primitive ones along the wave holds it as it is
    double = Host(atoms.repeat((2, 1, 1)), np.array([0, 1, 0, 1]), atoms.cell.array, np.ones(2))
    assert double.repetitions(mode.q) == (1, 1, 1)
    np.testing.assert_allclose(double.movement(mode), moved, atol=1e-12)


def test_options_that_make_no_sense() -> None:
    with pytest.raises(InputError, match="way"):
        RemovalOptions(way="shake")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="amplitude_A"):
        RemovalOptions(amplitude_A=-1.0)
