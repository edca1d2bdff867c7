"""Learning curves over the number of added frames, for several ways to pick them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ase import Atoms

from mofmd.disk import record as records
from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import lock_folder
from mofmd.disk.output import make_folder
from mofmd.errors import InputError
from mofmd.figure_style import save_figure
from mofmd.learning.data.dataset import read_frames
from mofmd.learning.data.validation import Expectation, check_frames
from mofmd.learning.evaluate.evaluation import Evaluated, evaluate_model, header, write_evaluation
from mofmd.learning.evaluate.figures import plot_picking
from mofmd.learning.evaluate.metrics import UNITS
from mofmd.learning.loops.picking_config import PickingConfig
from mofmd.learning.select.selection import Selection, select_frames
from mofmd.learning.train.training import MODEL, deploy_training, prepare_training, run_training
from mofmd.models.deploy.options import Options

RECORD = "picking.json"
SCHEMA = "mofmd-picking-1"
NONE = "none"  # the way of those that add nothing
ALL = "all"  # origins together
Report = Callable[[str], None]


class Job(NamedTuple):
    """A training.

    Parameters
    ----------
    way
        How its frames are picked; ``none`` where there are none.
    added
        Frames added.
    repeat
        From zero.
    """

    way: str
    added: int
    repeat: int

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"{self.way}-{self.added:04d}-{self.repeat + 1}"


def jobs(config: PickingConfig, pool: int) -> Iterator[Job]:
    """Trainings in their order: those that add nothing first, as others pick with their model.

    Raises
    ------
    InputError
        If the pool holds fewer frames than are to be added.
    """
    if max(config.counts) > pool:
        raise InputError(f"counts: {max(config.counts)}, but the pool holds {pool} frames")
    for repeat in range(config.repeats):
        yield Job(NONE, 0, repeat)
    for way in config.ways:
        for count in sorted(config.counts):
            for repeat in range(config.repeats):
                yield Job(way, count, repeat)


def compare_picking(config: PickingConfig, folder: Path, report: Report = print) -> Path:
    """Train with more and more frames of a pool, picked in several ways; compare on the test set.

    A training for each way, number of frames and repeat, all from the same start (or from new
    weights) and with the same options: as the learning curves of Dobbelaere et al. 2025, Fig. 6B.
    It can be broken off and called again.

    Parameters
    ----------
    config
        What is asked.
    folder
        Gets a training for each, ``picking.csv`` (errors by origin of the test frames, too),
        figures of MAE_p95, and ``evaluation`` with the errors by element, role and atom.
    report
        Is told how far it is.

    Returns
    -------
    Path
        The table.

    Raises
    ------
    InputError
        If the folder was begun with something else.
    """
    frames, val, test, pool = (
        [frame for path in files for frame in read_frames(path)]
        for files in (config.train_files, config.val_files, config.test_files, config.pool)
    )
    check_frames(test, Expectation(needs_stress=config.stress))
    wanted = list(jobs(config, len(pool)))
    make_folder(folder)
    with lock_folder(folder, "comparison"):
        path = folder / RECORD
        if path.exists():
            mend = "take a new folder"
            begun = records.read_record(path, SCHEMA, kind="a comparison", mend=mend)["digest"]
            if begun != config.digest:
                raise InputError(
                    f"{folder}: was begun with other files or another training; only counts, ways "
                    "and repeats may change. Take a new folder"
                )
        else:
            record = {"schema": SCHEMA, "digest": config.digest}
            write_atomic(path, json.dumps(record, indent=1) + "\n")
        results: dict[Job, Evaluated] = {}
        for job in wanted:
            report(f"{job.name}: {job.added} of {len(pool)} frames added")
            model = _train(folder, job, config, frames, val, pool, report)
            results[job] = replace(evaluate_model(model, test), name=job.name)
            report(f"{job.name}: MAE_p95 {results[job].errors.force_mae_p95:.1f} meV/Å")
        return write_comparison(results, folder)


def _train(  # noqa: PLR0913, PLR0917 - the frames of each part
    folder: Path,
    job: Job,
    config: PickingConfig,
    frames: Sequence[Atoms],
    val: Sequence[Atoms],
    pool: Sequence[Atoms],
    report: Report,
) -> Path:
    """Model file of a job; trained unless it is there."""
    training = folder / "trainings" / job.name
    if not (training / "training.json").exists():
        picked: list[Atoms] = []
        if job.way == "found":
            picked = list(pool[: job.added])
        elif job.way == "random":
            picked = select_frames(pool, Selection("random", job.added, seed=job.repeat))
        elif job.way == "fps":
            base = folder / "trainings" / Job(NONE, 0, job.repeat).name / MODEL
            picked = select_frames(pool, Selection("fps", job.added, base), frames)
        options = replace(config.training, seed=config.training.seed + job.repeat)
        prepare_training(training, [*frames, *picked], val, options, report)
    run_training(training, report)
    return deploy_training(training, Options(name=job.name, may_break=True), report).path


def rows_of(results: dict[Job, Evaluated]) -> list[list[str]]:
    """Table of errors by way, number of frames, repeat and origin; the first row is the header."""
    rows = [["way", "added", "repeat", "origin", *(header(metric) for metric in UNITS)]]
    for job, found in results.items():
        for origin, errors in {ALL: found.errors, **found.groups["origin"]}.items():
            values = errors.as_dict().values()
            cells = ["" if value is None else f"{value:.6g}" for value in values]
            rows.append([job.way, str(job.added), str(job.repeat + 1), origin, *cells])
    return rows


def write_comparison(results: dict[Job, Evaluated], folder: Path) -> Path:
    """Write ``picking.csv``, a figure for each origin of the test frames, and the evaluation."""
    make_folder(folder)
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows(rows_of(results))
    write_atomic(folder / "picking.csv", buffer.getvalue())
    origins = dict.fromkeys(name for each in results.values() for name in each.groups["origin"])
    for origin in (ALL, *origins):
        points: dict[str, list[tuple[int, float]]] = {}
        for job, found in results.items():
            errors = found.errors if origin == ALL else found.groups["origin"].get(origin)
            if errors is not None:
                points.setdefault(job.way, []).append((job.added, errors.force_mae_p95))
        save_figure(plot_picking(points, origin, NONE), folder / f"picking-{origin}")
    write_evaluation(list(results.values()), folder / "evaluation", "the test frames")
    return folder / "picking.csv"
