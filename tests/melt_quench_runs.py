"""A melt-quench that LAMMPS never ran: its files are made from the crystal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.engine.lammps_data import render_data
from mofmd.engine.lammps_log import parse_log
from mofmd.simulation.deck.deck import Deck, read_deck
from mofmd.simulation.protocols import MeltQuench
from mofmd.simulation.run.run import Run
from mofmd.structures.crystals.zif import zif4

# 40 steps a stage, a line and a frame every 10: temperatures at the ends of the stages
PROTOCOL = replace(
    MeltQuench.fast(),
    temperature_max_K=2000,
    temperature_hot_K=2000,
    rate_K_per_ps=85000,
    equilibration_ps=0.02,
    plateau_ps=0.02,
    anneal_ps=0.02,
    frame_interval_fs=5,
    thermo_interval_fs=5,
)
STAGES = {
    "equilibrate": (300, 300),
    "heat": (300, 2000),
    "melt": (2000, 2000),
    "quench": (2000, 300),
    "anneal": (300, 300),
}
HEADER = "   Step          Time           Temp          PotEng         Press\n"
MINIMUM_EV = -60000.0
MELT_STEPS = range(90, 161)


def _log(n_atoms: int) -> str:
    text = f"mofmd stage minimise\n{HEADER}0 0 0 -59990 5\n7 0.0035 0 {MINIMUM_EV} 0\n"
    text += f"Loop time of 0.5 on 1 procs for 7 steps with {n_atoms} atoms\n"
    for k, (stage, (start, end)) in enumerate(STAGES.items()):
        text += f"mofmd stage {stage}\n{HEADER}"
        for step in range(40 * k, 40 * k + 41, 10):
            temperature = start + (end - start) * (step - 40 * k) / 40
            # the harmonic crystal's 3/2 kT an atom
            energy = MINIMUM_EV + n_atoms * 1.5 * 8.617333e-5 * temperature
            text += f"{step} {step * 0.0005:g} {temperature:g} {energy:.6f} 12\n"
        text += f"Loop time of 0.4 on 1 procs for 40 steps with {n_atoms} atoms\n"
    return text + "mofmd done\n"


def _dump(crystal: Atoms, metal: str, donor: str) -> str:
    """Crystal; in the melt, four metals have lost a neighbour and one linker a bond."""
    melt = crystal.copy()
    for centre in np.flatnonzero(crystal.symbols == metal)[:4]:
        _push(melt, centre, donor, 3.2)
    carbon = np.flatnonzero(crystal.symbols == "C")[0]
    _push(melt, carbon, "H", 2.0)
    numbers = {name: k for k, name in enumerate(("C", "H", donor, metal), start=1)}
    text = "ITEM: UNITS\nmetal\n"
    for step in range(0, 201, 10):
        atoms = melt if step in MELT_STEPS else crystal
        text += f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(atoms)}\n"
        text += "ITEM: BOX BOUNDS pp pp pp\n"
        text += "".join(f"0 {length:.10f}\n" for length in atoms.cell.lengths())
        text += "ITEM: ATOMS id type element xu yu zu\n"
        text += "".join(
            f"{k} {numbers[symbol]} {symbol} {x:.6f} {y:.6f} {z:.6f}\n"
            for k, (symbol, (x, y, z)) in enumerate(
                zip(atoms.symbols, atoms.positions, strict=True), start=1
            )
        )
    return text


def _push(atoms, centre: int, element: str, length: float) -> None:
    """Move the nearest atom of an element away along its bond."""
    others = np.flatnonzero(atoms.symbols == element)
    vectors = atoms.get_distances(centre, others, mic=True, vector=True)
    nearest = np.linalg.norm(vectors, axis=1).argmin()
    unit = vectors[nearest] / np.linalg.norm(vectors[nearest])
    atoms.positions[others[nearest]] = atoms.positions[centre] + length * unit


def fill(deck: Deck, crystal: Atoms | None = None, metal: str = "Zn", donor: str = "N") -> Run:
    """Leave in a deck what a run would leave, and return that run: of ZIF-4, or a crystal."""
    crystal = zif4() if crystal is None else crystal
    assert (deck.directory / "structure.data").read_text() == render_data(
        crystal, ("C", "H", donor, metal)
    )
    log = _log(len(crystal))
    (deck.directory / "trajectory.dump").write_text(_dump(crystal, metal, donor))
    (deck.directory / "log.lammps").write_text(log)
    tables = tuple(parse_log(log.splitlines()).close())
    return Run(deck, tables, 200, 2.5, 10.0, ("WARNING: none",))


def pretended_run(directory: Path, *_: object) -> Run:
    """Stand in for ``run_deck``."""
    return fill(read_deck(directory))
