"""What a fine-tuned model has learned, and what it has forgotten: errors by domain."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms

import mofmd
from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.learning.evaluate.evaluation import evaluate_model, header, model_names
from mofmd.learning.evaluate.metrics import Errors

SCHEMA = "mofmd-forgetting-2"
METRICS = ("energy_mae", "energy_deviation", "force_mae", "stress_mae")


@dataclass(frozen=True)
class Domain:
    """Errors on labelled frames of one kind, before and after.

    Parameters
    ----------
    name
        Of the frames.
    before
        Errors of the model gone on from.
    after
        Errors of each fine-tuned model, or head of one, by its name.
    """

    name: str
    before: Errors
    after: Mapping[str, Errors]


def compare_domains(
    before: Path, after: Sequence[Path], frames: Mapping[str, Sequence[Atoms]], threads: int = 1
) -> tuple[Domain, ...]:
    """Evaluate models on labelled frames of several domains.

    Parameters
    ----------
    before, after
        Deployed models: one, and what was made of it.
    frames
        Domain to its frames.
    threads
        Of each evaluation.
    """
    names = model_names(after)
    return tuple(
        Domain(
            name,
            evaluate_model(before, some, threads).errors,
            {
                model: evaluate_model(path, some, threads).errors
                for model, path in zip(names, after, strict=True)
            },
        )
        for name, some in frames.items()
    )


def domain_rows(domains: Sequence[Domain]) -> list[list[str]]:
    """Table of domains and models; the first row is the header. An empty cell was not measured."""
    heads = [f"{when}: {header(metric)}" for metric in METRICS for when in ("before", "after")]
    rows = [["domain", "frames", "model", *heads]]
    for each in domains:
        for model, after in each.after.items():
            values = [
                float(getattr(errors, metric))
                for metric in METRICS
                for errors in (each.before, after)
            ]
            cells = ["" if np.isnan(value) else f"{value:.4g}" for value in values]
            rows.append([each.name, str(each.before.frames), model, *cells])
    return rows


def write_domains(domains: Sequence[Domain], folder: Path) -> None:
    """Write ``forgetting.csv`` and ``forgetting.json``."""
    make_folder(folder)
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(domain_rows(domains))
    write_atomic(folder / "forgetting.csv", text.getvalue())
    record = {
        "schema": SCHEMA,
        "mofmd_version": mofmd.__version__,
        "domains": {
            each.name: {
                "before": each.before.as_dict(),
                "after": {model: errors.as_dict() for model, errors in each.after.items()},
            }
            for each in domains
        },
    }
    write_atomic(folder / "forgetting.json", json.dumps(record, indent=1) + "\n")
