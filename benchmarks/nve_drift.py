"""Energy conservation of the embedded model: NVE of the ZIF-4 crystal, with a figure.

Usage: python benchmarks/nve_drift.py [--picoseconds 10] [--output nve_drift.png]
"""

import argparse
from pathlib import Path

import numpy as np

from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.models.embedded import embedded_model
from mofmd.structures.zif import zif4
from mofmd.units import FS_TO_PS

SCRIPT = """\
units metal
atom_style atomic
read_data structure.data
pair_style allegro
pair_coeff * * {model} C H N Zn
minimize 0 0.01 50 1000
reset_timestep 0
velocity all create 600 3 loop geom
timestep {timestep_ps}
thermo_style custom step temp pe etotal
thermo_modify format float %.8f
thermo {every}
fix 1 all nve
run {steps}
"""


def total_energy(timestep_fs: float, picoseconds: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Return times (ps), total energy per atom above its start (meV), and mean temperature (K)."""
    atoms = zif4()
    timestep_ps = timestep_fs * FS_TO_PS
    every = round(0.02 / timestep_ps)
    script = SCRIPT.format(
        model=embedded_model(),
        timestep_ps=timestep_ps,
        every=every,
        steps=every * round(picoseconds / (every * timestep_ps)),
    )
    done = run_script(script, atoms, ("C", "H", "N", "Zn"), Resources(ranks=2))
    table = done.tables[-1].columns
    energy = 1e3 * (table["TotEng"] - table["TotEng"][0]) / len(atoms)
    return table["Step"] * timestep_ps, energy, float(table["Temp"].mean())


def main() -> None:
    """Run, print the drift and draw the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picoseconds", type=float, default=10.0)
    parser.add_argument("--output", type=Path, default=Path("nve_drift.png"))
    arguments = parser.parse_args()
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for timestep_fs in (0.5, 0.25):
        times, energy, temperature = total_energy(timestep_fs, arguments.picoseconds)
        drift = np.polyfit(times, energy, 1)[0]
        print(
            f"{timestep_fs} fs, {temperature:.0f} K: drift {drift:+.4f} meV/atom/ps, "
            f"fluctuation {energy.std():.4f} meV/atom"
        )
        label = f"{timestep_fs} fs: {drift:+.4f} meV/atom/ps"
        axes.plot(times, energy, linewidth=0.8, label=label)
    axes.set(xlabel="Time (ps)", ylabel="Total energy − start (meV/atom)")
    axes.set_title(f"NVE, ZIF-4 crystal, 272 atoms, {embedded_model().name}", fontsize=9)
    axes.set_ylim(-0.5, 0.5)
    axes.legend(loc="upper left", fontsize=8)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=150)


if __name__ == "__main__":
    main()
