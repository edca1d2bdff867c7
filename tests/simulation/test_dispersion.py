"""Which dispersion a deck, an ensemble and a labeller get, and the file of coefficients."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.learning.evaluate.prediction import predict
from mofmd.learning.label.labellers import find_labeller
from mofmd.models.dispersion.coefficients import coefficient_file
from mofmd.models.dispersion.dispersion import Dispersion, choose_dispersion, parse_dispersion
from mofmd.models.files.deployed import read_manifest, write_with_manifest
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.zif import zif4


def model_that_says(folder: Path, theory: Any) -> Path:
    """Write a model whose manifest has this level of theory."""
    manifest = read_manifest(embedded_model("zif4-nequip-s")) | {"level_of_theory": theory}
    path = folder / "model.mofmd.pth"
    write_with_manifest(embedded_model("zif4-nequip-s"), manifest, path)
    return path


def request(folder: Path, **changes: Any) -> Request:
    settings = ("time_ps=0.01", "minimise_steps_max=0", "supercell=[1,1,1]")
    values = {
        "protocol": "nvt",
        "structure": "zif-4",
        "output": folder / "deck",
        "model": str(embedded_model("zif4-nequip-s")),
        "settings": settings,
    }
    return Request(**(values | changes))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("d3bj:PBE", Dispersion("bj", "pbe")),
        ("D3BJ:r2SCAN", Dispersion("bj", "r2scan")),
        ("d3zero:PBE-sol", Dispersion("zero", "pbesol")),
        ("d3bj:pbeh", Dispersion("bj", "pbe0")),
        ("d3zerom:b3lyp", Dispersion("zerom", "b3lyp")),
        ("auto", "auto"),
        ("none", "none"),
    ],
)
def test_words(word: str, expected: Any) -> None:
    assert parse_dispersion(word) == expected


@pytest.mark.parametrize("functional", ["PBE", "PBEsol", "revPBE", "RPBE", "B3LYP", "R2SCAN"])
def test_functionals_of_mofs_are_there(functional: str) -> None:
    assert str(Dispersion("bj", functional)) == f"d3bj:{functional.lower()}"


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("d3bj:pbesoll", "did you mean pbesol"),
        ("d3bj:", "is not known: it can be d3bj:FUNCTIONAL"),
        ("d4:pbe", "is not known: it can be d3bj:FUNCTIONAL"),
        ("pbe", "is not known: it can be d3bj:FUNCTIONAL"),
        ("d3bj:m06l", "no parameters of d3bj for m06l; there are those of d3zero:m06l"),
        ("d3zero:r2scan", "no parameters of d3zero for r2scan; there are those of d3bj:r2scan"),
    ],
)
def test_words_that_cannot_be(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_dispersion(word)


def test_elements_without_coefficients() -> None:
    with pytest.raises(InputError, match=r"no coefficients of 'Rf': it knows the elements H to Lr"):
        coefficient_file("bj", "pbe", ["C", "Rf"])


def test_published_numbers() -> None:
    """Radii and C6 of carbon as in the papers' tables, to the digits that were published."""
    lines = coefficient_file("bj", "PBE", ["C", "H"]).splitlines()
    assert "# Damping parameters of pbe: doi:10.1002/jcc.21759" in lines
    assert "bj s6 1.0 s8 0.7875 a1 0.4289 a2 4.4407" in lines
    (carbon,) = (line.split() for line in lines if line.startswith("C C "))
    assert carbon[:4] == ["C", "C", "2.9103", "49.113"]
    assert carbon[-1] == "18.2067"
    assert any(line.startswith("C 0.75 3.1049282") for line in lines)


@pytest.mark.parametrize(
    ("theory", "expected"),
    [
        ({"functional": "PBE", "dispersion": "none"}, "d3bj:pbe"),
        ({"functional": "r2SCAN", "dispersion": "none"}, "d3bj:r2scan"),
        ({"functional": "M06L", "dispersion": "none"}, "d3zero:m06l"),
        ({"functional": "PBE", "dispersion": "D3(BJ)"}, None),
        ({"functional": "PBE"}, None),
        (None, None),
    ],
)
def test_auto_adds_what_the_manifest_says_is_missing(
    theory: Any, expected: str | None, tmp_path: Path
) -> None:
    chosen = choose_dispersion("auto", model_that_says(tmp_path, theory))
    assert (chosen and str(chosen)) == expected


def test_auto_with_a_functional_that_has_no_parameters(tmp_path: Path) -> None:
    model = model_that_says(tmp_path, {"functional": "LDA", "dispersion": "none"})
    with pytest.raises(InputError, match=r"trained with LDA .*--dispersion d3bj:pbe.*none"):
        choose_dispersion("auto", model)
    assert choose_dispersion("none", model) is None


