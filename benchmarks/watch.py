"""What the integrity watch costs: steps of ZIF-4 under `mofmd run` beside plain `lmp`.

The same deck (NVT, the model in the package) by both, in alternating repeats; LAMMPS's own loop
time. Both give the same trajectory, so that the difference is the watch: the callback, the checks
and the messages between ranks.

Usage: python benchmarks/watch.py [--cells N] [--ranks N] [--steps N] [--repeats N] [--output FILE]
"""

import argparse
import json
import statistics
import subprocess
import tempfile
from pathlib import Path

from mofmd.engine.lammps_log import read_log
from mofmd.engine.launch import Resources, environment, lammps_command
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.deck import write_deck
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.protocols import NVT
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.zif import zif4


def ms_per_step(directory: Path, resources: Resources, steps: int, *, watched: bool) -> float:
    """Run a deck and return the time of a step of its dynamics."""
    if watched:
        run_deck(directory, resources)
    else:
        subprocess.run(lammps_command("in.lammps", resources), cwd=directory, check=True,
                       env=environment(resources), stdout=subprocess.DEVNULL)  # fmt: skip
    parts = read_log(directory / "log.lammps")
    seconds = sum(part.loop_seconds or 0.0 for part in parts if part.stage != "minimise")
    return 1e3 * seconds / steps


def main() -> None:
    """Measure, print and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cells", type=int, default=1)
    parser.add_argument("--ranks", type=int, default=1)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--output", type=Path, default=Path("watch.json"))
    arguments = parser.parse_args()
    resources = Resources(ranks=arguments.ranks)
    protocol = NVT(time_ps=arguments.steps * 0.0005, supercell=(arguments.cells,) * 3,
                   minimise_steps_max=0)  # fmt: skip
    potential = model_potential(embedded_model("zif4-nequip-s"), ("C", "H", "N", "Zn"))
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "deck"
        deck = write_deck(protocol, zif4(), potential, directory)
        ms_per_step(directory, resources, arguments.steps, watched=False)  # warms the machine up
        pairs = [
            tuple(
                ms_per_step(directory, resources, arguments.steps, watched=watched)
                for watched in (False, True)
            )
            for _ in range(arguments.repeats)
        ]
        share = json.loads((directory / "status.json").read_text())["watch_share"]
    ratios = [watched / plain for plain, watched in pairs]
    plain_ms, watched_ms = (statistics.median(values) for values in zip(*pairs, strict=True))
    n_atoms = deck.manifest["structure"]["n_atoms"]
    record = {
        "atoms": n_atoms,
        "ranks": arguments.ranks,
        "plain_ms_per_step": plain_ms,
        "watched_ms_per_step": watched_ms,
        "ratio_median_of_pairs": statistics.median(ratios),
        "ratios": ratios,
        "own_clock_share": share,
    }
    arguments.output.write_text(json.dumps(record, indent=2) + "\n")
    print(
        f"{n_atoms} atoms, {arguments.ranks} ranks: plain {plain_ms:.2f} ms/step, watched "
        f"{watched_ms:.2f}; watched/plain {statistics.median(ratios):.4f} "
        f"({min(ratios):.4f} to {max(ratios):.4f}); by the watch's own clock {share:.4f}"
    )


if __name__ == "__main__":
    main()
