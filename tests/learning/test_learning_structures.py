"""Whole structures: picks from a pool, sets dealt out by features, strained copies, relaxations."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, labelled, read_frames
from mofmd.learning.data.split import SplitOptions, split_frames, trajectory_of
from mofmd.learning.data.strain import ISOTROPIC, strain_frames
from mofmd.learning.select.structures import crystal_system, mean_features, pick_structures


def column(*values: float) -> np.ndarray:
    return np.array(values)[:, None]


def test_structures_farthest_first() -> None:
    # mean 4.6: 10 is farthest from it, then 0 from 10, then 4, in the middle
    assert pick_structures(column(0.0, 4.0, 10.0, 9.0, 0.0), 3) == [2, 0, 1]
    # a copy of what is taken is never picked
    assert pick_structures(column(0.0, 4.0, 0.0), 3, column(0.0)) == [1]
    with pytest.raises(InputError, match="4 frames wanted, there are 2"):
        pick_structures(column(0.0, 1.0), 4)


def test_one_of_each_group_first() -> None:
    pool, groups = column(0.0, 10.0, 4.9, 5.0), ["cubic", "cubic", "triclinic", "triclinic"]
    first, second, *rest = pick_structures(pool, 4, groups=groups)
    assert {groups[first], groups[second]} == {"cubic", "triclinic"}
    assert sorted([first, second, *rest]) == [0, 1, 2, 3]
    assert len(pick_structures(pool, 1, groups=groups)) == 1
    # without groups the two ends come first
    assert set(pick_structures(pool, 2)) == {0, 1}


def test_crystal_systems() -> None:
    rng = np.random.default_rng(0)
    for name, atoms in {
        "cubic": bulk("Cu"),
        "hexagonal": bulk("Mg"),
        "tetragonal": bulk("Sn", "bct", a=5.8, c=3.2),
        "trigonal": bulk("Bi", "rhombohedral", a=4.7, alpha=57.0),
        "orthorhombic": Atoms("Cu", cell=[3, 4, 5], pbc=True),
        "monoclinic": Atoms("Cu", cell=[3, 4, 5, 90, 105, 90], pbc=True),
        "triclinic": Atoms("Cu4", rng.uniform(0, 6, (4, 3)), cell=[6, 7, 8, 80, 85, 95], pbc=True),
    }.items():
        assert crystal_system(atoms) == name


def test_means_tell_compositions_and_structures_apart_whatever_the_cell(tmp_path: Path) -> None:
    """A supercell is the same structure; another element in the same places is another one."""
    cu, au = bulk("Cu", a=3.9), bulk("Au", a=3.9)
    means = mean_features([cu, cu.repeat((2, 1, 1)), au], None)
    np.testing.assert_allclose(means[0], means[1], atol=1e-10)
    assert np.abs(means[2] - means[0]).max() > 0.1
    files = []
    for name, atoms in {"a": cu, "b": cu.repeat((2, 1, 1)), "c": au}.items():
        files.append(str(tmp_path / f"{name}.cif"))
        write(files[-1], atoms)
    (tmp_path / "bad.cif").write_text("data_\n")
    picked = tmp_path / "picked.extxyz"
    words = ["learn", "pick", *files, str(tmp_path / "bad.cif"), "--method", "structures"]
    words += ["--crystal-systems", "-o", str(picked), "--count", "2"]
    done = CliRunner().invoke(app, words)
    assert isinstance(done.exception, InputError)
    assert not picked.exists()
    done = CliRunner().invoke(app, [*words, "--leave-out-failed"])
    assert done.exit_code == 0, done.output
    assert "left out" in done.stderr
    names = {frame.info["trajectory"] for frame in read_frames(picked)}
    assert "c" in names
    assert len(names & {"a", "b"}) == 1


def dealt(count: int) -> list[Atoms]:
    """Two frames of each of so many trajectories."""
    frames = []
    for k in range(2 * count):
        frame = labelled(bulk("Cu"), Labels(0.0, np.zeros((1, 3)), np.eye(3)))
        frame.info["trajectory"] = f"t{k // 2}"
        frames.append(frame)
    return frames


def test_training_takes_the_farthest_trajectories() -> None:
    frames = dealt(10)
    # two far away, eight close together
    features = np.repeat([0.0, 100.0, *np.linspace(50.0, 51.0, 8)], 2)[:, None]
    for seed in range(5):
        options = SplitOptions(0.2, 0.2, seed=seed)
        parts = split_frames(frames, options, features)
        names = {part: {trajectory_of(f) for f in found} for part, found in parts.items()}
        assert [len(names[part]) for part in ("train", "val", "test")] == [6, 2, 2]
        assert {"t0", "t1", "t2", "t9"} <= names["train"]  # and the ends of the eight
        assert not names["train"] & (names["val"] | names["test"])
    assert split_frames(frames, options, features) == parts  # the same again
    # at random they are not always for training
    at_random = [split_frames(frames, SplitOptions(0.2, 0.2, seed=s))["train"] for s in range(8)]
    assert not all({"t0", "t1"} <= {trajectory_of(f) for f in found} for found in at_random)
    # three trajectories: one for each
    parts = split_frames(frames[:6], SplitOptions(), features[:6])
    assert {part: len(found) for part, found in parts.items()} == {"train": 2, "val": 2, "test": 2}


def test_strained_copies() -> None:
    atoms = bulk("NaCl", "rocksalt", a=5.6)
    atoms.info["trajectory"] = "salt"
    made = strain_frames([atoms], random=2, shear=0.05)
    assert len(made) == len(ISOTROPIC) + 2
    for copy, linear in zip(made, ISOTROPIC, strict=False):
        np.testing.assert_allclose(copy.cell.lengths(), atoms.cell.lengths() * (1 + linear))
        np.testing.assert_allclose(copy.get_scaled_positions(), atoms.get_scaled_positions())
        assert copy.info["trajectory"] == "salt"  # no split parts it from the original
    for copy in made[-2:]:
        assert copy.get_volume() == pytest.approx(atoms.get_volume())
        assert np.abs(copy.cell.angles() - atoms.cell.angles()).max() > 0.1
    assert not np.allclose(made[-1].cell.array, made[-2].cell.array)
    with pytest.raises(InputError, match=r"strain: 0\.5, expected a share"):
        strain_frames([atoms], [0.5])
    with pytest.raises(InputError, match=r"shear: 0\.9"):
        strain_frames([atoms], random=1, shear=0.9)
    with pytest.raises(InputError, match="is not periodic"):
        strain_frames([Atoms("He")])


def test_frames_of_relaxations_have_their_names(tmp_path: Path) -> None:
    """All of them are in files of one name: what was relaxed is said by the folder."""
    for name in ("one", "two"):
        folder = tmp_path / name
        folder.mkdir()
        write(folder / "trajectory.extxyz", [bulk("Cu"), bulk("Cu", a=3.7)])
        (folder / "state.npz").touch()
        frames = read_frames(folder / "trajectory.extxyz")
        assert [frame.info["trajectory"] for frame in frames] == [name, name]
