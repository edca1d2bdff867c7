"""Universal models in LAMMPS beside SevenNet's own calculator and TorchScript file.

UiO-66, one thread, float32. Times are processor time of one evaluation, so that neighbours on the
machine count little; memory is the peak of the whole process.

Usage: python benchmarks/universal.py [--models NAME ...] [--atoms N ...] [--ways WAY ...]
       [--output FILE]
"""

import argparse
import json
import re
import tempfile
from importlib.metadata import version
from pathlib import Path

from ase import Atoms
from ase.io import write
from rich.console import Console
from rich.table import Table

from mofmd.engine.script import run_script
from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import SUFFIXES, Options
from mofmd.models.environments import create_environment, last_words, run_in_environment
from mofmd.models.files.deployed import DeployedModel
from mofmd.models.step_cost import processor
from mofmd.models.universal import MODELS
from mofmd.structures.crystals.crystal_data import build_crystal

# atoms -> primitive cell or not, repeated
CELLS = {
    114: (True, (1, 1, 1)),
    456: (False, (1, 1, 1)),
    1824: (False, (2, 2, 1)),
    12312: (False, (3, 3, 3)),
}
OURS: dict[str, Options] = {
    "mofmd, plain": Options(accelerate="none"),
    "mofmd, fused": Options(),
    "mofmd, fused, AOTInductor": Options(format="aotinductor"),
}
THEIRS = {"SevenNetCalculator": "calculator", "SevenNet's TorchScript": "torchscript"}
WAYS = (*THEIRS, *OURS)
SCRIPT = """\
units metal
atom_style atomic
box tilt large
read_data structure.data
pair_style mofmd{options}
pair_coeff * * {model} {names}
velocity all create 300 1
fix 1 all nve
timestep 0.0005
thermo 1000000
run {warm}
run {steps}
"""


def structure(atoms: int) -> Atoms:
    """Return UiO-66 of so many atoms, a little shaken."""
    is_primitive, repeats = CELLS[atoms]
    crystal = build_crystal("uio-66", primitive=is_primitive).repeat(repeats)
    crystal.rattle(0.05, seed=1)
    assert len(crystal) == atoms
    return crystal


def in_lammps(model: DeployedModel, atoms: Atoms, steps: int, chunk: int | None) -> dict:
    """Return processor time of a step (ms) and peak memory (MiB)."""
    names = tuple(sorted(set(atoms.get_chemical_symbols())))
    script = SCRIPT.format(
        options=f" chunk {chunk}" if chunk else "",
        model=model.path,
        names=" ".join(names),
        warm=2 if steps > 2 else 1,
        steps=steps,
    )
    output = run_script(script, atoms, names, time_limit_s=7200).output
    loops = re.findall(r"Loop time of ([\d.eE+-]+) on 1 procs for (\d+) steps", output)
    uses = re.findall(r"([\d.]+)% CPU use", output)
    wall, count = loops[-1]
    peak = re.findall(r"peak memory of a rank: (\d+) MiB", output)
    return {
        "ms": 1e3 * float(wall) / int(count) * float(uses[-1]) / 100,
        "wall_ms": 1e3 * float(wall) / int(count),
        "MiB": float(peak[-1]),
    }


def by_sevennet(kind: str, name: str, modality: str | None, atoms: Atoms) -> dict:
    """Return processor time of a call (ms) and peak memory (MiB) of SevenNet itself."""
    python = create_environment("sevennet", report=lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        write(work / "structure.extxyz", atoms)
        done = run_in_environment(
            python,
            Path(__file__).with_name("sevennet_calls.py").resolve(),
            kind,
            MODELS[name].find(python),
            modality or "-",
            work / "structure.extxyz",
            work / "answer.json",
            directory=work,
        )
        if done.status != 0:
            raise SystemExit(f"{kind}: {last_words(done)}")
        return json.loads((work / "answer.json").read_text())


def main() -> None:
    """Measure, print a table and write the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=["sevennet-0", "sevennet-l3i5"])
    parser.add_argument("--modality", help="of sevennet-mf-0")
    parser.add_argument("--atoms", nargs="+", type=int, choices=CELLS, default=[114, 456])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--chunk", type=int, help="centres of a layer at a time, in LAMMPS")
    parser.add_argument("--files", type=Path, help="folder that keeps the exported files")
    parser.add_argument("--output", type=Path, default=Path("universal.json"))
    arguments = parser.parse_args()
    files = arguments.files or Path(tempfile.mkdtemp(prefix="mofmd-universal-"))
    files.mkdir(parents=True, exist_ok=True)
    table = Table(title=f"UiO-66 on {processor()}, one thread, float32")
    for column in ("model", "atoms", "way", "ms (processor)", "MiB"):
        table.add_column(column, justify="left" if column in ("model", "way") else "right")
    rows = []
    for name in arguments.models:
        for way in arguments.ways:
            model = None
            if way in OURS:
                options = OURS[way]
                path = files / f"{name}-{options.accelerate}{SUFFIXES[options.format]}"
                chosen = Options(
                    format=options.format,
                    accelerate=options.accelerate,
                    modality=arguments.modality,
                    structures=(structure(114),),
                )
                model = export(Path(name), path, chosen).model
            for count in arguments.atoms:
                atoms = structure(count)
                if model is None:
                    found = by_sevennet(THEIRS[way], name, arguments.modality, atoms)
                else:
                    found = in_lammps(model, atoms, arguments.steps, arguments.chunk)
                rows.append({"model": name, "atoms": count, "way": way, **found})
                print(rows[-1], flush=True)
                table.add_row(name, str(count), way, f"{found['ms']:.0f}", f"{found['MiB']:.0f}")
    Console().print(table)
    versions = {each: version(each) for each in ("torch", "lammps")}
    report = {"hardware": processor(), "versions": versions, "rows": rows}
    arguments.output.write_text(json.dumps(report, indent=2) + "\n")
    print(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
