import json
from dataclasses import replace
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import bulk

import mofmd
from mofmd.disk.digest import file_sha256
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.deck.deck import NOVELTY_SCRIPT, SCRIPTS, Potential, read_deck, write_deck
from mofmd.simulation.protocols import MeltQuench

PROTOCOL = replace(MeltQuench.fast(), supercell=(2, 1, 1))
FILES = {
    "in.lammps",
    "integrity.json",
    "manifest.json",
    "melt_quench.in",
    "model.pth",
    "structure.data",
    *SCRIPTS,
} - {NOVELTY_SCRIPT}  # of a watch alone


@pytest.fixture
def potential(tmp_path) -> Potential:
    model = tmp_path / "model.pth"
    model.write_bytes(b"weights")
    return Potential("allegro", model, ("C", "H", "N", "Zn"))


@pytest.fixture
def structure() -> Atoms:
    return bulk("Zn")


def test_files_and_manifest(tmp_path, structure, potential):
    deck = write_deck(PROTOCOL, structure, potential, tmp_path / "a" / "deck")
    assert {path.name for path in deck.directory.iterdir()} == FILES
    manifest = json.loads((deck.directory / "manifest.json").read_text())
    assert manifest == json.loads(json.dumps(deck.manifest))
    assert set(manifest["files"]) == FILES - {"manifest.json"}
    assert manifest["files"]["model.pth"] == file_sha256(potential.model_file)
    assert manifest["versions"]["mofmd"] == mofmd.__version__
    assert manifest["protocol"]["name"] == "MeltQuench"
    assert manifest["protocol"]["temperature_max_K"] == 1300.0
    assert manifest["structure"]["n_atoms"] == 4
    assert manifest["units"]["energy"] == "eV"
    assert read_deck(deck.directory) == replace(deck, manifest=manifest)


def test_script_sets_every_variable_of_the_protocol(tmp_path, structure, potential):
    deck = write_deck(PROTOCOL, structure, potential, tmp_path / "deck")
    text = (deck.directory / "in.lammps").read_text()
    variables = dict(
        line.split("#")[0].split(maxsplit=3)[1::2]
        for line in text.splitlines()
        if line.startswith("variable")
    )
    assert {name: value.strip() for name, value in variables.items()} == {
        "structure": "structure.data",
        "pair_style": "allegro",
        "model": "model.pth",
        "elements": '"C H N Zn"',
        "temperature": "300",
        "temperature_max": "1300",
        "rate": "2000",
        "equilibration": "0.5",
        "plateau": "2.5",
        "anneal": "1",
        "timestep_cold": "0.0005",
        "timestep_hot": "0.00025",
        "temperature_hot": "1500",
        "damping": "0.1",
        "seed": "20240",
        "minimise_steps_max": "20",
        "thermo_interval": "0.01",
        "frame_interval": "0.01",
        "frame_columns": '"xu yu zu"',
        "restart_interval": "1",
    }
    assert text.endswith("include melt_quench.in\n")


def test_same_inputs_same_bytes(tmp_path, structure, potential):
    first, second = (
        write_deck(PROTOCOL, structure, potential, tmp_path / name).directory for name in "ab"
    )
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    other = write_deck(replace(PROTOCOL, seed=7), structure, potential, tmp_path / "c").directory
    assert {n for n in FILES if (first / n).read_bytes() != (other / n).read_bytes()} == {
        "in.lammps",
        "manifest.json",
    }


def test_overwriting_is_asked_for_and_removes_the_old_run(tmp_path, structure, potential):
    directory = write_deck(PROTOCOL, structure, potential, tmp_path / "deck").directory
    (directory / "trajectory.dump").touch()
    (directory / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"not empty; choose another directory, .* --overwrite"):
        write_deck(PROTOCOL, structure, potential, directory)
    write_deck(PROTOCOL, structure, potential, directory, overwrite=True)
    assert {path.name for path in directory.iterdir()} == FILES | {"notes.txt"}


def test_what_is_not_a_deck_is_never_overwritten(tmp_path, structure, potential):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    with pytest.raises(InputError, match="not empty and not a deck, so it is not overwritten"):
        write_deck(PROTOCOL, structure, potential, tmp_path / "mine", overwrite=True)
    with pytest.raises(InputError, match="is a file, expected a directory"):
        write_deck(PROTOCOL, structure, potential, tmp_path / "mine" / "thesis.tex")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["thesis.tex"]


def test_nothing_is_written_when_the_input_is_wrong(tmp_path, structure, potential):
    with pytest.raises(InputError, match="holds Zn, which is not among"):
        write_deck(PROTOCOL, structure, replace(potential, type_names=("C",)), tmp_path / "deck")
    assert not (tmp_path / "deck").exists()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my model.pth", "'my model.pth' cannot stand in a LAMMPS script"),
        ("${x}.pth", "cannot stand in a LAMMPS script"),
        ("in.lammps", "a deck has another file named 'in.lammps'"),
        ("log.lammps", "a deck has another file named 'log.lammps'"),
    ],
)
def test_refuses_model_names(tmp_path, structure, potential, name, message):
    model = potential.model_file.rename(tmp_path / name)
    with pytest.raises(InputError, match=message):
        write_deck(PROTOCOL, structure, replace(potential, model_file=model), tmp_path / "deck")


def test_refuses_an_absent_model(tmp_path, structure, potential):
    potential = replace(potential, model_file=Path("no.pth"))
    with pytest.raises(MissingFileError, match=r"no\.pth: no such model file"):
        write_deck(PROTOCOL, structure, potential, tmp_path / "deck")


def test_edited_and_missing_files_are_noticed(tmp_path, structure, potential):
    directory = write_deck(PROTOCOL, structure, potential, tmp_path / "deck").directory
    with (directory / "in.lammps").open("a") as file:
        file.write("# mine\n")
    with pytest.raises(InputError, match=r"in\.lammps: differs from .* --allow-edited"):
        read_deck(directory)
    assert read_deck(directory, allow_edited=True).directory == directory
    (directory / "model.pth").unlink()
    with pytest.raises(MissingFileError, match=r"model\.pth: missing; write the deck again"):
        read_deck(directory, allow_edited=True)


def test_refuses_manifests(tmp_path):
    with pytest.raises(MissingFileError, match="is not a deck"):
        read_deck(tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text('{"schema": "mofmd-deck-0"}')
    with pytest.raises(InputError, match="schema 'mofmd-deck-0', expected 'mofmd-deck-2'"):
        read_deck(tmp_path)
    path.write_text('{"schema": "mofmd-deck-2", "files": {"../other": ""}}')
    with pytest.raises(InputError, match=r"'\.\./other' is not the name of a file of the deck"):
        read_deck(tmp_path)
