import io
import math
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from mofmd.engine.lammps_log import LogFollower
from mofmd.errors import InputError
from mofmd.simulation.protocols import NVT, PressureGrid, Protocol
from mofmd.simulation.run import progress
from mofmd.simulation.run.newest import Newest, NewestFollower, read_newest
from mofmd.simulation.run.progress import (
    Lines,
    LiveBar,
    Progress,
    Silent,
    choose_reporter,
)
from mofmd.simulation.run.run import _Follower, run_deck
from mofmd.simulation.run.status import run_progress, write_status
from tests.silicon import silicon_deck

PROGRESS = Progress("heat", 1000, 10000, 512.3, 20.0, 0.5)


def test_figures():
    # 86400 s / 20 ms = 4.32 million steps of 0.5 fs = 2.16 ns; 9000 steps left take 180 s
    assert PROGRESS.ns_per_day == pytest.approx(2.16)
    assert PROGRESS.seconds_left == pytest.approx(180)
    assert PROGRESS.figures == "T  512 K  20.0 ms/step  2.16 ns/day  3:00 left"


def test_hours_that_are_left():
    assert replace(PROGRESS, total_steps=1_000_000).figures.endswith(" 5:33:00 left")


@pytest.mark.parametrize(
    "protocol",
    [
        PressureGrid(pressures_bar=(0, 100), equilibration_ps=0, sampling_ps=0.05, timestep_fs=1),
        NVT(time_ps=0.1, timestep_fs=1),
    ],
)
def test_lines_of_a_run_name_all_its_steps(tmp_path: Path, protocol: Protocol) -> None:
    text = io.StringIO()
    run_deck(silicon_deck(protocol, tmp_path).directory, console=Console(file=text, width=200))
    minimise, *lines = text.getvalue().splitlines()
    assert minimise.startswith("minimise     step        0  P")
    assert " K" not in minimise
    assert all(" of 100 " in line for line in lines)
    assert " 100 of 100 " in lines[-1]
    assert lines[-1].endswith(" 0:00 left")


def test_before_the_first_step_there_is_no_speed():
    early = replace(PROGRESS, ms_per_step=None)
    assert early.ns_per_day is None
    assert early.seconds_left is None
    assert early.figures == "T  512 K"


def test_lines_come_every_five_percent_and_at_each_stage():
    text = io.StringIO()
    with Lines(Console(file=text, width=200)) as reporter:
        for step in range(0, 1001, 100):
            reporter.show(replace(PROGRESS, step=step))
        reporter.show(replace(PROGRESS, step=1000, stage="melt"))
    steps = [(line.split()[0], int(line.split()[2])) for line in text.getvalue().splitlines()]
    assert steps == [("heat", 0), ("heat", 500), ("heat", 1000), ("melt", 1000)]


def test_lines_of_a_minimisation_come_every_ten_seconds(monkeypatch):
    text = io.StringIO()
    clock = iter(range(100, 200, 10))
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    with Lines(Console(file=text, width=200)) as reporter:
        for step in range(10):
            reporter.show(replace(PROGRESS, stage="minimise", step=step, total_steps=0))
    steps = [int(line.split()[2]) for line in text.getvalue().splitlines()]
    assert steps == [0, 2, 4, 6, 8]  # after more than ten seconds


def test_bar_shows_stage_and_figures():
    text = io.StringIO()
    with LiveBar(Console(file=text, width=200, force_terminal=True)) as reporter:
        reporter.show(replace(PROGRESS, stage="minimise", step=7, total_steps=0))
        reporter.show(PROGRESS)
    assert "heat" in text.getvalue()
    assert "1000/10000" in text.getvalue()
    assert "20.0 ms/step" in text.getvalue()


def test_bar_fits_a_narrow_terminal():
    text = io.StringIO()
    with LiveBar(Console(file=text, width=80, force_terminal=True)) as reporter:
        reporter.show(replace(PROGRESS, pressure_bar=-9136.0, energy_eV=-60083.5))
    assert "…" not in text.getvalue()
    assert "heat" in text.getvalue()
    assert "1000/10000" in text.getvalue()
    assert "2.16 ns/day  3:00 left" in text.getvalue()


