"""Energies of elements: exact where compositions determine them, refused where they do not."""

import numpy as np
import pytest
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, labelled, labels_of
from mofmd.learning.data.element_energies import energy_shifts, fit_element_energies

TRUE = {"C": -9.1, "H": -3.4, "O": -6.2}


def frames(formulas: list[str], noise: float = 0.0) -> list[Atoms]:
    rng = np.random.default_rng(1)
    made = []
    for formula in formulas:
        atoms = Atoms(formula, positions=rng.random((len(Atoms(formula)), 3)))
        energy = sum(TRUE[symbol] for symbol in atoms.symbols) + noise * len(atoms) * rng.normal()
        made.append(labelled(atoms, Labels(energy, np.zeros((len(atoms), 3)), None)))
    return made


def test_several_compositions_tell_the_elements_apart() -> None:
    found = fit_element_energies(frames(["CH4", "CO2", "C6H6", "CHO2"]))
    assert found.eV == pytest.approx(TRUE, abs=1e-9)
    assert found.residual_meV < 1e-9
    assert energy_shifts(frames(["CH4", "CO2", "C6H6", "CHO2"])) == pytest.approx(TRUE)
    noisy = fit_element_energies(frames(["CH4", "CO2", "C6H6", "H2O", "C2H6O"] * 40, 0.01))
    assert noisy.eV == pytest.approx(TRUE, abs=0.02)
    assert noisy.residual_meV == pytest.approx(10.0, rel=0.2)


def test_compositions_that_do_not_are_refused() -> None:
    alike = frames(["CHO2", "C2H2O4", "C3H3O6"])
    with pytest.raises(InputError, match="1 independent compositions of 3 elements"):
        fit_element_energies(alike)
    mean = sum(TRUE[symbol] for symbol in Atoms("CHO2").symbols) / 4
    assert energy_shifts(alike) == pytest.approx(mean)
    two = frames(["CH4", "CO2", "C2H4O2"])  # the third is the sum of the others
    with pytest.raises(InputError, match="2 independent"):
        fit_element_energies(two)
    shifts = energy_shifts(two)  # of all three exactly, though no element is known by itself
    assert isinstance(shifts, dict)
    for frame in two:
        given = sum(shifts[symbol] for symbol in frame.symbols)
        assert given == pytest.approx(labels_of(frame).energy_eV, abs=1e-9)
