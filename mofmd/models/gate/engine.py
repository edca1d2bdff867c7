"""LAMMPS under the physics gate: what it makes of structures and scripts with the very file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from ase import Atoms

from mofmd.engine.evaluate import LIMIT_S, Evaluation, Patience, evaluate
from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.models.files.deployed import DeployedModel
from mofmd.units import MIB

# What is being done, how many evaluations of it are done, and of how many; 0 where nobody knows.
Progress = Callable[[str, int, int], None]

_MEMORY_ATOMS = (100, 400, 1600, 6400)
_MEMORY_RISE_MIB = 200.0
# Beside others on a busy machine, and more ranks than cores
_PATIENCE = 50.0
_LEAST_LIMIT_S = 300.0
_WARM = 3  # evaluations


def no_progress(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass
class GateEngine:
    """A model file in LAMMPS.

    Parameters
    ----------
    model
        The file.
    device
        ``cpu`` or ``cuda``.
    progress
        Is told each evaluation.
    options
        More of the pair style.
    """

    model: DeployedModel
    device: str = "cpu"
    progress: Progress = no_progress
    options: str = ""
    seconds_per_atom: float | None = None  # of an evaluation on one rank, once there was one

    @property
    def pair(self) -> tuple[str, str]:
        """LAMMPS's ``pair_style`` and ``pair_coeff``."""
        style, coeff = self.model.pair_commands()
        return f"{style} device {self.device} {self.options}".rstrip(), coeff

    def evaluate(self, what: str, structures: Sequence[Atoms], ranks: int = 1) -> list[Evaluation]:
        """Evaluate structures.

        Parameters
        ----------
        what
            Told as progress.
        structures
            Periodic structures.
        ranks
            MPI ranks.
        """
        times = []

        def tell(done: int) -> None:
            times.append(time.monotonic())
            self.progress(what, done, len(structures))

        self.progress(what, 0, len(structures))
        patience = Patience(limit_s=self.limit_s(max(map(len, structures))), on_result=tell)
        names = self.model.type_names
        found = evaluate(structures, self.pair, names, Resources(ranks=ranks), patience)
        if ranks == 1 and len(structures) > _WARM:  # the first ones load and compile
            atoms = sum(map(len, structures[_WARM:]))
            self.seconds_per_atom = (times[-1] - times[_WARM - 1]) / atoms
        return found

    def limit_s(self, atoms: int, evaluations: int = 1) -> float:
        """Wall time beyond which evaluations on a structure are taken for hanging [s]."""
        if self.seconds_per_atom is None:
            return LIMIT_S
        return _LEAST_LIMIT_S + _PATIENCE * self.seconds_per_atom * atoms * evaluations

    def run_script(
        self, atoms: Atoms, commands: Sequence[str], limit_s: float = LIMIT_S
    ) -> tuple[str, list[Mapping[str, np.ndarray]]]:
        """Run commands on a structure; return LAMMPS's output and the thermo tables."""
        script = [
            "units metal",
            "atom_style atomic",
            "box tilt large",
            "read_data structure.data",
            *self.pair,
            *commands,
        ]
        text = "\n".join(script) + "\n"
        done = run_script(text, atoms, self.model.type_names, time_limit_s=limit_s)
        return done.output, [table.columns for table in done.tables]


def measure_bytes_per_edge(engine: GateEngine, atoms: Atoms) -> float:
    """Return the memory that an evaluation takes, in bytes per edge.

    It is the slope of LAMMPS's peak memory between two sizes of a supercell of ``atoms``.
    """
    # or a strictly local model would be evaluated for 1000 atoms at a time
    whole = replace(engine, options="chunk none")
    found: list[tuple[float, float]] = []
    for target in _MEMORY_ATOMS:
        repeats = np.ones(3, dtype=int)
        while np.prod(repeats) * len(atoms) < target:
            repeats[np.argmin(repeats * atoms.cell.lengths())] += 1
        supercell = atoms.repeat(repeats.tolist())
        engine.progress(f"memory of {len(supercell)} atoms", 0, 0)
        output, _ = whole.run_script(supercell, ["run 1"])
        peak = re.search(r"peak memory of a rank: (\d+) MiB", output)
        edges = re.search(r"(\d+) edges", output)
        assert peak is not None
        assert edges is not None
        found.append((float(edges[1]), float(peak[1]) * MIB))
        # what loading takes hides the first sizes of a small model
        if found[-1][1] - found[0][1] > _MEMORY_RISE_MIB * MIB:
            break
    (few, small), (many, large) = found[-2:]
    return (large - small) / max(many - few, 1.0)
