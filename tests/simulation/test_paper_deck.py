"""The published melt-quench, generated as a user does, and gone through by LAMMPS without steps."""

import subprocess
import sys
from pathlib import Path

import pytest

from mofmd.cli import main as cli
from mofmd.engine.launch import Resources, environment, lammps_command
from mofmd.engine.plugin_path import mismatches, read_record
from mofmd.simulation.deck.deck import read_deck

PLAN = (
    "mofmd plan equilibrate 40000 heat 120000 heat_hot 0 melt 100000 quench_hot 0 quench 120000 "
    "anneal 200000"
)
# 290 ps in parts of 10 ps, each from the restart file of the one before it
PARTS = {"equilibrate": 2, "heat": 6, "melt": 5, "quench": 6, "anneal": 10}


@pytest.mark.long
@pytest.mark.parametrize(
    ("size", "n_atoms", "cells"),
    [((), 2176, (2, 2, 2)), (("--atoms", "34000"), 34000, (5, 5, 5))],
)
def test_published_melt_quench(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    size: tuple[str, ...],
    n_atoms: int,
    cells: tuple[int, int, int],
) -> None:
    record = read_record()
    if record is None or mismatches(record):
        pytest.skip("the plugin is not built or stale: mofmd build")
    command = ["generate", "melt_quench", "--structure", "zif-4", "--model", "zif4-allegro-s"]
    monkeypatch.setattr(sys, "argv", ["mofmd", *command, *size, "-o", str(tmp_path / "glass")])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 0
    deck = read_deck(tmp_path / "glass")
    assert deck.manifest["structure"]["n_atoms"] == n_atoms
    assert tuple(deck.manifest["protocol"]["supercell"]) == cells
    assert deck.manifest["total_steps"] == 580_000
    resources = Resources()
    done = subprocess.run(
        [*lammps_command("in.lammps", resources), "-skiprun"],
        cwd=deck.directory,
        env=environment(resources),
        capture_output=True,
        text=True,
        check=False,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    lines = done.stdout.splitlines()
    assert PLAN in lines
    assert [line for line in lines if line.startswith("mofmd stage")] == [
        "mofmd stage minimise",
        *(f"mofmd stage {stage}" for stage, parts in PARTS.items() for _ in range(parts)),
    ]
    assert "mofmd done" in lines
    assert (deck.directory / "final.data").is_file()
