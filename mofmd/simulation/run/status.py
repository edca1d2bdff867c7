"""The state of a run on disk: status.json."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import is_going_on

STATUS = "status.json"
GOING_ON = ("starting", "running")
STATES = ("waiting", *GOING_ON, "finished", "failed", "stopped", "interrupted")


def read_status(directory: Path) -> dict[str, Any]:
    """Read status.json; empty where no run has begun.

    A file that is damaged says nothing of the run, which can be resumed like one that was killed.
    """
    path = directory / STATUS
    try:
        found: Any = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        return _damaged(f"is not JSON ({error})")
    if not isinstance(found, dict) or found.get("state") not in STATES:
        return _damaged(f"its state is none of {', '.join(STATES)}")
    return found


def run_state(directory: Path) -> str:
    """Return the state of a run.

    ``waiting``, ``starting`` (launched, before LAMMPS has begun), ``running``, ``finished``,
    ``failed``, ``stopped`` (as it was asked to) or ``interrupted`` (killed, or it ended without a
    word).
    """
    state = read_status(directory).get("state", "waiting")
    if state in GOING_ON and not is_going_on(directory):
        # it may have ended between the two looks
        now = read_status(directory).get("state", "waiting")
        return "interrupted" if now in GOING_ON else str(now)
    return str(state)


def run_progress(directory: Path) -> str:
    """Say how far a run is: stage, step, temperature; empty before the first stage."""
    found = read_status(directory)
    if found.get("progress"):
        return str(found["progress"])
    if not found.get("stage"):
        return ""
    if found.get("minimise_step") is not None:
        return f"{found['stage']}, step {found['minimise_step']} of a minimisation"
    text = f"{found['stage']}, step {found.get('step')} of {found.get('total_steps')}"
    if found.get("temperature_K") is not None:
        text += f", {found['temperature_K']:.0f} K"
    return text


def run_stage(directory: Path) -> str:
    """Name the stage that a run is at; empty before the first one."""
    return str(read_status(directory).get("stage") or "")


def write_status(directory: Path, **values: Any) -> None:
    """Write status.json in one step, with the time of writing."""
    status = {**values, "updated_utc": now_utc()}
    write_atomic(directory / STATUS, json.dumps(status, indent=2) + "\n")


def now_utc() -> str:
    """Time of day, in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _damaged(how: str) -> dict[str, Any]:
    return {"state": "interrupted", "error": f"{STATUS} is damaged: {how}"}
