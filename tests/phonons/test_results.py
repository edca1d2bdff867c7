"""What phonon calculations leave: tables, pages, comparisons."""

import csv
import json
from itertools import pairwise
from pathlib import Path

import ase.io
import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError
from mofmd.phonons.beside.frequencies import Comparison, compare, dos_distance, read_other
from mofmd.phonons.beside.settings import settings_convergence
from mofmd.phonons.beside.structures import compare_structures, fractional_rmsd
from mofmd.phonons.calculation.displacements import DisplacementOptions
from mofmd.phonons.cells import to_atoms
from mofmd.phonons.ladder import symmetry_ladder
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.page.figures import band_figure, dos_figure, smooth
from mofmd.phonons.spectrum.groups import Groups, find_groups, participation_ratio
from mofmd.phonons.spectrum.mesh import make_dos, make_mesh
from mofmd.phonons.spectrum.spectrum import SpectrumOptions, make_spectrum
from mofmd.structures.read import read_structure
from tests.phonons.crystals import EPSILON_EV, argon, fcc, phonons


@pytest.fixture(scope="module")
def calculation(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("argon")
    phonons(fcc(), argon(), folder, (3, 3, 3))
    return folder


def test_bands_command(calculation: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    line = ["phonons", "bands", str(calculation), "-o", str(out), "--mesh", "4x4x4"]
    done = CliRunner().invoke(app, [*line, "--velocities", "--temperatures", "0:300:100"])
    assert done.exit_code == 0, done.output
    record = json.loads((out / "phonons.json").read_text())
    assert record["states"] == pytest.approx(3.0, abs=1e-9)
    assert record["imaginary"]["share_of_modes"] == 0.0
    meshes = record["mesh_convergence_at_300_K"]
    assert [each["mesh"] for each in meshes] == ["2x2x2", "4x4x4"]  # at Γ: no mode
    thermal = np.genfromtxt(out / "thermal.csv", delimiter=",", names=True)
    assert meshes[-1]["free_energy_kJ_per_mol"] == thermal["free_energy_kJ_per_mol"][-1]
    assert meshes[0]["free_energy_kJ_per_mol"] != meshes[1]["free_energy_kJ_per_mol"]
    assert record["symmetry_ladder"][0]["space_group"] == "Fm-3m (225)"
    for name in ("bands", "dos", "thermal", "gamma", "sound", "symmetry", "velocities"):
        assert (out / f"{name}.csv").read_text().count("\n") > 1, name
    # one element, and all of it below 6 THz: parts and a closer look would show the same again
    names = ("bands", "dos", "thermal")
    figures = {f"{name}.{kind}" for name in names for kind in ("png", "svg")}
    assert {file.name for file in (out / "figures").iterdir()} == figures
    page = (out / "report.html").read_text()
    assert "startModes" in page
    assert "Stable: yes" in page
    assert "Convergence with the mesh" in page
    bands = np.genfromtxt(out / "bands.csv", delimiter=",", names=True)
    with np.load(out / "phonons.npz") as arrays:
        np.testing.assert_allclose(bands["mode_3_THz"], arrays["bands_frequencies_THz"][:, 2])
    cell = np.array(record["cell_A"])
    for name in ("bands", "velocities"):
        with (out / f"{name}.csv").open(encoding="utf-8") as file:
            check_path(list(csv.DictReader(file)), cell)


def check_path(rows: list[dict[str, str]], cell: np.ndarray) -> None:
    """Each row says where it is: segment, name where it has one, wave vector, length so far."""
    known = {"Γ": [0, 0, 0], "X": [0.5, 0, 0.5], "L": [0.5, 0.5, 0.5]}
    q = np.array([[float(row[f"q_{axis}_fractional"]) for axis in "abc"] for row in rows])
    for k, row in enumerate(rows):
        if row["label"] in known:
            # of the same star, whichever axes the cell has
            expected = sorted(np.abs(known[row["label"]]))
            np.testing.assert_allclose(sorted(np.abs(q[k])), expected, atol=1e-9)
        assert row["label"] in {"", *row["segment"].split("-")}
    assert rows[0]["segment"] == "Γ-X"
    labels = [row["label"] for row in rows if row["label"]]
    ends = [end for row in dict.fromkeys(r["segment"] for r in rows) for end in row.split("-")]
    assert labels == ends
    distances = np.array([float(row["distance_per_A"]) for row in rows])
    steps = np.linalg.norm(np.diff(q, axis=0) @ np.linalg.inv(cell).T, axis=1)
    same = np.array([a["segment"] == b["segment"] for a, b in pairwise(rows)])
    np.testing.assert_allclose(np.diff(distances)[same], steps[same], atol=1e-9)
    np.testing.assert_allclose(np.diff(distances)[~same], 0.0, atol=1e-9)


def test_comparison_of_two_stiffnesses(calculation: Path, tmp_path: Path) -> None:
    """A potential 1.21 times as deep: frequencies 1.1 times as high."""
    phonons(fcc(), argon(1.21 * EPSILON_EV), tmp_path / "deep", (3, 3, 3))
    own, _ = load_phonopy(calculation)
    found = compare(own, read_other(tmp_path / "deep"), (4, 4, 4))
    assert found.softness["all"] == pytest.approx(1 / 1.1, rel=1e-6)
    whole = own.run_mesh((4, 4, 4), is_gamma_center=True, is_mesh_symmetry=False)
    expected = 0.1 * np.sqrt(np.mean(whole.frequencies**2))
    assert found.rmsd_mesh_THz == pytest.approx(expected, rel=1e-3)
    assert found.rmsd_gamma_THz == pytest.approx(0.0, abs=1e-4)
    # states of the one are those of the other, 1.1 times as high
    mean = np.average(whole.frequencies)
    assert found.wasserstein_THz == pytest.approx(0.1 * mean, rel=0.02)


def test_comparison_with_files(calculation: Path, tmp_path: Path) -> None:
    own, _ = load_phonopy(calculation)
    dos = make_dos(make_mesh(own, (4, 4, 4)), width_THz=0.01)
    np.savez(tmp_path / "dos.npz", freq_THz=dos.centres_THz + 0.05, dos=dos.total_per_THz)
    found = compare(own, read_other(tmp_path / "dos.npz"), (4, 4, 4))
    assert found.wasserstein_THz == pytest.approx(0.05, abs=1e-6)
    assert found.rmsd_mesh_THz is None
    assert dos_distance(dos, np.stack([dos.centres_THz, dos.total_per_THz])) == 0.0
    np.savez(tmp_path / "nothing.npz", x=np.zeros(3))
    with pytest.raises(MissingFileError, match="no such file"):
        read_other(tmp_path / "lacks.npz")
    own_cell = to_atoms(own.unitcell)
    own_cell.set_cell(1.01 * own_cell.cell.array, scale_atoms=True)
    ase.io.write(tmp_path / "larger.extxyz", own_cell)
    alone = read_other(tmp_path / "larger.extxyz")
    assert compare(own, alone) == Comparison()
    assert alone.structure is not None
    beside = compare_structures(to_atoms(own.unitcell), alone.structure)
    assert beside.length_deviations_percent == pytest.approx([100 / 1.01 - 100] * 3)
    with pytest.raises(InputError, match="neither qpoints"):
        read_other(tmp_path / "nothing.npz")
    out = tmp_path / "beside"
    line = ["phonons", "compare", str(calculation), str(calculation), "--mesh", "2x2x2"]
    done = CliRunner().invoke(app, [*line, "-o", str(out)])
    assert done.exit_code == 0, done.output
    record = json.loads((out / "compare.json").read_text())
    assert (out / "bands.svg").exists()
    assert record["rmsd_mesh_THz"] == 0.0
    assert record["structures"]["fractional_rmsd"] == {"Ar": 0.0}


def test_convergence_with_settings(calculation: Path, tmp_path: Path) -> None:
    """Nearest neighbours alone: larger supercells change nothing; larger displacements do."""
    far = DisplacementOptions(distances_A=(0.05,))
    phonons(fcc(), argon(), tmp_path / "far", (3, 3, 3), far)
    phonons(fcc(), argon(), tmp_path / "large", (4, 4, 4))
    line = ["phonons", "converge", str(tmp_path / "far"), str(calculation), str(tmp_path / "large")]
    done = CliRunner().invoke(app, [*line, "--mesh", "4x4x4", "-o", str(tmp_path / "out")])
    assert done.exit_code == 0, done.output
    with (tmp_path / "out/converge.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["supercell"] for row in rows] == ["3x3x3", "3x3x3", "4x4x4"]
    assert [row["displacements_A"] for row in rows] == ["0.05", "0.002, 0.004", "0.002, 0.004"]
    apart = [float(row["rmsd_mesh_THz"]) for row in rows]
    assert apart[0] > 1e-3
    assert apart[1] < 1e-5
    assert apart[2] == 0.0
    with pytest.raises(InputError, match="two folders"):
        settings_convergence([calculation])


def test_force_constants_of_each_distance(tmp_path: Path) -> None:
    """Cubic terms grow with the square of the distance."""
    both = DisplacementOptions(distances_A=(0.01, 0.02))
    _, constants = phonons(fcc(), argon(), tmp_path, (2, 2, 2), both)
    first, second = constants.differences_eV_per_A2
    assert first > 1e-6
    assert second / first == pytest.approx(4.0, rel=1e-4)


def test_structures_beside_each_other() -> None:
    zif = read_structure("zif-4")
    moved = zif[np.random.default_rng(0).permutation(len(zif))]
    moved.positions += [1.0, -2.0, 0.5]
    zinc = np.array(moved.symbols) == "Zn"
    assert fractional_rmsd(zif, moved)["Zn"] == pytest.approx(0.0, abs=1e-6)
    moved.positions[zinc] += 0.01 * np.random.default_rng(1).normal(size=(16, 3))
    found = compare_structures(zif, moved)
    assert 2e-4 < found.fractional_rmsd["Zn"] < 4e-3
    assert found.volume_deviation_percent == pytest.approx(0.0)


def test_the_highest_peak_is_drawn_whole(calculation: Path) -> None:
    """Curves go on beyond the last bin until the peak there has ended, and count 3N states."""
    phonopy, constants = load_phonopy(calculation)
    found = make_spectrum(phonopy, constants, SpectrumOptions(mesh=(4, 4, 4), width_THz=0.002))
    dos = found.dos
    assert dos.total_per_THz @ np.diff(dos.edges_THz) == pytest.approx(3.0, abs=1e-9)
    for width in (0.0005, 0.01, 0.2):
        x, y = smooth(dos, dos.total_per_THz, width)
        np.testing.assert_allclose(np.diff(x), dos.edges_THz[1] - dos.edges_THz[0], rtol=1e-6)
        assert y.sum() * (x[1] - x[0]) == pytest.approx(3.0, abs=1e-9)
        # widened alike to both sides: the mean stays
        mean = np.average(dos.centres_THz, weights=dos.total_per_THz)
        assert np.average(x, weights=y) == pytest.approx(mean, abs=1e-9)
    (axes,) = dos_figure(found, units=False).axes
    x, y = axes.lines[0].get_data()
    drawn = (x > axes.get_xlim()[0]) & (x < axes.get_xlim()[1])
    assert y[drawn].sum() * (x[1] - x[0]) == pytest.approx(3.0, abs=1e-3)
    assert y[drawn][-1] < 1e-3 * y.max()
    coarse = make_spectrum(phonopy, constants, SpectrumOptions(mesh=(4, 4, 4), width_THz=0.1))
    beside = band_figure(coarse).axes[1]
    y, x = beside.lines[0].get_data()
    assert y[x < beside.get_ylim()[1]][-1] < 1e-3 * y.max()


def test_groups_of_a_framework() -> None:
    zif = read_structure("zif-4")
    groups = find_groups(zif)
    assert groups.units == ("node Zn", "linker C3H3N2")
    np.testing.assert_array_equal(groups.members[:4].sum(axis=0), 1)
    np.testing.assert_array_equal(groups.members[4:].sum(axis=0), 1)
    assert groups.dividing(units=False) == (0, 1, 2, 3)
    assert groups.dividing(units=True) == (4, 5)
    argon_alone = find_groups(fcc())
    assert argon_alone.dividing(units=False) == argon_alone.dividing(units=True) == ()
    # units that are the elements again
    alike = Groups(("C", "Zn", "node Zn", "linker C"), np.eye(2, dtype=bool)[[0, 1, 1, 0]], 2)
    assert alike.dividing(units=False) == (0, 1)
    assert alike.dividing(units=True) == ()
    vectors = np.linalg.qr(np.random.default_rng(0).normal(size=(816, 5)))[0]
    np.testing.assert_allclose(groups.shares(vectors)[:, :4].sum(axis=1), 1.0)
    assert ((participation_ratio(vectors) > 0.2) & (participation_ratio(vectors) <= 1.0)).all()


def test_ladder_of_tolerances() -> None:
    atoms = fcc().repeat((1, 1, 2))
    atoms.positions[1] += [0.0, 0.0, 3e-3]
    rungs = symmetry_ladder(atoms, (1e-5, 1e-1))
    assert rungs[1].space_group == "Fm-3m (225)"
    assert rungs[0].space_group != rungs[1].space_group
    assert rungs[0].displacements > rungs[1].displacements


def test_files_that_are_none_of_phonopys(tmp_path: Path) -> None:
    (tmp_path / "phonopy.yaml").write_text("a: 1\n")
    with pytest.raises(InputError):
        load_phonopy(tmp_path)
    line = ["phonons", "bands", str(tmp_path / "lacks"), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, line)
    assert done.exit_code != 0
    assert not (tmp_path / "out").exists()
