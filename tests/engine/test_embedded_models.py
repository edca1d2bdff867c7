"""Every model of the package runs on any number of ranks and says what to cite."""

from pathlib import Path

import numpy as np
import pytest

from mofmd.models.embedded import embedded_model, embedded_models
from tests.engine.lammps import evaluate
from tests.engine.systems import SPECIES, crystal


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
