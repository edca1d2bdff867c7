"""Models as wide as published foundation models in LAMMPS: time and memory of an evaluation.

Random weights: what an evaluation costs does not depend on them. MACE's are made with its own
classes (tests/frameworks/make_foundation.py), NequIP-OAM-L by a step of training
(tests/frameworks/train_nequip.py --foundation). UiO-66, one thread; processor time.

Usage: python benchmarks/foundation.py [--kinds KIND ...] [--atoms N ...] [--dtype float32]
       [--chunk N] [--output FILE]
"""

import argparse
import json
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from rich.console import Console
from rich.table import Table
from universal import CELLS, in_lammps, structure

from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import Options
from mofmd.models.environments import create_environment
from mofmd.models.step_cost import processor

SCRIPTS = Path(__file__).resolve().parents[1] / "tests" / "frameworks"
MACE = {"mp-0": None, "mp-0b": None, "mpa-0": None, "two-head": "mof"}  # head
NEQUIP = "nequip-oam-l"


def make_sources(kinds: list[str], folder: Path) -> dict[str, Path]:
    """Make the models with their frameworks; return their files by kind."""
    found = {}
    mace = [kind for kind in kinds if kind in MACE]
    if mace:
        python = create_environment("mace", report=lambda _: None)
        script = SCRIPTS / "make_foundation.py"
        subprocess.run([python, script, folder, "exact", *mace], check=True, capture_output=True)
        found = {kind: folder / f"{kind}.model" for kind in mace}
    if NEQUIP in kinds:
        python = create_environment("nequip", report=lambda _: None)
        script = SCRIPTS / "train_nequip.py"
        subprocess.run([python, script, folder, "--foundation"], check=True, capture_output=True)
        found[NEQUIP] = folder / "oam-l.nequip.zip"
    return found


def main() -> None:
    """Measure, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kinds", nargs="+", choices=[*MACE, NEQUIP], default=[*MACE, NEQUIP])
    parser.add_argument("--atoms", nargs="+", type=int, choices=CELLS, default=[114, 456])
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--accelerate", choices=["fused", "none"], default="fused")
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--chunk", type=int, help="centres of a layer at a time")
    parser.add_argument("--sources", type=Path, help="folder of models that are there already")
    parser.add_argument("--output", type=Path, default=Path("foundation.json"))
    arguments = parser.parse_args()
    rows = []
    table = Table(title=f"UiO-66 on {processor()}, one thread, {arguments.dtype}")
    for column in ("model", "atoms", "ms (processor)", "MiB"):
        table.add_column(column, justify="left" if column == "model" else "right")
    with tempfile.TemporaryDirectory(prefix="mofmd-foundation-") as name:
        folder = Path(name)
        if arguments.sources:
            files = {kind: arguments.sources / f"{kind}.model" for kind in arguments.kinds}
            files[NEQUIP] = arguments.sources / "oam-l.nequip.zip"
        else:
            files = make_sources(arguments.kinds, folder)
        for kind in arguments.kinds:
            options = Options(
                dtype=arguments.dtype,
                accelerate=arguments.accelerate,
                structures=(structure(114),),
                species=("C", "H", "O", "Zr"),  # or the packings of 85 others would be evaluated
            )
            chosen = replace(options, head=MACE.get(kind))
            model = export(files[kind], folder / f"{kind}.mofmd.pth", chosen).model
            for count in arguments.atoms:
                found = in_lammps(model, structure(count), arguments.steps, arguments.chunk)
                rows.append({"model": kind, "atoms": count, **found})
                print(rows[-1], flush=True)
                table.add_row(kind, str(count), f"{found['ms']:.0f}", f"{found['MiB']:.0f}")
    Console().print(table)
    report = {"hardware": processor(), "dtype": arguments.dtype, "rows": rows}
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