def test_deck_says_what_was_added(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_that_says(tmp_path, {"functional": "PBE", "dispersion": "none"})
    deck = generate_deck(request(tmp_path, model=str(model)))
    assert "dispersion d3bj:pbe is added: model.mofmd.pth was trained with PBE" in (
        capsys.readouterr().err
    )
    assert deck.manifest["potential"]["dispersion"] == "d3bj:pbe"
    assert "dispersion.d3" in deck.manifest["files"]
    text = (deck.directory / "in.lammps").read_text()
    assert "variable dispersion         index d3           # d3bj:pbe, in dispersion.d3" in text
    names = Dispersion("bj", "pbe").coefficients(["C", "H", "N", "Zn"])
    assert (deck.directory / "dispersion.d3").read_text() == names


def test_deck_without_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    deck = generate_deck(request(tmp_path))
    assert not capsys.readouterr().err
    assert "dispersion" not in deck.manifest["potential"]
    assert not (deck.directory / "dispersion.d3").exists()


def test_what_is_counted_twice_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = model_that_says(tmp_path, {"functional": "PBE", "dispersion": "D3(BJ)"})
    generate_deck(request(tmp_path, model=str(model), dispersion="d3bj:pbe"))
    assert "trained with dispersion (D3(BJ)): d3bj:pbe counts it twice" in capsys.readouterr().err


def test_protocol_file_and_command_line(tmp_path: Path) -> None:
    """The command line has the last word."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("protocol: nvt\ntime_ps: 0.01\ndispersion: d3zero:pbe\n")
    changes = {"protocol": str(recipe), "settings": ("supercell=[1,1,1]",)}
    found = {}
    for word in (None, "none", "d3bj:revpbe"):
        output = tmp_path / str(word)
        deck = generate_deck(request(tmp_path, dispersion=word, output=output, **changes))
        found[word] = deck.manifest["potential"].get("dispersion")
    assert found == {None: "d3zero:pbe", "none": None, "d3bj:revpbe": "d3bj:revpbe"}


def test_a_potential_script_says_itself_what_it_adds(tmp_path: Path) -> None:
    script = tmp_path / "potential.in"
    script.write_text("pair_style zero 5\npair_coeff * *\n")
    with pytest.raises(InputError, match="goes with --model"):
        generate_deck(request(tmp_path, model=None, potential_script=script, dispersion="d3bj:pbe"))


def test_deck_runs_and_goes_on(tmp_path: Path) -> None:
    """The sum of model and D3 in the first line of its log; a restart has both again."""
    energies = {}
    for word in ("none", "d3bj:pbe"):
        folder = tmp_path / word.replace(":", "-")
        deck = generate_deck(request(tmp_path, output=folder, dispersion=word))
        run_deck(deck.directory)
        log = (folder / "log.lammps").read_text()
        # the deck goes on from a restart file after its first step, with the same potential
        assert log.count("pair_style d3: d3bj:pbe, pairs to 15 A") == (2 if word != "none" else 0)
        energies[word] = first_energy(log)
    (alone,) = predict(embedded_model("zif4-nequip-s"), [zif4()])
    (with_d3,) = predict(
        embedded_model("zif4-nequip-s"), [zif4()], dispersion=Dispersion("bj", "pbe")
    )
    d3 = with_d3.energy_eV - alone.energy_eV
    assert -17.0 < d3 < -14.0  # −58 meV an atom
    assert energies["d3bj:pbe"] - energies["none"] == pytest.approx(d3, abs=0.02)


def first_energy(log: str) -> float:
    """Potential energy in the first line of thermo output [eV]."""
    lines = log.splitlines()
    header = next(k for k, line in enumerate(lines) if "PotEng" in line.split())
    return float(lines[header + 1].split()[lines[header].split().index("PotEng")])


def test_command_writes_coefficients(tmp_path: Path) -> None:
    output = tmp_path / "own.d3"
    done = CliRunner().invoke(app, ["dispersion", "d3bj:PBE", "Zn", "C", "-o", str(output)])
    assert done.exit_code == 0
    assert output.read_text() == coefficient_file("bj", "pbe", ["C", "Zn"])
    assert f'pair_coeff * * "{output}" Zn C' in done.output


def test_ensemble_takes_it(tmp_path: Path) -> None:
    options = "--structure zif-4 --members 2 --model zif4-nequip-s --dispersion d3bj:pbe"
    command = ["ensemble", "new", str(tmp_path / "e"), "nvt", *options.split()]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    manifests = [
        json.loads(file.read_text()) for file in tmp_path.glob("e/members/*/manifest.json")
    ]
    assert [each["potential"]["dispersion"] for each in manifests] == ["d3bj:pbe"] * 2


def test_labeller_with_dispersion() -> None:
    """MODEL+d3bj:pbe labels with the sum; its labels are kept apart from the model's own."""
    word = str(embedded_model("zif4-nequip-s"))
    plain, labeller = find_labeller(word), find_labeller(f"{word}+d3bj:PBE")
    assert labeller.word == f"{word}+d3bj:pbe"
    assert labeller.identity != plain.identity
    frames = [zif4()]
    frames[0].rattle(0.03, seed=1)
    with labeller.session() as label:
        (found,) = label(frames)
    (expected,) = predict(
        embedded_model("zif4-nequip-s"), frames, dispersion=Dispersion("bj", "pbe")
    )
    (alone,) = predict(embedded_model("zif4-nequip-s"), frames)
    assert found.energy_eV == pytest.approx(expected.energy_eV, abs=1e-6)
    assert np.abs(found.forces_eV_per_A - alone.forces_eV_per_A).max() > 0.02
    with pytest.raises(InputError, match="did you mean pbe"):
        find_labeller(f"{word}+d3bj:pbee")
