"""Phonons by reference methods: numbers of the calculator itself, what is refused, GFN1-xTB."""

import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import load
from typer.testing import CliRunner

from mofmd.calculator.reference import find_reference
from mofmd.calculator.xtb import ACCURACY
from mofmd.cli.main import app
from mofmd.disk.lock import lock_folder
from mofmd.engine.evaluate import Evaluation
from mofmd.errors import InputError, RunError
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.phonons.calculation.store import ForceStore, Identity
from mofmd.phonons.cells import new_phonopy, to_phonopy
from mofmd.phonons.ladder import symmetry_ladder
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.run import ForceOptions, Model, forces_in_folder
from mofmd.phonons.temperature.expansion import expand
from mofmd.structures.read import read_structure

COPPER = ("--model", "ase.calculators.emt:EMT")
COPPER_A = 3.5899  # lattice constant of EMT's copper
EV_A2_G_MOL_TO_THZ = 15.633302

pytestmark = pytest.mark.usefixtures("place")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["phonons", *words])
    assert done.exit_code == status, f"{done.output}{done.exception!r}"
    return done.output


def test_forces_are_those_of_the_calculator(place: Path) -> None:
    bulk("Cu", a=COPPER_A).write("cu.extxyz")
    with pytest.raises(InputError, match=r"reach is not known.*set --supercell"):
        CliRunner().invoke(
            app, ["phonons", "forces", "cu.extxyz", *COPPER, "-o", "x"], catch_exceptions=False
        )
    command("forces", "cu.extxyz", *COPPER, "--supercell", "2x2x2", "-o", "by-word")
    expected, _ = forces_in_folder(
        read_structure("cu.extxyz"),
        InProcess(EMT()),
        Model("test"),
        place / "by-hand",
        ForceOptions(supercell=(2, 2, 2)),
    )
    found = load(place / "by-word/phonopy.yaml")
    np.testing.assert_allclose(found.force_constants, expected.force_constants, atol=1e-9)
    plan = json.loads((place / "by-word/forces/plan.json").read_text())
    reference = find_reference(COPPER[1])
    assert reference is not None
    assert plan["model"] == reference.identity
    assert plan["model_facts"]["model"] == COPPER[1]


class Flat(EMT):  # type: ignore[misc] # ASE has no types
    """Copper without stress."""

    implemented_properties = ("energy", "forces")


def test_methods_without_stress(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Said before anything is made, without options that the commands lack."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (place / "flat_copper.py").write_text(
        "from ase.calculators.emt import EMT\n"
        "class Flat(EMT):\n    implemented_properties = ['energy', 'forces']\n"
    )
    crystal = bulk("Cu", a=COPPER_A)
    crystal.write("cu.extxyz")
    words = ["phonons", "elastic", "cu.extxyz", "--model", "flat_copper:Flat", "-o", "x"]
    with pytest.raises(InputError, match="elastic: the model gives no stress") as found:
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert "--cell" not in str(found.value)
    assert not Path("x").exists()
    flat = Flat()
    with pytest.raises(InputError, match="qha: the model gives no stress"):
        expand(crystal, flat, InProcess(flat), Model("flat"), place / "y")
    assert not Path("y").exists()


@pytest.mark.parametrize(
    ("name", "inside"),
    [("elastic", "strain-3+"), ("imaginary", "round-01/relax"), ("qha", "volume-02/relax")],
)
def test_a_folder_at_work_is_not_begun_anew(name: str, inside: str, place: Path) -> None:
    """Be the whole of it at work or a part, nothing of it is removed."""
    bulk("Cu", a=COPPER_A).write("cu.extxyz")
    (place / "x" / inside).mkdir(parents=True)
    (place / "x/relax").mkdir()
    supercell = () if name == "elastic" else ("--supercell", "2x2x2")
    words = ["phonons", name, "cu.extxyz", *COPPER, *supercell, "-o", "x", "--overwrite"]
    for held in ("x", f"x/{inside}"):
        message = f"^{re.escape(held)}: another calculation of phonons is going on"
        with lock_folder(Path(held), "task"), pytest.raises(RunError, match=message):
            CliRunner().invoke(app, words, catch_exceptions=False)
        assert (place / "x" / inside).exists()
        assert (place / "x/relax").exists()


@pytest.mark.parametrize("name", ["run", "forces", "imaginary", "qha", "elastic"])
def test_a_slab_is_refused_at_once(name: str) -> None:
    """With what to do: no option of the command makes a crystal of it."""
    bulk("Cu", a=COPPER_A).write("slab.extxyz", append=False)
    text = Path("slab.extxyz").read_text().replace('pbc="T T T"', 'pbc="T T F"')
    Path("slab.extxyz").write_text(text)
    words = ["phonons", name, "slab.extxyz", *COPPER, "-o", "x"]
    with pytest.raises(InputError, match=r"a slab.*of crystals: put it into a cell") as found:
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert "--cell" not in str(found.value)
    assert not Path("x").exists()


