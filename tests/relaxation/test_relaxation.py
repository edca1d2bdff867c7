"""Relaxations of atoms and cell: derivatives, limits, freedoms, symmetry, restarts."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.spacegroup.symmetrize import check_symmetry

from mofmd.calculator import DeployedModel
from mofmd.errors import NOT_REACHED_STATUS, InputError, RunError
from mofmd.relaxation import RelaxOptions, relax, relax_in_folder
from mofmd.relaxation.internal import Rows, find_angles, find_torsions, near_pairs
from mofmd.relaxation.preconditioner import ModelHessian, Stiffness, internal_coordinates
from mofmd.relaxation.store import RESULT, STATE, TRAJECTORY
from mofmd.relaxation.variables import CellFreedom, Variables
from mofmd.structures.read import read_structure
from mofmd.units import EV_PER_A3_TO_GPA
from tests.phonons.crystals import Handed, pairs

COPPER_A = 3.5899  # lattice constant of EMT's copper


def copper(strain: float = 0.03, rattle: float = 0.05) -> Atoms:
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 2))
    shear = np.eye(3) + strain * np.array([[1.0, 0.5, 0.2], [0.5, -0.4, 0.3], [0.2, 0.3, 0.6]])
    atoms.set_cell(atoms.cell.array @ shear, scale_atoms=True)
    atoms.rattle(rattle, seed=1)
    return atoms


def test_gradient_is_the_slope() -> None:
    """Along every kind of variable, with pressure, far from the reference cell."""
    atoms = copper()
    variables = Variables(atoms, "tri", None, 0.02)
    generator = np.random.default_rng(0)
    x = variables.first + np.concatenate(
        [0.02 * generator.normal(size=96), 0.05 * generator.normal(size=6)]
    )

    def enthalpy(x: np.ndarray) -> float:
        structure = variables.structure(x)
        structure.calc = EMT()
        return float(structure.get_potential_energy() + 0.02 * structure.get_volume())

    here = variables.structure(x)
    here.calc = EMT()
    gradient = variables.gradient(
        x, here.get_forces(), here.get_stress(voigt=False), here.get_volume()
    ).vector
    for k in (0, 17, 95, 96, 97, 98, 99, 100, 101):
        h = np.zeros(102)
        h[k] = 1e-5
        slope = (enthalpy(x + h) - enthalpy(x - h)) / 2e-5
        assert slope == pytest.approx(gradient[k], rel=1e-5, abs=1e-6)


def test_internal_coordinates_are_differentiated() -> None:
    """Bond, angle and torsion of hydrogen peroxide in a tilted cell against differences."""
    cell = np.array([[6.0, 0, 0], [1.0, 6.5, 0], [0.5, -1.0, 7.0]])
    positions = np.array([[-0.3, 0.9, 0.2], [0, 0, 0], [1.4, 0.1, -0.1], [1.7, 0.4, 0.85]])
    atoms = Atoms("HOOH", positions=positions, cell=cell, pbc=True)
    bonds = near_pairs(atoms, 1.6)
    assert len(bonds.first) == 6

    def values(structure: Atoms) -> np.ndarray:
        chain = [0, 1, 2, 3]
        return np.array(
            [
                structure.get_distance(0, 1),
                np.radians(structure.get_angle(0, 1, 2)),
                np.radians(structure.get_dihedral(*chain)),
            ]
        )

    rows = Rows(4)
    axis = np.flatnonzero((bonds.first == 1) & (bonds.second == 2))
    bond = np.flatnonzero((bonds.first == 0) & (bonds.second == 1))
    angles = find_angles(bonds)
    at_first = bonds.first[angles.one] == 1
    one = np.ones(1)
    rows.stretches(bonds.where(bond), one)
    rows.bends(bonds, type(angles)(angles.one[at_first], angles.other[at_first]), one)
    rows.twists(bonds, find_torsions(bonds, axis), one)
    of_atoms, of_strain, _ = rows.matrices()
    assert of_atoms.shape == (3, 12)
    h = 1e-6
    for k in range(12):
        shift = np.zeros(12)
        shift[k] = h
        ahead, behind = atoms.copy(), atoms.copy()
        ahead.positions += shift.reshape(4, 3)
        behind.positions -= shift.reshape(4, 3)
        slope = (values(ahead) - values(behind)) / (2 * h)
        np.testing.assert_allclose(of_atoms.toarray()[:, k], slope, atol=1e-7)
    for a, b in ((0, 0), (1, 2), (0, 1)):
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5 * h
        strain[b, a] += 0.5 * h
        ahead, behind = atoms.copy(), atoms.copy()
        ahead.set_cell(cell @ (np.eye(3) + strain), scale_atoms=True)
        behind.set_cell(cell @ (np.eye(3) - strain), scale_atoms=True)
        slope = (values(ahead) - values(behind)) / (2 * h)
        np.testing.assert_allclose(of_strain[:, a, b], slope, atol=1e-7)


def test_framework_has_all_its_coordinates() -> None:
    """ZIF-4: 16 Zn of four N, 32 linkers of five ring bonds and three C-H."""
    atoms = read_structure("zif-4")
    _, _, stiffness = internal_coordinates(atoms, Stiffness(contact_reach_A=2.2)).matrices()
    bonds = 16 * 4 + 32 * 8
    pairs = near_pairs(atoms, 2.2)
    assert (stiffness > 1.0).sum() >= bonds
    assert len(pairs.first) >= 2 * bonds


def test_preconditioner_is_the_inverse_of_its_matrix() -> None:
    atoms = read_structure("zif-4")
    fixed = np.array([symbol == "Zn" for symbol in atoms.symbols])
    model = ModelHessian(atoms, Variables(atoms, "tri", fixed))
    generator = np.random.default_rng(0)
    g, h = generator.normal(size=(2, 3 * len(atoms) + 6))
    assert g @ model.solve(h) == pytest.approx(h @ model.solve(g), rel=1e-9)  # symmetric
    assert g @ model.solve(g) > 0.0
    assert not model.solve(g)[:-6].reshape(-1, 3)[fixed].any()


def test_copper_to_its_minimum() -> None:
    start = copper()
    kept = start.copy()
    found = relax(start, EMT(), RelaxOptions(fmax_eV_per_A=1e-6, stress_GPa=1e-5))
    assert found.converged
    assert found.force_max_eV_per_A < 1e-6
    assert found.stress_max_GPa < 1e-5
    np.testing.assert_allclose(start.positions, kept.positions)  # the caller's are left alone
    lengths, angles = np.split(found.atoms.cell.cellpar(), 2)
    np.testing.assert_allclose(lengths, 2 * COPPER_A, atol=2e-3)
    np.testing.assert_allclose(angles, 90.0, atol=1e-4)
    assert found.stress_GPa is not None
    assert not found.stress_GPa.flags.writeable
    again = found.atoms.copy()
    again.calc = EMT()
    assert again.get_potential_energy() == pytest.approx(found.energy_eV, abs=1e-9)


def test_target_pressure() -> None:
    found = relax(copper(), EMT(), RelaxOptions(fmax_eV_per_A=1e-5, pressure_GPa=5.0))
    assert found.stress_GPa is not None
    np.testing.assert_allclose(found.stress_GPa, -5.0 * np.eye(3), atol=2e-4)
    assert found.volume_A3 is not None
    pressure = 5.0 / EV_PER_A3_TO_GPA
    assert found.enthalpy_eV == pytest.approx(found.energy_eV + pressure * found.volume_A3)


@pytest.mark.parametrize("freedom", ["fixed", "iso", "aniso", "volume"])
def test_freedom_of_the_cell(freedom: CellFreedom) -> None:
    start = copper()
    found = relax(start, EMT(), RelaxOptions(fmax_eV_per_A=1e-5, cell=freedom))
    assert found.converged
    f = np.linalg.solve(start.cell.array, found.atoms.cell.array)
    if freedom == "fixed":
        np.testing.assert_array_equal(found.atoms.cell.array, start.cell.array)
    elif freedom == "iso":
        np.testing.assert_allclose(f, f[0, 0] * np.eye(3), atol=1e-12)
    elif freedom == "aniso":
        np.testing.assert_allclose(f, np.diag(np.diag(f)), atol=1e-12)
    else:
        assert np.linalg.det(f) == pytest.approx(1.0, abs=1e-12)
        assert found.stress_GPa is not None
        mean = np.trace(found.stress_GPa) / 3
        np.testing.assert_allclose(found.stress_GPa, mean * np.eye(3), atol=1e-4)
    assert abs(np.linalg.det(f) - 1.0) > 1e-3 or freedom in ("fixed", "volume")


def test_fixed_atoms_keep_their_place_in_the_cell() -> None:
    start = copper()
    found = relax(start, EMT(), RelaxOptions(fmax_eV_per_A=1e-5, fixed=(0, 7)))
    assert found.converged
    before = start.get_scaled_positions(wrap=False)
    after = found.atoms.get_scaled_positions(wrap=False)
    np.testing.assert_allclose(after[[0, 7]], before[[0, 7]], atol=1e-12)
    assert np.abs(after - before).max() > 1e-3
    assert np.linalg.norm(found.forces_eV_per_A[0]) > 1e-3  # held, not at rest


def test_molecule_without_cell() -> None:
    atoms = Atoms("Ar4", positions=[[0, 0, 0], [1.2, 0, 0], [0, 1.3, 0], [0.1, 0, 1.25]])
    found = relax(atoms, LennardJones(), RelaxOptions(fmax_eV_per_A=1e-7, cell="fixed"))
    assert found.converged
    assert found.energy_eV == pytest.approx(-6.0, abs=0.05)  # of a tetrahedron, cutoff at 3 σ
    np.testing.assert_allclose(
        found.atoms.get_all_distances()[np.triu_indices(4, 1)], 2 ** (1 / 6), atol=1e-3
    )
    with pytest.raises(InputError, match="periodic in three directions"):
        relax(atoms, LennardJones(), RelaxOptions())


def test_symmetry_is_kept() -> None:
    """A crystal on a saddle stays there with its space group, and leaves it without."""
    from ase.lattice.cubic import SimpleCubic

    atoms = SimpleCubic("Cu", size=(2, 2, 2), latticeconstant=2.6)
    atoms.rattle(1e-3, seed=2)
    asked = RelaxOptions(fmax_eV_per_A=1e-5, keep_symmetry=True)
    kept = relax(atoms, EMT(), asked)
    assert kept.converged
    assert kept.space_group == "Pm-3m (221)"
    assert check_symmetry(kept.atoms, 1e-7).number == 221
    left = relax(atoms, EMT(), RelaxOptions(fmax_eV_per_A=1e-5))
    assert left.energy_eV < kept.energy_eV - 0.1


def test_reflections_that_the_model_has_not_are_not_kept() -> None:
    """Averages over mirror images are not the model's forces: no minimum would be found."""
    asked = RelaxOptions(fmax_eV_per_A=1e-5, cell="fixed", keep_symmetry=True)
    mirrored = relax(pairs(), Handed(0.0), asked)
    assert mirrored.space_group == "P-1 (2)"
    assert not mirrored.without_mirrors
    handed = relax(pairs(), Handed(0.05), asked)
    assert handed.converged
    assert handed.space_group == "P1 (1)"
    assert handed.without_mirrors
    assert "without inversions and reflections" in str(handed)
    for found in (mirrored, handed):
        assert np.linalg.norm(found.forces_eV_per_A, axis=1).max() < 1e-5


