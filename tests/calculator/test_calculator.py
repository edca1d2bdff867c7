"""Deployed models in this process: LAMMPS's numbers, derivatives, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.optimize import FIRE

from mofmd.calculator import DeployedModel
from mofmd.calculator.images import find_images
from mofmd.engine.evaluate import Evaluation, evaluate
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.models.dispersion.dispersion import Dispersion, parse_d3
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model
from tests.engine.systems import SYSTEMS, ZIF4_MODELS
from tests.engine.toy_models import write_springs

PERIODIC = ("crystal", "tilted", "very_tilted", "thin", "one_atom", "far_apart")


def in_lammps(
    structures: list[Atoms], name: str, folder: Path, dispersion: Dispersion | None = None
) -> list[Evaluation]:
    model = read_deployed(embedded_model(name))
    style, coeff = model.pair_commands()
    commands: tuple[str, ...] = (f"{style} dtype float64", coeff)
    if dispersion is not None:
        file = folder / "c.d3"
        file.write_text(dispersion.coefficients(model.type_names))
        commands = dispersion.pair_commands(file, model.type_names, commands)
    return evaluate(structures, commands, model.type_names)


def assert_same(atoms: Atoms, expected: Evaluation) -> None:
    # rounding in float64 is 1e-11 of an energy of 6e4 eV
    assert atoms.get_potential_energy() == pytest.approx(expected.energy_eV, abs=2e-10)
    found, wanted = atoms.get_potential_energies(), expected.atomic_energies_eV
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-10)
    np.testing.assert_allclose(atoms.get_forces(), expected.forces_eV_per_A, rtol=0, atol=1e-10)
    stress = atoms.get_stress(voigt=False)
    np.testing.assert_allclose(stress, expected.stress_eV_per_A3, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "name",
    [*ZIF4_MODELS[:2], *(pytest.param(name, marks=pytest.mark.long) for name in ZIF4_MODELS[2:])],
)
def test_numbers_of_lammps(name: str, tmp_path: Path) -> None:
    """Crystal, tilted cells, cells thinner than the cutoff, one atom: to 1e-10 in float64."""
    structures = [SYSTEMS[system]() for system in PERIODIC]
    calculator = DeployedModel(name, dtype="float64")
    for atoms, expected in zip(structures, in_lammps(structures, name, tmp_path), strict=True):
        atoms.calc = calculator
        assert_same(atoms, expected)


@pytest.mark.parametrize("word", ["d3bj:pbe", "d3zero:pbe"])
def test_dispersion_of_lammps(word: str, tmp_path: Path) -> None:
    structures = [SYSTEMS[system]() for system in ("crystal", "tilted", "thin")]
    name = "zif4-allegro-s"
    found = in_lammps(structures, name, tmp_path, parse_d3(word))
    calculator = DeployedModel(name, dtype="float64", dispersion=word)
    plain = DeployedModel(name, dtype="float64")
    for atoms, expected in zip(structures, found, strict=True):
        atoms.calc = calculator
        assert_same(atoms, expected)
        without = plain.get_potential_energy(atoms)
        assert expected.energy_eV < without - 0.01 * len(atoms)


def test_moving_atoms_and_cell_reuse_neighbours(tmp_path: Path) -> None:
    """Within the skin and beyond, atoms that leave the cell, a cell that changes."""
    atoms = SYSTEMS["tilted"]()
    calculator = DeployedModel("zif4-allegro-s", dtype="float64", skin_A=0.5)
    moved = []
    generator = np.random.default_rng(0)
    for step in (0.02, 0.02, 0.05, 0.3, 0.02):
        atoms.positions += step * generator.normal(size=atoms.positions.shape)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + 0.02 * step), scale_atoms=True)
        moved.append(atoms.copy())
    moved[-1].positions[3] += 2 * moved[-1].cell[0] - moved[-1].cell[2]
    for frame, expected in zip(moved, in_lammps(moved, "zif4-allegro-s", tmp_path), strict=True):
        frame.calc = calculator
        assert_same(frame, expected)


def test_without_a_skin_nothing_is_remembered(tmp_path: Path) -> None:
    """Small displacements share their neighbours, others do not: the same to the last bit."""
    atoms = SYSTEMS["tilted"]()
    generator = np.random.default_rng(1)
    row = [atoms.copy() for _ in range(6)]
    for k, frame in enumerate(row[:4]):
        frame.positions[3 * k] += 0.01 * generator.normal(size=3)
    row[4].positions += 0.2 * generator.normal(size=atoms.positions.shape)
    row[5].set_cell(atoms.cell.array @ np.diag([1.01, 1.0, 0.99]), scale_atoms=True)
    row[5].positions[7] += row[5].cell[1] - 3 * row[5].cell[0]
    settings = {"dtype": "float64", "skin_A": 0.0, "threads": 1, "dispersion": "d3bj:pbe"}
    name = "zif4-allegro-s"
    calculator = DeployedModel(name, **settings)
    for k in (0, 1, 2, 3, 4, 1, 5, 0, 4, 5):
        alone = DeployedModel(name, **settings).get_forces(row[k])
        np.testing.assert_array_equal(calculator.get_forces(row[k]), alone)
    dispersion = parse_d3("d3bj:pbe")
    for frame, expected in zip(row, in_lammps(row, name, tmp_path, dispersion), strict=True):
        frame.calc = calculator
        assert_same(frame, expected)


@pytest.mark.parametrize("skin", [0.0, 0.5])
def test_left_handed_cell(skin: float) -> None:
    atoms = SYSTEMS["tilted"]()
    calculator = DeployedModel("zif4-allegro-s", dtype="float64", skin_A=skin)
    expected = calculator.get_potential_energy(atoms)
    mirrored = atoms.copy()
    mirrored.set_cell(atoms.cell.array[[1, 0, 2]])
    assert calculator.get_potential_energy(mirrored) == pytest.approx(expected, abs=1e-9)


def test_images_of_open_boundaries() -> None:
    """A slab and a molecule have no images along what is open, whatever the cell says there."""
    slab, molecule = SYSTEMS["slab"](), SYSTEMS["cluster"]()
    calculator = DeployedModel("zif4-allegro-s", dtype="float64")
    energy = calculator.get_potential_energy(slab)
    wider = slab.copy()
    wider.cell[2] = [0.4, 0.2, 90.0]
    assert calculator.get_potential_energy(wider) == pytest.approx(energy, abs=1e-9)
    with pytest.raises(PropertyNotImplementedError):
        calculator.get_stress(slab)
    free = molecule.copy()
    free.set_cell(np.zeros((3, 3)))
    boxed = molecule.copy()
    boxed.set_cell(40.0 * np.eye(3))
    boxed.pbc = True
    assert calculator.get_potential_energy(free) == pytest.approx(
        calculator.get_potential_energy(boxed), abs=1e-9
    )


def test_images_against_all_of_many_cells() -> None:
    atoms = SYSTEMS["very_tilted"]()
    reach = 5.0
    found = find_images(atoms.positions, atoms.cell.array, np.array(atoms.pbc), reach)
    points = found.points(atoms.positions, atoms.cell.array)
    n = len(atoms)
    near = {(i, j) for i in range(n) for j in range(n)}
    seen: dict[tuple[int, int], int] = dict.fromkeys(near, 0)
    for k, owner in enumerate(found.owners):
        for i in range(n):
            seen[i, owner] += bool(0 < np.linalg.norm(points[k] - points[i]) < reach)
    steps = np.array(np.meshgrid(*[np.arange(-6, 7)] * 3)).reshape(3, -1).T @ atoms.cell.array
    for i, j in near:
        distance = np.linalg.norm(atoms.positions[j] + steps - atoms.positions[i], axis=1)
        assert seen[i, j] == int(((distance > 1e-9) & (distance < reach)).sum())


@pytest.mark.parametrize("name", ["zif4-allegro-s", "zif4-mace-s"])
def test_derivatives(name: str) -> None:
    """Forces are slopes of the energy, and the stress is that with respect to a strain."""
    atoms = SYSTEMS["tilted"]()
    atoms.calc = DeployedModel(name, dtype="float64", dispersion="d3bj:pbe")
    forces, stress = atoms.get_forces(), atoms.get_stress(voigt=False)
    volume, h = atoms.get_volume(), 1e-4

    def energy(shift: np.ndarray, strain: np.ndarray) -> float:
        other = atoms.copy()
        other.positions += shift
        other.set_cell(other.cell.array @ (np.eye(3) + strain), scale_atoms=True)
        return float(atoms.calc.get_potential_energy(other))

    none = np.zeros((3, 3))
    direction = np.random.default_rng(1).normal(size=forces.shape)
    slope = (energy(h * direction, none) - energy(-h * direction, none)) / (2 * h)
    assert slope == pytest.approx(-(forces * direction).sum(), rel=1e-6, abs=1e-5)
    for a, b in ((0, 0), (1, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5 * h
        strain[b, a] += 0.5 * h
        still = np.zeros_like(forces)
        slope = (energy(still, strain) - energy(still, -strain)) / (2 * h)
        assert slope / volume == pytest.approx(stress[a, b], rel=1e-5, abs=1e-7)


def test_optimiser_of_ase() -> None:
    atoms = SYSTEMS["crystal"]()
    atoms.calc = DeployedModel("zif4-allegro-s")
    before = atoms.get_potential_energy()
    FIRE(atoms, logfile=None).run(fmax=0.01, steps=8)
    assert atoms.get_potential_energy() < before - 1.0


def test_springs_on_paper(tmp_path: Path) -> None:
    """A file of mofmd's form that is not embedded, chain of two atoms, by hand."""
    model = write_springs(tmp_path / "springs.mofmd.pth", r_max=4.5)
    atoms = Atoms("CN", positions=[[0, 0, 0], [3, 0, 0]], cell=[4.0, 30, 30], pbc=True)
    atoms.calc = DeployedModel(model)
    undirected = [(3.0, 1), (1.0, 1), (4.0, 2)]
    expected = sum(n * 0.5 * (r - 4.5) ** 2 for r, n in undirected)
    assert atoms.get_potential_energy() == pytest.approx(expected, abs=1e-12)


