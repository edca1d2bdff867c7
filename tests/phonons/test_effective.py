"""Phonons at a temperature, where they are known: harmonic crystals, a bond of any order."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import ase.io
import numpy as np
import pytest
from ase import Atoms
from phonopy import Phonopy
from scipy.optimize import fsolve

from mofmd.disk.lock import lock_folder
from mofmd.errors import InputError, RunError
from mofmd.phonons.calculation.force_constants import compact
from mofmd.phonons.calculation.least_squares import ForceConstantFit
from mofmd.phonons.cells import to_atoms
from mofmd.phonons.effective.fit import symmetrised
from mofmd.phonons.effective.frames import mean_temperature, read_snapshots
from mofmd.phonons.effective.md import fit_frames
from mofmd.phonons.effective.output import at_mean_positions, write_frame_fit
from mofmd.phonons.effective.results import Sscha, SschaOptions
from mofmd.phonons.effective.sscha import self_consistent
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.run import Model
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.spectrum import SpectrumOptions
from mofmd.phonons.spectrum.thermal import constants, oscillators, thermal_functions
from mofmd.trajectory.frame import Frame
from tests.phonons.crystals import Bond, Counting, Harmonic, argon, fcc, pair, phonons


def made(
    phonopy: Phonopy, calculator: object, folder: Path, most: int = 10**6, **options: Any
) -> Sscha:
    return self_consistent(
        phonopy,
        Counting(calculator, most),
        Model("test"),
        folder,
        SschaOptions(**options),
    )


def test_rounds_of_a_running_calculation_stay(tmp_path: Path) -> None:
    """Nobody begins anew in a folder where another is at work; damaged rounds are told."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 2))
    options: dict[str, Any] = {"temperature_K": 20.0, "supercells": 12, "mesh": (2, 2, 2)}
    folder = tmp_path / "sscha"
    made(phonopy, argon(), folder, rounds=1, **options)
    state = folder / "round-00/state.npz"
    with lock_folder(folder, "calculation of phonons"), pytest.raises(RunError):
        self_consistent(
            phonopy,
            Counting(argon()),
            Model("test"),
            folder,
            SschaOptions(**options),
            overwrite=True,
        )
    assert state.exists()
    with np.load(state) as file:
        arrays = dict(file)
    np.savez(state, **arrays | {"displacements_A": arrays["displacements_A"][:, :2]})
    with pytest.raises(InputError, match=r"round-00/state.npz: is damaged: displacements_A lacks"):
        made(phonopy, argon(), folder, rounds=1, **options)
    arrays.pop("shifts")
    np.savez(state, **arrays)
    with pytest.raises(InputError, match=r"round-00/state.npz: is damaged: shifts lacks"):
        made(phonopy, argon(), folder, rounds=1, **options)


