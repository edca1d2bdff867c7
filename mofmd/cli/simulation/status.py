"""``mofmd status``: how far a run is, from any shell."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def status(
    directory: Annotated[Path, typer.Argument(help="A deck, a static task, or an ensemble.")],
) -> None:
    """Say the state of a run, how far it is, and why it ended; of an ensemble of all its members.

    It reads `status.json`, and neither waits nor disturbs the run.

    Examples
    --------
    mofmd status glass
    """
    from mofmd.cli.simulation.ensemble import status as ensemble_status
    from mofmd.errors import MissingFileError, absent
    from mofmd.simulation.deck.deck import MANIFEST, read_deck
    from mofmd.simulation.deck.novelty_watch import NOVELTY_TABLE
    from mofmd.simulation.ensemble.ensemble import RECORD
    from mofmd.simulation.run.newest import read_newest
    from mofmd.simulation.run.status import read_status, run_progress, run_state
    from mofmd.simulation.statics.task import TASK

    if (directory / RECORD).is_file():
        ensemble_status(directory)
        return
    if not any((directory / name).is_file() for name in (MANIFEST, TASK)):
        why = "no deck and no ensemble" if directory.is_dir() else absent(directory, "folder")
        raise MissingFileError(f"{directory}: {why}; give the folder that `mofmd generate` wrote")
    state, found = run_state(directory), read_status(directory)
    words = [state, "" if state == "finished" else run_progress(directory)]
    if state in ("starting", "running") and found.get("ms_per_step"):
        words.append(f"{found['ms_per_step']:.1f} ms/step")
    if found.get("updated_utc"):
        words.append(f"written {found['updated_utc']}")
    typer.echo(f"{directory}: {', '.join(word for word in words if word)}")
    if found.get("error"):
        typer.echo(f"{directory}: {found['error']}".removesuffix("\n"))
    if (directory / NOVELTY_TABLE).is_file():
        newest = read_newest(directory, read_deck(directory, allow_edited=True).manifest)
        if newest is not None:
            typer.echo(f"{directory}: newest atom: {newest}")
