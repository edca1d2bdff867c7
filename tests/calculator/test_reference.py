"""Reference methods by word: the numbers of their calculators, identities, what is refused."""

import importlib
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from typer.testing import CliRunner

from mofmd.calculator import reference, xtb
from mofmd.calculator.lanes import Lanes
from mofmd.calculator.options import CalculatorOptions
from mofmd.calculator.reference import Reference, find_reference
from mofmd.calculator.separate import SeparateCalculator
from mofmd.calculator.worker import make_calculator
from mofmd.calculator.xtb import refuse_odd_electrons
from mofmd.cli.main import app
from mofmd.disk.sources import plain
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.learning.label.labellers import find_labeller
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.relaxation import RelaxOptions, relax
from mofmd.structures.read import read_structure

COPPER = "ase.calculators.emt:EMT"
SPRING = "own_calculators:make"
LENGTH_A, STIFFNESS = 1.5, 4.0  # of the spring [eV/Å²]
SOURCE = f"""
from ase.calculators.calculator import Calculator, all_changes
import numpy as np

class Spring(Calculator):
    implemented_properties = ["energy", "forces"]

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        print("a word of its own")
        with open("calls", "a") as file:
            file.write(".")
        bond = self.atoms.positions[1] - self.atoms.positions[0]
        x = np.linalg.norm(bond) - {LENGTH_A}
        force = {STIFFNESS} * x * bond / np.linalg.norm(bond)
        self.results = dict(energy={STIFFNESS} * x**2 / 2, forces=np.array([force, -force]))
        if x < -1.0:
            raise ValueError("too short")

def make():
    return Spring()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A current folder with a module of a calculator without stress."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "own_calculators.py").write_text(SOURCE)
    yield tmp_path
    sys.modules.pop("own_calculators", None)


def pair(distance_A: float) -> Atoms:
    return Atoms("CO", positions=[[1, 1, 1], [1 + distance_A, 1, 1]], cell=[5, 6, 7], pbc=True)


def find(word: str) -> Reference:
    found = find_reference(word)
    assert found is not None
    return found


def test_relaxed_by_word_as_by_calculator(folder: Path) -> None:
    """The cell with a calculator that has a stress."""
    atoms = bulk("Cu")
    atoms.set_cell(atoms.cell.array @ np.diag([1.03, 1.0, 0.99]), scale_atoms=True)
    atoms.write("cu.extxyz")
    words = ["relax", "cu.extxyz", "--model", COPPER, "-o", "relaxed"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, f"{done.output}{done.exception!r}"
    expected = relax(read_structure("cu.extxyz"), EMT(), RelaxOptions())
    record = json.loads((folder / "relaxed/relaxed.json").read_text())
    assert record["energy_eV"] == expected.energy_eV
    assert record["volume_A3"] == expected.volume_A3
    assert record["calculator"]["identity"] == find(COPPER).identity


def test_calculators_without_stress() -> None:
    """Positions relax; the cell is refused; no evaluation is made for what the method lacks."""
    with SeparateCalculator(find(SPRING)) as calculator:
        found = relax(pair(1.7), calculator, RelaxOptions(cell="fixed"))
        assert found.atoms.get_distance(0, 1) == pytest.approx(LENGTH_A, abs=1e-4)
        assert found.stress_GPa is None
        with pytest.raises(InputError, match=r"gives no stress.*--cell fixed"):
            relax(pair(1.7), calculator)
        (evaluation,) = InProcess(calculator).map([pair(1.6)])
        assert evaluation.energy_eV == pytest.approx(0.5 * STIFFNESS * 0.1**2)
        assert np.isnan(evaluation.stress_eV_per_A3).all()
        assert len(Path("calls").read_text()) == found.calls + 2
        assert "stress" not in calculator.implemented_properties
        message = (
            r"make: raised ValueError: too short \(own_calculators.py, line 18\); its last words"
        )
        with pytest.raises(RunError, match=message) as failed:
            calculator.get_potential_energy(pair(0.3))
        assert "Traceback" not in str(failed.value)
        assert "Traceback" in failed.value.__notes__[0]
    with pytest.raises(InputError, match="dispersion and dtype are for models"):
        Lanes(find(SPRING), dtype="float64")


FACTORIES = """
def nothing(): return None
def text(): return "EMT"
def kind():
    from ase.calculators.emt import EMT
    return EMT
