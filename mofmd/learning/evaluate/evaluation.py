"""Models against reference labels: errors, speed, tables."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.engine.launch import Resources
from mofmd.learning.data.dataset import Labels, labels_of
from mofmd.learning.data.split import trajectory_of
from mofmd.learning.evaluate.maps import write_maps
from mofmd.learning.evaluate.metrics import UNITS, Errors, compare, force_errors_per_element
from mofmd.learning.evaluate.parts import Part, error_maps, errors_of_parts, part_rows
from mofmd.learning.evaluate.prediction import predict
from mofmd.models.dispersion.dispersion import Dispersion
from mofmd.models.files.deployed import read_deployed
from mofmd.models.step_cost import Setting, median_cost, processor

TABLE = (
    "energy_mae",
    "energy_average",
    "energy_deviation",
    "force_mae",
    "force_rmse",
    "force_mae_p95",
    "stress_mae",
)
SCHEMA = "mofmd-evaluation-1"


@dataclass(frozen=True)
class Evaluated:
    """A model on a set of labelled frames.

    Parameters
    ----------
    name
        Of the model.
    errors
        On all frames.
    groups
        By ``phase``, ``origin``, ``temperature`` and ``trajectory``: value to errors.
    elements
        Force errors on each element [meV/Å].
    parts
        Force errors by origin, element and role of the atoms.
    maps
        Force error of each atom of each framework.
    references, predictions
        Of each frame.
    ms_per_step
        Wall time of a step of dynamics [ms]; None where it was not measured.
    timing
        System and resources that it was measured with.
    """

    name: str
    errors: Errors
    groups: Mapping[str, Mapping[str, Errors]]
    elements: Mapping[str, Mapping[str, float]]
    parts: Sequence[Part]
    maps: Mapping[str, Atoms]
    references: tuple[Labels, ...]
    predictions: tuple[Labels, ...]
    ms_per_step: float | None = None
    timing: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Give what is kept of it: errors, not the labels."""
        return {
            "name": self.name,
            "ms_per_step": self.ms_per_step,
            "timing": self.timing,
            "all": self.errors.as_dict(),
            "elements": {k: dict(v) for k, v in self.elements.items()},
            "parts": [asdict(part) for part in self.parts],
            **{
                kind: {value: errors.as_dict() for value, errors in group.items()}
                for kind, group in self.groups.items()
            },
        }


def evaluate_model(
    path: Path,
    frames: Sequence[Atoms],
    threads: int = 1,
    dispersion: Dispersion | None = None,
) -> Evaluated:
    """Compare a model, with dispersion added if that is given, with the labels of frames."""
    predictions = predict(path, frames, threads, dispersion)
    return compare_labels(model_name(path), frames, predictions)


def compare_labels(name: str, frames: Sequence[Atoms], predictions: Sequence[Labels]) -> Evaluated:
    """Compare predictions for frames with their labels, overall and in groups."""
    references = [labels_of(frame) for frame in frames]
    groups: dict[str, dict[str, Errors]] = {}
    for kind in ("phase", "origin", "temperature", "trajectory"):
        members: dict[str, list[int]] = {}
        for k, frame in enumerate(frames):
            value = _group(frame, kind)
            if value:
                members.setdefault(value, []).append(k)
        groups[kind] = {
            value: compare(
                [frames[k] for k in rows],
                [references[k] for k in rows],
                [predictions[k] for k in rows],
            )
            for value, rows in sorted(members.items())
        }
    return Evaluated(
        name=name,
        errors=compare(frames, references, predictions),
        groups=groups,
        elements=force_errors_per_element(frames, references, predictions),
        parts=errors_of_parts(frames, references, predictions),
        maps=error_maps(frames, references, predictions),
        references=tuple(references),
        predictions=tuple(predictions),
    )


def _group(frame: Atoms, kind: str) -> str:
    if kind == "trajectory":
        return trajectory_of(frame)
    if kind == "temperature":
        value = frame.info.get("temperature_K")
        return "" if value is None else f"{float(value):.0f} K"
    return str(frame.info.get(kind, ""))


def time_model(path: Path, atoms: Atoms, resources: Resources, seconds: float) -> tuple[float, str]:
    """Measure a step of dynamics [ms], and say with what; only files of ``mofmd deploy``."""
    cost = median_cost(read_deployed(path), atoms, Setting(resources), seconds)
    how = (
        f"{len(atoms)} atoms, {resources.ranks} rank(s) of {resources.threads} thread(s), "
        f"{processor()}"
    )
    return cost.ms_per_step, how


