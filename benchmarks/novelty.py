"""What the watch of novelty costs: steps of ZIF-4 with and without it, under plain LAMMPS.

The same deck (NVT, a model of the package) in alternating repeats; LAMMPS's own loop time. The
density is fitted to rattled crystals: its size is what counts here.

Usage: python benchmarks/novelty.py [--model NAME] [--every N] [--ranks N] [--steps N] [--repeats N]
"""

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

from mofmd.engine.lammps_log import read_log
from mofmd.engine.launch import Resources, environment, lammps_command
from mofmd.learning.density.fit import FitOptions
from mofmd.learning.density.model_density import fit_density, write_density
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.deck import write_deck
from mofmd.simulation.deck.novelty_watch import NoveltyWatch
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.protocols import NVT
from mofmd.structures.crystals.zif import zif4


def ms_per_step(directory: Path, resources: Resources, steps: int) -> float:
    subprocess.run(lammps_command("in.lammps", resources), cwd=directory, check=True,
                   env=environment(resources), stdout=subprocess.DEVNULL)  # fmt: skip
    parts = read_log(directory / "log.lammps")
    for name in ("novelty.csv", "novelty.dump", "trajectory.dump"):
        (directory / name).unlink(missing_ok=True)
    seconds = sum(part.loop_seconds or 0.0 for part in parts if part.stage != "minimise")
    return 1e3 * seconds / steps


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="zif4-nequip-s")
    parser.add_argument("--every", type=int, default=20)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    resources = Resources(ranks=arguments.ranks)
    protocol = NVT(time_ps=arguments.steps * 0.0005, supercell=(1, 1, 1), minimise_steps_max=0)
    frames = [zif4() for _ in range(8)]
    for seed, frame in enumerate(frames):
        frame.rattle(0.05, seed=seed)
    model = embedded_model(arguments.model)
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known.mofmd.pth"
        write_density(model, fit_density(model, frames[:6], frames[6:], FitOptions(quantile=0.95)),
                      known)  # fmt: skip
        potential = model_potential(known, ("C", "H", "N", "Zn"))
        watch = NoveltyWatch(every=arguments.every, keep_above=1e9)
        decks = []
        for name, each in (("plain", None), ("watched", watch)):
            decks.append(Path(folder) / name)
            write_deck(protocol, zif4(), potential, decks[-1], watch=each)
        ms_per_step(decks[0], resources, 40)  # warms the machine up
        pairs = [
            tuple(ms_per_step(deck, resources, arguments.steps) for deck in decks)
            for _ in range(arguments.repeats)
        ]
    ratios = [watched / plain for plain, watched in pairs]
    plain, watched = (statistics.median(values) for values in zip(*pairs, strict=True))
    print(
        f"{arguments.model}, {arguments.ranks} ranks, every {arguments.every} steps: plain "
        f"{plain:.2f} ms/step, watched {watched:.2f}; ratio {statistics.median(ratios):.4f} "
        f"({min(ratios):.4f} to {max(ratios):.4f}); of the fastest "
        f"{min(w for _, w in pairs) / min(p for p, _ in pairs):.4f}"
    )


if __name__ == "__main__":
    main()
