"""Energy conservation of the models in the package: NVE of the ZIF-4 crystal, with a figure.

Usage: python benchmarks/nve_drift.py [MODEL ...] [--picoseconds 10] [--ranks 2]
           [--output nve_drift.png]
"""

import argparse
from pathlib import Path

import numpy as np

from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.models.files.deployed import DeployedModel, read_deployed
from mofmd.models.files.embedded import embedded_models
from mofmd.models.names import find_model
from mofmd.structures.crystals.zif import zif4
from mofmd.units import FS_TO_PS

SCRIPT = """\
units metal
atom_style atomic
read_data structure.data
{potential}
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


def total_energy(
    model: DeployedModel, timestep_fs: float, picoseconds: float, ranks: int
) -> tuple[np.ndarray, np.ndarray, float]:
    """Return times (ps), total energy per atom above its start (meV), and mean temperature (K)."""
    atoms = zif4()
    timestep_ps = timestep_fs * FS_TO_PS
    every = round(0.02 / timestep_ps)
    script = SCRIPT.format(
        potential="\n".join(model.pair_commands()),
        timestep_ps=timestep_ps,
        every=every,
        steps=every * round(picoseconds / (every * timestep_ps)),
    )
    done = run_script(script, atoms, model.type_names, Resources(ranks=ranks))
    table = done.tables[-1].columns
    energy = 1e3 * (table["TotEng"] - table["TotEng"][0]) / len(atoms)
    return table["Step"] * timestep_ps, energy, float(table["Temp"].mean())


def main() -> None:
    """Run, print the drift and draw the figure."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", default=embedded_models())
    parser.add_argument("--picoseconds", type=float, default=10.0)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path("nve_drift.png"))
    arguments = parser.parse_args()
    names = arguments.models
    figure = Figure(figsize=(1.2 + 2.4 * len(names), 3.0), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(names), sharex=True, sharey=True, squeeze=False)[0]
    for path, axes in zip(names, panels, strict=True):
        model = read_deployed(find_model(Path(path)))
        name = model.manifest["name"]
        for timestep_fs in (0.5, 0.25):
            times, energy, temperature = total_energy(
                model, timestep_fs, arguments.picoseconds, arguments.ranks
            )
            drift = np.polyfit(times, energy, 1)[0]
            print(
                f"{name}, {timestep_fs} fs, {temperature:.0f} K: drift {drift:+.4f} meV/atom/ps, "
                f"fluctuation {energy.std():.4f} meV/atom"
            )
            label = f"{timestep_fs} fs: {drift:+.4f} meV/atom/ps"
            axes.plot(times, energy, linewidth=0.8, label=label)
        axes.set(xlabel="Time (ps)", title=name, ylim=(-0.5, 0.5))
        axes.legend(loc="upper left", fontsize=7)
    panels[0].set_ylabel("Total energy − start (meV/atom)")
    figure.suptitle("NVE, ZIF-4 crystal, 272 atoms, 300 K", fontsize=9)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(arguments.output, dpi=150)


if __name__ == "__main__":
    main()
