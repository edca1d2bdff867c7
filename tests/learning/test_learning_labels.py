"""Labelling: labellers, their check against finite differences, the cache, parallel workers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms

from mofmd.engine.evaluate import evaluate
from mofmd.errors import InputError, InputWarning, MissingFileError, RunError
from mofmd.learning.data.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.label.labeller_check import DerivativeCheck, compare_labels_with, explain
from mofmd.learning.label.labellers import find_labeller
from mofmd.learning.label.labelling import LabelCache, LabelOptions, label_frames, structure_hash
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4
from tests.engine.toy_models import write_springs
from tests.learning_sets import argon, argon_labels, write_calculators
from tests.processes import Token


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with a module of calculators in it, gone from Python afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
    write_calculators(tmp_path)
    return tmp_path


def quiet(_: str) -> None:
    pass


def label(frames: list[Atoms], factory: str, **options: Any) -> list[Atoms]:
    labeller = find_labeller(f"argon_calculators:{factory}")
    return label_frames(frames, labeller, Path("cache"), LabelOptions(**options), quiet)


def test_labels_are_those_of_the_calculator() -> None:
    frames = [argon(seed) for seed in range(3)]
    made = label(frames, "good", workers=2)
    for frame, atoms in zip(made, frames, strict=True):
        found, expected = labels_of(frame), argon_labels(atoms)
        assert found.energy_eV == pytest.approx(expected.energy_eV, abs=1e-12)
        np.testing.assert_allclose(found.forces_eV_per_A, expected.forces_eV_per_A, atol=1e-12)
        np.testing.assert_allclose(found.stress_eV_per_A3, expected.stress_eV_per_A3, atol=1e-12)
        assert frame.info["source"] == "argon_calculators:good"
    checks = list(Path("cache").glob("*/check.json"))
    assert len(checks) == 1
    check = json.loads(checks[0].read_text())
    for name in ("force", "stress_normal", "stress_shear"):
        assert check[name] == pytest.approx(1.0, abs=0.02)


def test_cache_saves_the_work_and_is_per_labeller() -> None:
    frames = [argon(seed) for seed in range(2)]
    label(frames, "good")
    told: list[str] = []
    labeller = find_labeller("argon_calculators:good")
    again = label_frames([*frames, argon(7)], labeller, Path("cache"), None, told.append)
    assert told[0] == "3 frames, 2 labelled already"
    assert not any("checking" in line for line in told)  # once for a labeller
    assert len(again) == 3
    before = labeller.identity
    source = Path("argon_calculators.py")
    source.write_text(source.read_text() + "\n# another version\n")
    sys.modules.pop("argon_calculators")
    assert find_labeller("argon_calculators:good").identity != before


def test_hash_of_a_structure() -> None:
    atoms = argon()
    atoms.info["trajectory"] = "elsewhere"
    write_frames(Path("a.extxyz"), [atoms])
    (same,) = read_frames(Path("a.extxyz"))
    assert np.abs(same.positions - atoms.positions).max() > 0  # eight decimals in the file
    assert structure_hash(same) == structure_hash(atoms)
    for change in ("positions", "cell", "numbers", "pbc"):
        other = atoms.copy()
        if change == "positions":
            other.positions[3, 1] += 1e-6
        elif change == "cell":
            other.set_cell(1.000001 * atoms.cell.array)
        elif change == "numbers":
            other.numbers[0] = 36
        else:
            other.pbc = [True, True, False]
        assert structure_hash(other) != structure_hash(atoms), change


def test_cache_keeps_labels_without_stress(tmp_path: Path) -> None:
    store = LabelCache(tmp_path / "c", find_labeller("argon_calculators:good"))
    atoms = argon()
    assert store.get(atoms) is None
    store.put(atoms, Labels(-1.25, np.ones((32, 3)), None))
    found = store.get(atoms)
    assert found is not None
    assert (found.energy_eV, found.stress_eV_per_A3) == (-1.25, None)


@pytest.mark.parametrize(
    ("factory", "message"),
    [
        ("wrong_sign", "normal stress: .* its sign is wrong .expected: tension positive"),
        ("gpa", "the stress is in GPa"),
        ("half", "a factor 2 is missing"),
        ("virial", "a virial in eV, not divided by the volume"),
        (
            "gradients",
            "forces: differences of the energy are -1 times the label; its sign is wrong",
        ),
        ("no_stress", "gives no stress"),
    ],
)
def test_wrong_derivatives_are_found_before_anything_is_labelled(
    factory: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        label([argon()], factory)
    assert not list(Path("cache").glob("*/*/*.npz"))
    assert not list(Path("cache").glob("*/check.json"))


def test_rounded_energies_do_not_make_right_forces_wrong() -> None:
    """The last digit of float32 at -5e5 eV is 0.03 eV, as much as the energy changes."""
    labeller = find_labeller("argon_calculators:rounded")
    told: list[str] = []
    label_frames([argon()], labeller, Path("cache"), None, told.append)
    assert any("by rounded energies" in line for line in told)


def test_stress_may_be_waived() -> None:
    (made,) = label([argon()], "no_stress", needs_stress=False)
    assert labels_of(made).stress_eV_per_A3 is None


@pytest.mark.parametrize(
    ("forces", "stress", "message"),
    [
        (
            1.0,
            -1.0,
            r"normal stress: labels computed now are -1 times the label; its sign is wrong",
        ),
        (1.0, 160.2177, "the stress is in GPa"),
        (-1.0, 1.0, "forces: labels computed now are -1 times the label; its sign is wrong"),
    ],
)
def test_stored_labels_against_a_labeller(forces: float, stress: float, message: str) -> None:
    """What a data set says is held against what its method says now."""

    def stored(forces: float, stress: float) -> list[Atoms]:
        frames = []
        for seed in range(2):
            atoms = argon(seed, 0.2)
            atoms.set_cell(atoms.cell.array @ [[0.99, 0.02, 0.0], [0, 1, 0.01], [0, 0, 0.98]], True)
            found = argon_labels(atoms)
            assert found.stress_eV_per_A3 is not None
            scaled = Labels(
                found.energy_eV, forces * found.forces_eV_per_A, stress * found.stress_eV_per_A3
            )
            frames.append(labelled(atoms, scaled))
        return frames

    with find_labeller("argon_calculators:good").session() as label_now:
        check = compare_labels_with(stored(1.0, 1.0), label_now)
        assert check.stress_shear == pytest.approx(1.0, abs=1e-6)
        with pytest.raises(InputError, match=message):
            compare_labels_with(stored(forces, stress), label_now)


@pytest.mark.parametrize(
    ("check", "findings"),
    [
        (DerivativeCheck(1.02, 0.97, 1.05, 1000.0), 0),
        (DerivativeCheck(1.0, float("nan"), float("nan"), 1000.0), 0),
        (DerivativeCheck(float("nan"), 1.0, 1.0, 1000.0), 1),
        (DerivativeCheck(1.0, 1.0, 0.5, 1000.0), 1),
        (DerivativeCheck(1.2, 1 / 160.2, -1.0, 1000.0), 3),
    ],
)
def test_findings(check: DerivativeCheck, findings: int) -> None:
    assert len(explain(check)) == findings


def marked(seed: int, mark: int) -> Atoms:
    """Argon that the calculator ``fails_on_some`` fails on where the mark is not 0."""
    atoms = argon(seed)
    atoms.positions[:, 0] += mark - atoms.positions[0, 0]
    atoms.info["trajectory"] = f"t{seed}"
    return atoms


@pytest.mark.parametrize("workers", [1, 2])
def test_frames_that_fail_are_named_and_all_others_kept(workers: int) -> None:
    """An error, a process that ends, an energy and a force that are no numbers."""
    frames = [marked(seed, mark) for seed, mark in enumerate((0, 1, 0, 2, 0, 3, 0, 4, 0))]
    reasons = (
        r"4 of 9 frames could not be labelled, the others are in the cache: "
        r"frame 1 \(trajectory t1\): .* the self-consistent field did not converge .*; "
        r"frame 3 .*; frame 5 .* energy is not a number; and 1 more\. Mend that"
    )
    with pytest.raises(RunError, match=reasons):
        label(frames, "fails_on_some", workers=workers)
    assert len(list(Path("cache").glob("*/*/*.npz"))) == 5
    made = label(frames, "fails_on_some", workers=workers, leave_out_failed=True)
    assert [frame.info["trajectory"] for frame in made] == ["t0", "t2", "t4", "t6", "t8"]
    expected = argon_labels(frames[4])
    assert labels_of(made[2]).energy_eV == pytest.approx(expected.energy_eV, abs=1e-12)
    with pytest.raises(RunError, match="no frame could be labelled: frame 0"):
        label([frames[1], frames[3]], "fails_on_some", leave_out_failed=True)


def test_labels_that_are_no_numbers_are_not_kept(tmp_path: Path) -> None:
    """Neither written, nor believed where another version has written them."""
    store = LabelCache(tmp_path / "c", find_labeller("argon_calculators:good"))
    atoms, good = argon(), argon_labels(argon())
    bad = [
        Labels(float("nan"), good.forces_eV_per_A, None),
        Labels(good.energy_eV, good.forces_eV_per_A[:5], None),
        Labels(good.energy_eV, good.forces_eV_per_A, 0.01 * np.tri(3)),
    ]
    for labels, reason in zip(bad, ("not a number", "shape", "not symmetric"), strict=True):
        with pytest.raises(RunError, match=reason):
            store.put(atoms, labels)
    assert store.get(atoms) is None
    store.put(atoms, good)
    np.savez(store.path(atoms), energy=np.nan, forces=good.forces_eV_per_A)
    assert store.get(atoms) is None


@pytest.mark.parametrize("damage", ["cut", "no zip", "no energy", "words"])
def test_damaged_labels_are_made_again(damage: str) -> None:
    frames = [argon(seed) for seed in range(2)]
    expected = labels_of(label(frames, "good")[1])
    path = LabelCache(Path("cache"), find_labeller("argon_calculators:good")).path(frames[1])
    whole = path.read_bytes()
    if damage == "cut":
        path.write_bytes(whole[:-30])
    elif damage == "no zip":
        path.write_bytes(b"not an archive")
    elif damage == "no energy":
        np.savez(path, forces=expected.forces_eV_per_A)
    else:
        np.savez(path, energy=-1.0, forces=np.full((32, 3), "one"))
    with pytest.warns(InputWarning, match=rf"{path.name}: .*; labelling it again"):
        again = label(frames, "good")
    assert labels_of(again[1]).energy_eV == expected.energy_eV
    label(frames, "good")  # whole again: no warning


def test_a_damaged_record_of_a_check_is_made_again() -> None:
    label([argon(0)], "good")
    (record,) = Path("cache").glob("*/check.json")
    record.write_text('{"labeller": ')
    label([argon(1)], "good")
    assert json.loads(record.read_text())["force"] == pytest.approx(1.0, abs=0.02)


def test_a_labeller_that_only_fails_is_given_up() -> None:
    label([argon(99)], "fails_on_some")  # passes its check
    with pytest.raises(RunError, match=r"5 frames in a row could not be labelled, the last one is"):
        label([marked(seed, 1) for seed in range(20)], "fails_on_some", leave_out_failed=True)


def test_a_model_that_fails_on_a_frame_keeps_the_others(folder: Path) -> None:
    model = write_springs(folder / "springs.mofmd.pth", r_max=4.0, fault="nan")
    bonded = [
        Atoms("CN", positions=[[0, 0, 0], [x, 1, 1]], cell=[20, 20, 20], pbc=True) for x in (2, 3)
    ]
    lone = Atoms("Zn", cell=[20, 20, 20], pbc=True)
    told: list[str] = []
    options = LabelOptions(leave_out_failed=True)
    frames = [bonded[0], lone, bonded[1]]
    made = label_frames(frames, find_labeller(str(model)), folder / "cache", options, told.append)
    assert len(made) == 2
    assert any("left out, frame 1" in line and "not a number" in line for line in told)


def test_a_calculator_that_fails_is_quoted() -> None:
    with pytest.raises(RunError, match="the self-consistent field did not converge"):
        label([argon()], "fails")
    bad = argon(5)
    bad.positions[0] = bad.positions[1] + [0.1, 0.0, 0.0]
    with pytest.raises(InputError, match=r"frame 1: atoms 0 \(Ar\) and 1 \(Ar\) are 0\.10 Å apart"):
        label([argon(1), bad], "good")


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("argon_calculators:absent", "has no function 'absent'"),
        ("argon_calculators:not_a_function", "has no function"),
        ("no_such_package.calculators:make", "cannot import no_such_package"),
    ],
)
def test_factories_that_are_not_there(word: str, message: str) -> None:
    with pytest.raises(InputError, match=message), find_labeller(word).session():
        pass


def test_words_that_name_nothing() -> None:
    with pytest.raises(MissingFileError, match="no such model file; there are uio66-mace-m"):
        find_labeller("teacher.pth")
    with pytest.raises(InputError, match="workers: 0"):
        LabelOptions(workers=0)


def test_gfn1_xtb() -> None:
    """Energy, forces and stress of GFN1-xTB belong together; needs tblite."""
    pytest.importorskip("tblite.ase")
    water = Atoms(
        "OH2", positions=[[2, 2, 2], [2.9, 2.1, 2.1], [1.8, 2.9, 2.0]], cell=[5, 5.2, 5.4], pbc=True
    )
    (made,) = label_frames([water], find_labeller("gfn1-xtb"), Path("cache"), None, quiet)
    assert labels_of(made).energy_eV == pytest.approx(-157.0, abs=5.0)  # −5.77 Hartree


def test_labels_of_a_model_are_those_of_lammps(folder: Path) -> None:
    atoms = zif4()
    atoms.rattle(0.03, seed=1)
    labeller = find_labeller(str(embedded_model("zif4-nequip-s")))
    (made,) = label_frames([atoms], labeller, folder / "cache", None, quiet)
    model = read_deployed(embedded_model("zif4-nequip-s"))
    (expected,) = evaluate([atoms], model.pair_commands(), model.type_names)
    assert labels_of(made).energy_eV == pytest.approx(expected.energy_eV, abs=1e-4)
    np.testing.assert_allclose(
        labels_of(made).stress_eV_per_A3, expected.stress_eV_per_A3, atol=1e-8
    )
    copper = Atoms("Cu4", scaled_positions=np.eye(4)[:, :3] * 0.5, cell=[4, 4, 4], pbc=True)
    with pytest.raises(InputError, match="lacks Cu: it knows C, H, N, Zn"):
        label_frames([copper], labeller, folder / "cache", None, quiet)


def test_a_label_that_never_ends_and_one_that_is_killed() -> None:
    frames = [marked(seed, mark) for seed, mark in enumerate((0, 5, 6, 0))]
    began = time.monotonic()
    with pytest.raises(RunError) as caught:
        label(frames, "fails_on_some", time_limit_s=2.0)
    assert time.monotonic() - began < 60
    told = str(caught.value)
    assert "frame 1 (trajectory t1): labeller argon_calculators:fails_on_some: not done" in told
    assert "within the time limit of 2 s" in told
    assert "was killed by SIGKILL (out of memory?); its last words: step 17 of the self" in told
    assert len(list(Path("cache").glob("*/*/*.npz"))) == 2


def test_the_traceback_of_a_calculator_is_kept() -> None:
    with pytest.raises(RunError, match=r"RuntimeError: the self-.*said is in .*failures\.log"):
        label([argon(0), marked(1, 1)], "fails_on_some")
    (log,) = Path("cache").glob("*/failures.log")
    said = log.read_text()
    assert said.startswith("frame 1 (trajectory t1): labeller argon_calculators:fails_on_some")
    assert "Traceback (most recent call last)" in said
    assert 'raise RuntimeError("the self-consistent field did not converge")' in said


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_no_time_at_all(value: float) -> None:
    with pytest.raises(InputError, match=r"time_limit_s: .*, expected seconds above 0"):
        LabelOptions(time_limit_s=value)


def labelling(
    token: Token, frames: list[Atoms], labeller: str, workers: int = 2
) -> subprocess.Popen[bytes]:
    """Label with workers, in a process that carries a mark."""
    write_frames(Path("frames.extxyz"), frames)
    words = ["learn", "label", "frames.extxyz", "--labeller", labeller, "-o", "out.extxyz"]
    return subprocess.Popen(
        [sys.executable, "-m", "mofmd", *words, "--workers", str(workers)],
        env=token.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_of_a_labelling_that_ends(number: signal.Signals) -> None:
    """While one worker of two hangs in a label: no process, no part of a file; the rest counts."""
    token = Token()
    frames = [marked(0, 0), marked(1, 5), *(marked(seed, 0) for seed in range(2, 200))]
    process = labelling(token, frames, "argon_calculators:fails_on_some")
    token.wait_for("calculator.worker", count=2)
    end = time.monotonic() + 60
    while len(list(Path("labels").glob("*/*/*.npz"))) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(number)
    if number == signal.SIGINT:  # the first one has what is being labelled finished
        time.sleep(1.0)
        assert process.poll() is None
        process.send_signal(number)
    assert process.wait(timeout=30) != 0
    assert process.stderr is not None
    process.stderr.close()
    token.wait_until_gone()
    assert not Path("out.extxyz").exists()
    assert not [path for path in Path("labels").rglob("*") if path.name.startswith(".")]
    done = len(list(Path("labels").glob("*/*/*.npz")))
    assert 3 <= done < 199
    told: list[str] = []
    labeller = find_labeller("argon_calculators:fails_on_some")
    few = read_frames(Path("frames.extxyz"))[2:5]
    label_frames(few, labeller, Path("labels"), None, told.append)
    assert not told[0].endswith(" 0 labelled already")


def test_ctrl_c_has_every_worker_finish() -> None:
    """The one that is waited for first, too: an interrupted join would take it for ended."""
    token = Token()
    frames = [*(marked(seed, 0) for seed in range(3)), marked(3, 5)]
    process = labelling(token, frames, "argon_calculators:fails_on_some", workers=1)
    end = time.monotonic() + 60
    while len(list(Path("labels").glob("*/*/*.npz"))) < 3 and time.monotonic() < end:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    time.sleep(1.0)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGINT
    token.wait_until_gone()


def test_a_worker_killed_from_outside_costs_one_frame() -> None:
    token = Token()
    frames = [marked(0, 0), marked(1, 5), *(marked(seed, 0) for seed in range(2, 6))]
    process = labelling(token, frames, "argon_calculators:fails_on_some")
    token.wait_for("calculator.worker", count=2)
    end = time.monotonic() + 60
    while len(list(Path("labels").glob("*/*/*.npz"))) < 5 and time.monotonic() < end:
        time.sleep(0.1)
    (hanging,) = token.holders("calculator.worker")
    os.kill(hanging, signal.SIGKILL)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 1
    assert b"1 of 6 frames could not be labelled" in told
    assert b"frame 1 (trajectory t1)" in told
    assert b"was killed by SIGKILL" in told
    token.wait_until_gone()
