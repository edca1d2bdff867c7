"""LAMMPS with the plugin against the frameworks' own Python calculators."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.conftest import References
from tests.engine.lammps import Result, evaluate, pair_lines
from tests.engine.systems import SYSTEMS

pytestmark = pytest.mark.frameworks

# LAMMPS file -> model whose calculator is the reference
NEQUIP_FILES = {
    "nequip-f64.nequip.pth": "nequip-f64.nequip.pth",
    "nequip-f64.nequip.pt2": "nequip-f64.nequip.pth",
    "nequip-f32.nequip.pth": "nequip-f32.nequip.pth",
    "nequip-r8.nequip.pth": "nequip-r8.nequip.pth",
    "nequip-r15.nequip.pth": "nequip-r15.nequip.pth",
    "allegro-f64.nequip.pth": "allegro-f64.nequip.pth",
    "allegro-f64.nequip.pt2": "allegro-f64.nequip.pth",
    "allegro-f32.nequip.pth": "allegro-f32.nequip.pth",
    "allegro-cut.nequip.pth": "allegro-cut.nequip.pth",
    "allegro-r8.nequip.pth": "allegro-r8.nequip.pth",
}
MACE_FILES = {
    f"{name}.model-lammps.pt": f"{name}.model" for name in ("mace-f64", "mace-f32", "mace-r8")
}
QUICK = ["nequip-f64.nequip.pth", "nequip-f64.nequip.pt2", "allegro-f64.nequip.pth"]
QUICK += ["allegro-f64.nequip.pt2", "mace-f64.model-lammps.pt", "nequip-f32.nequip.pth"]


def assert_same(found: Result, expected: Result, single_precision: bool) -> None:
    """Energies, forces and stress agree: 1e-8 absolute in float64, 1e-5 relative in float32."""
    for name in ("energy", "energies", "forces", "stress"):
        a, b = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        if name == "stress" and np.isnan(b).any():
            continue  # not periodic: the calculator gives none
        largest = float(np.abs(b).max())
        # rounding in float64 is 1e-11 of energies of thousands of eV (atoms in random places)
        tolerance = 1e-5 * max(1.0, largest) if single_precision else max(1e-8, 1e-11 * largest)
        np.testing.assert_allclose(a, b, rtol=0, atol=tolerance, err_msg=name)


def check_model(
    folder: Path, file: str, framework: str, model: str, references: References, work: Path
) -> None:
    """Compare one file on all systems, in one LAMMPS process."""
    systems = [name for name in SYSTEMS if not ("r15" in file and name == "crystal")]
    pair = pair_lines(folder / file)
    results = evaluate([SYSTEMS[name]() for name in systems], work, pair)
    for name, result in zip(systems, results, strict=True):
        assert_same(result, references(framework, model, name), "f32" in file)


def mostly_long(files: dict[str, str]) -> list[Any]:
    """Return files and models; those beside one of each kind are for the long tests."""
    return [
        pytest.param(*pair, marks=() if pair[0] in QUICK else pytest.mark.long)
        for pair in files.items()
    ]


@pytest.mark.parametrize(("file", "model"), mostly_long(NEQUIP_FILES))
def test_nequip_and_allegro_files(
    file: str, model: str, nequip_models: Path, references: References, tmp_path: Path
) -> None:
    check_model(nequip_models, file, "nequip", model, references, tmp_path)


@pytest.mark.parametrize(("file", "model"), mostly_long(MACE_FILES))
def test_mace_files(
    file: str, model: str, mace_models: Path, references: References, tmp_path: Path
) -> None:
    check_model(mace_models, file, "mace", model, references, tmp_path)
