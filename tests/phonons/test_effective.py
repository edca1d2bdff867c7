"""Phonons at a temperature, where they are known: harmonic crystals, a bond of any order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from phonopy import Phonopy
from scipy.optimize import fsolve

from mofmd.errors import InputError
from mofmd.phonons.calculation.force_constants import compact
from mofmd.phonons.effective.fit import ForceConstantFit, symmetrised
from mofmd.phonons.effective.results import Sscha, SschaOptions
from mofmd.phonons.effective.sscha import self_consistent
from mofmd.phonons.run import Model
from mofmd.phonons.spectrum.mesh import make_mesh
from mofmd.phonons.spectrum.thermal import constants, oscillators, thermal_functions
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
    with pytest.raises(InputError, match=r"supercells: 1 are too few for the .* parameters"):
        ForceConstantFit(phonopy).check(1, "supercells")
