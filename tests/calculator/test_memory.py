"""Memory that does not suffice is told before an evaluation."""

from pathlib import Path

import numpy as np
import pytest

from mofmd.calculator import DeployedModel
from mofmd.calculator.memory import available_bytes
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs
from mofmd.models.files.deployed import read_manifest, write_with_manifest
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.request import Request
from mofmd.simulation.run.status import read_status
from mofmd.simulation.statics.conduct import run_static
from mofmd.simulation.statics.request import generate_static
from tests.engine.systems import crystal


def with_memory(bytes_per_edge: float, path: Path) -> Path:
    source = embedded_model("zif4-allegro-s")
    write_with_manifest(source, {**read_manifest(source), "bytes_per_edge": bytes_per_edge}, path)
    return path


def test_more_atoms_than_fit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    atoms = crystal()
    edges = len(find_pairs(atoms.positions, atoms.cell.array, 5.5).first)
    calculator = DeployedModel(with_memory(1000.0, tmp_path / "a.mofmd.pth"))
    assert calculator.r_max_A == 5.5
    enough = 1000.0 * edges / 0.8
    monkeypatch.setattr("mofmd.calculator.model.available_bytes", lambda: 1.001 * enough)
    assert np.isfinite(calculator.get_potential_energy(atoms))
    told = rf"of 544 atoms .* \({2 * edges} edges of 1000 bytes\), .* about 272 atoms of this kind"
    with pytest.raises(InputError, match=told):
        calculator.get_potential_energy(atoms.repeat((2, 1, 1)))
    monkeypatch.setattr("mofmd.calculator.model.available_bytes", lambda: 0.999 * enough)
    fresh = DeployedModel(calculator.path)
    with pytest.raises(InputError, match="out of memory: an evaluation of 272 atoms"):
        fresh.get_potential_energy(atoms)
    doubled = DeployedModel(calculator.path, dtype="float64")
    monkeypatch.setattr("mofmd.calculator.model.available_bytes", lambda: 1.9 * enough)
    with pytest.raises(InputError, match="edges of 2000 bytes"):
        doubled.get_potential_energy(atoms)


def test_a_task_that_does_not_fit(tmp_path: Path) -> None:
    """It fails before its first step, with what a screening then shows as the reason."""
    model = with_memory(1e9, tmp_path / "large.mofmd.pth")
    task = generate_static(Request("relax", "zif-4", tmp_path / "task", model=str(model)))
    with pytest.raises(InputError, match=r"out of memory: .* atoms of this kind fit"):
        run_static(task.directory)
    status = read_status(task.directory)
    assert status["state"] == "failed"
    assert "out of memory" in status["error"]


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.mark.parametrize(
    ("line", "mount", "names", "inactive"),
    [
        ("0::/job/step", "", ("memory.max", "memory.current"), "inactive_file"),
        (
            "4:memory:/job/step",
            "memory",
            ("memory.limit_in_bytes", "memory.usage_in_bytes"),
            "total_inactive_file",
        ),
    ],
)
def test_limit_of_a_job(
    line: str, mount: str, names: tuple[str, str], inactive: str, tmp_path: Path
) -> None:
    """The tightest of the machine and the groups above the process counts."""
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    assert available_bytes(proc, groups) is None
    write(proc / "meminfo", "MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    write(proc / "self" / "cgroup", f"7:pids:/\n{line}\n")
    assert available_bytes(proc, groups) == 8000 * 1024
    limit, use = names
    root = groups / mount
    write(root / "job" / "step" / use, "500\n")
    write(root / "job" / "step" / limit, "max\n")
    write(root / "job" / use, "1200\n")
    write(root / "job" / limit, "5000\n")
    write(root / "job" / "memory.stat", f"anon 7\n{inactive} 200\n")
    assert available_bytes(proc, groups) == 5000 - 1200 + 200


def test_memory_of_this_machine() -> None:
    free = available_bytes()
    assert free is not None
    assert free > 2**20