def test_harmonic_crystal_gives_its_force_constants(tmp_path: Path) -> None:
    """And the free energy of its phonons, without an error; a stopped calculation goes on."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 2))
    exact = compact(phonopy).copy()
    calculator = Harmonic(phonopy.replicate())
    calculator.phonopy.force_constants = exact
    wrong = exact * 1.1  # to begin with
    phonopy.force_constants = wrong
    options: dict[str, Any] = {"temperature_K": 20.0, "supercells": 12, "mesh": (4, 4, 4)}
    with pytest.raises(KeyboardInterrupt):
        made(phonopy, calculator, tmp_path / "sscha", most=20, **options)
    found = made(phonopy, calculator, tmp_path / "sscha", **options)
    whole = made(phonopy, calculator, tmp_path / "whole", **options)
    np.testing.assert_array_equal(found.values_eV_per_A2, whole.values_eV_per_A2)
    assert found.rounds == whole.rounds
    assert found.converged
    assert len(found.rounds) == 2
    np.testing.assert_allclose(found.values_eV_per_A2, exact, atol=1e-9)
    np.testing.assert_allclose(found.shifts_A, 0.0, atol=1e-9)
    assert found.noise_THz < 1e-7
    assert found.rounds[-1].anharmonicity < 1e-6
    phonopy.force_constants = exact
    thermal = thermal_functions(make_mesh(phonopy, (4, 4, 4)), np.array([20.0]), 39.948)
    free = thermal.free_energy_kJ_per_mol[0] / constants().eV_to_kJ_per_mol
    assert found.rounds[-1].free_energy_eV == pytest.approx(free, abs=1e-9)
    # of force constants that are not the best it is higher
    assert found.rounds[0].free_energy_eV is not None
    assert found.rounds[0].free_energy_eV > free
    phonopy.force_constants = wrong
    with pytest.raises(InputError, match="another temperature"):
        made(phonopy, calculator, tmp_path / "sscha", **{**options, "temperature_K": 30.0})


def test_how_much_is_told_beforehand(tmp_path: Path) -> None:
    """Evaluations and fit before the first round, the time that is left after each."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 2))
    calculator = Harmonic(phonopy.replicate())
    calculator.phonopy.force_constants = compact(phonopy).copy()
    phonopy.force_constants = compact(phonopy) * 1.1
    evaluates, told = Counting(calculator), list[str]()
    options = SschaOptions(temperature_K=20.0, supercells=12, mesh=(2, 2, 2), rounds=5)

    def tell(text: str) -> None:
        told.append(f"{evaluates.count}: {text}")

    def again() -> None:
        self_consistent(phonopy, evaluates, Model("test"), tmp_path / "sscha", options, tell=tell)

    again()
    assert told[0].startswith("0: at most 5 rounds of 13 evaluations of 8 atoms, 65 in all, each")
    assert "force constants" in told[0]
    (left,) = told[1:]
    assert re.fullmatch(r"13: at most 4 more rounds, \d+ s", left)
    told.clear()
    again()  # all is there: nothing is known of its time
    assert len(told) == 1


def bond_at(temperature_K: float) -> tuple[float, float, float, float]:
    """Mean shift [Å], stiffness [eV/Å²], frequency [THz], anharmonic free energy [eV] of a bond."""
    mass = 12.011 * 15.999 / (12.011 + 15.999)
    k, g, b = Bond.k, Bond.g, Bond.quartic

    def square(stiffness: float) -> tuple[float, float]:
        nu = np.sqrt(stiffness / mass) * 15.6333023
        energy = constants().planck_eV_per_THz * nu
        x = energy / (2 * constants().boltzmann_eV_per_K * temperature_K)
        return 0.5 * energy / np.tanh(x) / stiffness, nu

    def gap(v: np.ndarray) -> list[float]:
        c, stiffness = v
        s, _ = square(stiffness)
        force = k * c + 3 * g * (c**2 + s) + 4 * b * (c**3 + 3 * c * s)
        return [force, k + 6 * g * c + 12 * b * (c**2 + s) - stiffness]

    c, stiffness = fsolve(gap, [0.0, k], xtol=1e-12)
    s, nu = square(stiffness)
    mean = k / 2 * (c**2 + s) + g * (c**3 + 3 * c * s) + b * (c**4 + 6 * c**2 * s + 3 * s**2)
    return c, stiffness, nu, mean - 0.5 * stiffness * s


@pytest.mark.long
def test_bond_of_fourth_order(tmp_path: Path) -> None:
    """Stiffness, mean length and free energy of the exact self-consistent bond."""
    temperature = 600.0
    phonopy, _ = phonons(pair(), Bond(), tmp_path / "phonons", (1, 1, 1))
    found = made(
        phonopy,
        Bond(),
        tmp_path / "sscha",
        temperature_K=temperature,
        supercells=1200,
        mesh=(1, 1, 1),
        change_THz=0.01,
    )
    assert found.converged
    shift, stiffness, nu, anharmonic = bond_at(temperature)
    assert stiffness < 0.98 * Bond.k
    assert found.values_eV_per_A2[0, 0, 0, 0] == pytest.approx(stiffness, rel=0.04)
    longer = found.shifts_A[1, 0] - found.shifts_A[0, 0]
    assert longer == pytest.approx(shift, rel=0.05)
    last = found.rounds[-1]
    assert last.anharmonic_eV is not None
    assert last.free_energy_error_eV is not None
    assert last.anharmonic_eV == pytest.approx(anharmonic, abs=4 * last.free_energy_error_eV)
    across = np.sqrt(Bond.across / Bond.k) * np.sqrt(Bond.k / stiffness) * nu
    exact = oscillators(np.array([nu, across, across]), np.array([temperature]))[0].sum()
    assert last.harmonic_eV == pytest.approx(exact, abs=2e-3)
    assert 0.01 < last.anharmonicity < 0.5
    assert 0.0 < found.noise_THz < 0.3


