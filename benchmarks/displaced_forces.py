"""Forces of displaced structures, as phonons evaluate them, beside the bare model.

For each number of lanes: (a) the rate at which ``mofmd phonons forces`` gets the forces of
displaced supercells, keeping each on disk, from the first result to the last; (b) the rate of as
many processes that call the model's TorchScript alone, on the graph of the same supercell, at the
same time. Repeats alternate; prints medians of both and of a/b of neighbouring repeats.

Usage: python benchmarks/displaced_forces.py [--model zif4-mace-m] [--supercell 1x1x1]
           [--lanes 1,2] [--count 60] [--repeats 9] [--output FILE]
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
from step_against_model import BareModel

from mofmd.models.files.embedded import embedded_model
from mofmd.models.step_cost import processor
from mofmd.phonons import ModelOptions
from mofmd.phonons.calculation.collect import Progress, collect_forces
from mofmd.phonons.calculation.displacements import DisplacementOptions, choose_displacements
from mofmd.phonons.calculation.store import ForceStore, Identity
from mofmd.phonons.cells import new_phonopy, to_phonopy
from mofmd.phonons.model import opened
from mofmd.structures.crystals.zif import zif4

FORCE_LIMIT_EV_PER_A = 100.0  # the crystal need not be relaxed here


def bare(model: Path, repetitions: tuple[int, int, int], count: int) -> None:
    """Say ready, wait for a line, call the model; print seconds a call."""
    called = BareModel(model, threads=1)
    graph = called.graph(zif4().repeat(repetitions))
    called.ms_per_call(graph, 1)
    print("ready", flush=True)
    sys.stdin.readline()
    print(called.ms_per_call(graph, count) / 1e3, flush=True)


def bare_rate(model: Path, supercell: str, lanes: int, count: int) -> float:
    """Structures a second of so many processes at the same time."""
    line = [sys.executable, __file__, "--bare", "--model", str(model), "--supercell", supercell]
    line += ["--count", str(count // lanes)]
    running = [
        subprocess.Popen(line, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for _ in range(lanes)
    ]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return sum(1.0 / float(process.communicate()[0]) for process in running)


def phonon_rate(model: Path, repetitions: tuple[int, int, int], lanes: int, count: int) -> float:
    """Structures a second of the stage of forces, from the first result to the last."""
    atoms = zif4()
    phonopy = new_phonopy(to_phonopy(atoms), np.diag(repetitions))
    displacements = choose_displacements(phonopy, DisplacementOptions(), "float32")
    kept = type(displacements)(
        displacements.supercell,
        displacements.vectors_A[:count],
        None if displacements.movers is None else displacements.movers[:count],
        displacements.distances_A,
        displacements.method,
    )
    times: list[float] = []

    def note(_: Progress) -> None:
        times.append(time.perf_counter())

    options = ModelOptions(model=model, dispersion="none", dtype="file", lanes=lanes)
    with (
        tempfile.TemporaryDirectory() as folder,
        opened(options, atoms) as (_, _, evaluator),
    ):
        collect_forces(
            kept,
            evaluator,
            ForceStore(Path(folder) / "forces", Identity("s", "m", "d"), len(kept.supercell)),
            force_limit_eV_per_A=FORCE_LIMIT_EV_PER_A,
            on_progress=note,
        )
    skipped = 2 * lanes  # the first call is of nothing done, then each lane warms up
    return (len(times) - 1 - skipped) / (times[-1] - times[skipped])


def main() -> None:
    """Measure, print and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", default="zif4-mace-m")
    parser.add_argument("--supercell", default="1x1x1")
    parser.add_argument("--lanes", default="1,2")
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--bare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    model = Path(given.model) if Path(given.model).is_file() else embedded_model(given.model)
    a, b, c = map(int, given.supercell.split("x"))
    if given.bare:
        bare(model, (a, b, c), given.count)
        return
    found = []
    for lanes in map(int, given.lanes.split(",")):
        rates: dict[str, list[float]] = {"phonons": [], "bare": []}
        for _ in range(given.repeats):
            rates["phonons"].append(phonon_rate(model, (a, b, c), lanes, given.count))
            rates["bare"].append(bare_rate(model, given.supercell, lanes, given.count))
        ours, alone = (statistics.median(rates[name]) for name in ("phonons", "bare"))
        ratio = statistics.median(a / b for a, b in zip(*rates.values(), strict=True))
        print(
            f"{given.model}, {272 * a * b * c} atoms, {lanes} lanes: {ours:.3f} structures/s, "
            f"bare model {alone:.3f}, ratio {ratio:.3f}"
        )
        found.append({"lanes": lanes, "per_s": rates})
    if given.output:
        record = {
            "model": given.model,
            "atoms": 272 * a * b * c,
            "processor": processor(),
            "torch": version("torch"),
            "rates": found,
        }
        given.output.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
