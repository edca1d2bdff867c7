"""Structures are scored by the density in a model's file where they are taken up."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.calculator import DeployedModel
from mofmd.calculator.density.new_atoms import (
    ATOMS_MAX,
    new_atoms_hint,
    new_atoms_hint_of_file,
)
from mofmd.calculator.density.scorer import Scorer
from mofmd.errors import InputError, InputWarning
from mofmd.models.files.deployed import write_density_record
from mofmd.models.files.embedded import embedded_model
from mofmd.relaxation import RelaxOptions, relax, relax_in_folder
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.simulation.statics.request import generate_static
from mofmd.structures.crystals.zif import zif4
from tests.known_models import write_known

PLAIN = "zif4-allegro-s"  # whose file holds no density
ONE_CALL = RelaxOptions(fmax_eV_per_A=1e-9, cell="fixed", calls_max=1)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_known(PLAIN, tmp_path_factory.mktemp("known") / "known.mofmd.pth")


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("damaged") / "damaged.mofmd.pth"
    write_density_record(embedded_model(PLAIN), "nonsense", path)
    return path


@pytest.fixture(scope="module")
def bent() -> Atoms:
    """Return ZIF-4 with its first hydrogen pushed away, as no rattling does."""
    atoms = zif4()
    atoms.positions[atoms.get_chemical_symbols().index("H")] += 0.4
    return atoms


def test_a_line_names_what_is_new() -> None:
    atoms = Atoms("CHNZn", np.arange(12).reshape(4, 3))
    assert new_atoms_hint(lambda _: None, atoms, "structure") == ""
    assert new_atoms_hint(lambda _: np.array([0.0, 0.5, 1.0, -2.0]), atoms, "structure") == ""
    scores = np.array([1.5, np.inf, 12.34, 0.0])
    assert new_atoms_hint(lambda _: scores, atoms, "structure") == (
        "structure: 3 of 4 atoms are new to the model, with a novelty above 1 (1 C, 1 H, 1 N; the "
        "newest, H 2, has inf): what it says of them may be wrong (docs/density.md)"
    )

    def refuses(_: Atoms) -> np.ndarray:
        raise InputError("out of memory")

    assert new_atoms_hint(refuses, atoms, "relaxed") == (
        "relaxed: how new its atoms are to the model is not known: out of memory"
    )


def test_files_without_a_density_are_not_asked(known: Path, bent: Atoms, tmp_path: Path) -> None:
    assert new_atoms_hint_of_file(embedded_model(PLAIN), bent, "structure") == ""
    (tmp_path / "other.pth").write_bytes(b"no archive")
    assert new_atoms_hint_of_file(tmp_path / "other.pth", bent, "structure") == ""
    large = Atoms("Zn" * (ATOMS_MAX + 1))
    assert "not looked at, as it has more than" in new_atoms_hint_of_file(known, large, "structure")


def test_the_calculator_gives_the_scores_of_the_file(known: Path, bent: Atoms) -> None:
    assert DeployedModel(PLAIN).novelty(bent) is None
    scores = DeployedModel(known).novelty(bent)
    assert scores is not None
    np.testing.assert_allclose(scores, Scorer(known).of_atoms(bent), rtol=1e-9)
    assert bent.symbols[int(np.argmax(scores))] == "H"


def test_a_deck_tells_and_keeps_what_is_new(
    known: Path, damaged: Path, bent: Atoms, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bent.write(tmp_path / "bent.extxyz")
    request = Request("nvt", str(tmp_path / "bent.extxyz"), tmp_path / "deck", str(known))
    (note,) = generate_deck(request).manifest["notes"]
    assert note == new_atoms_hint(Scorer(known).of_atoms, bent, "structure")
    assert note in capsys.readouterr().err
    # no deck fails for it
    request = Request("nvt", "zif-4", tmp_path / "other", str(damaged))
    (note,) = generate_deck(request).manifest["notes"]
    assert "is not known" in note
    assert "density: is damaged" in note
    task = Request("relax", str(tmp_path / "bent.extxyz"), tmp_path / "task", str(known))
    with pytest.warns(InputWarning, match="are new to the model"):
        generate_static(task)


def test_a_relaxation_tells_before_and_after(known: Path, bent: Atoms, tmp_path: Path) -> None:
    calculator = DeployedModel(known, dtype="float64")
    with pytest.warns(InputWarning, match="are new to the model") as told:
        done = relax(bent, calculator, ONE_CALL)
    texts = [str(each.message) for each in told]
    assert texts == [
        new_atoms_hint(calculator.novelty, bent, "before the relaxation"),
        new_atoms_hint(calculator.novelty, done.atoms, "relaxed"),
    ]
    with pytest.warns(InputWarning) as told:
        relax_in_folder(bent, calculator, ONE_CALL, tmp_path / "kept")
    assert [str(each.message) for each in told] == texts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        relax_in_folder(bent, calculator, ONE_CALL, tmp_path / "quiet", tell_new=False)
        relax(bent, DeployedModel(PLAIN), ONE_CALL)