def test_vectors_keep_what_symmetry_allows(tmp_path: Path) -> None:
    """Close packing allows none; the pair in its cell, along the bond alone."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "a", (2, 2, 2))
    vectors = np.random.default_rng(0).normal(size=(8, 3))
    np.testing.assert_allclose(symmetrised(phonopy, vectors), 0.0, atol=1e-12)
    phonopy, _ = phonons(pair(), Bond(), tmp_path / "b", (2, 1, 1))
    found = symmetrised(phonopy, np.random.default_rng(0).normal(size=(4, 3)))
    np.testing.assert_allclose(found[:, 1:], 0.0, atol=1e-12)
    assert np.abs(found[:, 0]).min() > 1e-3
    assert found[0, 0] == pytest.approx(found[1, 0])


def test_settings_that_make_no_sense(tmp_path: Path) -> None:
    for options, name in (
        ({"temperature_K": -1.0}, "temperature"),
        ({"supercells": 7}, "even"),
        ({"rounds": 0}, "rounds"),
    ):
        with pytest.raises(InputError, match=name):
            SschaOptions(**options)
    phonopy, _ = phonons(pair(), Bond(), tmp_path, (1, 1, 1))
    with pytest.raises(InputError, match=r"supercells: 0 are too few for the .* take 1 or more"):
        ForceConstantFit(phonopy).check(0, "supercells")


def wandering(phonopy: Phonopy, path: Path, atoms_in_order: np.ndarray) -> None:
    """Write a trajectory of the harmonic crystal, its atoms in another order, drifting."""
    from ase import units
    from ase.md.langevin import Langevin
    from ase.md.velocitydistribution import thermalize_momenta

    atoms = to_atoms(phonopy.supercell)
    atoms.calc = Harmonic(phonopy)
    random = np.random.default_rng(4)
    thermalize_momenta(atoms, temperature_K=40.0, rng=random)
    dynamics = Langevin(
        atoms, 5 * units.fs, temperature_K=40.0, friction=0.01 / units.fs, rng=random, fixcm=False
    )
    frames = []
    for k in range(40):
        dynamics.run(10)
        frame = atoms[atoms_in_order]
        frame.positions += [0.3 + 0.01 * k, -0.2, 0.1]
        frame.info["step"] = 10 * k
        frames.append(frame)
    ase.io.write(path, frames, write_results=False)


def test_frames_of_a_harmonic_crystal(tmp_path: Path) -> None:
    """Dynamics of force constants give them back, whatever the order of the atoms; it goes on."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 2))
    exact = compact(phonopy).copy()
    path = tmp_path / "run.extxyz"
    wandering(phonopy, path, np.random.default_rng(0).permutation(8))
    snapshots = read_snapshots(path, phonopy, 20, skip=0.5)
    assert snapshots.displacements_A.shape == (20, 8, 3)
    assert np.abs(snapshots.displacements_A).max() > 0.05
    assert snapshots.temperature_K is None
    with pytest.raises(KeyboardInterrupt):
        fit_frames(snapshots, Counting(Harmonic(phonopy), 9), Model("test"), tmp_path / "md")
    found = fit_frames(snapshots, Counting(Harmonic(phonopy), 12), Model("test"), tmp_path / "md")
    np.testing.assert_allclose(found.values_eV_per_A2, exact, atol=1e-7)
    assert found.noise_THz < 1e-5
    assert found.anharmonicity < 1e-6
    assert [each.frames for each in found.steps] == [5, 10, 15, 20]
    options = SpectrumOptions(mesh=(2, 2, 2), points=2)
    write_frame_fit(found, snapshots.phonopy, tmp_path / "md", options, {})
    again, constants_again = load_phonopy(tmp_path / "md")
    assert len(again.supercell) == 8
    np.testing.assert_allclose(constants_again.values_eV_per_A2, exact, atol=1e-7)
    assert json.loads((tmp_path / "md" / "md.json").read_text())["frames"] == 20
    assert "Effective phonons of dynamics" in (tmp_path / "md" / "report.html").read_text()


