"""Commands of phonons from beginning to end, on diamond as a model of ZIF-4 has it: two atoms."""

import csv
import json
from collections.abc import Iterator
from contextlib import chdir
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from typer.testing import CliRunner

from mofmd.cli.main import app

MODEL = ("--model", "zif4-mace-s")
SMALL = ("--supercell", "2x2x2")

pytestmark = [
    pytest.mark.long,
    # told by purpose: twice the reach of the model would be 9x9x9
    pytest.mark.filterwarnings("ignore:supercell.*smaller than twice the reach"),
    # diamond by a model of ZIF-4: numbers are asked for, not physics
    pytest.mark.filterwarnings("ignore:model.*was made for ZnC6H6N4"),
]


def command(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, ["phonons", *words])
    assert done.exit_code == status, f"{done.output}{done.exception!r}"
    return done.output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a crystal and its phonons."""
    folder = tmp_path_factory.mktemp("diamond")
    bulk("C", "diamond", a=3.55).write(folder / "c.cif")
    rattled = bulk("C", "diamond", a=3.55)
    rattled.rattle(0.01, seed=1)
    rattled.write(folder / "rattled.cif")
    with chdir(folder):
        command("run", "c.cif", *MODEL, *SMALL, "--mesh", "4x4x4", "--points", "3", "-o", "phonons")
        yield folder


def test_bulk_modulus_of_strains_and_of_volumes(place: Path) -> None:
    """K of elastic constants and of the equation of state; the table of measurements beside."""
    command("elastic", "c.cif", *MODEL, "-o", "elastic", "--beside", "phonons")
    (place / "points.csv").write_text("temperature_K,volume_A3\n100,11.05\n300,11.06\n")
    told = command(
        *("qha", "c.cif", *MODEL, *SMALL, "--mesh", "4x4x4", "--volumes", "6"),
        *("--strain", "-0.02:0.03", "--temperatures", "0:400:50"),
        *("--beside", "points.csv", "-o", "qha"),
    )
    assert "birch-murnaghan: K(static)" in told
    elastic = json.loads((place / "elastic/elastic.json").read_text())
    qha = json.loads((place / "qha/qha.json").read_text())
    static = qha["static"]["bulk_modulus_GPa"]["birch-murnaghan"]
    assert static == pytest.approx(elastic["bulk_modulus_reuss_GPa"], rel=0.02)
    assert elastic["stable"]
    # zero-point motion makes the crystal larger
    assert qha["at_300_K"]["vinet"]["volume_A3"] > qha["static"]["volume_A3"]
    assert qha["beside"]["points"]["alpha_V_per_K"] == pytest.approx(np.log(11.06 / 11.05) / 200)
    assert "Beside dynamics and measurements" in (place / "qha/report.html").read_text()


@pytest.mark.parametrize("way", ["map", "rattle"])
def test_crystal_without_imaginary_modes_stays(place: Path, way: str) -> None:
    told = command("imaginary", "rattled.cif", *MODEL, *SMALL, "--way", way, "-o", way)
    assert "no imaginary mode" in told
    assert (place / way / "stable.cif").exists()


def test_temperature(place: Path) -> None:
    """Self-consistent at 300 K: a few thousandths from the harmonic ones, F with its error."""
    line = ("sscha", "phonons", *MODEL, "--supercells", "40", "--mesh", "4x4x4", "--points", "3")
    command(*line, "--rounds", "1", "-o", "sscha", status=3)
    told = command(*line, "-o", "sscha")
    assert "free energy" in told
    record = json.loads((place / "sscha/sscha.json").read_text())
    assert record["converged"]
    with (place / "sscha/rounds.csv").open(encoding="utf-8") as file:
        assert len(list(csv.DictReader(file))) == record["rounds"]
    harmonic = np.genfromtxt(place / "phonons/thermal.csv", delimiter=",", names=True)
    at = harmonic["temperature_K"] == 300.0
    free = harmonic["free_energy_kJ_per_mol"][at][0] / 96.485
    assert record["free_energy_eV"] == pytest.approx(free, abs=0.02)
    assert record["free_energy_error_eV"] < 0.01
    assert "Self-consistent at 300 K" in (place / "sscha/report.html").read_text()
    compared = command("compare", "sscha", "phonons", "--mesh", "2x2x2")
    assert "space groups" in compared
    other = ("sscha", "phonons", "--model", "zif4-mace-m", "-o", "other")
    done = CliRunner().invoke(app, ["phonons", *other])
    assert done.exit_code != 0
    assert "is of zif4-mace-s" in str(done.exception)
