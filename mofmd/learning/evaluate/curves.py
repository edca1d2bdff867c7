"""Learning curves of trainings: against epochs, and against the number of training frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.disk.output import make_folder
from mofmd.errors import InputError
from mofmd.figure_style import save_figure
from mofmd.learning.evaluate.evaluation import Evaluated, distinct, evaluate_model, header
from mofmd.learning.evaluate.figures import plot_curves
from mofmd.learning.evaluate.metrics import UNITS
from mofmd.learning.train.training import MODEL, read_record, trainer_progress


def write_curves(trainings: Sequence[Path], test: Sequence[Atoms], output: Path) -> list[Path]:
    """Write ``epochs`` (figure) and, with test frames, ``frames`` (figure and table).

    Parameters
    ----------
    trainings
        Folders of trainings; those without an epoch yet are refused.
    test
        Labelled frames that no training has seen.
    output
        Folder.

    Returns
    -------
    list of Path
        What was written, figures without suffix.
    """
    folders = [folder.resolve() for folder in trainings]
    names = distinct([folder.name for folder in folders], [folder.parent for folder in folders])
    epochs = dict(zip(names, map(trainer_progress, trainings), strict=True))
    for name, found in epochs.items():
        if not found:
            raise InputError(f"{name}: has no complete epoch yet")
    make_folder(output)
    by_epoch = {
        name: ([each.epoch + 1 for each in found], [each.force_mae for each in found])
        for name, found in epochs.items()
    }
    written = [output / "epochs"]
    save_figure(plot_curves(by_epoch, "Epoch", "Validation force MAE (meV/Å)"), written[0])
    if not test:
        return written
    results: dict[str, dict[int, Evaluated]] = {}
    for folder in trainings:
        record = read_record(folder)
        options, count = record["options"], record["frames"]["train"]
        kind = f"{options['family']} {options['size']}"
        if count in results.setdefault(kind, {}):
            raise InputError(
                f"{folder}: another training of {kind} has {count} frames too: give one of them"
            )
        results[kind][count] = evaluate_model(folder / MODEL, test)
    rows = table(results)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows)
    write_atomic(output / "frames.csv", buffer.getvalue())
    by_frames = {
        kind: (sorted(found), [found[n].errors.force_mae for n in sorted(found)])
        for kind, found in results.items()
    }
    figure = plot_curves(by_frames, "Training frames", "Test force MAE (meV/Å)")
    save_figure(figure, output / "frames")
    return [*written, output / "frames.csv", output / "frames"]


def table(results: dict[str, dict[int, Evaluated]]) -> list[list[str]]:
    """Rows of errors by model and number of training frames; the first row is the header."""
    rows = [["model", "training_frames", *(header(metric) for metric in UNITS)]]
    for kind, found in results.items():
        for count in sorted(found):
            errors = found[count].errors.as_dict()
            rows.append(
                [kind, str(count), *("" if v is None else f"{v:.6g}" for v in errors.values())]
            )
    return rows
