"""LAMMPS's commands that displace atoms: on any number of ranks what one rank gives.

``dynamical_matrix`` and ``third_order`` know a displaced atom by their ghosts, which for message
passing do not reach as far as forces do.
"""

import itertools
import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.engine.evaluate import evaluate as mofmd_evaluate
from mofmd.structures.crystals.zif import zif4
from tests.engine.conftest import DeployedModels
from tests.engine.lammps import checked, pair_lines, run_lammps, write_structure
from tests.engine.systems import SYSTEMS
from tests.engine.toy_models import write_messages

pytestmark = pytest.mark.frameworks

SCRIPT = """\
units metal
newton {newton}
{before}
atom_style atomic
atom_modify map array sort 0 0
read_data structure.data
{pair}
{body}
"""
STEP_A = 1e-3
THIRD_STEP_A = 1e-2
MODELS = ["nequip-f64", "mace-f64", "allegro-f64", "nequip-l1-f64"]


def run(
    work: Path, atoms: Atoms, pair: str, body: str, ranks: int = 1, before: str = "", newton="on"
) -> str:
    work.mkdir(parents=True, exist_ok=True)
    write_structure(atoms, work / "structure.data")
    script = SCRIPT.format(newton=newton, before=before, pair=pair, body=body)
    return checked(run_lammps(script, work, ranks))


def dynamical_rows(work: Path, pair: str, **options: object) -> np.ndarray:
    """Rows of the dynamical matrix of ZIF-4 for two of its atoms: (6, 816)."""
    body = (
        "group few id 1 150\n"
        f"dynamical_matrix few regular {STEP_A} binary yes file dynmat.bin fold yes"
    )
    run(work, zif4(), pair, body, **options)  # type: ignore[arg-type]
    return np.fromfile(work / "dynmat.bin").reshape(6, -1)


DISTRIBUTIONS = [
    (2, "processors 1 1 2", "on"),
    (4, "processors 1 1 4", "off"),
    (4, "processors 2 2 1", "on"),
]
QUICK = [("mace-f64", *DISTRIBUTIONS[0])]
CASES = [(name, *each) for name in MODELS for each in DISTRIBUTIONS]


@pytest.mark.parametrize(
    ("name", "ranks", "before", "newton"),
    [case if case in QUICK else pytest.param(*case, marks=pytest.mark.long) for case in CASES],
)
def test_dynamical_matrix(
    name: str, ranks: int, before: str, newton: str, deployed: DeployedModels, tmp_path: Path
) -> None:
    pair = pair_lines(deployed(name))
    expected = dynamical_rows(tmp_path / "1", pair)
    found = dynamical_rows(tmp_path / "n", pair, ranks=ranks, before=before, newton=newton)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-10)


def line_of_atoms() -> Atoms:
    """Return 14 atoms in a row, 3 Å apart, more or less: with neighbours of 4 Å each has two."""
    rng = np.random.default_rng(3)
    positions = np.array([[6.0, 6.0, 2.0 + 3.0 * k] for k in range(14)])
    positions += rng.uniform(-0.2, 0.2, positions.shape)
    return Atoms("C14", positions=positions, cell=[12.0, 12.0, 60.0], pbc=True)


def third_order(work: Path, model: Path, **options: object) -> np.ndarray:
    """Third derivatives of the energy with the second atom: (3, 14, 3, 14, 3)."""
    body = (
        "neighbor 0.3 bin\n"
        "group few id 2\n"
        f"third_order few regular {THIRD_STEP_A} file third.dat fold yes"
    )
    atoms = line_of_atoms()
    pair = f"pair_style nequip\npair_coeff * * {model} C H N Zn"
    run(work, atoms, pair, body, **options)  # type: ignore[arg-type]
    tensor = np.zeros((3, len(atoms), 3, len(atoms), 3))
    for line in (work / "third.dat").read_text().splitlines():
        numbers = line.split()
        _, a, j, b, k = (int(number) - 1 for number in numbers[:5])
        tensor[a, j, b, k] = [float(number) for number in numbers[5:]]
    return tensor


def third_differences(model: Path) -> np.ndarray:
    """The same out of forces that are evaluated one by one."""
    atoms, h = line_of_atoms(), THIRD_STEP_A
    signs = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
    moved = []
    for a, j, b, (s, t) in itertools.product(range(3), range(len(atoms)), range(3), signs):
        displaced = atoms.copy()
        displaced.positions[1, a] += s * h
        displaced.positions[j, b] += t * h
        moved.append(displaced)
    pair = ("pair_style nequip", f"pair_coeff * * {model} C H N Zn")
    found = mofmd_evaluate(moved, pair, ("C", "H", "N", "Zn"))
    forces = np.array([result.forces_eV_per_A for result in found])
    forces = forces.reshape(3, len(atoms), 3, 4, len(atoms), 3)
    return np.einsum("ajbskc,s->ajbkc", forces, [1.0, -1.0, -1.0, 1.0]) / (4 * h * h)


