"""Models by name: what there is, where universal ones are kept, and that they are made once."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.calculator import DeployedModel
from mofmd.cli.main import app
from mofmd.cli.models.models import element_text
from mofmd.errors import InputError, MissingFileError
from mofmd.learning.label.labellers import ModelLabeller, find_labeller
from mofmd.models import made
from mofmd.models.files.deployed import find_manifest
from mofmd.models.files.embedded import embedded_model, embedded_models
from mofmd.models.listing import list_models
from mofmd.models.made import cache_location, made_file
from mofmd.models.names import find_model, next_steps
from mofmd.models.universal import VARIANTS
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.structures.crystals.crystal_data import build_crystal
from tests.engine.conftest import CACHE
from tests.processes import Token


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("MOFMD_MODELS", str(folder))
    return folder


def put(name: str, file: Path) -> Path:
    """Put a file where the universal model of a name is kept."""
    target = made_file(VARIANTS[name])
    target.parent.mkdir(parents=True)
    shutil.copy(file, target)
    return target


def test_what_has_been_made_is_taken_wherever_a_model_is(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the package's own content, so that nothing is made here."""
    file = put("sevennet-0", embedded_model("zif4-nequip-s"))
    assert file.is_relative_to(cache)
    assert find_model("sevennet-0") == file
    assert DeployedModel("sevennet-0").path == file.resolve()
    labeller = find_labeller("sevennet-0+auto")
    assert isinstance(labeller, ModelLabeller)
    assert (labeller.path, labeller.dispersion) == (file, None)  # its manifest says nothing of it
    deck = generate_deck(Request("nvt", "zif-4", tmp_path / "deck", model="sevennet-0"))
    assert (deck.directory / "sevennet-0.mofmd.pth").read_bytes() == file.read_bytes()
    # a file or folder of that name beside
    monkeypatch.chdir(tmp_path)
    Path("sevennet-0").mkdir()
    assert find_model("sevennet-0") == file
    shutil.copy(file, "sevennet-l3i5")
    assert find_model("sevennet-l3i5") == Path("sevennet-l3i5")


def test_names_that_are_not_there(cache: Path) -> None:
    with pytest.raises(MissingFileError, match=r"did you mean sevennet-l3i5\? There are uio66-"):
        find_model("sevenet-l3i5")
    with pytest.raises(InputError, match="take sevennet-mf-0-pbe or sevennet-mf-0-r2scan"):
        find_model("sevennet-mf-0")
    with pytest.raises(MissingFileError, match=r"labeller: .*did you mean sevennet-0\?"):
        find_labeller("sevennet0")
    assert not cache.exists()


def test_a_universal_model_is_shown_without_being_made(cache: Path) -> None:
    done = CliRunner().invoke(app, ["models", "show", "sevennet-mf-0-r2scan"])
    assert done.exit_code == 0
    for words in ("MPtrj", "89: H to Pu", "functional r2scan", "10.1021/jacs.4c14455"):
        assert words in done.output
    assert "mofmd models make sevennet-mf-0-r2scan" in done.output
    done = CliRunner().invoke(app, ["models", "show", "sevennet-0", "--json"])
    shown = json.loads(done.output)
    assert (shown["file"], shown["made_by"]) == (None, "mofmd models make sevennet-0")
    assert len(shown["type_names"]) == 89
    assert not cache.exists()
    put("sevennet-0", embedded_model("zif4-nequip-s"))  # what was made is shown as any file is
    done = CliRunner().invoke(app, ["models", "show", "sevennet-0", "--json"])
    assert json.loads(done.output)["type_names"] == ["C", "H", "N", "Zn"]


def test_where_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOFMD_MODELS", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_location() == Path("/home/someone/.cache/mofmd/models")
    monkeypatch.setenv("XDG_CACHE_HOME", "/scratch/cache")
    assert cache_location() == Path("/scratch/cache/mofmd/models")
    monkeypatch.setenv("MOFMD_MODELS", "/shared/models")
    assert cache_location() == Path("/shared/models")