def needs(x): return x
def fails(): raise RuntimeError("no licence")
def shape():
    from ase.calculators.emt import EMT
    class Short(EMT):
        def calculate(self, *a, **k):
            super().calculate(*a, **k)
            self.results["forces"] = self.results["forces"][:1]
    return Short()
"""


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "returned None, expected an ASE calculator$"),
        ("text", "returned a str, expected an ASE calculator$"),
        ("kind", "returned the class EMT, expected an ASE calculator"),
        ("needs", r"is called without arguments, .*missing a required argument: 'x'"),
        ("fails", r"raised RuntimeError: no licence \(own_calculators.py, line 8\)$"),
    ],
)
def test_factories_that_make_no_calculator(folder: Path, name: str, message: str) -> None:
    (folder / "own_calculators.py").write_text(FACTORIES)
    with pytest.raises((InputError, RunError), match=f"^{message}"):
        make_calculator(f"own_calculators:{name}", {})


def test_failures_are_told_by_the_process(folder: Path) -> None:
    """A factory's before anything is evaluated; forces of another shape."""
    (folder / "own_calculators.py").write_text(FACTORIES)
    with (
        pytest.raises(RunError, match=r"^own_calculators:fails: raised RuntimeError: no licence"),
        SeparateCalculator(find("own_calculators:fails")),
    ):
        pass
    message = r"gave forces of the shape \(1, 3\), expected \(4, 3\)"
    with SeparateCalculator(find("own_calculators:shape")) as calculator:
        assert "stress" in calculator.implemented_properties
        with pytest.raises(RunError, match=message):
            calculator.get_potential_energy(bulk("Cu", cubic=True))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("x = = 1", r"is wrong: SyntaxError: invalid syntax \(own_calculators.py, line 1\)"),
        (
            "\n1 / 0",
            r"is wrong: ZeroDivisionError: division by zero \(own_calculators.py, line 2\)",
        ),
        ("raise SystemExit", r"is wrong: SystemExit \(own_calculators.py, line 1\)"),
        ("import absent_package", "cannot import own_calculators .*absent_package"),
    ],
)
def test_modules_that_are_wrong(folder: Path, source: str, message: str) -> None:
    (folder / "own_calculators.py").write_text(source)
    with pytest.raises(InputError, match=f"^calculator: {SPRING}: (own_calculators )?{message}"):
        SeparateCalculator(find(SPRING))


@pytest.mark.long
def test_lanes() -> None:
    """Several processes; a structure that fails costs itself alone, atoms have no energies."""
    lengths = np.linspace(1.2, 1.8, 7)
    with Lanes(find(SPRING), lanes=2) as lanes:
        found = list(lanes.map(pair(x) for x in lengths))
    energies = [each.energy_eV for each in found]
    assert energies == pytest.approx(0.5 * STIFFNESS * (lengths - LENGTH_A) ** 2, abs=1e-12)
    assert np.isnan(found[0].stress_eV_per_A3).all()
    assert np.isnan(found[0].atomic_energies_eV).all()


def test_identity_changes_with_the_source(folder: Path) -> None:
    found = []
    for source in (SOURCE, SOURCE.replace(str(STIFFNESS), "5.0")):
        (folder / "own_calculators.py").write_text(source)
        sys.modules.pop("own_calculators", None)
        importlib.invalidate_caches()
        sys.path_importer_cache.clear()
        found.append(find(SPRING).identity)
        assert find_labeller(SPRING).identity == found[-1]
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)  # of the same second
    assert found[0] != found[1]


ARGON = "from ase.calculators.lj import LennardJones as Argon\nfrom functools import partial\n"


