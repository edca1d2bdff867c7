"""Every model of the package: any number of ranks, what to cite, and what it was deployed from."""

from pathlib import Path

import numpy as np
import pytest
import spglib
from ase import Atoms

from mofmd.builders.blocks.blocks import find_blocks
from mofmd.builders.defects.defects import Defects, make_defects
from mofmd.engine.evaluate import evaluate as evaluate_any
from mofmd.engine.launch import Resources
from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import Options
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model, embedded_models
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.crystals.zif import zif4
from tests.engine.lammps import evaluate
from tests.engine.systems import SPECIES, ZIF4_MODELS, crystal

SOURCES = Path(__file__).parents[2] / "deploy/models"


def primitive_uio66() -> Atoms:
    crystal = uio66()
    cell = crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers
    vectors, places, numbers = spglib.find_primitive(cell, 1e-3)
    return Atoms(numbers=numbers, cell=vectors, scaled_positions=places, pbc=True)


CRYSTALS = {"zif4": zif4, "uio66": primitive_uio66}


@pytest.mark.parametrize("name", ZIF4_MODELS)
def test_on_ranks(name: str, tmp_path: Path) -> None:
    file = embedded_model(name)
    family = name.split("-")[1]
    pair = f"pair_style {family}\npair_coeff * * {file} {' '.join(SPECIES)}"
    (one,) = evaluate([crystal()], tmp_path / "1", pair)
    (two,) = evaluate([crystal()], tmp_path / "2", pair, ranks=2)
    largest = np.abs(one.forces).max()
    np.testing.assert_allclose(two.forces / largest, one.forces / largest, rtol=0, atol=1e-5)
    np.testing.assert_allclose(two.stress, one.stress, rtol=0, atol=1e-6)
    assert abs(two.energy - one.energy) < 1e-3  # of 60,000 eV
    log = (tmp_path / "1" / "log.lammps").read_text()
    assert f"model {name}, licence CC-BY-4.0" in log
    assert "10.1039/d3dd00236e" in log  # the teacher


@pytest.mark.parametrize("name", sorted({*embedded_models()} - {*ZIF4_MODELS}))
def test_uio66_on_ranks(name: str) -> None:
    """With a hafnium, and a linker missing."""
    crystal = uio66()
    crystal.symbols[crystal.symbols.search("Zr")[0]] = "Hf"
    blocks = find_blocks(crystal)
    atoms = make_defects(crystal, blocks, Defects(linkers=(0,))).atoms
    atoms.rattle(0.05, seed=4)
    model = read_deployed(embedded_model(name))
    one, two = (
        evaluate_any([atoms], model.pair_commands(), model.type_names, Resources(ranks=ranks))[0]
        for ranks in (1, 2)
    )
    largest = np.abs(one.forces_eV_per_A).max()
    assert largest > 0.1
    np.testing.assert_allclose(two.forces_eV_per_A, one.forces_eV_per_A, atol=1e-5 * largest)
    np.testing.assert_allclose(two.stress_eV_per_A3, one.stress_eV_per_A3, rtol=0, atol=1e-6)
    assert abs(two.energy_eV - one.energy_eV) < 1e-3


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.filterwarnings("ignore:Set OLD_ERROR_HANDLING:DeprecationWarning")  # spglib 2.8
@pytest.mark.parametrize("name", embedded_models())
def test_source(name: str, tmp_path: Path) -> None:
    """What users compile for their machines or go on training from is the package's model."""
    framework = name.split("-", maxsplit=1)[0]
    (source,) = SOURCES.glob(f"{framework}/sources/{name}.*")
    packaged = read_deployed(embedded_model(name))
    options = Options(species=packaged.type_names, structures=(CRYSTALS[framework](),))
    exported = export(source, tmp_path / f"{name}.mofmd.pth", options)
    recorded = packaged.manifest["reference"]
    found = exported.subject.reference
    assert found is not None
    places = np.array(recorded["positions_A"])
    (k,) = (  # the structure as given, or the deformed one of the gate
        k
        for k, each in enumerate(exported.subject.structures)
        if len(each) == len(places) and np.allclose(each.positions, places)
    )
    assert found.energies_eV[k] == pytest.approx(recorded["energy_eV"], abs=1e-3)
    difference = found.forces_eV_per_A[k] - np.array(recorded["forces_eV_per_A"])
    assert np.abs(difference).max() < 1e-5
