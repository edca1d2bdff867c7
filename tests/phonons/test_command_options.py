"""Options that the commands of phonons share, and what they tell while they work."""

from typing import Any

import pytest
import typer

from mofmd.cli.main import app
from mofmd.cli.phonons import told
from mofmd.cli.phonons.options import force_options, kept_within_A
from mofmd.phonons.calculation.collect import Progress


def options_of(*words: str) -> set[str]:
    """Names of the options of a command."""
    command: Any = typer.main.get_command(app)
    for word in words:
        command = command.get_command(None, word)  # a part of mofmd is read when it is asked for
    return {name for each in command.params for name in each.opts}


def test_the_tolerance_of_symmetry_has_one_name_everywhere() -> None:
    """And one given holds for what a relaxation keeps as well; else each has its own."""
    for words in (
        ("relax",),
        *(("phonons", name) for name in ("run", "forces", "bands", "imaginary", "qha", "md")),
    ):
        options = options_of(*words)
        assert "--symmetry-tolerance" in options, words
        assert "--symprec" not in options, words
    default = force_options()
    assert (default.tolerance_A, kept_within_A(default)) == (1e-5, 1e-2)
    given = force_options(symmetry_tolerance=2e-3)
    assert (given.tolerance_A, kept_within_A(given)) == (2e-3, 2e-3)


def test_all_that_keep_calculations_begin_anew() -> None:
    for name in ("run", "forces", "imaginary", "qha", "sscha", "md", "elastic"):
        assert "--overwrite" in options_of("phonons", name), name


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Time that stands still unless a test moves it."""
    now = [100.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: now[0])
    return now


def test_time_left_is_told_early(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    """Of long evaluations a tenth takes long as well: the first estimate does not wait for it."""
    show = told.forces_told()
    for done in range(41):
        show(Progress(done, 40, 30.0 * (40 - done) if done else 0.0))
        clock[0] += 30.0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:3] == ["forces 0/40", "forces 1/40, 20 min left", "forces 4/40, 18 min left"]
    assert lines[-1] == "forces 40/40"
    assert len(lines) == 12
    show(Progress(7, 40, 0.0, was_there=7))  # another round, some of it there
    show(Progress(8, 40, 3.0, was_there=7))
    assert capsys.readouterr().out.splitlines() == ["forces 7/40", "forces 8/40, 3 s left"]


def test_time_left_of_parts(clock: list[float], capsys: pytest.CaptureFixture[str]) -> None:
    show = told.parts_told()
    show(1, 9, "volume 1")  # was there
    clock[0] += 60.0
    show(1, 9, "relaxing")
    clock[0] += 60.0
    show(2, 9, "volume 2")
    assert capsys.readouterr().out.splitlines() == [
        "1/9 volume 1",
        "1/9 relaxing",
        "2/9 volume 2, about 14 min left",
    ]