def test_a_method_is_mended_before_any_forces(place: Path) -> None:
    """A folder without forces is no other method's; with forces it is."""
    first, second = Identity("s", "fails", "d"), Identity("s", "mended", "d")
    ForceStore(place / "x", first, 1)
    store = ForceStore(place / "x", second, 1)
    store.keep(0, Evaluation(0.0, np.zeros(1), np.zeros((1, 3)), np.zeros((3, 3))))
    with pytest.raises(InputError, match="holds forces of another model"):
        ForceStore(place / "x", first, 1)


def test_symmetry_tolerances_that_cannot_be(place: Path) -> None:
    """Refused before spglib, which crashes on them or does not end."""
    crystal = bulk("Cu", a=COPPER_A)
    for tolerance in (0.0, -1.0, float("nan"), 5.0):
        message = f"symmetry_tolerance_A: {tolerance:g} Å, expected more than zero"
        with pytest.raises(InputError, match=message):
            ForceOptions(symmetry_tolerance_A=tolerance)
        with pytest.raises(InputError, match=message):
            new_phonopy(to_phonopy(crystal), np.eye(3, dtype=int), tolerance)
        with pytest.raises(InputError, match=message):
            load_phonopy(place, symmetry_tolerance_A=tolerance)
    two = crystal + crystal
    with pytest.raises(InputError, match=r"Cu 1 and Cu 2 are 0\.00 Å apart"):
        new_phonopy(to_phonopy(two), np.eye(3, dtype=int))
    assert {rung.space_group for rung in symmetry_ladder(two)} == {"none found"}


@pytest.mark.long
def test_run_in_lanes_and_compare() -> None:
    """The whole way, the cell kept, in two processes; the softened copy of it beside."""
    bulk("Cu", a=1.01 * COPPER_A).write("cu.extxyz")
    common = ("--supercell", "3x3x3", "--mesh", "4x4x4", "--points", "3")
    command("run", "cu.extxyz", *COPPER, *common, "--cell", "fixed", "--lanes", "2", "-o", "wide")
    command("run", "cu.extxyz", *COPPER, *common, "-o", "relaxed")
    wide, relaxed = (load(Path(name) / "phonopy.yaml") for name in ("wide", "relaxed"))
    assert np.linalg.norm(wide.unitcell.cell[0]) == pytest.approx(1.01 * COPPER_A / 2**0.5)
    assert np.linalg.norm(relaxed.unitcell.cell[0]) == pytest.approx(COPPER_A / 2**0.5, rel=1e-4)
    assert "space groups" in command("compare", "wide", "relaxed", "--mesh", "2x2x2")
    assert "EMT" in Path("wide/report.html").read_text()


@pytest.mark.long
def test_gfn1_xtb() -> None:
    """Carbon dioxide in a box: frequencies of its own force constants, which have little noise."""
    tblite = pytest.importorskip("tblite.ase")
    Atoms("CO2", positions=[[4, 4, 4], [5.15, 4, 4], [2.85, 4, 4]], cell=[8, 8, 8], pbc=True).write(
        "co2.extxyz"
    )
    told = command(
        *("run", "co2.extxyz", "--model", "gfn1-xtb", "--supercell", "1x1x1", "--cell", "fixed"),
        *("--symmetry", "--mesh", "1x1x1", "--points", "2", "-o", "gfn1"),
    )
    assert "asymmetry" in told
    record = json.loads(Path("gfn1/phonons.json").read_text())
    assert record["accuracy"] == ACCURACY
    assert record["force_constants"]["asymmetry_max_eV_per_A2"] < 1e-4
    cell = load("gfn1/phonopy.yaml").unitcell
    atoms = Atoms(cell.symbols, positions=cell.positions, cell=cell.cell, pbc=True)
    hessian = np.empty((9, 9))
    for k in range(9):
        forces = []
        for step in (0.002, -0.002):
            moved = atoms.copy()
            moved.positions[k // 3, k % 3] += step
            moved.calc = tblite.TBLite(method="GFN1-xTB", accuracy=ACCURACY, verbosity=0)
            forces.append(moved.get_forces().ravel())
        hessian[k] = (forces[1] - forces[0]) / 0.004
    root = np.sqrt(np.repeat(cell.masses, 3))
    squares = np.linalg.eigvalsh(0.5 * (hessian + hessian.T) / np.outer(root, root))
    expected = np.sign(squares) * np.sqrt(np.abs(squares)) * EV_A2_G_MOL_TO_THZ
    gamma = np.genfromtxt("gfn1/gamma.csv", delimiter=",", names=True, dtype=None)
    np.testing.assert_allclose(np.sort(gamma["frequency_THz"])[-4:], expected[-4:], atol=0.01)
