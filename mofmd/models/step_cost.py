"""What a step of a model costs on this machine, from the table that its pair style prints."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ase import Atoms

from mofmd.engine.launch import Resources
from mofmd.engine.script import run_script
from mofmd.errors import InputError
from mofmd.models.files.deployed import DeployedModel
from mofmd.units import FS_TO_PS

SECONDS_PER_DAY = 86400.0
WARM_UP_STEPS = 3
REPEATS = 3
MOST_STEPS = 100_000_000  # a run of so many seconds ends before
PARTS = ("graph", "transfer", "model", "exchange", "scatter")
SCRIPT = """\
units metal
atom_style atomic
box tilt large
{setup}
read_data structure.data
{pair}
velocity all create 300 1 loop geom
fix 1 all nve
timestep 0.0005
thermo 1000000
run {warm_up}
{runs}
"""


@dataclass(frozen=True)
class StepCost:
    """A step of NVE at 300 K.

    Parameters
    ----------
    ms_per_step
        LAMMPS's own loop time of a step, all of LAMMPS included [ms].
    graph_ms, transfer_ms, model_ms, exchange_ms, scatter_ms
        Parts of it inside the pair style, mean over ranks and evaluations; the evaluation before
        the first step is one of them, which LAMMPS's own time of a step leaves out [ms].
    first_call_ms
        The first evaluation, which warms up and is not in the others [ms].
    peak_MiB
        Memory of the fullest rank [MiB]: resident, LAMMPS and libtorch included; on a GPU what
        torch used of it.
    held_MiB, host_MiB
        Of a GPU what torch held, and resident memory beside it; NaN on a CPU [MiB].
    atoms, edges, ghosts
        Of the system; ghosts summed over ranks.
    nodes_per_layer
        Node evaluations of a layer, summed over ranks; NaN without message passing.
    free_MiB
        For an evaluation on a rank before the first step; NaN where that is not known [MiB].
    """

    ms_per_step: float
    graph_ms: float
    transfer_ms: float
    model_ms: float
    exchange_ms: float
    scatter_ms: float
    first_call_ms: float
    peak_MiB: float
    held_MiB: float
    host_MiB: float
    atoms: float
    edges: float
    ghosts: float
    nodes_per_layer: float
    free_MiB: float

    @property
    def us_per_atom(self) -> float:
        """Microseconds per atom and step."""
        return 1e3 * self.ms_per_step / self.atoms

    def ns_per_day(self, timestep_fs: float) -> float:
        """Nanoseconds of simulated time per day."""
        return SECONDS_PER_DAY / (1e-3 * self.ms_per_step) * timestep_fs * FS_TO_PS * 1e-3

    def as_dict(self) -> dict[str, Any]:
        """Fields and microseconds per atom; null for what does not apply."""
        numbers = {**asdict(self), "us_per_atom": self.us_per_atom}
        return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def read_cost(output: str, ms_per_step: float, number_from_end: int = 1) -> StepCost:
    """Read a table of the pair style in LAMMPS's output, by default the last one."""
    table = output.split("where the time went")[-number_from_end]

    def number(pattern: str, text: str = table) -> float:
        found = re.search(pattern, text)
        return float(found[1]) if found else float("nan")

    counts = re.search(r"(\d+) atoms, (\d+) edges, (\d+) ghost nodes", table)
    if counts is None:
        raise InputError("the output holds no table of a pair style of mofmd")
    parts = {f"{part}_ms": number(rf"{part} +\| +([\d.]+)") for part in PARTS}
    return StepCost(
        ms_per_step=ms_per_step,
        **parts,
        first_call_ms=number(r"first call .* ([\d.]+) ms", output),
        peak_MiB=number(r"peak memory of a rank: (\d+)"),
        held_MiB=number(r"\((\d+) MiB held by torch\)"),
        host_MiB=number(r"(\d+) MiB of the host"),
        atoms=float(counts[1]),
        edges=float(counts[2]),
        ghosts=float(counts[3]),
        nodes_per_layer=number(r"node evaluations per layer, all ranks: (\d+)"),
        free_MiB=number(r"per edge\), (\d+) MiB are free for it", output),
    )


