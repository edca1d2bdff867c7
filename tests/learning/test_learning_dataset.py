"""Labelled frames: files, what is refused, and the split."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError
from mofmd.learning.data.dataset import (
    Labels,
    labelled,
    labels_of,
    read_frames,
    read_npz,
    stress_matrix,
    without_stress,
    write_frames,
    write_npz,
)
from mofmd.learning.data.split import SplitOptions, split_frames, trajectory_of
from mofmd.learning.data.validation import Expectation, check_frames
from mofmd.learning.evaluate.prediction import predict
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4
from tests.learning_sets import argon, argon_labels, frame
from tests.reference import reference_path


def test_file_keeps_labels_and_origin(tmp_path: Path) -> None:
    frames = [frame(-10.5, temperature_K=300.0, origin="crystal", phase="crystal"), frame(-11.0)]
    write_frames(tmp_path / "a.extxyz", frames)
    again = read_frames(tmp_path / "a.extxyz")
    assert [a.info["trajectory"] for a in again] == ["one", "one"]
    assert again[0].info["origin"] == "crystal"
    assert again[0].info["temperature_K"] == 300.0
    for old, new in zip(frames, again, strict=True):
        np.testing.assert_allclose(new.positions, old.positions, atol=1e-8)
        for name in ("energy_eV", "forces_eV_per_A", "stress_eV_per_A3"):
            np.testing.assert_allclose(
                getattr(labels_of(new), name), getattr(labels_of(old), name), atol=1e-8
            )


def test_frames_without_a_trajectory_belong_to_their_file(tmp_path: Path) -> None:
    atoms = argon()
    write(tmp_path / "run7.extxyz", [atoms, atoms])
    assert [f.info["trajectory"] for f in read_frames(tmp_path / "run7.extxyz")] == ["run7"] * 2


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such file of frames"):
        read_frames(tmp_path / "absent.extxyz")
    (tmp_path / "a.extxyz").write_text("five\nnot a comment\nC 0 0\n")
    with pytest.raises(InputError, match="cannot be read as extended XYZ"):
        read_frames(tmp_path / "a.extxyz")
    np.savez(tmp_path / "b.npz", energy=np.zeros(2))
    with pytest.raises(InputError, match="has no array 'positions'"):
        read_frames(tmp_path / "b.npz")
    (tmp_path / "c.npz").write_bytes((tmp_path / "b.npz").read_bytes()[:-40])
    with pytest.raises(InputError, match=r"c\.npz: is no npz file of arrays, or is damaged"):
        read_frames(tmp_path / "c.npz")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"forces": np.zeros((2, 3, 3))}, r"forces has shape \(2, 3, 3\), expected \(2, 4, 3\)"),
        ({"cell": np.zeros((2, 6))}, r"cell has shape \(2, 6\), expected \(2, 3, 3\)"),
        ({"numbers": np.full((2, 4), 119)}, "numbers holds what is no atomic number"),
        ({"energy": np.array(1.0)}, "positions has 2 rows, energy has 1"),
        ({"start": np.array([0, -1])}, "frame 1 starts from number -1, which has no name"),
    ],
)
def test_arrays_that_do_not_fit_are_named(
    tmp_path: Path, change: dict[str, np.ndarray], message: str
) -> None:
    write_frames(tmp_path / "a.npz", [frame(), frame(-11.0)])
    with np.load(tmp_path / "a.npz") as file:
        np.savez(tmp_path / "b.npz", **{**file, **change})
    with pytest.raises(InputError, match=rf"b\.npz: .*{message}"):
        read_npz(tmp_path / "b.npz", ["crystal"])


def test_a_structure_is_a_frame_and_a_number_chooses_one(tmp_path: Path) -> None:
    write(tmp_path / "argon.vasp", argon())
    (found,) = read_frames(tmp_path / "argon.vasp")
    assert found.info["trajectory"] == "argon"
    assert found.get_chemical_formula() == argon().get_chemical_formula()
    write_frames(tmp_path / "a.extxyz", [frame(-10.0), frame(-11.0), frame(-12.0)])
    (found,) = read_frames(Path(f"{tmp_path / 'a.extxyz'}#1"))
    assert labels_of(found).energy_eV == -11.0  # with its labels
    with pytest.raises(InputError, match="has no frame 3: they are numbered from 0 to 2"):
        read_frames(Path(f"{tmp_path / 'a.extxyz'}#3"))


def test_voigt_order() -> None:
    full = np.array([[1.0, 6.0, 5.0], [6.0, 2.0, 4.0], [5.0, 4.0, 3.0]])
    np.testing.assert_array_equal(stress_matrix(np.arange(1.0, 7.0)), full)
    np.testing.assert_array_equal(labels_of(frame(stress=full)).stress_eV_per_A3, full)
    with pytest.raises(InputError, match=r"shape \(4,\)"):
        stress_matrix(np.zeros(4))


def test_npz_there_and_back(tmp_path: Path) -> None:
    frames = [
        frame(-10.5, stress=1e-3 * np.eye(3), origin="crystal", phase="hot", temperature_K=9.0),
        frame(-11.0, stress=np.zeros((3, 3))),
        frame(-11.5, stress=np.zeros((3, 3)), level_of_theory="pbe+d3bj:pbe", source="labels.pth"),
        frame(-12.0, stress=np.zeros((3, 3)), config_weight=15.0),
    ]
    write_frames(tmp_path / "set.npz", frames)
    again = read_frames(tmp_path / "set.npz")
    assert [found.info for found in again] == [expected.info for expected in frames]
    for old, new in zip(frames, again, strict=True):
        np.testing.assert_array_equal(new.numbers, old.numbers)
        np.testing.assert_allclose(new.positions, old.positions, atol=1e-6)
        np.testing.assert_allclose(new.cell.array, old.cell.array, atol=1e-12)
        for name in ("energy_eV", "forces_eV_per_A", "stress_eV_per_A3"):
            np.testing.assert_allclose(
                getattr(labels_of(new), name), getattr(labels_of(old), name), rtol=1e-6, atol=1e-9
            )


def test_arrays_of_an_npz_file(tmp_path: Path) -> None:
    """As any program reads them: a row a frame, units and precision as documented."""
    frames = [argon(seed) for seed in range(3)]
    for k, atoms in enumerate(frames):
        atoms.info.update(trajectory=f"run{k}", temperature_K=100.0 * k)
    del frames[2].info["temperature_K"]
    labels = [argon_labels(atoms) for atoms in frames]
    path = tmp_path / "new" / "set.npz"
    write_npz(path, [labelled(a, each) for a, each in zip(frames, labels, strict=True)])
    with np.load(path) as file:
        arrays = dict(file)
    names = {"positions", "cell", "numbers", "energy", "forces", "stress", "temperature_K"}
    assert set(arrays) == names | {"trajectory", "origin", "phase"}
    assert arrays["energy"].dtype == np.float64
    assert arrays["energy"].tolist() == [each.energy_eV for each in labels]
    assert arrays["numbers"].tolist() == [[18] * 32] * 3
    single = {
        "positions": [atoms.positions for atoms in frames],
        "forces": [each.forces_eV_per_A for each in labels],
        "stress": [each.stress_eV_per_A3 for each in labels],
    }
    for name, values in single.items():
        np.testing.assert_array_equal(arrays[name], np.asarray(values, np.float32))
    np.testing.assert_array_equal(arrays["cell"], [atoms.cell.array for atoms in frames])
    np.testing.assert_array_equal(arrays["temperature_K"], [0.0, 100.0, np.nan])
    assert arrays["trajectory"].tolist() == ["run0", "run1", "run2"]
    assert arrays["origin"].tolist() == [""] * 3


def test_npz_refuses_what_has_no_row(tmp_path: Path) -> None:
    small = labelled(frame().copy()[:3], Labels(0.0, np.zeros((3, 3)), np.zeros((3, 3))))
    with pytest.raises(InputError, match="one number of atoms"):
        write_frames(tmp_path / "a.npz", [frame(), small])
    bare = frame()
    no_stress = labelled(bare, Labels(0.0, np.zeros((len(bare), 3)), None))
    with pytest.raises(InputError, match="frames with stress"):
        write_frames(tmp_path / "a.npz", [no_stress])
    assert not (tmp_path / "a.npz").exists()


def test_npz(tmp_path: Path) -> None:
    numbers = np.array([[6, 1], [6, 1]])
    np.savez(
        tmp_path / "set.npz",
        positions=np.arange(12.0).reshape(2, 2, 3),
        cell=np.stack([9.0 * np.eye(3)] * 2),
        numbers=numbers,
        energy=np.array([-1.0, -2.0]),
        forces=np.ones((2, 2, 3)),
        start=np.array([0, 1]),
        trajectory=np.array([4, 5]),
        temperature_K=np.array([300, 1500]),
    )
    first, second = read_npz(tmp_path / "set.npz", ["crystal", "glass01"])
    assert first.info == {
        "trajectory": "set:4", "temperature_K": 300.0, "origin": "crystal", "phase": "crystal",
    }  # fmt: skip
    assert second.info["phase"] == "hot"
    assert labels_of(second).energy_eV == -2.0
    assert labels_of(second).stress_eV_per_A3 is None
    with pytest.raises(InputError, match="starts from number 1, which has no name"):
        read_npz(tmp_path / "set.npz", ["crystal"])


def test_teacher_frames_are_fit() -> None:
    """The labelled frames of ZIF-4: 0.1 ps pieces at 300 to 2200 K."""
    names = ["crystal", *(f"glass{k:02d}" for k in range(1, 6))]
    frames = read_npz(reference_path("zif4/teacher_frames.npz"), names)[::9]
    check_frames(frames, Expectation(("C", "H", "N", "Zn")))
    assert {f.info["phase"] for f in frames} == {"crystal", "glass", "hot"}


def with_forces(factor: float, **info: Any) -> Callable[[], list[Atoms]]:
    forces = factor * labels_of(frame()).forces_eV_per_A
    return lambda: [frame(forces=forces, **info)]


def with_hole(name: str) -> Callable[[], list[Atoms]]:
    def make() -> list[Atoms]:
        good = frame()
        labels = labels_of(good)
        values = {
            "energy_eV": labels.energy_eV,
            "forces_eV_per_A": labels.forces_eV_per_A.copy(),
            "stress_eV_per_A3": np.array(labels.stress_eV_per_A3),
        }
        if name == "energy_eV":
            values[name] = float("nan")
        else:
            values[name][1, 2] = np.nan
        return [frame(), labelled(good, Labels(**values))]

    return make


def without(*names: str) -> Callable[[], list[Atoms]]:
    def make() -> list[Atoms]:
        bad = frame()
        for name in names:
            del bad.calc.results[name]
        return [bad]

    return make


def in_bohr() -> list[Atoms]:
    good = frame()
    labels = labels_of(good)
    good.set_cell(0.05 * good.cell.array, scale_atoms=True)
    return [labelled(good, labels)]


def with_an_atom_twice() -> list[Atoms]:
    good = frame()
    labels = labels_of(good)
    bad = good.copy()
    bad.positions[2] = bad.positions[1] + bad.cell.array[0]
    return [labelled(bad, labels)]


def in_slab() -> list[Atoms]:
    bad = frame()
    bad.pbc = (True, True, False)
    return [bad]


def one_of_helium() -> list[Atoms]:
    bad = frame()
    bad.symbols[0] = "He"
    return [frame(), bad]


def of_another_shape() -> list[Atoms]:
    bad = frame()
    bad.calc.results["forces"] = np.ones((3, 3))
    return [bad]


def backwards(given: Atoms) -> Atoms:
    labels = labels_of(given)
    return labelled(
        given[::-1],
        Labels(labels.energy_eV, labels.forces_eV_per_A[::-1], labels.stress_eV_per_A3),
    )


EV_TO_KCAL = 23.0605
REFUSED = {
    "forces are not numbers": (with_hole("forces_eV_per_A"), r"frame 1 .*forces of atom 1 is not"),
    "energy is not a number": (with_hole("energy_eV"), "frame 1 .*energy is not a number"),
    "stress is not a number": (with_hole("stress_eV_per_A3"), "stress is not a number"),
    "no energy": (without("energy"), "has no energy"),
    "neither": (without("energy", "forces"), "has no energy and no forces"),
    "no stress": (without("stress"), "has no stress"),
    "kcal/mol": (with_forces(EV_TO_KCAL), "Are they in kcal/mol"),
    "kJ/mol": (with_forces(96.485), "kJ/mol/Å"),
    "meV": (with_forces(1000.0), "meV/Å"),
    "Hartree": (with_forces(1 / 51.42, temperature_K=300.0), "Hartree/Bohr"),
    "Rydberg": (with_forces(2 / 51.42, temperature_K=300.0), "Ry/Bohr"),
    "GPa": (lambda: [frame(stress=1.6 * np.eye(3))], "is it in GPa"),
    "bar": (lambda: [frame(stress=16000.0 * np.eye(3))], "is it in bar"),
    "asymmetric": (lambda: [frame(stress=0.01 * np.tri(3))], "the stress is not symmetric"),
    "another element": (one_of_helium, "frame 1 .*holds He; this set is of C H N Zn"),
    "shape": (of_another_shape, r"forces have shape \(3, 3\), expected \(4, 3\)"),
    "a slab": (in_slab, "no right-handed cell that is periodic in three directions"),
    "too close": (in_bohr, "apart: positions in other units"),
    "twice": (with_an_atom_twice, r"atoms 1 \(H\) and 2 \(N\) are 0\.00 Å apart"),
    "two methods": (lambda: [frame(-10.0), frame(-10.2), frame(-60.0)], "another reference method"),
    "two methods, atoms in another order": (
        lambda: [frame(-10.0), frame(-10.2), backwards(frame(-60.0))],
        "another reference method",
    ),
    "filled in": (lambda: [frame(stress=np.zeros((3, 3)))] * 2, "stress: zero in every frame"),
    "none": (list, "frames: none"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str) -> None:
    make, message = REFUSED[case]
    check_frames([frame()], Expectation(("C", "H", "N", "Zn")))  # the same set without the fault
    with pytest.raises(InputError, match=message):
        check_frames(make(), Expectation(("C", "H", "N", "Zn")))


def trajectory(energy_factor: float, force_factor: float) -> list[Atoms]:
    """Close frames along a straight line through the potential of argon."""
    start, end = argon(1, 0.25), argon(2, 0.25)
    frames = []
    for share in np.linspace(0.0, 0.2, 9):
        atoms = start.copy()
        atoms.positions += share * (end.positions - start.positions)
        labels = argon_labels(atoms)
        atoms.info["trajectory"] = "line"
        frames.append(
            labelled(
                atoms,
                Labels(
                    energy_factor * labels.energy_eV,
                    force_factor * labels.forces_eV_per_A,
                    labels.stress_eV_per_A3,
                ),
            )
        )
    return frames


@pytest.mark.parametrize(
    ("energy", "force", "message"),
    [
        (EV_TO_KCAL, 1.0, "23.* times the work .*energies in kcal/mol"),
        (1.0, EV_TO_KCAL, "energies in eV, forces in kcal/mol/Å"),
        (1 / 27.2114, 1.0, "energies in Hartree"),
        (1.0, -1.0, "forces have the wrong sign"),
    ],
)
def test_energies_and_forces_in_different_units(energy: float, force: float, message: str) -> None:
    check_frames(trajectory(1.0, 1.0))
    with pytest.raises(InputError, match=message):
        check_frames(trajectory(energy, force))


def numbered(phase: str, count: int, frames: int, origin: str = "a") -> list[Atoms]:
    return [
        frame(trajectory=f"{phase}{k}", phase=phase, origin=origin)
        for k in range(count)
        for _ in range(frames)
    ]


def names(frames: list[Atoms]) -> set[str]:
    return {f.info["trajectory"] for f in frames}


def test_split_keeps_trajectories_whole_and_takes_from_every_phase() -> None:
    frames = numbered("crystal", 10, 3) + numbered("melt", 5, 4) + numbered("rare", 2, 5)
    parts = split_frames(frames, SplitOptions(0.2, 0.2, seed=3))
    assert sum(map(len, parts.values())) == len(frames)
    assert not names(parts["train"]) & (names(parts["val"]) | names(parts["test"]))
    assert not names(parts["val"]) & names(parts["test"])
    for part in ("val", "test"):
        phases = [f.info["phase"] for f in parts[part]]
        assert phases.count("crystal") == 6  # 20 % of 30
        assert phases.count("melt") == 4  # 20 % of 20
        assert phases.count("rare") == 0  # two trajectories: both are trained on
    assert parts == split_frames(frames, SplitOptions(0.2, 0.2, seed=3))


def test_a_trajectory_of_two_phases_is_dealt_once() -> None:
    """A few hot frames in two trajectories do not take validation and test from the crystal."""
    frames = numbered("crystal", 3, 10)
    for name in sorted({str(f.info["trajectory"]) for f in frames})[:2]:
        for hot in [f for f in frames if f.info["trajectory"] == name][:4]:
            hot.info["phase"] = "hot"
    for seed in range(10):
        parts = split_frames(frames, SplitOptions(0.2, 0.2, seed=seed))
        assert all(parts[name] for name in ("train", "val", "test"))


def test_split_holds_out_origins_and_named_trajectories() -> None:
    frames = numbered("glass", 6, 2) + numbered("new", 2, 2, origin="glass06")
    options = SplitOptions(0.0, 0.0, held_out_origins=("glass06",), val_trajectories=("glass4",))
    parts = split_frames(frames, options)
    assert names(parts["test"]) == {"new0", "new1"}
    assert names(parts["val"]) == {"glass4"}
    assert names(parts["train"]) == {f"glass{k}" for k in (0, 1, 2, 3, 5)}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"held_out_origins": ("glass9",)}, "origin 'glass9': no frame is of it; there are a"),
        ({"val_trajectories": ("x",)}, "trajectory 'x': no frame is of it"),
        ({"held_out_origins": ("a",)}, "nothing is left for training"),
        (
            {"val_trajectories": ("glass1",), "test_trajectories": ("glass1",)},
            "named for both val and test",
        ),
    ],
)
def test_split_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        split_frames(numbered("glass", 4, 2), SplitOptions(**options))


def test_distorted_copies_stay_with_their_originals() -> None:
    """Most atoms of a copy are where they are in the original."""
    frames = numbered("glass", 9, 2)
    copies = [frame(trajectory=f"glass{k}~distorted4", phase="glass") for k in range(9)]
    parts = split_frames([*frames, *copies], SplitOptions(0.3, 0.3, seed=1))
    assert all(parts.values())
    where = {name: {trajectory_of(f) for f in part} for name, part in parts.items()}
    assert not where["train"] & (where["val"] | where["test"])
    assert not where["val"] & where["test"]
    name = copies[0].info["trajectory"]
    named = split_frames([*frames, *copies], SplitOptions(0, 0, val_trajectories=(name,)))
    assert len(named["val"]) == 3  # two frames and a copy


def test_split_shares() -> None:
    with pytest.raises(InputError, match="leave no frames"):
        SplitOptions(0.5, 0.5)
    with pytest.raises(InputError, match="val_share"):
        SplitOptions(-0.1)


def test_commands_from_frames_to_data(tmp_path: Path) -> None:
    """What a user types, in turn; each reads what the one before wrote."""

    def learn(*words: object) -> str:
        done = CliRunner().invoke(app, ["learn", *map(str, words)])
        assert done.exit_code == 0, done.output
        return done.output

    frames = []
    for k in range(12):
        atoms = zif4()
        atoms.rattle(0.02, seed=k)
        atoms.info.update(trajectory=f"t{k // 2}", phase="crystal")
        frames.append(atoms)
    write_frames(
        tmp_path / "a.npz",
        [
            labelled(atoms, found)
            for atoms, found in zip(
                frames, predict(embedded_model("zif4-nequip-s"), frames), strict=True
            )
        ],
    )
    assert "12 frames" in learn("import", tmp_path / "a.npz", "-o", tmp_path / "a.extxyz")
    told = learn("check", tmp_path / "a.extxyz", "--species", "C H N Zn")
    assert "12 frames of 6 trajectories are fit for training" in told
    told = learn(
        "check", tmp_path / "a.extxyz", "--labeller", embedded_model("zif4-nequip-s"), "--again", 2
    )
    assert "forces 1.0000" in told
    told = learn("split", tmp_path / "a.extxyz", "--val", 0.2, "--test", 0.2, "-o", tmp_path / "d")
    assert "train: 8 frames of 4 trajectories" in told
    picked = tmp_path / "p.extxyz"
    assert "3 of 8 frames" in learn(
        "pick", tmp_path / "d/train.extxyz", "--count", 3, "--method", "random", "-o", picked
    )
    distorted = tmp_path / "x.extxyz"
    assert "3 frames" in learn("distort", picked, "-o", distorted, "--seed", 1)
    assert {f.info["trajectory"].partition("~")[2] for f in read_frames(distorted)} == {
        "distorted1"
    }
    bare_ones = [without_stress(each) for each in read_frames(tmp_path / "a.extxyz")]
    write_frames(tmp_path / "n.extxyz", bare_ones)
    refused = CliRunner().invoke(app, ["learn", "check", str(tmp_path / "n.extxyz")])
    assert "train without (--no-stress)" in str(refused.exception)
    words = ("split", tmp_path / "n.extxyz", "--no-stress", "-o", tmp_path / "e")
    assert "train: 8 frames" in learn(*words, "--val", 0.2, "--test", 0.2)
