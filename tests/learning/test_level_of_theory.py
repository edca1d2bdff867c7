"""The level of theory of labels: from the labeller to the file of the model."""

from pathlib import Path
from typing import Any

import pytest
from ase import Atoms

from mofmd.errors import InputError, InputWarning
from mofmd.learning.data.dataset import Labels, read_frames, write_frames
from mofmd.learning.label.labellers import find_labeller
from mofmd.learning.label.labelling import label_frames
from mofmd.learning.train import training
from mofmd.learning.train.options import TrainOptions
from mofmd.learning.train.theory import theory_for
from mofmd.learning.train.training import RECORD, deploy_training, prepare_training, read_record
from mofmd.models.deploy.manifest import describe_universal
from mofmd.models.deploy.options import Options
from mofmd.models.dispersion.dispersion import dispersion_hints, parse_d3
from mofmd.models.dispersion.theory import LevelOfTheory, parse_theory, theory_of
from mofmd.models.universal import MODELS
from tests.learning.test_learning_training import SETTINGS, argon_set

PBE, PBE_D3 = LevelOfTheory("pbe"), LevelOfTheory("pbe", "d3bj:pbe")


def said(frames: list[Atoms], word: str) -> list[Atoms]:
    for frame in frames:
        frame.info["level_of_theory"] = word
    return frames


def test_words() -> None:
    for word, theory in (("pbe", PBE), ("PBE+d3bj:pbe", PBE_D3)):
        assert parse_theory(word) == theory
        assert parse_theory(str(theory)) == theory
        assert theory_of({"level_of_theory": theory.as_record()}) == theory
    assert theory_of({"level_of_theory": {"functional": "PBE", "dispersion": "D3BJ:PBE"}}) == PBE_D3
    assert str(PBE.with_dispersion("d3bj:pbe")) == "pbe+d3bj:pbe"
    assert theory_of(None) is None
    assert theory_of({"level_of_theory": {}}) is None
    for word in ("", "pbe+", "p b e"):
        with pytest.raises(InputError, match="expected a functional without dispersion"):
            parse_theory(word)


def test_frames_say_it_or_the_user() -> None:
    unknown, known = argon_set(range(2)), said(argon_set(range(2)), "pbe+d3bj:pbe")
    assert theory_for(unknown, None) is None
    assert theory_for(unknown, PBE) == PBE
    with pytest.warns(InputWarning, match="2 frames of 4 do not say theirs; taken to be pbe"):
        assert theory_for([*unknown, *known], None) == PBE_D3
    with pytest.raises(InputError, match=r"pbe, but 2 of 2 frames are labelled at pbe\+d3bj:pbe"):
        theory_for(known, PBE)
    with pytest.raises(InputError, match=r"different ones: pbe \(1 frames\), pbe\+d3bj:pbe \(2 fr"):
        theory_for([*known, *said(argon_set(range(1)), "pbe")], None)
    with pytest.raises(
        InputError, match=r"of frames: 'PBE\+d4 \(VASP\)' is none that decks can use"
    ):
        theory_for(said(argon_set(range(1)), "PBE+d4 (VASP)"), PBE)
    # labelled before frames said it: what labelled them does
    xtb = argon_set(range(1))
    xtb[0].info["source"] = "gfn1-xtb"
    with pytest.raises(InputError, match=r"different ones: gfn1-xtb\+d3bj \(1 frames\), pbe"):
        theory_for([*known, *xtb], None)


def test_a_labeller_says_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its file and the dispersion that is added; frames keep it in their files."""
    labeller = find_labeller("zif4-allegro-s")
    monkeypatch.setattr(
        "mofmd.learning.label.labellers.find_manifest",
        lambda _: {"level_of_theory": PBE.as_record()},
    )
    assert labeller.theory == PBE
    assert find_labeller("zif4-allegro-s+d3bj:pbe").theory == PBE_D3

    class Told:
        word, identity, theory = "told", "told", PBE_D3

        def session(self, _: Any = None) -> Any:
            raise AssertionError  # all labels are in the cache

    frames = said(argon_set(range(2)), "r2scan")  # of labels before these
    for frame in frames:
        frame.info["source"] = "other"
    monkeypatch.setattr("mofmd.learning.label.labelling.LabelCache.get", _labels)
    monkeypatch.setattr("mofmd.learning.label.labelling.LabelCache.is_checked_for", lambda *_: True)
    made = label_frames(frames, Told(), tmp_path / "cache", report=lambda _: None)
    write_frames(tmp_path / "made.extxyz", made)
    read = read_frames(tmp_path / "made.extxyz")
    assert [frame.info["level_of_theory"] for frame in read] == ["pbe+d3bj:pbe"] * 2


def _labels(_: Any, atoms: Atoms) -> Labels:
    return Labels(atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress(voigt=False))


def test_frames_of_earlier_versions_name_a_model(tmp_path: Path) -> None:
    frames = argon_set(range(1))
    frames[0].info["source"] = f"{tmp_path / 'gone.mofmd.pth'}+d3bj:pbe"
    assert theory_for(frames, None) is None


def test_a_training_hands_it_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Options] = []
    monkeypatch.setattr(training, "deploy", lambda _s, _o, options, _a: given.append(options))
    word = "pbe+d3bj:pbe"
    train, val = said(argon_set(range(4)), word), said(argon_set(range(20, 22)), word)
    options = TrainOptions("mace", size="xs", settings=SETTINGS["mace"])
    prepare_training(tmp_path / "a", train, val, options)
    record = read_record(tmp_path / "a")
    assert record["level_of_theory"] == "pbe+d3bj:pbe"
    text = (tmp_path / "a" / RECORD).read_text().replace('"prepared"', '"trained"')
    (tmp_path / "a" / RECORD).write_text(text)
    deploy_training(tmp_path / "a", report=lambda _: None)
    assert given[0].level_of_theory == PBE_D3
    with pytest.raises(InputError, match=r"pbe, but .* holds a training on labels of pbe\+d3bj"):
        deploy_training(tmp_path / "a", Options(level_of_theory=PBE))
    other = TrainOptions("mace", size="xs", settings=SETTINGS["mace"], level_of_theory="pbe")
    with pytest.raises(InputError, match="frames are labelled at"):
        prepare_training(tmp_path / "b", train, val, other)
    with pytest.raises(InputError, match="expected a functional"):
        TrainOptions("mace", level_of_theory="?")


def test_what_is_counted_twice_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "mofmd.models.dispersion.dispersion.find_manifest",
        lambda _: {"level_of_theory": PBE_D3.as_record()},
    )
    added = parse_d3("d3bj:pbe")
    (hint,) = dispersion_hints(added, added, Path("model.mofmd.pth"))
    assert "trained with dispersion (d3bj:pbe): d3bj:pbe counts it twice" in hint


def test_a_universal_model_has_its_own() -> None:
    found = describe_universal(MODELS["sevennet-0"], Options())
    assert found["level_of_theory"] == {"functional": "pbe", "dispersion": "none"}
    with pytest.raises(InputError, match="but sevennet-0 was trained on pbe"):
        describe_universal(MODELS["sevennet-0"], Options(level_of_theory=PBE_D3))