def test_features_are_invariant() -> None:
    atoms = SYSTEMS["tilted"]()
    calculator = DeployedModel("zif4-mace-s")
    table = calculator.features(atoms)
    assert table.shape[0] == len(atoms)
    turned = atoms.copy()
    turned.rotate(37.0, (1, 2, 3), rotate_cell=True)
    np.testing.assert_allclose(calculator.features(turned), table, atol=2e-3)
    assert np.ptp(table, axis=0).max() > 0.01


def test_auto_dispersion_is_what_the_file_says() -> None:
    calculator = DeployedModel("zif4-allegro-s", dispersion="auto")
    theory = read_deployed(calculator.path).manifest.get("level_of_theory", {})
    assert (calculator.dispersion is not None) == (theory.get("dispersion") == "none")


def test_no_atoms() -> None:
    calculator = DeployedModel("zif4-allegro-s")
    assert calculator.get_potential_energy(Atoms(cell=[9, 9, 9], pbc=True)) == 0.0
    with_d3 = DeployedModel("zif4-allegro-s", dispersion="d3bj:pbe")
    assert with_d3.get_potential_energy(Atoms(cell=[9, 9, 9], pbc=True)) == 0.0


def test_options_are_not_changed_later() -> None:
    calculator = DeployedModel("zif4-allegro-s")
    with pytest.raises(InputError, match="dtype: chosen when the calculator is made"):
        calculator.set(dtype="float64")


