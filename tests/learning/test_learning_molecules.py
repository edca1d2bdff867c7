"""Molecules among frames: kept with what is known of them, checked, evaluated and labelled."""

import sys
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from mofmd.builders.blocks.blocks import find_blocks
from mofmd.errors import InputError
from mofmd.learning.clusters.clusters import ClusterCutter, write_clusters
from mofmd.learning.data.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.data.validation import Expectation, check_frames, check_structure_of_frame
from mofmd.learning.evaluate.prediction import predict
from mofmd.learning.label.labellers import find_labeller
from mofmd.learning.label.labelling import LabelOptions, label_frames
from mofmd.learning.select.features import ModelFeatures, descriptor_features
from mofmd.models.dispersion.dispersion import parse_d3
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.frame import Frame
from tests.learning_sets import argon, write_calculators

BOHR, HARTREE = 0.529177210903, 27.211386245988  # Å and eV, CODATA 2018


def imidazole() -> Atoms:
    """A molecule near its shape, away from the origin, in no plane of the axes."""
    plane = [
        *([0, 0], [1.36, 0], [0.68, 2.1], [-0.7, -0.8], [2.06, -0.8]),
        *([0.68, 3.2], [-1.2, 1.8], [-0.42, 1.3], [1.78, 1.3]),
    ]
    atoms = Atoms("C3H4N2", positions=np.pad(plane, ((0, 0), (0, 1))))
    atoms.rattle(0.05, seed=1)
    atoms.rotate(30, (1, 2, 3))
    atoms.positions += [-40.0, 7.0, 3.0]
    return atoms


def in_vacuum(atoms: Atoms, length_A: float = 40.0) -> Atoms:
    """The same molecule in a cell so wide that its images do not matter, across its faces."""
    boxed = atoms.copy()
    boxed.set_cell([length_A, length_A + 1, length_A + 2])
    boxed.pbc = True
    return boxed


def argon_cluster(seed: int = 0) -> Atoms:
    atoms = argon(seed)
    atoms.pbc = False
    atoms.set_cell(None)
    return atoms


def test_clusters_keep_what_is_known_of_them(tmp_path: Path) -> None:
    """From the cut over files and labels: roles, origins, images, flags, charge."""
    crystal = uio66()
    frame = Frame.from_ase(crystal)
    zirconium = np.flatnonzero(crystal.numbers == 40)[:1]
    (cluster,), _ = ClusterCutter(find_blocks(frame)).cut(frame, zirconium)
    write_clusters(tmp_path / "cut.extxyz", [cluster.to_ase()])
    (read,) = read_frames(tmp_path / "cut.extxyz")
    check_structure_of_frame(read, ("C", "H", "O", "Zr"))
    write_frames(tmp_path / "again.extxyz", [read])
    made = labelled(read, Labels(-1.0, np.ones((len(read), 3)), None))
    write_frames(tmp_path / "labelled.extxyz", [made])
    for name in ("again", "labelled"):
        (again,) = read_frames(tmp_path / f"{name}.extxyz")
        assert not again.pbc.any()
        assert again.arrays["role"].tolist() == cluster.roles.tolist()
        for column, expected in (
            ("frame_atom", cluster.origins),
            ("image", cluster.images),
            ("flagged", cluster.flagged),
        ):
            np.testing.assert_array_equal(again.arrays[column], expected)
        assert again.info["cluster"] == "C12H4O32Zr6 + 12 C6H4"
        assert (again.info["charge"], again.info["multiplicity"]) == (0, 1)
    assert labels_of(again).forces_eV_per_A.tolist() == np.ones((186, 3)).tolist()


def test_a_model_in_lammps_sees_no_images() -> None:
    """Between periodic structures in one LAMMPS: the same numbers as in a wide cell."""
    crystal, molecule = zif4(), imidazole()
    first, found, last = predict(embedded_model("zif4-nequip-s"), [crystal, molecule, crystal])
    (wide,) = predict(embedded_model("zif4-nequip-s"), [in_vacuum(molecule)])
    assert found.stress_eV_per_A3 is None
    assert wide.stress_eV_per_A3 is not None
    assert found.energy_eV == pytest.approx(wide.energy_eV, abs=1e-5)
    np.testing.assert_allclose(found.forces_eV_per_A, wide.forces_eV_per_A, atol=1e-5)
    assert first.energy_eV == last.energy_eV
    np.testing.assert_array_equal(first.stress_eV_per_A3, last.stress_eV_per_A3)
    (narrow,) = predict(
        embedded_model("zif4-nequip-s"), [in_vacuum(molecule, 6.0)]
    )  # images would be seen
    assert abs(narrow.energy_eV - found.energy_eV) > 1e-3