def test_progress_names_the_newest_atom():
    newest = Newest("Zr 105", 12.34, 2000, 1.0, 1.0, most_above=14)
    watched = replace(PROGRESS, pressure_bar=-9136.0, energy_eV=-60083.5, newest=newest)
    assert watched.figures.endswith(
        " 3:00 left  newest Zr 105: 12.3 at step 2000, up to 14 atoms above 1 at once"
    )
    text = io.StringIO()
    with LiveBar(Console(file=text, width=80, force_terminal=True)) as reporter:
        reporter.show(watched)
    assert "…" not in text.getvalue()
    assert "3:00 left  newest Zr 105: 12.3" in text.getvalue()
    assert str(replace(newest, most_above=0)) == (
        "Zr 105, novelty 12.3 at step 2000 (1 ps), none above 1"
    )
    # of decks that were written before the table named the atom
    assert replace(newest, atom="", most_above=1).figures == (
        "newest 12.3 at step 2000, up to 1 atom above 1 at once"
    )


def test_the_table_of_a_watch_is_followed_while_it_grows(tmp_path: Path) -> None:
    manifest = {"potential": {"type_names": ["C", "Zr"]}, "watch": {"keep_above": 2.0}}
    follower = NewestFollower(tmp_path, manifest)
    assert follower.read() is None
    with (tmp_path / "novelty.csv").open("w") as table:
        table.write("step,time_ps,novelty_largest,atoms_above_keep,newest_atom,newest_type\n\n")
        table.flush()
        assert follower.read() is None
        table.write("0,0.0,0.5,0,3,1\n20,0.01,in")
        table.flush()
        assert follower.read() == Newest("C 3", 0.5, 0, 0.0, 2.0, 0)
        table.write("f,4,7,2\n40,0.02,2.5,9,3,1\n")
        table.flush()
        found = follower.read()
    assert found == Newest("Zr 7", math.inf, 20, 0.01, 2.0, most_above=9)
    assert found == follower.read() == read_newest(tmp_path, manifest)
    with (tmp_path / "novelty.csv").open("a") as table:
        table.write("60,oops\n")
    assert follower.read() == found
    with pytest.raises(InputError, match="'60,oops' is no line of the table"):
        read_newest(tmp_path, manifest)


def test_choice():
    assert type(choose_reporter(None)) is Silent
    assert type(choose_reporter(Console(file=io.StringIO()))) is Lines
    terminal = Console(file=io.StringIO(), force_terminal=True)
    assert type(choose_reporter(terminal)) is LiveBar
    with Silent() as reporter:
        reporter.show(PROGRESS)


def test_a_minimisation_is_seen_at_work(tmp_path: Path) -> None:
    """Steps of large models take many seconds, and LAMMPS tells of each fiftieth alone."""
    deck = silicon_deck(NVT(time_ps=0.1, timestep_fs=1), tmp_path)
    found = _Follower(deck).feed(f"{progress.BEAT} minimise 7 83.2")
    assert found is not None
    assert (found.stage, found.step, found.total_steps) == ("minimise", 7, 0)
    assert found.figures == found.brief_figures == "at work for 1:23"
    write_status(tmp_path, state="running", stage="minimise", step=0, minimise_step=7)
    assert run_progress(tmp_path) == "minimise, step 7 of a minimisation"


def test_a_log_is_followed_while_it_grows(tmp_path: Path) -> None:
    log = LogFollower(tmp_path / "log.lammps")
    log.read()
    assert (log.stage, log.step) == ("", None)
    with (tmp_path / "log.lammps").open("w") as file:
        file.write("mofmd stage minimise\nStep PotEng\n0 -5.0\n10 -")
        file.flush()
        log.read()
        assert (log.stage, log.step) == ("minimise", 0)
        file.write("6.0\n")
        file.flush()
        log.read()
    assert log.step == 10
