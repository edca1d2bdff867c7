"""``import mofmd`` offers what users need, and costs nothing until it is used."""

import subprocess
import sys
from pathlib import Path

import pytest

import mofmd

HEAVY = ("ase", "numpy", "scipy", "torch", "numba", "matplotlib", "typer", "rich", "yaml", "parsl")


def test_every_name_is_there() -> None:
    assert len(mofmd.__all__) > 100
    for name in mofmd.__all__:
        assert getattr(mofmd, name) is not None
        assert name in dir(mofmd)


def test_importing_it_imports_nothing_heavy() -> None:
    code = (
        "import sys, mofmd; mofmd.InputError; "
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    output = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert output.stdout.strip() == "[]"


def test_a_name_that_is_not_there_is_refused_with_the_nearest() -> None:
    with pytest.raises(AttributeError, match=r"'MeltQuenh'; did you mean MeltQuench\?"):
        mofmd.MeltQuenh  # noqa: B018


def test_models_go_by_name_and_paths_by_text(tmp_path: Path) -> None:
    crystal = mofmd.zif4()
    model = mofmd.model_potential("zif4-nequip-s", crystal)
    assert model.type_names == ("C", "H", "N", "Zn")
    assert model.pair_style == "nequip"
    deck = mofmd.write_deck(mofmd.NVE(), crystal, model, str(tmp_path / "deck"))
    assert mofmd.read_deck(str(tmp_path / "deck")).manifest["files"] == deck.manifest["files"]
    with pytest.raises(mofmd.MissingFileError, match=r"did you mean zif4-nequip-s\?"):
        mofmd.model_potential("zif4-nequip", crystal)