def test_reflections_cost_no_force_call() -> None:
    """Whether the model has them is known from the forces of the first structure."""
    asked = RelaxOptions(fmax_eV_per_A=1e-5, cell="fixed", keep_symmetry=True, calls_max=1)
    calls = []

    class Counted(Handed):
        def calculate(self, *arguments: Any, **options: Any) -> None:
            calls.append(1)
            super().calculate(*arguments, **options)

    begun = relax(pairs(), Counted(0.05), asked)
    assert begun.without_mirrors
    assert begun.calls == len(calls) == 1
    # largest of the model's own forces, not of their average over mirror images
    largest = np.linalg.norm(begun.forces_eV_per_A, axis=1).max()
    assert begun.force_max_eV_per_A == pytest.approx(largest, rel=1e-12)


class Noisy(EMT):  # type: ignore[misc] # ASE has no types
    """Forces of a self-consistent field that ends a little early."""

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        rng = np.random.default_rng(0)
        self.results["forces"] += 1e-4 * rng.normal(size=self.results["forces"].shape)


def test_noise_of_forces_is_no_lack_of_reflections() -> None:
    atoms = bulk("Cu", cubic=True)
    asked = RelaxOptions(fmax_eV_per_A=1e-5, keep_symmetry=True, calls_max=3)
    found = relax(atoms, Noisy(), asked)
    assert found.space_group == "Fm-3m (225)"
    assert not found.without_mirrors


