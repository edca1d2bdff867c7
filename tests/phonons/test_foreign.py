"""Files of phonopy that other programs wrote: units, Born charges, what is wrong in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import phonopy as phonopy_package
import pytest
import yaml
from phonopy import Phonopy
from phonopy.physical_units import get_calculator_physical_units
from phonopy.structure.atoms import PhonopyAtoms

from mofmd.errors import InputError, InputWarning
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.spectrum.modes import sample
from tests.phonons.crystals import argon, chain, fcc, phonons

WAVES = np.array([[0.5, 0.0, 0.0], [0.1, 0.2, 0.3]])


def written(folder: Path, calculator: str | None = None, **settings: bool) -> Path:
    """Chains of two masses, told in the units of a calculator, as phonopy itself writes them."""
    units = get_calculator_physical_units(calculator)
    atoms = chain()
    cell = PhonopyAtoms(
        symbols=atoms.get_chemical_symbols(),
        cell=atoms.cell.array / units.distance_to_A,
        scaled_positions=atoms.get_scaled_positions(),
    )
    made = Phonopy(cell, np.diag([3, 1, 1]), np.eye(3), calculator=calculator)
    made.generate_displacements(distance=0.002 / units.distance_to_A)
    forces = []
    for each in made.supercells_with_displacements:
        moved = atoms.repeat((3, 1, 1))
        moved.set_chemical_symbols(each.symbols)
        moved.positions = each.positions * units.distance_to_A
        forces.append(argon().get_forces(moved) / units.force_to_eVperA)
    made.forces = np.array(forces)
    made.produce_force_constants(show_drift=False)
    file = folder / "phonopy.yaml"
    made.save(file, settings=settings or {"force_sets": True})
    return file


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> str:
    return written(tmp_path_factory.mktemp("sound")).read_text()


@pytest.mark.parametrize("calculator", [None, "qe", "abinit", "cp2k"])
@pytest.mark.parametrize("constants", [False, True])
def test_units_of_calculators(calculator: str | None, constants: bool, tmp_path: Path) -> None:
    """Frequencies are those that phonopy makes of the same file, and of argon itself."""
    file = written(tmp_path, calculator, force_sets=not constants, force_constants=constants)
    own = phonopy_package.load(file, symmetrize_fc=False, log_level=0, fc_calculator="traditional")
    found, _ = load_phonopy(file, sum_rule=False)
    np.testing.assert_allclose(
        sample(found, WAVES).frequencies_THz, own.run_qpoints(WAVES).frequencies, atol=1e-5
    )
    np.testing.assert_allclose(found.unitcell.cell, chain().cell.array, atol=1e-8)


def test_units_that_are_not_known(text: str, tmp_path: Path) -> None:
    file = tmp_path / "phonopy.yaml"
    content = yaml.safe_load(text)
    content["phonopy"]["calculator"] = "unheard"
    content.pop("physical_unit")  # phonopy itself checks it
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=r"phonopy.yaml: calculator 'unheard': its units"):
        load_phonopy(file)


def test_supercells_of_less_symmetry_are_no_matter(tmp_path: Path) -> None:
    """Without a warning, which tests make an error."""
    _, made = phonons(fcc(), argon(), tmp_path, (2, 2, 1))
    _, found = load_phonopy(tmp_path)
    np.testing.assert_allclose(found.values_eV_per_A2, made.values_eV_per_A2, atol=1e-6)


def test_born_charges_are_told(text: str, tmp_path: Path) -> None:
    file = tmp_path / "phonopy.yaml"
    content = yaml.safe_load(text)
    content["nac"] = {
        "born_effective_charge": [np.eye(3).tolist(), (-np.eye(3)).tolist()],
        "dielectric_constant": (2 * np.eye(3)).tolist(),
    }
    file.write_text(yaml.safe_dump(content))
    with pytest.warns(InputWarning, match=r"phonopy.yaml: Born charges .* left out"):
        load_phonopy(file)


def _put(*keys: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = value

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_put("displacements", 0, "displacement", value=[0, 0, 0]), "displacement 1: is zero"),
        (_put("displacements", 0, "displacement", value=[0.01, 0]), "displacement 1: expected"),
        (_put("displacements", 0, "atom", value=999), "displacement 1: atom 999, expected 1 to 6"),
        (_put("displacements", 1, "forces", value=[[0, 0, 0]]), "displacement 2: forces of 1 at"),
        (_put("displacements", 1, "forces", 0, 0, value=float("nan")), "displacement 2: .*finite"),
        (lambda content: content["displacements"][1].pop("forces"), "displacement 2: has no fo"),
        (lambda content: content["displacements"].pop(), "do not give all force constants"),
        (_put("supercell_matrix", value=[[0, 0, 0]] * 3), r"supercell matrix .* is singular"),
        (_put("primitive_matrix", value=[[0, 0, 0]] * 3), "phonopy cannot make the cells"),
        (
            _put("force_constants", value={"shape": [2, 4], "elements": [0.0] * 72}),
            "force constants of 2 x 4 atoms, expected 2 x 6",
        ),
        (
            _put("force_constants", value={"shape": [2, 6], "elements": [float("nan")] * 108}),
            "force constants that are not finite",
        ),
        (
            _put("dataset", value={"displacements": [[[0.01, 0, 0]] * 6], "forces": []}),
            "1 displaced supercells, but forces of 0",
        ),
    ],
)
def test_what_is_wrong_is_named(change: Any, said: str, text: str, tmp_path: Path) -> None:
    file = tmp_path / "phonopy.yaml"
    content = yaml.safe_load(text)
    change(content)
    if "dataset" in content:
        content.pop("displacements")
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError, match=rf"phonopy\.yaml: .*{said}"):
        load_phonopy(file)
