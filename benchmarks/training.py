"""Epochs of trainings: the framework eager, the framework compiled, and with mofmd's convolution.

The same frames of ZIF-4, the same configuration, one run beside the other, each in a process of its
own with the framework's own trainer; the median of the epochs after the first, which compiles and
warms up. MACE's and SevenNet's trainers have no compiled mode.

Needs the environments (`mofmd env nequip`, `mace`, `sevennet`). Usage:
python benchmarks/training.py [--models nequip-4l-l2,...] [--frames 8] [--epochs 4] [--output FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from ase import Atoms
from ase.io import write
from rich.console import Console
from rich.table import Table

from mofmd.learning.data.dataset import read_frames
from mofmd.learning.train import training
from mofmd.learning.train.fused import fused_environment
from mofmd.learning.train.options import TrainOptions
from mofmd.models.environments import Framework, create_environment
from mofmd.models.step_cost import hardware

ROOT = Path(__file__).parents[1]
FRAMES = ROOT / "deploy" / "models" / "zif4" / "frames_train.npz"
CUTOFFS = (
    "per_edge_type_cutoff={H: {H: 3.5, C: 4.0, N: 4.0, Zn: 4.5}, C: {H: 4.0}, N: {H: 4.0}, "
    "Zn: {H: 4.5}}"
)


@dataclass(frozen=True)
class Model:
    """What is trained.

    Parameters
    ----------
    family
        ``nequip``, ``mace`` or ``sevennet``.
    settings
        Of `mofmd learn train --set`; of SevenNet keys of its ``train`` and ``data``.
    """

    family: Framework
    settings: tuple[str, ...] = ()
    size: str = "s"


MODELS = {
    "nequip-4l-l2": Model(
        "nequip",
        (
            CUTOFFS,
            "sizes.m.l_max=2",
            "sizes.m.num_features=[32, 32, 16]",
            "batch_size=2",
        ),
        "m",
    ),
    "nequip-3l-l1": Model("nequip", (CUTOFFS, "batch_size=2")),
    "mace-16-l2-c3": Model("mace", ("correlation=3",)),
    "mace-24-l3": Model("mace", (), "m"),
    "sevennet-0": Model("sevennet"),
}
MODES = {  # compiled, fused
    "framework": (False, False),
    "framework-compiled": (True, False),
    "mofmd": (False, True),
    "mofmd-compiled": (True, True),
}


def modes_of(model: Model) -> list[str]:
    """Return the modes that the framework's trainer has."""
    return [
        mode for mode, (compiled, _) in MODES.items() if not compiled or model.family == "nequip"
    ]


def epoch(
    model: Model, mode: str, frames: tuple[list[Atoms], list[Atoms]], epochs: int, threads: int
) -> dict[str, float]:
    """Train and return the median of the epochs after the first (s) and the peak memory (MiB)."""
    compiled, fused = MODES[mode]
    python = create_environment(model.family, lambda _: None)
    with tempfile.TemporaryDirectory(prefix="mofmd-benchmark-") as folder:
        work = Path(folder) / "training"
        if model.family == "sevennet":
            arguments = sevennet_arguments(work, frames, epochs, python)
        else:
            settings = model.settings + (("compile_mode=compile",) if compiled else ())
            options = TrainOptions(
                model.family, model.size, epochs, settings=settings, threads=threads, fused=fused
            )
            training.prepare_training(work, *frames, options)
            arguments = ["--config", "config.yaml"]
            if model.family == "nequip":
                arguments = ["-cp", str(work), "-cn", "config", "hydra.run.dir=run"]
        answer = Path(folder) / "answer.json"
        env = {
            **training.KEEP_FREED_MEMORY,
            **os.environ,
            "PYTHONPATH": "",
            "OMP_NUM_THREADS": str(threads),
            "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": "1",
            **(fused_environment(model.family, python) if fused else {}),
        }
        done = subprocess.run(
            [
                *(str(python), str(ROOT / "benchmarks" / "training_clock.py"), str(answer)),
                *("fused" if fused else "framework", model.family, *arguments),
            ],
            cwd=work,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0 or not answer.exists():
            raise SystemExit(f"{mode}: the trainer failed:\n{done.stdout}\n{done.stderr}")
        told: dict[str, Any] = json.loads(answer.read_text())
    later = {name: statistics.median(told[name][1:]) for name in ("epoch_s", "cpu_s")}
    return {**later, "MiB": told["MiB"]}


def sevennet_arguments(
    folder: Path, frames: tuple[list[Atoms], list[Atoms]], epochs: int, python: Path
) -> list[str]:
    """Write what SevenNet needs to go on from SevenNet-0, with its own preset; return arguments."""
    folder.mkdir()
    for name, part in zip(("train", "val"), frames, strict=True):
        write(folder / f"{name}.extxyz", part, format="extxyz")
    preset = next(python.parents[1].glob("lib/python*/site-packages/sevenn/presets/fine_tune.yaml"))
    config = yaml.safe_load(preset.read_text())
    config["train"]["epoch"] = epochs
    config["data"] = {
        "batch_size": 1,
        "load_trainset_path": ["train.extxyz"],
        "load_validset_path": ["val.extxyz"],
    }
    (folder / "input.yaml").write_text(yaml.safe_dump(config))
    return ["train", "input.yaml", "-s"]


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--modes", default=",".join(MODES))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    found = read_frames(FRAMES)
    by_trajectory = {frame.info["trajectory"]: frame for frame in found}
    chosen = list(by_trajectory.values())[: options.frames + 1]
    frames = chosen[1:], chosen[:1]
    results: dict[str, dict[str, dict[str, float]]] = {}
    table = Table("model", "mode", "epoch (s)", "processor (s)", "times as fast", "MiB")
    for name in options.models.split(","):
        results[name] = {}
        for mode in modes_of(MODELS[name]):
            if mode not in options.modes.split(","):
                continue
            took = epoch(MODELS[name], mode, frames, options.epochs, options.threads)
            results[name][mode] = took
            first = next(iter(results[name].values()))
            ratio = f"{first['epoch_s'] / took['epoch_s']:.2f}"
            seconds = f"{took['epoch_s']:.2f}", f"{took['cpu_s']:.2f}"
            table.add_row(name, mode, *seconds, ratio, f"{took['MiB']:.0f}")
            print(name, mode, took, flush=True)
    Console().print(table)
    report = {
        "hardware": hardware("cpu"),
        "frames": options.frames,
        "threads": options.threads,
        "results": results,
    }
    if options.output:
        options.output.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
