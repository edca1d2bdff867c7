"""What D3 costs: pair_style d3 beside LAMMPS's own dispersion/d3, and beside and with a model.

ZIF-4 of 272 and 2176 atoms, NVE, one rank and one thread. For each potential: LAMMPS's own loop
time per step of a second run, the least of alternating repeats (whatever else the machine does
only adds to it). Prints a table and writes a JSON file.

Usage: python benchmarks/dispersion.py [--repeats 3] [--output FILE]
"""

import argparse
import json
import tempfile
from importlib.metadata import version
from pathlib import Path

from ase import Atoms
from rich.console import Console
from rich.table import Table

from mofmd.engine.script import run_script
from mofmd.models.dispersion.dispersion import Dispersion
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model
from mofmd.models.step_cost import processor
from mofmd.structures.crystals.zif import zif4

NAMES = ("C", "H", "N", "Zn")
SYSTEMS = {"272 atoms": (1, 1, 1), "2176 atoms": (2, 2, 2)}
SHORTEST_S = 2.0  # of a measurement
SCRIPT = """\
units metal
atom_style atomic
read_data structure.data
{potential}
velocity all create 300 1
fix 1 all nve
timestep 0.0005
thermo 1000000
run 2
run {steps}
"""
STOCK = "neigh_modify one 40000 page 800000\npair_style dispersion/d3 {}\npair_coeff * * C H N Zn"


def potentials(folder: Path) -> dict[str, str]:
    """Return LAMMPS commands by what the table calls them."""
    made = {}
    for word in ("bj", "zero"):
        file = folder / f"{word}.d3"
        file.write_text(Dispersion(word, "pbe").coefficients(NAMES))
        coeff = f"pair_coeff * * {file} {' '.join(NAMES)}"
        made[f"d3 {word}, 15 Å (default)"] = f"pair_style d3\n{coeff}"
    coeff = f"pair_coeff * * {folder / 'bj.d3'} {' '.join(NAMES)}"
    made["d3 bj, 26.46 Å (50 bohr)"] = f"pair_style d3 cutoff 26.46\n{coeff}"
    made["d3 bj, 15 Å, CN 15 Å"] = f"pair_style d3 cutoff 15 0 coordination 15 0\n{coeff}"
    made["dispersion/d3 bj, 15 Å, CN 15 Å"] = STOCK.format("bj pbe 15.0 15.0")
    made["dispersion/d3 bj, 12 Å, CN 8 Å"] = STOCK.format("bj pbe 12.0 8.0")
    made["dispersion/d3 bj, 30 Å, CN 20 Å (its example)"] = STOCK.format("bj pbe 30.0 20.0")
    model = read_deployed(embedded_model("zif4-nequip-s")).pair_commands()
    both = Dispersion("bj", "pbe").pair_commands(folder / "bj.d3", NAMES, model)
    made["zif4-nequip-s"] = "\n".join(model)
    made["zif4-nequip-s and d3 bj"] = "\n".join(both)
    return made


def ms_per_step(potential: str, atoms: Atoms, steps: int) -> float:
    script = SCRIPT.format(potential=potential, steps=steps)
    return run_script(script, atoms, NAMES).ms_per_step


def main() -> None:
    """Measure, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", type=Path, default=Path("dispersion.json"))
    arguments = parser.parse_args()
    found: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        commands = potentials(Path(folder))
        for system, repetitions in SYSTEMS.items():
            atoms = zif4().repeat(repetitions)
            steps = {
                name: max(2, round(1e3 * SHORTEST_S / ms_per_step(potential, atoms, 2)))
                for name, potential in commands.items()
            }
            for _ in range(arguments.repeats):
                for name, potential in commands.items():
                    times = found.setdefault(name, {}).setdefault(system, [])
                    times.append(ms_per_step(potential, atoms, steps[name]))
    table = Table(title=f"ms a step on {processor()}")
    for column in ("potential", *SYSTEMS):
        table.add_column(column, justify="right")
    for name, times in found.items():
        table.add_row(name, *(f"{min(each):.1f}" for each in times.values()))
    Console().print(table)
    versions = {name: version(name) for name in ("torch", "lammps")}
    report = {"hardware": processor(), "versions": versions, "units": "ms", "steps": found}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
