"""Every model of the package: any number of ranks, what to cite, and what it was deployed from."""

from pathlib import Path

import numpy as np
import pytest

from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import Options
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model, embedded_models
from mofmd.structures.crystals.zif import zif4
from tests.engine.lammps import evaluate
from tests.engine.systems import SPECIES, crystal

SOURCES = Path(__file__).parents[2] / "deploy/models/zif4/sources"


@pytest.mark.parametrize("name", embedded_models())
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


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("name", embedded_models())
def test_source(name: str, tmp_path: Path) -> None:
    """What users compile for their machines or go on training from is the package's model."""
    (source,) = SOURCES.glob(f"{name}.*")
    options = Options(species=tuple(SPECIES), structures=(zif4(),))
    exported = export(source, tmp_path / f"{name}.mofmd.pth", options)
    recorded = read_deployed(embedded_model(name)).manifest["reference"]
    found = exported.subject.reference
    assert found is not None
    assert found.energies_eV[1] == pytest.approx(recorded["energy_eV"], abs=1e-3)
    difference = found.forces_eV_per_A[1] - np.array(recorded["forces_eV_per_A"])
    assert np.abs(difference).max() < 1e-5
