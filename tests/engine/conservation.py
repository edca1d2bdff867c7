"""NVE of a hot cell: what is left of the drift is the error of velocity Verlet."""

from pathlib import Path

import numpy as np

from tests.engine.lammps import checked, run_lammps, write_structure
from tests.engine.systems import SYSTEMS


def assert_energy_is_conserved(pair: str, work: Path) -> None:
    """The error falls as the step squared, with a model in float64."""
    write_structure(SYSTEMS["tilted"](), work / "0.data")
    drifts = []
    for timestep in (2e-4, 1e-4):
        script = f"""
units metal
atom_style atomic
read_data 0.data
{pair}
velocity all create 600 11
fix 1 all nve
timestep {timestep}
thermo_style custom step etotal
thermo {round(0.01 / timestep)}
thermo_modify format float %.12f
run {round(0.1 / timestep)}
"""
        output = checked(run_lammps(script, work))
        table = output.partition("TotEng")[2].partition("Loop time")[0]
        energies = [float(line.split()[1]) for line in table.splitlines() if len(line.split()) == 2]
        assert len(energies) == 11
        drifts.append(np.ptp(energies))
    assert drifts[0] < 1e-2
    assert drifts[1] < 0.4 * drifts[0]  # a quarter, were it only the truncation error