def test_frames_in_other_axes(tmp_path: Path) -> None:
    """LAMMPS turns cells: displacements turn with them, and the lattice is the same."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 2))
    turn = np.linalg.qr(np.random.default_rng(3).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    straight, turned = [], []
    for k in range(3):
        frame = to_atoms(phonopy.supercell)
        frame.rattle(0.05, seed=k)
        frame.info["step"] = k
        straight.append(frame)
        other = frame.copy()
        other.set_cell(frame.cell.array @ turn.T, scale_atoms=True)
        turned.append(other)
    found = []
    for name, frames in (("a", straight), ("b", turned)):
        path = tmp_path / f"{name}.extxyz"
        ase.io.write(path, frames)
        found.append(read_snapshots(path, phonopy, 3, skip=0.0))
    first, second = found
    np.testing.assert_allclose(second.displacements_A, first.displacements_A @ turn.T, atol=1e-6)
    np.testing.assert_allclose(
        second.phonopy.unitcell.cell, first.phonopy.unitcell.cell @ turn.T, atol=1e-6
    )
    operations = [len(each.phonopy.symmetry.symmetry_operations["rotations"]) for each in found]
    assert operations[0] == operations[1] == 48 * 8


def test_a_supercell_of_another_shape_is_no_matter(tmp_path: Path) -> None:
    """2x2x1 of a crystal that is alike along all axes: phonopy warns of it, nobody is told."""
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 1))
    load_phonopy(tmp_path / "phonons")
    frames = []
    for k in range(12):
        frame = to_atoms(phonopy.supercell)
        frame.rattle(0.02, seed=k)
        frame.info["step"] = k
        frames.append(frame)
    ase.io.write(tmp_path / "run.extxyz", frames)
    snapshots = read_snapshots(tmp_path / "run.extxyz", phonopy, 12, skip=0.0)
    fit_frames(snapshots, Counting(argon()), Model("test"), tmp_path / "md")
    options: dict[str, Any] = {"temperature_K": 20.0, "supercells": 12, "mesh": (2, 2, 2)}
    found = made(phonopy, argon(), tmp_path / "sscha", rounds=1, **options)
    at_mean_positions(phonopy, found.values_eV_per_A2, found.shifts_A)


def test_temperature_of_frames() -> None:
    from ase import units
    from ase.md.velocitydistribution import thermalize_momenta

    atoms = fcc().repeat((4, 4, 4))
    thermalize_momenta(atoms, temperature_K=300.0, rng=np.random.default_rng(0))
    frame = replace(Frame.from_ase(atoms), velocities=atoms.get_velocities() * 1000 * units.fs)
    expected = atoms.get_temperature() * 64 / 63  # without the drift
    assert mean_temperature([frame, frame]) == pytest.approx(expected, rel=1e-5)
    assert mean_temperature([Frame.from_ase(atoms)]) is None


def test_frames_that_are_refused(tmp_path: Path) -> None:
    phonopy, _ = phonons(fcc(), argon(), tmp_path / "phonons", (2, 2, 2))
    crystal = to_atoms(phonopy.supercell)
    path = tmp_path / "run.extxyz"

    def refused(frames: list[Atoms], message: str) -> None:
        for k, frame in enumerate(frames):
            frame.info["step"] = k
        ase.io.write(path, frames, write_results=False)
        with pytest.raises(InputError, match=message):
            read_snapshots(path, phonopy, 10, skip=0.0)

    larger = crystal.copy()
    larger.set_cell(1.02 * crystal.cell.array, scale_atoms=True)
    refused([crystal.copy(), larger], "cell changes")
    other = crystal.copy()
    other.symbols[:] = "Kr"
    refused([other], "not those of the structure")
    refused([crystal[:7]], "no repetition")
    hopped = crystal.copy()
    hopped.positions[0] += hopped.cell[0] / 2
    refused([crystal.copy(), hopped], "hops")