def test_dispersion_of_a_molecule() -> None:
    """D3 reaches far: what it adds is that of dftd3 for a molecule."""
    interface = pytest.importorskip("dftd3.interface")
    molecule = imidazole()
    (plain,) = predict(embedded_model("zif4-nequip-s"), [molecule])
    (both,) = predict(embedded_model("zif4-nequip-s"), [molecule], dispersion=parse_d3("d3bj:pbe"))
    model = interface.DispersionModel(molecule.numbers, molecule.positions / BOHR)
    expected = model.get_dispersion(
        interface.RationalDampingParam(method="pbe", atm=False), grad=True
    )
    assert both.energy_eV - plain.energy_eV == pytest.approx(expected["energy"] * HARTREE, abs=1e-6)
    np.testing.assert_allclose(
        both.forces_eV_per_A - plain.forces_eV_per_A,
        -expected["gradient"] * HARTREE / BOHR,
        atol=1e-6,
    )


def test_features_of_molecules() -> None:
    molecule = imidazole()
    features = ModelFeatures(embedded_model("zif4-nequip-s"))
    for one, wide in (
        features.of_frames([molecule, in_vacuum(molecule)]),
        descriptor_features([molecule, in_vacuum(molecule)]),
    ):
        assert {element: len(table) for element, table in one.items()} == {"C": 3, "H": 4, "N": 2}
        for element, table in one.items():
            np.testing.assert_allclose(table, wide[element], atol=1e-5)


@pytest.fixture
def calculators(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    monkeypatch.syspath_prepend(str(tmp_path))
    write_calculators(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("calculators")
def test_molecules_are_labelled_without_stress() -> None:
    frames = [argon_cluster(0), argon(1), argon_cluster(2)]
    labeller = find_labeller("argon_calculators:good")
    told: list[str] = []
    made = label_frames(frames, labeller, Path("cache"), LabelOptions(), told.append)
    assert any("checking" in line and "forces and stress" in line for line in told)
    for frame, label in zip(frames, map(labels_of, made), strict=True):
        alone = frame.copy()
        alone.calc = LennardJones(sigma=3.4, epsilon=0.0104, rc=8.0, smooth=True)
        assert label.energy_eV == pytest.approx(alone.get_potential_energy(), abs=1e-12)
        np.testing.assert_allclose(label.forces_eV_per_A, alone.get_forces(), atol=1e-12)
        assert (label.stress_eV_per_A3 is None) == (not frame.pbc.any())
    assert not made[2].pbc.any()


@pytest.mark.usefixtures("calculators")
def test_a_labeller_that_was_checked_on_molecules_is_checked_again_for_its_stress() -> None:
    def label(frames: list[Atoms], factory: str, told: list[str]) -> None:
        labeller = find_labeller(f"argon_calculators:{factory}")
        label_frames(frames, labeller, Path("cache"), None, told.append)

    told: list[str] = []
    label([argon_cluster(0)], "wrong_sign", told)  # forces are right, and there is no stress
    with pytest.raises(InputError, match=r"normal stress: .* its sign is wrong"):
        label([argon_cluster(0), argon(1)], "wrong_sign", told)
    with pytest.raises(InputError, match=r"forces: .* -1 times the label; its sign is wrong"):
        label([argon_cluster(0)], "gradients", told)
    told.clear()
    label([argon_cluster(3)], "good", told)
    label([argon_cluster(4)], "good", told)
    label([argon(4)], "good", told)
    label([argon_cluster(5), argon(5)], "good", told)
    assert [line.partition(":")[2] for line in told if "checking" in line] == [
        "good: forces against its energy, on differences",
        "good: forces and stress against its energy, on differences",
    ]


def test_what_is_neither_a_crystal_nor_a_molecule_is_refused() -> None:
    check_structure_of_frame(imidazole())
    slab = argon()
    slab.pbc = [True, True, False]
    with pytest.raises(InputError, match="and is no molecule, which is periodic in none"):
        check_structure_of_frame(slab)
    close = imidazole()
    close.positions[8] = close.positions[0] + [0.0, 0.1, 0.0]
    with pytest.raises(InputError, match=r"atoms 0 \(C\) and 8 \(N\) are 0\.10 Å apart"):
        check_structure_of_frame(close)
    forces = np.random.default_rng(0).normal(size=(9, 3))
    frame = labelled(imidazole(), Labels(-10.0, forces, None))
    with pytest.raises(InputError, match=r"is a molecule, which has no stress.*--no-stress"):
        check_frames([frame])
    check_frames([frame], Expectation(needs_stress=False))


def test_energies_of_molecules_against_the_work_of_their_forces() -> None:
    """Springs to the places where the atoms are at rest, with forces of either sign."""
    rest = imidazole()

    def frames(sign: float) -> list[Atoms]:
        random = np.random.default_rng(1)
        made = []
        for _ in range(12):
            atoms = rest.copy()
            away = 0.03 * random.normal(size=(9, 3))
            atoms.positions += away
            atoms.info["trajectory"] = "one"
            energy = 0.5 * 30.0 * float(np.square(away).sum())
            made.append(labelled(atoms, Labels(energy, -sign * 30.0 * away, None)))
        return made

    check_frames(frames(1.0), Expectation(needs_stress=False))
    with pytest.raises(InputError, match="the forces have the wrong sign"):
        check_frames(frames(-1.0), Expectation(needs_stress=False))
