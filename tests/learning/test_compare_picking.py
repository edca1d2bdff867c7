"""Learning curves over added frames, for several ways to pick them."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from mofmd.errors import InputError, MissingFileError
from mofmd.learning.data.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.evaluate.evaluation import compare_labels
from mofmd.learning.loops.picking_config import PickingConfig, read_picking_config
from mofmd.learning.loops.picking_curves import (
    Job,
    compare_picking,
    jobs,
    rows_of,
    write_comparison,
)
from tests.learning.test_learning_training import needs
from tests.learning_sets import argon, argon_labels


def configured(folder: Path, **changes: Any) -> PickingConfig:
    parts = {"train": range(4), "val": range(20, 22), "test": range(30, 34), "pool": range(40, 46)}
    for name, seeds in parts.items():
        frames = []
        for seed in seeds:
            atoms = argon(seed, 0.15)
            atoms.info |= {"trajectory": f"t{seed}", "origin": "ab"[seed % 2]}
            frames.append(labelled(atoms, argon_labels(atoms)))
        write_frames(folder / f"{name}.extxyz", frames)
    values = {
        "train_files": "train.extxyz",
        "val_files": "val.extxyz",
        "test_files": ["test.extxyz"],
        "pool": "pool.extxyz",
        "training": {"family": "allegro", "size": "xs", "epochs": 2, "settings": ["lr=0.01"]},
        "counts": [2, 4],
        "ways": ["found", "random", "fps"],
        **changes,
    }
    (folder / "picking.yaml").write_text(yaml.safe_dump(values))
    return read_picking_config(folder / "picking.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ways": ["guess"]}, "ways: 'guess', expected some of found, random, fps"),
        ({"counts": [0]}, "counts, repeats: expected whole numbers of at least 1"),
        ({"counts": [2, 2]}, "counts, ways: expected one or more, each once"),
        ({"frames": 3}, "frames: unknown key; there are train_files"),
        ({"training": {"family": "gap"}}, "family: 'gap'"),
    ],
)
def test_comparisons_that_are_refused(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message):
        configured(tmp_path, **changes)


def test_trainings_of_a_comparison(tmp_path: Path) -> None:
    config = configured(tmp_path, repeats=2)
    found = list(jobs(config, 6))
    assert len(found) == 2 + 3 * 2 * 2
    assert [each.way for each in found[:2]] == ["none", "none"]
    assert len({each.name for each in found}) == len(found)
    with pytest.raises(InputError, match="counts: 4, but the pool holds 3 frames"):
        list(jobs(config, 3))
    with pytest.raises(MissingFileError, match="nowhere"):
        configured(tmp_path, pool="nowhere.extxyz")
    more = configured(tmp_path, counts=[2, 4, 6], ways=["fps"])
    assert more.digest == config.digest  # of what decides a training
    other = configured(tmp_path, training={"family": "allegro", "size": "xs", "epochs": 3})
    assert other.digest != config.digest


def test_table_and_figures(tmp_path: Path) -> None:
    """Errors that fall with the number of frames, by a way and by origin."""
    configured(tmp_path)
    test = read_frames(tmp_path / "test.extxyz")
    results = {}
    for job in (Job("none", 0, 0), Job("fps", 2, 0), Job("fps", 4, 0), Job("random", 4, 0)):
        wrong = []
        for frame in test:
            labels = labels_of(frame)
            size = (0.008 - 0.001 * job.added) * (2.0 if frame.info["origin"] == "b" else 1.0)
            forces = labels.forces_eV_per_A + size * np.ones_like(labels.forces_eV_per_A)
            wrong.append(Labels(labels.energy_eV, forces, labels.stress_eV_per_A3))
        results[job] = compare_labels(job.name, test, wrong)
    rows = rows_of(results)
    place = rows[0].index("force_mae_p95 (meV/Å)")
    found = {(row[0], row[1], row[3]): float(row[place]) for row in rows[1:]}
    assert found["none", "0", "a"] == pytest.approx(8.0)
    assert found["none", "0", "b"] == pytest.approx(16.0)
    assert found["fps", "4", "all"] == pytest.approx(8.0)
    assert found["fps", "4", "a"] == pytest.approx(4.0)
    write_comparison(results, tmp_path / "out")
    for name in ("picking.csv", "picking-all.svg", "picking-a.svg", "picking-b.png",
                 "evaluation/atoms.csv"):  # fmt: skip
        assert (tmp_path / "out" / name).stat().st_size > 0
    drawn = (tmp_path / "out" / "picking-b.svg").read_text()
    assert "Frames added" in drawn
    assert "none added" in drawn


@pytest.mark.long
@pytest.mark.frameworks
def test_comparison(tmp_path: Path) -> None:
    """Trainings with nothing and with two frames more; what is there is not trained again."""
    needs("nequip")
    config = configured(tmp_path, counts=[2], ways=["fps", "found"])
    told: list[str] = []
    table = compare_picking(config, tmp_path / "out", told.append)
    with table.open() as file:
        rows = list(csv.DictReader(file))
    assert {row["way"] for row in rows} == {"none", "fps", "found"}
    trainings = tmp_path / "out" / "trainings"
    counts = {
        folder.name: json.loads((folder / "training.json").read_text())["frames"]["train"]
        for folder in trainings.iterdir()
    }
    assert counts == {"none-0000-1": 4, "fps-0002-1": 6, "found-0002-1": 6}
    first = read_frames(trainings / "found-0002-1" / "train.extxyz")[4:]
    assert [frame.info["trajectory"] for frame in first] == ["t40", "t41"]
    again: list[str] = []
    before = table.read_text()
    compare_picking(config, tmp_path / "out", again.append)
    assert table.read_text() == before
    assert not any("epoch" in text for text in again)
    changed = configured(tmp_path, training={"family": "allegro", "size": "xs", "epochs": 3})
    with pytest.raises(InputError, match="was begun with other files or another training"):
        compare_picking(changed, tmp_path / "out", again.append)
