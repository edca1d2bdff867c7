"""What the analysis costs at 34,000 atoms, beside its peers where they are installed.

Times are processor time of one thread, the best of a few repeats: a neighbour on a shared machine
disturbs it less than the wall clock. Peers that cannot be installed here are quoted in RESULTS.md
from their recorded times.

    python benchmarks/analysis.py --output build/analysis.json
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from mofmd.analysis.dynamics.msd import Msd
from mofmd.analysis.one_pass import analyse
from mofmd.analysis.pores.pores import PoreStatistics, find_pores, pore_volume_A3
from mofmd.analysis.structure.angles import BondAngles
from mofmd.analysis.structure.coordination import CoordinationNumber
from mofmd.analysis.structure.linkers import Integrity
from mofmd.analysis.structure.rdf import Rdf
from mofmd.analysis.structure.rings import Rings
from mofmd.geometry.neighbours import cell_heights
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from mofmd.topology.building_units import find_units
from mofmd.trajectory.file import TrajectoryFile

CUTOFFS = {("Zn", "N"): 2.5}


def best(function: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        function()
        times.append(time.process_time() - start)
    return min(times)


def write_dump(path: Path, frame: Frame, n_frames: int, interval_steps: int) -> None:
    rng = np.random.default_rng(0)
    numbers = {name: k for k, name in enumerate(("C", "H", "N", "Zn"), start=1)}
    kinds = [f"{k} {numbers[s]} {s}" for k, s in enumerate(frame.species, start=1)]
    lengths = np.diag(frame.cell)
    with path.open("w") as file:
        for k in range(n_frames):
            positions = frame.positions + rng.normal(scale=0.05, size=frame.positions.shape)
            step = k * interval_steps
            file.write(f"ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{len(frame)}\n")
            file.write("ITEM: BOX BOUNDS pp pp pp\n")
            file.writelines(f"0.0 {length:.10f}\n" for length in lengths)
            file.write("ITEM: ATOMS id type element xu yu zu\n")
            file.writelines(
                f"{kind} {x:.6f} {y:.6f} {z:.6f}\n"
                for kind, (x, y, z) in zip(kinds, positions.tolist(), strict=True)
            )


def time_reading(path: Path, n_frames: int) -> dict[str, float]:
    times = {"mofmd": best(lambda: [len(f) for f in TrajectoryFile(path)]) / n_frames}
    from ase.io import iread

    times["ase"] = best(
        lambda: [len(a) for a in iread(path, format="lammps-dump-text", index=":")], 1
    )
    times["ase"] /= n_frames
    try:
        import MDAnalysis
    except ImportError:
        return times
    universe = MDAnalysis.Universe(str(path), format="LAMMPSDUMP", topology_format="LAMMPSDUMP")
    times["MDAnalysis"] = best(lambda: [len(ts) for ts in universe.trajectory], 1) / n_frames
    return times


def time_observables(frame: Frame, repeats: int) -> dict[str, float]:
    half = 0.05 * int(cell_heights(frame.cell).min() / 2 / 0.05)
    observables = {
        "rdf Zn-N to 10 Å": Rdf("Zn", "N", 10.0),
        "rdf Zn-N to the half cell": Rdf("Zn", "N", half),
        "angles N-Zn-N": BondAngles(),
        "coordination Zn-N": CoordinationNumber(),
        "linker integrity": Integrity(),
        "rings": Rings(),
        "rings King": Rings(kind="king"),
    }
    times = {}
    for name, observable in observables.items():
        observable.check(frame)
        observable.measure(frame)
        times[name] = best(partial(observable.measure, frame), repeats)
    times["building units"] = best(lambda: find_units(frame, metal_cutoffs_A=CUTOFFS), repeats)
    times["pores: helium volume"] = best(lambda: pore_volume_A3(frame), repeats)
    times["pores: volume, LCD, PLD"] = best(lambda: find_pores(frame, surface=False), 1)
    times["pores: the same, grid of 0.3 Å"] = best(
        lambda: find_pores(frame, spacing_A=0.3, surface=False), 1
    )
    return times


def time_freud(frame: Frame, repeats: int) -> dict[str, float]:
    """Time the same radial distribution functions by freud, on one thread."""
    import freud

    box = freud.box.Box.from_matrix(frame.cell.T)
    zinc, nitrogen = (
        box.wrap(frame.positions[frame.species.atoms_of(name)]) for name in ("Zn", "N")
    )
    half = 0.05 * int(cell_heights(frame.cell).min() / 2 / 0.05)
    times = {}
    for name, r_max in (("rdf Zn-N to 10 Å", 10.0), ("rdf Zn-N to the half cell", half)):
        rdf = freud.density.RDF(bins=round(r_max / 0.05), r_max=r_max)
        with freud.parallel.NumThreads(1):
            compute = partial(rdf.compute, (box, nitrogen), query_points=zinc, reset=True)
            compute()
            times[name] = best(compute, repeats)
    return times


def largest_memory_GB() -> float:
    """Read the largest memory of this process: getrusage gives that of its parent, if larger."""
    status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    line = next(line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e9


def time_glass_set(path: Path, n_frames: int, workers: int) -> dict[str, float]:
    """Time the paper's set over a trajectory with a frame each 0.1 ps."""
    observables = [
        Rdf("Zn", "N", 10.0, interval_ps=0.1),
        BondAngles(interval_ps=0.1),
        CoordinationNumber(interval_ps=0.1),
        Msd(interval_ps=0.5),
        Rings(interval_ps=1.0),
        PoreStatistics(surface=False, interval_ps=10.0),
    ]
    start, wall = time.process_time(), time.perf_counter()
    analyse(TrajectoryFile(path, timestep_fs=0.5), observables, workers=workers)
    seconds, wall = time.process_time() - start, time.perf_counter() - wall
    return {
        "simulated_ps": 0.1 * n_frames,
        "wall_seconds": wall,
        "processor_seconds": seconds,
        "processor_seconds_per_100_ps": seconds * 1000 / n_frames,
        "largest_memory_GB": largest_memory_GB(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("build/analysis.json"))
    parser.add_argument("--cells", type=int, default=5, help="unit cells along each direction")
    parser.add_argument("--frames", type=int, default=100, help="frames of the glass set")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    atoms = zif4().repeat(arguments.cells)
    atoms.rattle(0.05, seed=0)
    frame = Frame.from_ase(atoms)
    found: dict[str, object] = {"atoms": len(frame)}
    # everything is compiled and every cache is warm before a clock starts
    time_observables(Frame.from_ase(zif4().repeat(2)), 1)
    found["seconds_per_frame"] = time_observables(frame, 3)
    found["freud_seconds_per_frame"] = time_freud(frame, 3)
    with tempfile.TemporaryDirectory() as folder:
        short = Path(folder) / "short.dump"
        write_dump(short, frame, 5, 200)
        found["reading_seconds_per_frame"] = time_reading(short, 5)
        long = Path(folder) / "long.dump"
        write_dump(long, frame, arguments.frames, 200)
        # a process of its own, whose memory is that of the glass set
        with get_context("spawn").Pool(1) as pool:
            job = long, arguments.frames, arguments.workers
            found["glass_set"] = pool.apply(time_glass_set, job)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