@pytest.mark.parametrize(
    ("module", "file", "before", "after"),
    [
        ("", "own_calculators.py", *(f"{ARGON}make = partial(Argon, sigma={x})" for x in (3, 9))),
        (
            "def make():\n import own_values\n return own_values.made()",
            "own_values.py",
            *(f"{ARGON}def made():\n {x}\n return Argon()" for x in (1, 2)),
        ),
        (
            f"{ARGON}import json\ndef make(): return Argon(**json.load(open('own.json')))",
            "own.json",
            *(f'{{"sigma": {x}}}' for x in (3, 9)),
        ),
    ],
    ids=["bound arguments", "imported code", "parameter from a file"],
)
def test_identity_changes_with_what_the_factory_uses(
    module: str,
    file: str,
    before: str,
    after: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")  # two sources of the same second
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    (folder / "own_calculators.py").write_text(module)
    found = []
    for content in (before, after):
        (folder / file).write_text(content)
        sys.modules.pop("own_calculators", None)
        importlib.invalidate_caches()
        reference._described.cache_clear()  # as in another process
        found.append(find(SPRING).identity)
    assert found[0] != found[1]


def test_identity_is_the_same_in_another_process() -> None:
    program = (
        f"from mofmd.calculator.reference import Reference as R; print(R('', '{SPRING}').identity)"
    )
    line = [sys.executable, "-c", program]
    told = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    assert told.strip() == find(SPRING).identity


def test_values_told_plainly() -> None:
    assert plain({"b": np.arange(2), 1: {3.0}, "o": (object(), None)}) == {
        "1": ["3.0"],
        "b": [0, 1],
        "o": ["<object object>", None],
    }


def test_identity_of_gfn1_xtb_holds_its_accuracy(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tblite")
    before = find("gfn1-xtb")
    assert before.facts["accuracy"] == xtb.ACCURACY
    identity = before.identity
    monkeypatch.setattr(reference, "ACCURACY", 1.0)
    assert before.identity != identity


@pytest.mark.parametrize(
    ("option", "value"), [("dispersion", "d3bj:pbe"), ("dtype", "file"), ("device", "cuda")]
)
def test_options_of_models_are_refused(option: str, value: str) -> None:
    with pytest.raises(InputError, match=f"{option}: {value} is for models; {COPPER} is a ref"):
        CalculatorOptions(model=Path(COPPER), **{option: value})  # type: ignore[arg-type]


def test_words_that_name_nothing() -> None:
    options = CalculatorOptions(model=Path("gfn2-xtb"))
    message = "no such model file.* a reference method is .*package.module:factory, or gfn1-xtb"
    with pytest.raises(MissingFileError, match=message), options.opened(bulk("Cu")):
        pass
    with pytest.raises(InputError, match="has no function 'absent'"):
        SeparateCalculator(find("own_calculators:absent"))


def test_gfn1_xtb_needs_tblite(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(InputError, match=r"needs the package tblite, .* pip install tblite"):
        CalculatorOptions(model=Path("gfn1-xtb"))


def test_odd_electrons_are_refused() -> None:
    refuse_odd_electrons(Atoms("OH2"))
    refuse_odd_electrons(Atoms("CeH3"))  # GFN1-xTB gives lanthanides three electrons each
    for odd in (Atoms("OH"), Atoms("CeO2")):
        with pytest.raises(InputError, match=f"gfn1-xtb: {odd.get_chemical_formula()} has an odd"):
            refuse_odd_electrons(odd)


@pytest.mark.long
def test_gfn1_xtb_in_a_strained_crystal() -> None:
    """Stress of ice-like water is the slope of its energy; nothing depends on what came before."""
    pytest.importorskip("tblite.ase")
    water = Atoms(
        "OH2",
        positions=[[2, 2, 2], [2.9, 2.1, 2.1], [1.8, 2.9, 2.0]],
        cell=[3.9, 4.2, 4.4],
        pbc=True,
    )
    with SeparateCalculator(find("gfn1-xtb")) as calculator:

        def energy(strain: np.ndarray) -> float:
            atoms = water.copy()
            atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
            atoms.calc = calculator
            return float(atoms.get_potential_energy())

        first = water.copy()
        first.calc = calculator
        stress, forces = first.get_stress(voigt=False), first.get_forces()
        for i, j in ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2)):
            strain = np.zeros((3, 3))
            strain[i, j] = strain[j, i] = 2e-4
            slope = (energy(strain) - energy(-strain)) / (4e-4 if i == j else 8e-4)
            assert slope / water.get_volume() == pytest.approx(stress[i, j], abs=1e-6)
        again = water.copy()
        again.calc = calculator
        np.testing.assert_array_equal(again.get_forces(), forces)
        with pytest.raises(InputError, match="gfn1-xtb: HO has an odd number of electrons"):
            calculator.get_potential_energy(water[:2])
