"""One LAMMPS run of a short script on a structure, in a folder that is gone afterwards."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ase import Atoms

from mofmd.engine.lammps_data import write_data
from mofmd.engine.lammps_log import ThermoTable, parse_log
from mofmd.engine.launch import Resources, environment, lammps_command, run_to_end
from mofmd.engine.plugin_path import reasons_of_mofmd
from mofmd.errors import RunError


class ScriptError(RunError):
    """LAMMPS found something wrong, and said so."""


@dataclass(frozen=True)
class ScriptRun:
    """What a run left.

    Parameters
    ----------
    output
        What LAMMPS printed.
    tables
        Its thermo output, a table per ``run`` or ``minimize`` command.
    """

    output: str
    tables: list[ThermoTable]

    @property
    def ms_per_step(self) -> float:
        """LAMMPS's own loop time of the last ``run`` command, per step [ms]."""
        return self.tables[-1].ms_per_step


def run_script(
    script: str,
    atoms: Atoms,
    type_names: Sequence[str],
    resources: Resources | None = None,
    time_limit_s: float | None = None,
) -> ScriptRun:
    """Run a script whose ``read_data structure.data`` reads the structure.

    Parameters
    ----------
    script
        LAMMPS commands.
    atoms
        The structure.
    type_names
        Elements of LAMMPS's types 1, 2, ...
    resources
        One rank and one thread if not given.
    time_limit_s
        Wall time after which the run is ended [s].

    Raises
    ------
    ScriptError
        If LAMMPS ended with an error, in its words.
    RunError
        If it was killed, or did not end in time.
    """
    resources = resources or Resources()
    with tempfile.TemporaryDirectory(prefix="mofmd-script-") as folder:
        work = Path(folder)
        write_data(work / "structure.data", atoms, type_names)
        (work / "in.lammps").write_text(script)
        command = lammps_command("in.lammps", resources)
        try:
            done = run_to_end(command, work, environment(resources), time_limit_s=time_limit_s)
        except TimeoutError as error:
            raise RunError(f"LAMMPS did not end within {time_limit_s:g} s") from error
    log = parse_log(done.output.splitlines())
    if done.status != 0:
        # a plugin that does not fit says so itself
        told = reasons_of_mofmd(done.output.splitlines())
        if told or log.errors:
            raise ScriptError("LAMMPS: " + "\n".join([*told, *log.errors[:2]]))
        raise RunError(f"LAMMPS {done.how}; its last words: {done.output.strip()[-400:]!r}")
    return ScriptRun(done.output, log.close())
