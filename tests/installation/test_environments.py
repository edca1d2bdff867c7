from pathlib import Path

import pytest

from mofmd.errors import EnvironmentSetupError
from mofmd.models import environments


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MOFMD_ENVIRONMENTS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("framework", environments.FRAMEWORKS)
def test_requirements_pin_everything(framework: environments.Framework) -> None:
    lines = environments.requirements_file(framework).read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert pins
    assert pins[0].startswith("torch==")
    assert all("==" in pin for pin in pins)


def test_environment_is_known_by_its_requirements(location: Path) -> None:
    assert environments.environment_python("nequip") is None
    (location / "nequip").mkdir()
    mark = location / "nequip" / "mofmd-requirements.txt"
    mark.write_text(environments.requirements_file("nequip").read_text())
    assert environments.environment_python("nequip") == location / "nequip" / "bin" / "python"
    mark.write_text("torch==1.0\n")  # pins of another mofmd
    assert environments.environment_python("nequip") is None


def test_failed_installation_leaves_nothing(
    location: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pins = tmp_path / "pins.txt"
    pins.write_text("torch==0.0.0.no.such.version\n")
    monkeypatch.setattr(environments, "requirements_file", lambda _: pins)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(EnvironmentSetupError, match="installing the mace environment failed"):
        environments.create_environment("mace", report=lambda _: None)
    assert not (location / "mace").exists()