class Pulls(EMT):  # type: ignore[misc] # ASE has no types
    """Pulls one atom aside: no operation leaves that as it is."""

    def calculate(self, *args: Any, **kwargs: Any) -> None:
        super().calculate(*args, **kwargs)
        self.results["forces"][0] += [0.0, 0.1, 0.0]


def test_a_model_without_the_symmetry_is_told() -> None:
    atoms = bulk("Cu", cubic=True)
    found = relax(atoms, Pulls(), RelaxOptions(fmax_eV_per_A=1e-3, keep_symmetry=True))
    assert found.unsymmetric_eV_per_A == pytest.approx(0.1, rel=1e-6)
    assert "are not of the symmetry that was kept" in str(found)


def test_fixed_atoms_that_break_the_symmetry_are_refused() -> None:
    with pytest.raises(InputError, match="its symmetry image"):
        relax(bulk("Cu", cubic=True), EMT(), RelaxOptions(keep_symmetry=True, fixed=(1,)))


class Wrong(LennardJones):  # type: ignore[misc]
    """Forces that do not belong to the energy."""

    def calculate(self, *arguments: object, **more: object) -> None:
        super().calculate(*arguments, **more)
        self.results["forces"] = -self.results["forces"]


def test_forces_that_do_not_belong_to_the_energy() -> None:
    atoms = Atoms("Ar2", positions=[[0, 0, 0], [1.3, 0, 0]])
    with pytest.raises(RunError, match=r"do not belong together.*take --dtype float64\)"):
        relax(atoms, Wrong(), RelaxOptions(cell="fixed"))


