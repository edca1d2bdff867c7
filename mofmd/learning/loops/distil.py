"""Distillation: train, run, find where the model fails, label that, train again.

A distillation is a folder: ``distil.yaml`` (what was asked), ``state.json`` (how far it is), a
folder for each round (``trainings``, ``runs``, ``picked.extxyz``, ``labelled.extxyz``), ``labels``
(the cache). Each stage can be broken off at any moment and goes on when it is called again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.calculator.density.scorer import Scorer
from mofmd.disk import record as records
from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import lock_folder
from mofmd.disk.output import make_folder
from mofmd.errors import InputError
from mofmd.learning.data.dataset import labels_of, read_frames, write_frames
from mofmd.learning.data.distort import distort_frames
from mofmd.learning.data.validation import Expectation, check_frames, check_structure_of_frame
from mofmd.learning.evaluate.evaluation import evaluate_model
from mofmd.learning.label.labellers import find_labeller
from mofmd.learning.label.labelling import LabelOptions, label_frames
from mofmd.learning.loops.config import DistilConfig
from mofmd.learning.loops.density_find import (
    keep_density,
    newest_clusters,
    newest_frames,
    sound_frames,
)
from mofmd.learning.loops.known_frames import LABELLED, check_elements, frames_until
from mofmd.learning.sample.conditions import read_conditions
from mofmd.learning.sample.sampling import Sampled, sample
from mofmd.learning.select.picking import Novelty, pick_farthest
from mofmd.learning.select.selection import (
    Selection,
    atom_features,
    disagreement,
    select_frames,
)
from mofmd.learning.train.training import (
    MODEL,
    deploy_training,
    prepare_training,
    read_record,
    run_training,
)
from mofmd.models.deploy.options import Options
from mofmd.structures.molecules import is_molecule

STATE = "state.json"
SCHEMA = "mofmd-distil-2"
STAGES = ("train", "run", "find", "label")
Report = Callable[[str], None]


class Distillation:
    """A distillation on disk.

    Parameters
    ----------
    folder
        Its folder; made if it does not exist.
    config
        What is asked; a folder that was begun with something else is refused.
    report
        Is told how far it is.
    """

    def __init__(self, folder: Path, config: DistilConfig, report: Report = print) -> None:
        self.folder, self.config, self.report = folder, config, report
        # what is wrong with any of these is told now, not after the first training
        conditions = read_conditions(config.conditions)
        self.labeller = find_labeller(config.labeller, config.threads)
        identity = self.labeller.identity
        self.test = [frame for path in config.test_files for frame in read_frames(path)]
        check_frames(self.test, Expectation(needs_stress=config.stress))
        check_elements(config.train_files, conditions, self.test)
        make_folder(folder)
        path = folder / STATE
        if path.exists():
            mend = "take a new folder"
            self.state = records.read_record(path, SCHEMA, kind="a distillation", mend=mend)
            if self.state["config"] != config.digest:
                raise InputError(
                    f"{folder}: was begun with another configuration or other files; only rounds, "
                    "label_workers, label_time_limit_s and threads may change. Take a new folder, "
                    "or the old ones"
                )
            if self.state["labeller"] != identity:
                raise InputError(
                    f"{folder}: the labeller {config.labeller} has changed since this was begun; "
                    "labels of two methods would be mixed. Take a new folder, or the old labeller"
                )
        else:
            write_atomic(folder / "distil.yaml", config.text)
            self.state = {
                "schema": SCHEMA,
                "config": config.digest,
                "labeller": identity,
                "round": 0,
                "stage": STAGES[0],
                "history": [],
                "done": "",
            }
            self._keep()

    def run(self) -> None:
        """Go on until the last round, or until the runs hold and the error is what is asked.

        Raises
        ------
        RunError
            If another process works on this folder.
        """
        with lock_folder(self.folder, "distillation"):
            self._run_stages()

    def _run_stages(self) -> None:
        if self.state["done"] == "rounds" and not self.is_complete:  # more rounds are asked for
            self.state.update(done="", stage="find")
        while not self.is_complete:
            number, stage = self.state["round"], self.state["stage"]
            self.report(f"round {number}: {stage}")
            found: dict[str, Any] = getattr(self, f"_{stage}")(number)
            self._advance(found)

    @property
    def is_complete(self) -> bool:
        """Whether nothing is left to do."""
        if self.state["done"] == "rounds":
            return bool(self.state["round"] >= self.config.rounds)
        return bool(self.state["done"])

    def round_folder(self, number: int) -> Path:
        """Folder of a round."""
        return self.folder / f"round{number}"

    def models(self, number: int) -> list[Path]:
        """Model files of a round: the first runs, the others are its committee."""
        trainings = self.round_folder(number) / "trainings"
        return [trainings / str(k) / MODEL for k in range(self.config.committee)]

    def training_frames(self, number: int) -> list[Atoms]:
        """Frames that a round trains on: the first ones, and those found before it."""
        return self._frames(number, self.config.train_files, held_out=False)

    def validation_frames(self, number: int) -> list[Atoms]:
        """Frames that a round is validated on: the first ones, and those held out before it."""
        return self._frames(number, self.config.val_files, held_out=True)

    def _frames(self, number: int, files: Sequence[Path], *, held_out: bool) -> list[Atoms]:
        earlier = [self.round_folder(each) / LABELLED for each in range(number)]
        share = self.config.density.hold_out if self.config.find == "density" else 0.0
        return frames_until(files, earlier, share, held_out=held_out)

    def _advance(self, found: dict[str, Any]) -> None:
        history = self.state["history"]
        if self.state["stage"] == STAGES[0]:
            history.append({"round": self.state["round"]})
        history[-1].update(found)
        position = STAGES.index(self.state["stage"]) + 1
        if self.state["stage"] == "run" and self._is_good(history[-1]):
            self.report("the runs hold and the error is what is asked: complete")
            self.state["done"] = "target"
        elif self.state["stage"] == "run" and self.state["round"] >= self.config.rounds:
            self.report("the last round is complete")
            self.state["done"] = "rounds"
        elif self.state["stage"] == "find" and not found["picked"]:
            self.report("no atom is new to the model: complete")
            self.state["done"] = "known"
        elif position == len(STAGES):
            self.state["round"] += 1
            self.state["stage"] = STAGES[0]
        else:
            self.state["stage"] = STAGES[position]
        self._keep()

    def _is_good(self, entry: dict[str, Any]) -> bool:
        target = self.config.target_force_mae
        return target is not None and entry["broken"] == 0 and entry["force_mae"] <= target

    def _keep(self) -> None:
        write_atomic(self.folder / STATE, json.dumps(self.state, indent=1) + "\n")

    def _train(self, number: int) -> dict[str, Any]:
        frames = self.training_frames(number)
        val = self.validation_frames(number)
        for k, model in enumerate(self.models(number)):
            folder = model.parent
            if not (folder / "training.json").exists():
                options = replace(self.config.training, seed=self.config.training.seed + k)
                if number > 0 and self.config.continue_weights:
                    options = replace(
                        options,
                        start=self._weights(number - 1, k),
                        epochs=self.config.later_epochs or options.epochs,
                        settings=(*options.settings, *self.config.later_settings),
                    )
                prepare_training(folder, frames, val, options, self.report)
            run_training(folder, self.report)
            told = Options(
                name=f"{self.config.name}-r{number}-{k}",
                licence=self.config.licence,
                citations=self.config.cite,
                may_break=True,
            )
            deployed = deploy_training(folder, told, self.report)
            for name, why in deployed.manifest["verification"]["not_done"].items():
                self.report(f"{deployed.manifest['name']}, {name} not done: {why}")
        if self.config.find == "density":
            how = self.config.density.fit(number)
            keep_density(self.models(number)[0], frames, val, how, self.report)
        errors = evaluate_model(self.models(number)[0], self.test).errors
        self.report(
            f"test: force MAE {errors.force_mae:.1f} meV/Å, energy MAE {errors.energy_mae:.2f} "
            "meV/atom"
        )
        return {"training_frames": len(frames), **errors.as_dict()}

    def _weights(self, number: int, k: int) -> Path:
        folder = self.models(number)[k].parent
        family = read_record(folder)["options"]["family"]
        return folder / ("run/model.model" if family == "mace" else "run/last.ckpt")

    def _sampled(self, number: int) -> list[Sampled]:
        """Give the runs of a round; those that are not done are run."""
        given = read_conditions(self.config.conditions, number)
        conditions = [replace(each, name=f"r{number}-{each.name}") for each in given]
        runs = self.round_folder(number) / "runs"
        return sample(conditions, self.models(number)[0], runs, self.config.sampling, self.report)

    def _run(self, number: int) -> dict[str, Any]:
        found = self._sampled(number)
        broken = {each.condition.name: each.broken for each in found if each.broken}
        return {
            "runs": len(found),
            "broken": len(broken),
            "reasons": broken,
            "time_ps": sum(each.time_ps for each in found),
        }

    def _find(self, number: int) -> dict[str, Any]:
        """Pick frames to label: those before breaks first, then the least known."""
        runs = self._sampled(number)
        if self.config.clusters is not None:
            return self._find_clusters(runs, number)
        before_breaks = [frame for each in runs for frame in each.last_frames]
        last = before_breaks
        if self.config.find == "density" and last:
            score = Scorer(self.models(number)[0]).of_atoms
            last = sound_frames(last, score, self.config.density, self.report)
        regular = [frame for each in runs for frame in each.frames]
        known = self.training_frames(number)
        wanted = self.config.frames_per_round
        model = self.models(number)[0]
        worst = min(len(last), wanted // 2)
        picked = select_frames(last, Selection("fps", worst, model), known) if worst else []
        rest = min(wanted - len(picked), len(regular))
        scores: dict[str, Any] = {}
        if rest > 0:
            chosen, scores = self._pick(regular, [*known, *picked], rest, number)
            picked += chosen
        if picked and self.config.distorted_per_round:
            bases = picked[-self.config.distorted_per_round :]  # not those about to break
            picked += distort_frames(bases, self.config.distortion, seed=number)
        if not picked and self.config.find != "density":
            raise InputError(f"round {number}: the runs left no frames; keep more (every)")
        if not picked and (scores.get("new_atoms") or len(last) < len(before_breaks)):
            raise _all_left_out(number)
        write_frames(self.round_folder(number) / "picked.extxyz", picked)
        return {"candidates": len(before_breaks) + len(regular), "picked": len(picked), **scores}

    def _find_clusters(self, runs: Sequence[Sampled], number: int) -> dict[str, Any]:
        """Cut clusters out around new atoms."""
        assert self.config.clusters is not None
        members = [(each.condition.start(), (*each.frames, *each.last_frames)) for each in runs]
        score = Scorer(self.models(number)[0]).of_atoms
        clusters, density = self.config.clusters, self.config.density
        picked, told = newest_clusters(members, score, clusters, density, self.report)
        if not picked and told["new_atoms"]:
            raise _all_left_out(number)
        write_frames(self.round_folder(number) / "picked.extxyz", picked)
        count = sum(len(frames) for _, frames in members)
        return {"candidates": count, "picked": len(picked), **told}

    def _pick(
        self, frames: Sequence[Atoms], known: Sequence[Atoms], count: int, number: int
    ) -> tuple[list[Atoms], dict[str, Any]]:
        models = self.models(number)
        if self.config.find == "committee":
            values = disagreement(frames, models)
            order = np.argsort(values)[::-1][:count]
            scores = {"largest_disagreement_eV_per_A": float(values.max())}
            return [frames[k] for k in order], scores
        if self.config.find == "density":
            score = Scorer(models[0]).of_atoms
            return newest_frames(frames, score, count, self.config.density, self.report)
        if self.config.find == "features":
            pool, taken = atom_features(frames, known, models[0])
            distances = Novelty(pool, taken).of_frames()
            rows = pick_farthest(pool, count, taken)
            return [frames[k] for k in rows], {"largest_novelty": float(distances.max())}
        selection = Selection(self.config.find, count, models[0], seed=number)
        return select_frames(frames, selection), {}

    def _label(self, number: int) -> dict[str, Any]:
        picked = self._fit(
            read_frames(self.round_folder(number) / "picked.extxyz"), check_structure_of_frame
        )
        options = LabelOptions(
            self.config.label_workers,
            self.config.stress,
            leave_out_failed=True,
            time_limit_s=self.config.label_time_limit_s,
        )
        frames = label_frames(picked, self.labeller, self.folder / "labels", options, self.report)
        kept = [
            frame
            for frame in self._fit(frames, self._check_labels)
            if np.abs(labels_of(frame).forces_eV_per_A).max() <= self.config.largest_force
        ]
        write_frames(self.round_folder(number) / LABELLED, kept)
        left_out = len(picked) - len(kept)
        self.report(f"{len(kept)} frames labelled, {left_out} left out")
        return {"labelled": len(kept), "left_out": left_out}

    def _check_labels(self, frame: Atoms) -> None:
        needs_stress = self.config.stress and not is_molecule(frame)
        check_frames([frame], Expectation(needs_stress=needs_stress))

    def _fit(self, frames: Sequence[Atoms], check: Callable[[Atoms], None]) -> list[Atoms]:
        """Keep the frames that pass a check; tell of the others."""
        kept = []
        for frame in frames:
            try:
                check(frame)
            except InputError as error:
                self.report(f"left out, {frame.info.get('trajectory')}: {error}")
            else:
                kept.append(frame)
        return kept


def _all_left_out(number: int) -> InputError:
    """Say that a round found what is new, but may label nothing of it."""
    return InputError(
        f"round {number}: there are new atoms, but all were left out, as told above: raise "
        "density.at_most, or what clusters may be (largest, allow_images), or make the runs "
        "shorter or cooler, so that they do not break; in a new folder"
    )
