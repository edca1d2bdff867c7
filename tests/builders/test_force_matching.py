"""Force matching: forces of a potential that sees so far are exact that far from the caps."""

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write
from typer.testing import CliRunner

from mofmd.builders.blocks.blocks import find_blocks
from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.learning.clusters.blueprints import Blueprints
from mofmd.learning.clusters.force_matching import (
    Flagged,
    agreements,
    by_depth,
    choose_shells,
    match_forces,
)
from mofmd.learning.clusters.roles import Role
from mofmd.learning.data.dataset import read_frames
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.molecules import box_of

REACH_A = 3.0  # of the potential


def label(frames: Sequence[Atoms]) -> list[Atoms]:
    """Springs (r - 3 Å)² between all atoms nearer than that, whatever they are."""
    labelled = []
    for frame in frames:
        pairs = find_pairs(frame.positions, box_of(frame, 2 * REACH_A), REACH_A)
        stretch = pairs.distances - REACH_A
        forces = np.zeros((len(frame), 3))
        pull = 2.0 * stretch[:, None] * pairs.vectors / pairs.distances[:, None]
        np.add.at(forces, pairs.first, pull)
        copy = frame.copy()
        energy = float(np.square(stretch).sum() / 2)
        copy.calc = SinglePointCalculator(copy, energy=energy, forces=forces)
        labelled.append(copy)
    return labelled


@pytest.fixture(scope="module")
def crystal() -> Atoms:
    atoms = uio66()
    atoms.rattle(0.05, seed=1)
    return atoms


def test_forces_are_those_of_the_framework_beyond_the_reach(crystal: Atoms) -> None:
    zirconium = np.flatnonzero(crystal.symbols == "Zr")[:1]
    flagged = [Flagged(crystal, find_blocks(uio66()), zirconium)]
    matched, refusals = match_forces(flagged, [0, 1], label)
    assert not refusals
    bare, padded = matched
    assert (len(bare.cluster.atoms), len(padded.cluster.atoms)) == (66, 186)
    for each in matched:
        deep = (each.depths > 2 * REACH_A) & (each.cluster.origins >= 0)
        assert np.abs(each.differences[deep]).max(initial=0.0) < 1e-9
        caps = each.cluster.roles == Role.CAP
        assert np.isnan(each.differences[caps]).all()
        assert not np.isnan(each.differences[~caps]).any()
    first, second = agreements(matched)
    assert (first.shells, second.shells) == (0, 1)
    assert first.core > 50.0
    assert np.isnan(first.mantle)
    assert second.core < 1e-9 < second.mantle
    assert first.worst > first.core
    core = bare.cluster.roles == Role.CORE
    squares = np.square(bare.differences[core]).mean(axis=1)
    assert first.worst == pytest.approx(np.sqrt(squares.max()))
    assert choose_shells([first, second], 30.0) == {first.signature: 1}
    assert choose_shells([first, second], 1e9) == {first.signature: 0}
    assert choose_shells([first], 1.0) == {}
    table = by_depth(matched)
    assert sum(count for _, _, count in table) == 66 + 186 - 2 * 12
    assert all(rmse == 0.0 or depth < 2 * REACH_A + 1 for depth, rmse, _ in table if rmse > 1e-9)


def test_nothing_to_compare(crystal: Atoms) -> None:
    none = [Flagged(crystal, find_blocks(uio66()), np.array([], dtype=int))]
    with pytest.raises(InputError, match="no cluster could be cut out"):
        match_forces(none, [0], label)
    with pytest.raises(InputError, match="shells: none"):
        match_forces(none, [], label)


@pytest.mark.long
def test_command(crystal: Atoms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write("frame.extxyz", crystal)
    (tmp_path / "springs.py").write_text(
        "from ase.calculators.calculator import Calculator, all_changes\n"
        "from tests.builders.test_force_matching import label\n\n\n"
        "class Springs(Calculator):\n"
        "    implemented_properties = ['energy', 'forces']\n\n"
        "    def calculate(self, atoms=None, properties=(), system_changes=all_changes):\n"
        "        super().calculate(atoms, properties, system_changes)\n"
        "        self.results = label([atoms])[0].calc.results\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    monkeypatch.syspath_prepend(tmp_path)
    words = "learn match frame.extxyz --reference uio-66 --atoms 1 --labeller springs:Springs "
    words += "-o match --blueprints b.json"
    done = CliRunner().invoke(app, words.split())
    assert done.exit_code == 0, done.output
    with Path("match/match.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["shells"] for row in rows] == ["0", "1"]
    assert float(rows[0]["core_rmse_meV_per_A"]) > 30.0
    assert len(read_frames(Path("match/clusters.extxyz"))) == 2
    assert Path("match/match.svg").stat().st_size > 5000
    assert [each.shells for each in Blueprints.read(Path("b.json"))] == [1]