def test_one_atom_is_at_rest(tmp_path: Path) -> None:
    """Nothing to draw but the limits, and no warning of it."""
    lone = Atoms("Ar", positions=[[1, 1, 1]], cell=[20, 20, 20], pbc=True)
    found = relax_in_folder(lone, LennardJones(), RelaxOptions(), tmp_path / "lone")
    assert found.converged
    assert (tmp_path / "lone" / "convergence.png").is_file()


def test_restart_is_no_restart(tmp_path: Path) -> None:
    """Interrupted after each few calls, to the last bit; another task is refused."""
    options = RelaxOptions(fmax_eV_per_A=1e-6)
    whole = relax_in_folder(copper(), EMT(), options, tmp_path / "whole")
    found = None
    for calls in (3, 4, 9, 15, 1000):
        before = 0 if found is None else found.calls
        part = RelaxOptions(fmax_eV_per_A=1e-6, calls_max=calls)
        found = relax_in_folder(copper(), EMT(), part, tmp_path / "parts")
        with (tmp_path / "parts" / TRAJECTORY).open("a") as file:
            file.write("a frame that was begun")
    assert found.calls == whole.calls
    np.testing.assert_array_equal(found.atoms.positions, whole.atoms.positions)
    np.testing.assert_array_equal(found.atoms.cell.array, whole.atoms.cell.array)
    record = (tmp_path / "parts" / RESULT).read_text()
    again = relax_in_folder(copper(), EMT(), options, tmp_path / "parts")
    assert again.calls == whole.calls
    assert str(again).startswith(f"relaxed in {whole.calls} force calls, which were there already:")
    assert f"in {whole.calls} force calls, {before} of which were there already:" in str(found)
    assert "already" not in str(whole)
    assert (tmp_path / "parts" / RESULT).read_text() == record
    for name in ("convergence.csv", "relaxed.extxyz", TRAJECTORY):
        texts = [(tmp_path / folder / name).read_text() for folder in ("whole", "parts")]
        assert texts[0] == texts[1]
    assert (tmp_path / "parts" / "convergence.png").stat().st_size > 5000
    with pytest.raises(InputError, match="another structure, model, dispersion or freedom"):
        relax_in_folder(copper(0.02), EMT(), options, tmp_path / "parts")
    other = RelaxOptions(fmax_eV_per_A=1e-6, cell="iso")
    with pytest.raises(InputError, match="another structure, model, dispersion or freedom"):
        relax_in_folder(copper(), EMT(), other, tmp_path / "parts")
    fresh = relax_in_folder(copper(0.02), EMT(), options, tmp_path / "parts", overwrite=True)
    assert fresh.converged


