"""Restart files of a deck: which one a run begins with."""

from __future__ import annotations

import shutil
from pathlib import Path

from mofmd.errors import InputError, RunError, in_command
from mofmd.simulation.run.status import GOING_ON, read_status, run_state

LATEST, PREVIOUS, STOPPED, FAILED = (
    f"restart.{name}" for name in ("latest", "previous", "stopped", "failed")
)

ANEW = "begins_anew"  # in status.json, until the worker has begun


def choose_restart(directory: Path, *, from_stop: bool) -> Path | None:
    """Choose the restart file to continue from; None where there is none.

    The state at which the run was stopped is used up, as the run goes beyond it.

    Parameters
    ----------
    directory
        The deck.
    from_stop
        From the state at which the run was stopped, instead of the last regular restart file.

    Raises
    ------
    InputError
        If it was not stopped in good order.
    """
    latest, previous, stopped = (directory / name for name in (LATEST, PREVIOUS, STOPPED))
    if from_stop:
        require_stopped(directory)
        replace_by_copy(stopped, latest)
    elif not latest.is_file() and previous.is_file():
        # killed between the two renames of part_end.in
        replace_by_copy(previous, latest)
    stopped.unlink(missing_ok=True)
    return latest if latest.is_file() else None


def has_restart(directory: Path) -> bool:
    """Whether a run of a deck could be continued from a regular restart file."""
    return any((directory / name).is_file() for name in (LATEST, PREVIOUS))


def refuse_to_replace(directory: Path, *, keeps_each_step: bool) -> None:
    """Refuse to begin anew where an earlier run of a deck or task left something to go on from.

    Parameters
    ----------
    directory
        The deck or task.
    keeps_each_step
        A static task goes on from its last step, without restart files.

    Raises
    ------
    InputError
        Naming the state of the run, and both ways to go on.
    """
    state = run_state(directory)
    begun = keeps_each_step and state != "waiting"
    is_kept = state == "finished" or begun or has_restart(directory)
    if is_kept and state not in GOING_ON and not must_begin_anew(directory):
        command = f"mofmd run {in_command(directory)}"
        raise InputError(
            f"{directory}: holds a run ({state}); `{command} --resume` goes on with it (a finished "
            f"one is left as it is), `{command} --anew` removes its results and begins again"
        )


def require_stopped(directory: Path) -> None:
    """Refuse a deck without the state of a run that was stopped.

    Raises
    ------
    InputError
        If there is none.
    """
    if not (directory / STOPPED).is_file():
        raise InputError(
            f"{directory / STOPPED}: there is none, the run was not stopped in good order; resume "
            f"from the last regular restart file: `mofmd run {in_command(directory)} --resume`"
        )


def must_begin_anew(directory: Path) -> bool:
    """Whether the last launch was to begin anew and came to nothing: what is there is older."""
    return bool(read_status(directory).get(ANEW))


def refuse_other_ranks(directory: Path, ranks: int) -> None:
    """Refuse to continue on another number of ranks: forces would be summed in another order.

    Raises
    ------
    RunError
        Naming the number that the run was begun on.
    """
    before = read_status(directory).get("ranks")
    if before is not None and before != ranks:
        raise RunError(
            f"{directory}: was begun on {before} ranks and cannot be the same run on "
            f"{ranks}; resume it with --ranks {before}, or start it again"
        )


def replace_by_copy(source: Path, target: Path) -> None:
    """Copy a file over another one, which is whole at any moment."""
    temporary = target.with_name(f".{target.name}.part")
    shutil.copyfile(source, temporary)
    temporary.replace(target)