def test_what_a_file_depends_on(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {name: made_file(variant) for name, variant in VARIANTS.items()}
    assert all(file.is_relative_to(cache) for file in files.values())
    assert len({file.parent for file in files.values()}) == len(VARIANTS)
    variant, before = VARIANTS["sevennet-0"], files["sevennet-0"]
    exporter = tmp_path / "export"
    shutil.copytree(made._EXPORTER, exporter, ignore=shutil.ignore_patterns("__pycache__"))
    with monkeypatch.context() as patch:
        patch.setattr(made, "_EXPORTER", exporter)
        assert made_file(variant) == before
        (exporter / "export.py").write_text("# another version\n")
        assert made_file(variant) != before
    pins = tmp_path / "pins.txt"
    pins.write_text("sevenn==99.0\n")
    monkeypatch.setattr(made, "requirements_file", lambda _: pins)
    assert made_file(variant) != before


def test_cache_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOFMD_MODELS", "/proc/no-folder")
    with pytest.raises(InputError, match=r"cannot be written to .*: set MOFMD_MODELS"):
        find_model("sevennet-0")


def test_list(cache: Path) -> None:
    new = put("sevennet-0", embedded_model("zif4-nequip-s"))
    old = cache / "0123456789ab" / "sevennet-l3i5.mofmd.pth"
    old.parent.mkdir()
    shutil.copy(embedded_model("zif4-nequip-s"), old)
    found = list_models()
    by_kind: dict[str, list[str]] = {}
    for each in found:
        by_kind.setdefault(each.kind, []).append(each.name)
    assert by_kind == {
        "in the package": list(embedded_models()),
        "universal": list(VARIANTS),
        "universal, of another version": ["sevennet-l3i5"],
    }
    files = {each.name: each.file for each in found if each.kind == "universal"}
    assert files == {**dict.fromkeys(VARIANTS), "sevennet-0": new}
    (small,) = [each for each in found if each.name == "zif4-nequip-s"]
    assert small.good_for.startswith("ZIF-4 composition and chemistry")
    assert "not for other frameworks" in small.good_for
    universal = next(each for each in found if each.name == "sevennet-mf-0-r2scan")
    assert universal.level_of_theory.startswith("r2scan without dispersion")
    assert element_text(universal.elements) == "89: H to Pu but Po At Rn Fr Ra"
    assert element_text(small.elements) == "C H N Zn"
    assert json.loads(json.dumps([each.as_dict() for each in found]))[0]["size_MiB"] > 0.1


def test_next_steps() -> None:
    assert next_steps(["Zr", "O"]).startswith("take the universal model sevennet-l3i5, bring")
    assert next_steps(["Ra", "O"]).startswith("bring a model trained for this composition")


@pytest.mark.long
@pytest.mark.frameworks
def test_made_once_by_two_processes_of_which_one_is_killed(cache: Path, tmp_path: Path) -> None:
    """The second waits for the first, and makes the model itself when that is gone."""
    first, second = Token(), Token()
    command = [sys.executable, "-m", "mofmd", "models", "make", "sevennet-0"]
    with (tmp_path / "1").open("w") as log:
        one = subprocess.Popen(command, env=first.environment, stderr=log)
    first.wait_for("export.py", seconds=300)
    with (tmp_path / "2").open("w") as log:
        two = subprocess.Popen(
            command, env=second.environment, stderr=log, stdout=subprocess.PIPE, text=True
        )
    end = time.monotonic() + 120
    while "another process is making sevennet-0" not in (tmp_path / "2").read_text():
        assert time.monotonic() < end
        time.sleep(0.2)
    os.kill(one.pid, signal.SIGKILL)
    one.wait()
    first.wait_until_gone()
    told, _ = two.communicate(timeout=1800)
    assert two.returncode == 0
    file = made_file(VARIANTS["sevennet-0"])
    assert told.strip() == str(file)
    assert [each.name for each in cache.glob("*/*") if each.suffix != ".lock"] == [file.name]
    manifest = find_manifest(file)
    assert manifest is not None
    assert manifest["verification"]["passed"]
    assert tuple(sorted(manifest["type_names"])) == tuple(
        sorted(VARIANTS["sevennet-0"].model.elements)
    )


@pytest.mark.long
@pytest.mark.frameworks
def test_from_a_cif_to_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """README's first commands; the model is kept for the next time."""
    monkeypatch.setenv("MOFMD_MODELS", str(CACHE / "universal"))
    monkeypatch.chdir(tmp_path)
    build_crystal("mof-5", primitive=True).write("my.cif")
    mofmd = [sys.executable, "-m", "mofmd"]
    settings = ["--set", "time_ps=0.01", "--set", "minimise_steps_max=1"]
    short = [*settings, "--supercell", "1x1x1"]
    words = ["generate", "npt", "--structure", "my.cif", "--model", "sevennet-0", "-o", "d"]
    done = subprocess.run([*mofmd, *words, *short], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "dispersion d3bj:pbe is added" in done.stderr
    subprocess.run([*mofmd, "run", "d"], check=True)
    atoms = build_crystal("mof-5", primitive=True)
    energies = []
    for dispersion in ("none", "auto"):
        atoms.calc = DeployedModel("sevennet-0", dispersion=dispersion)
        energies.append(atoms.get_potential_energy() / len(atoms))
    assert energies[1] < energies[0] - 0.01
    assert np.isfinite(energies).all()