def test_another_relaxation_in_the_folder(tmp_path: Path) -> None:
    """Refused while the folder is held, were it made after the start; what fails makes none."""
    few = RelaxOptions(fmax_eV_per_A=1e-6, calls_max=2)
    place = tmp_path / "held"

    def again(_: object) -> None:
        with pytest.raises(RunError, match="held: another relaxation is going on"):
            relax_in_folder(copper(), EMT(), few, place, overwrite=True)

    begun = relax_in_folder(copper(), EMT(), few, place, on_step=again)
    assert begun.calls >= 2

    class Late(EMT):  # type: ignore[misc] # ASE has no types
        def calculate(self, *arguments: Any, **options: Any) -> None:
            super().calculate(*arguments, **options)
            if not (tmp_path / "late").exists():  # another one was faster
                relax_in_folder(copper(), EMT(), few, tmp_path / "late")

    with pytest.raises(InputError, match="late: holds a relaxation of another"):
        relax_in_folder(copper(), Late(), few, tmp_path / "late")
    with pytest.raises(RunError):
        relax_in_folder(copper(), NoNumber(1, "energy"), few, tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_damaged_state(tmp_path: Path) -> None:
    """Whatever is wrong with the files: which of them, and what to do."""
    options = RelaxOptions(fmax_eV_per_A=1e-6, calls_max=5)
    relax_in_folder(copper(), EMT(), options, tmp_path)
    state, trajectory = tmp_path / STATE, tmp_path / TRAJECTORY
    whole, frames = state.read_bytes(), trajectory.read_bytes()

    def refused(match: str) -> None:
        with pytest.raises(InputError, match=match) as found:
            relax_in_folder(copper(), EMT(), options, tmp_path)
        assert f"remove {tmp_path}, or begin anew with --overwrite" in str(found.value)

    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        state.write_bytes(whole[:size])
        refused("state.npz: is no npz file of arrays, or is damaged")
    state.write_bytes(whole[:300] + bytes(40) + whole[340:])
    refused("state.npz: is")
    state.write_bytes(whole)
    with np.load(state) as file:
        arrays = dict(file)
    changes: dict[str, Any] = {
        "x": np.full_like(arrays["x"], np.nan),
        "forces": np.zeros((2, 3)),
        "anchor": arrays["anchor"][:-1],
        "steps": arrays["steps"][:-1],
        "rows": np.zeros(6),
        "calls": np.array("many"),
        "value": np.float64("inf"),
    }
    for name, value in changes.items():
        np.savez(state, **{**arrays, name: value})
        refused("state.npz: is damaged: ")
        np.savez(state, **{key: kept for key, kept in arrays.items() if key != name})
        refused(f"state.npz: has no '{name}'")
    state.write_bytes(whole)
    trajectory.write_bytes(frames[:-1])
    refused(f"trajectory.extxyz: has {len(frames) - 1} bytes, fewer than the {len(frames)}")
    trajectory.unlink()
    refused("trajectory.extxyz: cannot be gone on with .No such file")
    assert relax_in_folder(copper(), EMT(), options, tmp_path, overwrite=True).calls >= 5


class NoNumber(EMT):  # type: ignore[misc] # ASE has no types
    """Copper whose energy, forces or stress are not numbers from some call on."""

    def __init__(self, first: int, what: str, last: int = 1000) -> None:
        super().__init__()
        self.calls, self.first, self.last, self.what = 0, first, last, what

    def calculate(self, *arguments: Any, **options: Any) -> None:
        super().calculate(*arguments, **options)
        self.calls += 1
        if self.first <= self.calls <= self.last:
            self.results[self.what] = self.results[self.what] * np.nan


@pytest.mark.parametrize("first", [1, 3])
@pytest.mark.parametrize(
    ("what", "told"), [("energy", "the energy"), ("forces", "the forces of atom 0"), ("stress", "")]
)
def test_model_without_numbers(first: int, what: str, told: str) -> None:
    message = rf"force call \d+: the model gave no number for {told or 'the stress'}"
    with pytest.raises(RunError, match=message):
        relax(copper(), NoNumber(first, what), RelaxOptions())


def test_a_model_that_fails_once_is_told() -> None:
    """Its error ends the relaxation, at whatever step: it is no step that is too long."""

    class Fails(NoNumber):
        def calculate(self, *arguments: Any, **options: Any) -> None:
            super().calculate(*arguments, **options)
            if self.calls == 5:
                raise RunError("out of memory")

    with pytest.raises(RunError, match="out of memory"):
        relax(copper(), Fails(1000, "energy"), RelaxOptions())


def test_one_call_without_numbers() -> None:
    """A shorter step is taken; a stress that nobody needs is left out."""
    assert relax(copper(), NoNumber(3, "forces", last=3), RelaxOptions()).converged
    found = relax(copper(), NoNumber(1, "stress"), RelaxOptions(cell="fixed"))
    assert found.stress_GPa is None


def test_symmetry_of_atoms_at_one_place() -> None:
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1e-7]], cell=[4, 4, 4], pbc=True)
    with pytest.raises(InputError, match=r"Cu 1 and Cu 2 are 0\.00 Å apart"):
        relax(atoms, EMT(), RelaxOptions(keep_symmetry=True))
    with pytest.raises(InputError, match=r"0\.9 Å, but atoms are 0\.65 Å apart"):
        relax(
            bulk("H", "sc", a=0.65),
            EMT(),
            RelaxOptions(keep_symmetry=True, symmetry_tolerance_A=0.9),
        )