def model_name(path: Path) -> str:
    """Name of a model: of its file, or of its training where the file is named ``model``."""
    name = path.name.split(".")[0]
    return path.resolve().parent.name if name == "model" else name


def model_names(paths: Sequence[Path]) -> list[str]:
    """Give each model a name of its own: with as much of its path as tells them apart."""
    names = [model_name(path) for path in paths]
    folders = [path.resolve().parent for path in paths]
    folders = [
        folder.parent if path.name.startswith("model.") else folder
        for path, folder in zip(paths, folders, strict=True)
    ]
    return distinct(names, folders)


def distinct(names: Sequence[str], folders: Sequence[Path]) -> list[str]:
    """Put the names of folders before names that occur twice, until they differ."""
    result = list(names)
    for depth in range(max(len(folder.parts) for folder in folders)):
        twice = {name for name in result if result.count(name) > 1}
        if not twice:
            break
        for k, folder in enumerate(folders):
            if result[k] in twice and depth < len(folder.parts) - 1:
                result[k] = f"{folder.parts[-1 - depth]}-{result[k]}"
    return result


def header(metric: str) -> str:
    """Name of a column, with its unit."""
    return f"{metric} ({UNITS[metric]})" if UNITS[metric] else metric


def table_rows(results: Sequence[Evaluated]) -> list[list[str]]:
    """Models × metrics; the first row is the header. An empty cell was not measured."""
    rows = [["model", "frames", *(header(metric) for metric in TABLE), "ms/step"]]
    for each in results:
        values = [getattr(each.errors, metric) for metric in TABLE]
        rows.append(
            [
                each.name,
                str(each.errors.frames),
                *("" if np.isnan(value) else f"{value:.4g}" for value in values),
                "" if each.ms_per_step is None else f"{each.ms_per_step:.4g}",
            ]
        )
    return rows


def group_rows(results: Sequence[Evaluated], kind: str) -> list[list[str]]:
    """Table of one kind of group: a row for each model and value."""
    rows = [["model", kind, "frames", *(header(metric) for metric in TABLE)]]
    for each in results:
        for value, errors in each.groups.get(kind, {}).items():
            numbers = [getattr(errors, metric) for metric in TABLE]
            cells = ["" if np.isnan(number) else f"{number:.4g}" for number in numbers]
            rows.append([each.name, value, str(errors.frames), *cells])
    return rows


def element_rows(results: Sequence[Evaluated]) -> list[list[str]]:
    """Table of force errors on each element."""
    metrics = ("force_mae", "force_rmse", "force_mae_p95")
    rows = [["model", "element", *(header(metric) for metric in metrics)]]
    for each in results:
        for element, errors in each.elements.items():
            rows.append([each.name, element, *(f"{errors[m]:.4g}" for m in metrics)])
    return rows


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """Text of a table; the first row is the header."""
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines) + "\n"


def write_evaluation(results: Sequence[Evaluated], folder: Path, dataset: str) -> None:
    """Write ``evaluation.json``, ``models.csv``, ``atoms.csv``, ``models.md`` and ``maps``."""
    make_folder(folder)
    record = {
        "schema": SCHEMA,
        "mofmd_version": mofmd.__version__,
        "dataset": dataset,
        "units": UNITS,
        "models": [each.as_dict() for each in results],
    }
    write_atomic(folder / "evaluation.json", json.dumps(record, indent=1) + "\n")
    rows = table_rows(results)
    parts_of_models = part_rows({each.name: each.parts for each in results})
    for name, table in (("models", rows), ("atoms", parts_of_models)):
        buffer = io.StringIO()
        csv.writer(buffer, lineterminator="\n").writerows(table)
        write_atomic(folder / f"{name}.csv", buffer.getvalue())
    write_maps({each.name: each.maps for each in results}, folder / "maps")
    parts = [f"# Models on {dataset}\n\n", markdown(rows)]
    for kind in ("phase", "temperature", "origin"):
        table = group_rows(results, kind)
        if len(table) > 1:
            parts += [f"\n## By {kind}\n\n", markdown(table)]
    parts += ["\n## Forces by element\n\n", markdown(element_rows(results))]
    chosen = [row for row in parts_of_models[1:] if row[1] or row[3]]
    if chosen:
        parts += ["\n## Forces by origin, element and role of the atoms\n\n"]
        parts += [markdown([parts_of_models[0], *chosen])]
    timings = {each.timing for each in results if each.timing}
    parts += [f"\nms/step: {timing}.\n" for timing in sorted(timings)]
    write_atomic(folder / "models.md", "".join(parts))