def refused(change: str) -> Atoms:
    atoms = SYSTEMS["tilted"]()
    if change == "element":
        atoms.symbols[4] = "Cu"
    elif change == "position":
        atoms.positions[4, 1] = np.nan
    elif change == "flat":
        atoms.cell[2] = atoms.cell[0]
    elif change == "charge":
        atoms.set_initial_charges([1.0] + [0.0] * (len(atoms) - 1))
    return atoms


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("element", "lacks Cu: it knows C, H, N, Zn; take the universal model sevennet"),
        ("position", "that of atom 4, counted from zero, is not a number"),
        ("flat", "span no volume"),
        ("charge", r"a charge of \+1 e"),
    ],
)
def test_refused_atoms(change: str, message: str) -> None:
    calculator = DeployedModel("zif4-allegro-s")
    with pytest.raises(InputError, match=message):
        calculator.get_potential_energy(refused(change))


def test_atoms_at_one_place() -> None:
    atoms = SYSTEMS["tilted"]()
    atoms.positions[5] = atoms.positions[2]
    with pytest.raises((RunError, InputError), match="not a number"):
        DeployedModel("zif4-allegro-s").get_potential_energy(atoms)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype: 'float16'"),
        ({"threads": 0}, "threads: 0"),
        ({"dispersion_cutoff_A": -5.0}, "dispersion_cutoff_A: -5.0"),
        ({"dispersion_cutoff_A": np.nan}, "dispersion_cutoff_A: nan"),
        ({"skin_A": np.inf}, "skin_A: inf"),
        ({"dispersion": "d4:pbe"}, "dispersion: 'd4:pbe' is not known"),
        ({"device": "cuda:7"}, "a GPU is asked for|but torch sees"),
    ],
)
def test_refused_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DeployedModel("zif4-allegro-s", **options)  # type: ignore[arg-type]


def test_refused_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such model file, and no model of this name"):
        DeployedModel("zif-9000")
    (tmp_path / "text.pth").write_text("no model")
    with pytest.raises(InputError, match="not a model file"):
        DeployedModel(tmp_path / "text.pth")
    springs = write_springs(tmp_path / "springs.mofmd.pth")  # in float64
    with pytest.raises(InputError, match="is in float64 and cannot be run in float32"):
        DeployedModel(springs, dtype="float32")