def command(output: Path, *more: str) -> list[str]:
    words = ["relax", "zif-4", "--model", "zif4-allegro-s", "-o", str(output), *more]
    return [sys.executable, "-m", "mofmd", *words]


@pytest.mark.long
def test_command_killed_and_run_again(tmp_path: Path) -> None:
    """SIGKILL in the middle; the result is that of a run that was left alone."""
    limits = ("--calls", "9", "--fmax", "1e-6")
    whole = subprocess.run(
        command(tmp_path / "whole", *limits), capture_output=True, text=True, check=False
    )
    assert whole.returncode == NOT_REACHED_STATUS, (
        whole.stderr
    )  # not relaxed in 9 calls, and it says so
    assert "NOT relaxed in 9 force calls" in whole.stdout
    process = subprocess.Popen(command(tmp_path / "killed", *limits), stdout=subprocess.PIPE)
    state = tmp_path / "killed" / STATE
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if state.exists():
            with np.load(state) as arrays:
                if int(arrays["calls"]) >= 4:
                    break
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed" / "relaxed.json").exists()
    again = subprocess.run(
        command(tmp_path / "killed", *limits), capture_output=True, text=True, check=False
    )
    assert again.returncode == NOT_REACHED_STATUS, again.stderr
    texts = [(tmp_path / k / "relaxed.extxyz").read_text() for k in ("whole", "killed")]
    assert texts[0] == texts[1]


@pytest.mark.long
def test_zif4_tightly() -> None:
    """1e-5 eV/Å and 1e-4 GPa within 150 force calls, from the crystal and from disorder."""
    calculator = DeployedModel("zif4-mace-m", dtype="float64", skin_A=0.0)
    options = RelaxOptions(fmax_eV_per_A=1e-5, calls_max=150)
    found = relax(read_structure("zif-4"), calculator, options)
    assert found.converged
    assert found.calls <= 60
    disordered = read_structure("zif-4")
    disordered.rattle(0.02, seed=3)
    assert relax(disordered, calculator, RelaxOptions(fmax_eV_per_A=1e-3)).calls <= 150


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fmax_eV_per_A": 0.0}, "fmax_eV_per_A: 0.0"),
        ({"cell": "free"}, "cell: 'free'"),
        ({"pressure_GPa": float("nan")}, "pressure_GPa"),
        ({"pressure_GPa": 1.0, "cell": "volume"}, "has no meaning"),
        ({"calls_max": 0}, "calls_max: 0"),
        *(
            ({"symmetry_tolerance_A": value}, f"symmetry_tolerance_A: {value:g} Å")
            for value in (0.0, -1.0, float("nan"), 5.0)
        ),
        ({"stress_GPa": -1.0}, "stress_limit_GPa: -1.0"),
    ],
)
def test_refused_options(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        RelaxOptions(**options)  # type: ignore[arg-type]


def test_refused_atom() -> None:
    with pytest.raises(InputError, match="counted from 0 to 3"):
        relax(bulk("Cu", cubic=True), EMT(), RelaxOptions(fixed=(4,)))
