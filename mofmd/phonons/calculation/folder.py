"""The folder of a calculation: of one process at a time, and begun anew where that is asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from mofmd.disk.atomic import writing
from mofmd.disk.lock import LOCK, lock_folder
from mofmd.disk.output import make_folder

CALCULATION = "calculation of phonons"


@contextmanager
def held_folder(
    folder: Path,
    made: Sequence[str] = (),
    *,
    overwrite: bool = False,
    begin: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Make a folder if it lacks, and hold it for one calculation.

    Parameters
    ----------
    folder
        Of the calculation.
    made
        Patterns of what the calculation makes in it: files, and folders with all that they hold.
    overwrite
        Remove these, whatever calculation they are of; other files stay.
    begin
        The first evaluation, called before anything is removed: what it raises leaves all that is
        there.

    Raises
    ------
    RunError
        If another calculation goes on in the folder, or in one of those that are to be removed,
        none of which is then.
    """
    make_folder(folder)
    with lock_folder(folder, CALCULATION):
        if overwrite:  # not before the lock: another process may be at work
            found = [each for pattern in made for each in sorted(folder.glob(pattern))]
            _refuse_at_work(found)
            if found:
                begin()
            _remove(found)
        yield


def _refuse_at_work(found: list[Path]) -> None:
    """Refuse folders in one of which a process is at work."""
    for each in found:
        for lock in each.rglob(LOCK):
            lock_folder(lock.parent, CALCULATION).close()


def _remove(found: list[Path]) -> None:
    """Remove files and folders, unless a process is at work in one of them."""
    _refuse_at_work(found)
    for each in found:
        with writing(each):
            if each.is_dir() and not each.is_symlink():
                shutil.rmtree(each)
            else:
                each.unlink()
