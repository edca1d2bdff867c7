"""Allegro gives the same numbers on any number of ranks, in any grid."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.models.files.embedded import embedded_model
from tests.engine.lammps import evaluate, pair_lines
from tests.engine.systems import SPECIES, SYSTEMS, crystal

GRIDS = [
    (2, "processors 2 1 1", ""),
    (4, "processors 4 1 1", ""),
    (4, "processors 2 2 1", ""),
    (2, "comm_style tiled", "balance 1.1 rcb"),
]


def with_vacuum() -> Atoms:
    """Return the crystal in one half of its box, so that ranks of the other half are empty."""
    atoms = crystal()
    atoms.wrap()
    cell = atoms.cell.array.copy()
    cell[0, 0] *= 4
    atoms.set_cell(cell)
    return atoms


def same(found: list, expected: list, force_tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a.forces, b.forces, rtol=0, atol=force_tolerance)
        np.testing.assert_allclose(a.energies, b.energies, rtol=0, atol=force_tolerance)
        assert abs(a.energy - b.energy) <= force_tolerance * len(a.energies)
        np.testing.assert_allclose(a.stress, b.stress, rtol=0, atol=force_tolerance)


def check_grids(
    structures: list[Atoms],
    pair: str,
    grids: list[tuple[int, str, str]],
    newton: str,
    work: Path,
) -> None:
    """Compare every grid with one rank: energies, forces, stress to 1e-8."""
    expected = evaluate(structures, work / "serial", pair, before=f"newton {newton}")
    for number, (ranks, before, after) in enumerate(grids):
        # comm_style tiled refuses boxes thinner than the cutoff: LAMMPS's own limit
        used = structures[:1] if "tiled" in before else structures
        found = evaluate(
            used,
            work / str(number),
            pair,
            ranks=ranks,
            before=f"newton {newton}\n{before}",
            after_read=after,
        )
        same(found, expected[: len(used)], force_tolerance=1e-8)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("file", "newton"),
    [
        ("allegro-f64.nequip.pt2", "on"),
        pytest.param("allegro-cut.nequip.pth", "off", marks=pytest.mark.long),
        pytest.param("allegro-cut.nequip.pth", "on", marks=pytest.mark.long),
        pytest.param("allegro-f64.nequip.pt2", "off", marks=pytest.mark.long),
    ],
)
def test_ranks_and_grids(file: str, newton: str, nequip_models: Path, tmp_path: Path) -> None:
    structures = [with_vacuum(), SYSTEMS["tilted"]()]
    check_grids(structures, pair_lines(nequip_models / file), GRIDS, newton, tmp_path)


def test_embedded_model_on_ranks(tmp_path: Path) -> None:
    pair = (
        f"pair_style allegro\npair_coeff * * {embedded_model('zif4-allegro-s')} {' '.join(SPECIES)}"
    )
    structures = [with_vacuum()]
    expected = evaluate(structures, tmp_path / "1", pair)
    for newton in ("on", "off"):
        before = f"newton {newton}\nprocessors 4 1 1"
        found = evaluate(structures, tmp_path / newton, pair, ranks=4, before=before)
        same(found, expected, force_tolerance=5e-5)  # float32