@pytest.fixture(scope="module")
def messages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_messages(tmp_path_factory.mktemp("models") / "messages.pth")


@pytest.fixture(scope="module")
def expected_third(messages: Path) -> np.ndarray:
    return third_differences(messages)


def test_forces_that_feel_atoms_far_beyond_the_ghosts(messages: Path, tmp_path: Path) -> None:
    """The elements that were lost are large here; the ghosts of the runs around it stay."""
    atoms = line_of_atoms()
    pair = f"pair_style nequip\npair_coeff * * {messages} C H N Zn"
    matrices, outputs = [], []
    for ranks in (1, 4):
        work = tmp_path / str(ranks)
        body = f"""
neighbor 0.3 bin
run 0
dynamical_matrix all regular {STEP_A} binary yes file dynmat.bin
run 0
comm_modify cutoff 5.5
dynamical_matrix all regular {STEP_A} binary yes file again.bin
run 0
"""
        before = "processors 1 1 4" if ranks == 4 else ""
        outputs.append(run(work, atoms, pair, body, ranks=ranks, before=before))
        for name in ("dynmat.bin", "again.bin"):
            matrices.append(np.fromfile(work / name).reshape(14, 3, 14, 3))
    assert np.abs(matrices[0][1, :, 5]).max() > 1e-5  # 12 Å apart; ghosts go to 4.3
    for matrix in matrices[1:]:
        np.testing.assert_allclose(matrix, matrices[0], rtol=0, atol=1e-10)
    assert "ghosts to" not in outputs[0]
    assert outputs[1].count("ghosts to 16.30 A, as far as forces feel an atom, for dyn") == 2
    ghosts = [float(number) for number in re.findall(r"Nghost: +([\d.]+) ave", outputs[1])]
    assert ghosts[0] == ghosts[2] < ghosts[4] < ghosts[1] == ghosts[3]


@pytest.mark.parametrize(("ranks", "before"), [(1, ""), (2, ""), (4, "processors 1 1 4")])
def test_third_order(
    ranks: int, before: str, messages: Path, expected_third: np.ndarray, tmp_path: Path
) -> None:
    """LAMMPS takes pairs of its lists, and their neighbours: on one rank too few as well."""
    found = third_order(tmp_path, messages, ranks=ranks, before=before)
    largest = np.abs(expected_third).max(axis=(0, 2, 4))
    assert largest[5].max() > 1e-4  # four steps of the line away
    np.testing.assert_allclose(found, expected_third, rtol=0, atol=2e-6)


def test_a_model_of_unknown_sight(nequip_models: Path, tmp_path: Path) -> None:
    """nequip's own file does not say how many layers it has."""
    write_structure(SYSTEMS["tilted"](), tmp_path / "structure.data")
    body = "third_order all regular 0.01 file third.dat"
    pair = pair_lines(nequip_models / "nequip-f64.nequip.pth")
    script = SCRIPT.format(newton="on", before="", pair=pair, body=body)
    done = run_lammps(script, tmp_path)
    assert done.returncode != 0
    assert "third_order needs to know how far the model" in done.stdout
    assert "which files of `mofmd deploy` record: deploy it" in done.stdout


NUMBERS = [f"c_born[{k}]" for k in range(1, 22)] + [f"f_virial[{k}]" for k in range(1, 7)]
OTHERS = f"""
fix forces all numdiff 1 {STEP_A}
fix virial all numdiff/virial 1 1e-4
compute virial all pressure NULL virial
compute born all born/matrix numdiff 1e-4 virial
thermo_style custom step c_born[*] f_virial[*]
run 0
print "{" ".join(f"$({number}:%.17g)" for number in NUMBERS)}" file numbers.txt
write_dump all custom forces.dump id fx fy fz f_forces[1] f_forces[2] f_forces[3] &
  modify sort id format float %.17g
"""


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        ("mace-f64", 2),
        pytest.param("nequip-f64", 2, marks=pytest.mark.long),
        pytest.param("mace-f64", 4, marks=pytest.mark.long),
        pytest.param("nequip-f64", 4, marks=pytest.mark.long),
    ],
)
def test_commands_that_need_no_more_ghosts(
    name: str, ranks: int, deployed: DeployedModels, tmp_path: Path
) -> None:
    """Differences of energies and of stresses: every rank has its part in them."""
    results = []
    for count in (1, ranks):
        work = tmp_path / str(count)
        run(work, SYSTEMS["tilted"](), pair_lines(deployed(name)), OTHERS, ranks=count)
        numbers = np.array((work / "numbers.txt").read_text().split(), dtype=float)
        table = np.loadtxt(work / "forces.dump", skiprows=9)
        results.append((numbers, table[:, 1:4], table[:, 4:7]))
    expected, found = results
    assert expected[0].all()
    np.testing.assert_allclose(found[0], expected[0], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(found[2], expected[2], rtol=0, atol=1e-8)
    np.testing.assert_allclose(found[2], found[1], rtol=0, atol=1e-4)  # and are the forces