@dataclass(frozen=True)
class Setting:
    """How a model is run.

    Parameters
    ----------
    resources
        Ranks and threads.
    options
        Of the pair style, such as ``chunk 500``.
    setup
        LAMMPS commands before the structure is read, such as ``processors 1 1 *``.
    """

    resources: Resources = field(default_factory=Resources)
    options: str = ""
    setup: tuple[str, ...] = ()


def step_cost(model: DeployedModel, atoms: Atoms, steps: int, setting: Setting) -> StepCost:
    """Run NVE in LAMMPS and read what a step cost.

    Parameters
    ----------
    model
        From ``mofmd deploy``.
    atoms
        The structure.
    steps
        Steps that count; a few before them do not.
    setting
        How it is run.

    Raises
    ------
    RunError
        If LAMMPS ended with an error.
    """
    (cost,) = _costs(model, atoms, setting, [f"run {steps}"])
    return cost


def median_cost(
    model: DeployedModel,
    atoms: Atoms,
    setting: Setting,
    seconds: float = 10.0,
    time_limit_s: float | None = None,
) -> StepCost:
    """Return the medians of three runs of about ``seconds`` each, one after the other [s].

    Raises
    ------
    RunError
        If LAMMPS ended with an error, or not within ``time_limit_s``.
    """
    limit = f"fix limit all halt 1 tlimit > {seconds} error continue message no"
    runs = [limit, *[f"run {MOST_STEPS}"] * REPEATS]
    return median(_costs(model, atoms, setting, runs, time_limit_s))


def _costs(
    model: DeployedModel,
    atoms: Atoms,
    setting: Setting,
    commands: Sequence[str],
    time_limit_s: float | None = None,
) -> list[StepCost]:
    """Costs of the runs among LAMMPS commands, after a run that warms up."""
    style, coeff = model.pair_commands()
    script = SCRIPT.format(
        pair=f"{style} {setting.options}\n{coeff}",
        setup="\n".join(setting.setup),
        warm_up=WARM_UP_STEPS,
        runs="\n".join(commands),
    )
    done = run_script(script, atoms, model.type_names, setting.resources, time_limit_s)
    count = sum(command.startswith("run ") for command in commands)
    return [
        read_cost(done.output, table.ms_per_step, count - k)
        for k, table in enumerate(done.tables[-count:])
    ]


def median(runs: Sequence[StepCost]) -> StepCost:
    """Return the median of each field over several runs."""
    return StepCost(
        **{
            each.name: statistics.median(getattr(run, each.name) for run in runs)
            for each in fields(StepCost)
        }
    )


def atoms_that_fit(model: DeployedModel, cost: StepCost) -> float | None:
    """How many atoms of this kind one evaluation of the whole system takes in free memory.

    From the bytes per edge that were measured when the file was made, and what the device has free;
    None if either is not known. In chunks more fit.
    """
    per_edge = model.manifest.get("bytes_per_edge")
    if not per_edge or math.isnan(cost.free_MiB):
        return None
    return cost.free_MiB * 2**20 / (float(per_edge) * cost.edges / cost.atoms)


def processor() -> str:
    """Name of the processor and number of logical cores."""
    names = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return f"{names[0] if names else 'unknown processor'}, {len(names)} logical cores"


def hardware(device: str = "auto") -> str:
    """Name of the processor and, unless ``device`` is ``cpu``, of the GPUs that torch sees."""
    if device == "cpu":
        return processor()
    import torch

    index = int(device.partition(":")[2]) if ":" in device else None
    gpus = range(torch.cuda.device_count()) if index is None else [index]
    return "; ".join([*(torch.cuda.get_device_name(gpu) for gpu in gpus), processor()])
