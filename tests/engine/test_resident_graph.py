"""The graph that lives on the model's device, proven on the CPU against the host's graph."""

import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.engine.conftest import DeployedModels
from tests.engine.lammps import (
    Result,
    checked,
    engine_environment,
    evaluate,
    pair_lines,
    run_lammps,
    sanitizer_preload,
    write_structure,
)
from tests.engine.systems import SYSTEMS, crystal
from tests.engine.test_memory import embedded
from tests.engine.test_ranks import same, with_vacuum

Points = tuple[np.ndarray, int, float]  # points (n, 3), how many are centres, cutoff
OnTheHost = Callable[[str], list[Result]]

FIND_PAIRS = """\
import sys, numpy, torch
from lammps import lammps
lmp = lammps(cmdargs=["-screen", "none", "-log", "none"])  # loads the plugin
sets = numpy.load(sys.argv[1])
found = {}
for name in {key.partition("/")[0] for key in sets}:
    points, centres, cutoff = (sets[f"{name}/{k}"] for k in ("points", "centres", "cutoff"))
    points = torch.from_numpy(points).to(sys.argv[3])
    pairs = torch.ops.mofmd.neighbor_pairs(points, int(centres), float(cutoff))
    found[name] = torch.stack(pairs).cpu().numpy()
numpy.savez(sys.argv[2], **found)
"""


def box(count: int, size: tuple[float, float, float], seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 1, (count, 3)) * size


def images(count: int, cell: np.ndarray, reach: int, seed: int) -> np.ndarray:
    """Return atoms of a cell, then their periodic images: what LAMMPS calls ghosts."""
    atoms = np.random.default_rng(seed).uniform(0, 1, (count, 3)) @ cell
    steps = np.stack(np.meshgrid(*[range(-reach, reach + 1)] * 3), -1).reshape(-1, 3)
    shifts = steps[np.any(steps != 0, axis=1)] @ cell
    return np.concatenate([atoms, (atoms + shifts[:, None]).reshape(-1, 3)])


POINT_SETS: dict[str, Callable[[], Points]] = {
    "two": lambda: (np.array([[0.0, 0, 0], [0, 0, 3.0]]), 2, 5.0),
    "two-apart": lambda: (np.array([[0.0, 0, 0], [0, 0, 5.0]]), 2, 5.0),
    "one": lambda: (np.zeros((1, 3)), 1, 5.0),
    "none": lambda: (np.zeros((0, 3)), 0, 5.0),
    "ghosts-only": lambda: (box(50, (9, 9, 9)), 0, 5.0),
    "at-one-place": lambda: (np.ones((3, 3)), 2, 5.0),
    "line": lambda: (np.arange(300.0)[:, None] * [[0.0, 0.0, 0.7]], 250, 4.9),
    "on-a-lattice": lambda: (np.indices((9, 9, 9)).reshape(3, -1).T * 2.5, 400, 5.0),
    "far-apart": lambda: (box(40, (9, 9, 9)) * [1e6, 1e3, 1], 30, 5.0),
    "two-clusters": lambda: (
        np.concatenate([box(99, (9, 9, 9)), box(99, (9, 9, 9)) + 1e7]),
        150,
        4,
    ),
    "triclinic": lambda: (
        images(40, np.array([[7.0, 0, 0], [6.4, 6.5, 0], [-8, 9, 6.6]]), 2, seed=2),
        40,
        5.5,
    ),
    "thin": lambda: (images(4, np.diag([4.0, 4.1, 4.2]), 3, seed=3), 4, 6.0),
    "slab": lambda: (box(2000, (60, 60, 3)), 1500, 6.0),
    "34k": lambda: (box(34000, (80, 80, 90)), 20000, 6.0),
    "50k": lambda: (box(50000, (95, 90, 90)), 50000, 5.0),
}


def find_pairs(work: Path, device: str = "cpu") -> dict[str, np.ndarray]:
    """Return pairs (2, P) of each set of points, from one process."""
    arrays = {}
    for name, make in POINT_SETS.items():
        points, centres, cutoff = make()
        arrays |= {f"{name}/points": points, f"{name}/centres": centres, f"{name}/cutoff": cutoff}
    np.savez(work / "sets.npz", **arrays)
    command = [sys.executable, "-c", FIND_PAIRS, "sets.npz", "found.npz", device]
    done = subprocess.run(
        [*sanitizer_preload(), *command],
        cwd=work,
        env=engine_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return dict(np.load(work / "found.npz"))


@pytest.fixture(scope="module")
def pairs_found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    return find_pairs(tmp_path_factory.mktemp("pairs"))


@pytest.mark.parametrize("name", POINT_SETS)
def test_pairs_are_all_pairs(name: str, pairs_found: dict[str, np.ndarray]) -> None:
    points, centres, cutoff = POINT_SETS[name]()
    found = pairs_found[name]
    assert np.all(np.diff(found[0]) >= 0)
    if len(points) > 3000:  # all pairs at once would not fit: a tree of scipy's, then the same rule
        near = cKDTree(points).query_pairs(1.001 * cutoff, output_type="ndarray")
        near = np.concatenate([near, near[:, ::-1]]).T
    else:
        near = np.indices((len(points), len(points))).reshape(2, -1)
        near = near[:, near[0] != near[1]]
    distance_sq = ((points[near[1]] - points[near[0]]) ** 2).sum(1)
    expected = near[:, (distance_sq < cutoff**2) & (near[0] < centres)]
    assert found.shape == expected.shape
    in_order = [rows[:, np.lexsort(rows[::-1])] for rows in (found, expected)]
    np.testing.assert_array_equal(*in_order)


def with_graph(pair: str, options: str) -> str:
    style, coeff = pair.splitlines()
    return f"{style} {options}\n{coeff}"


@pytest.fixture(scope="module")
def on_the_host(tmp_path_factory: pytest.TempPathFactory) -> OnTheHost:
    """Evaluate all awkward systems with the host's graph, once for each model."""

    @cache
    def results(pair: str) -> list[Result]:
        work = tmp_path_factory.mktemp("host") / "run"
        structures = [make() for make in SYSTEMS.values()]
        return evaluate(structures, work, with_graph(pair, "graph host"))

    return results


def check_against_host(expected: list[Result], pair: str, options: str, work: Path) -> None:
    """Compare all awkward systems, to 1e-10."""
    structures = [make() for make in SYSTEMS.values()]
    found = evaluate(structures, work / "resident", with_graph(pair, options))
    same(found, expected, force_tolerance=1e-10)


UPSTREAM = [
    "nequip-f64.nequip.pth",
    "nequip-f64.nequip.pt2",
    "allegro-cut.nequip.pth",
    "allegro-f64.nequip.pt2",
]


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("file", "source"),
    [
        (UPSTREAM[0], "device"),
        *(pytest.param(file, "device", marks=pytest.mark.long) for file in UPSTREAM[1:]),
        *(pytest.param(file, "list", marks=pytest.mark.long) for file in UPSTREAM),
    ],
)
def test_same_as_on_the_host(
    file: str, source: str, nequip_models: Path, tmp_path: Path, on_the_host: OnTheHost
) -> None:
    pair = pair_lines(nequip_models / file)
    check_against_host(on_the_host(pair), pair, f"graph {source}", tmp_path)


@pytest.mark.long
@pytest.mark.frameworks
def test_mace_of_upstream(mace_models: Path, tmp_path: Path, on_the_host: OnTheHost) -> None:
    pair = pair_lines(mace_models / "mace-f64.model-lammps.pt")
    check_against_host(on_the_host(pair), pair, "graph device", tmp_path)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nequip-f64", "device"),
        ("allegro-f64", "fixed"),
        ("mace-f64", "fixed"),
        pytest.param("nequip-f64", "fixed", marks=pytest.mark.long),
        pytest.param("allegro-f64", "device chunk 7", marks=pytest.mark.long),
        pytest.param("nequip-f64", "device chunk 7", marks=pytest.mark.long),
        pytest.param("allegro-f64", "device", marks=pytest.mark.long),
        pytest.param("mace-f64", "device", marks=pytest.mark.long),
        pytest.param("mace-f64", "device chunk 7", marks=pytest.mark.long),
    ],
)
def test_deployed_models(
    name: str, options: str, deployed: DeployedModels, tmp_path: Path, on_the_host: OnTheHost
) -> None:
    pair = pair_lines(deployed(name))
    check_against_host(on_the_host(pair), pair, f"graph {options}", tmp_path)


@pytest.mark.long
@pytest.mark.frameworks
@pytest.mark.parametrize("name", ["nequip-f64", "mace-f64"])
def test_fixed_shapes_of_compiled_models(
    name: str, deployed: DeployedModels, tmp_path: Path, on_the_host: OnTheHost
) -> None:
    pair = pair_lines(deployed(name, format="aotinductor"))
    check_against_host(on_the_host(pair), pair, "graph fixed", tmp_path)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("name", "newton"),
    [
        ("mace-f64", "on"),
        pytest.param("nequip-f64", "off", marks=pytest.mark.long),
        pytest.param("nequip-l2-f64", "on", marks=pytest.mark.long),
        pytest.param("mace-f64", "off", marks=pytest.mark.long),
    ],
)
def test_on_ranks(name: str, newton: str, deployed: DeployedModels, tmp_path: Path) -> None:
    pair = pair_lines(deployed(name))
    structures = [with_vacuum(), SYSTEMS["tilted"]()]
    expected = evaluate(structures, tmp_path / "host", pair)
    found = evaluate(
        structures,
        tmp_path / "ranks",
        with_graph(pair, "graph device"),
        ranks=3,
        before=f"newton {newton}\nprocessors 3 1 1",
    )
    same(found, expected, force_tolerance=1e-9)


RUN = """\
units metal
atom_style atomic
read_data structure.data
{pair}
{more}
neighbor 0.3 bin
neigh_modify every 1 delay 0 check yes
compute virials all stress/atom NULL virial
compute sum all reduce sum c_virials[1] c_virials[5]
thermo_style custom step temp pe press pxy c_sum[1] c_sum[2]
thermo_modify format float %.14g
thermo 10
velocity all create 1500 7 loop geom
fix 1 all nve
timestep 0.001
run {steps}
write_dump all custom last.dump id fx fy fz c_virials[1] c_virials[4] &
  modify sort id format float %.14g
"""


def trajectory(pair: str, work: Path, more: str = "", ranks: int = 1, steps: int = 40) -> tuple:
    """Return thermo rows, a dump's rows and how often LAMMPS made neighbour lists."""
    work.mkdir()
    write_structure(crystal(), work / "structure.data")
    output = checked(run_lammps(RUN.format(pair=pair, more=more, steps=steps), work, ranks))
    lines = output.partition("Step ")[2].partition("Loop time")[0].splitlines()[1:]
    table = [line for line in lines if not line.startswith("WARNING")]
    builds = re.search(r"Neighbor list builds = (\d+)", output)
    assert builds is not None
    rows = np.loadtxt(work / "last.dump", skiprows=9)
    return np.array([line.split() for line in table], float), rows, int(builds[1])


@pytest.mark.parametrize("ranks", [1, 2])
def test_atoms_that_move(ranks: int, tmp_path: Path) -> None:
    expected, forces, _ = trajectory(embedded(), tmp_path / "host")
    found, others, builds = trajectory(
        with_graph(embedded(), "graph device"), tmp_path / "device", ranks=ranks
    )
    assert builds >= 3  # pairs were found anew on the way
    largest = np.abs(expected).max(0)
    np.testing.assert_allclose(found / largest, expected / largest, rtol=0, atol=1e-4)  # float32
    largest = np.abs(forces).max(0)
    np.testing.assert_allclose(others / largest, forces / largest, rtol=0, atol=1e-3)


@pytest.mark.frameworks
def test_atoms_that_move_in_double_precision(deployed: DeployedModels, tmp_path: Path) -> None:
    pair = pair_lines(deployed("nequip-f64"))
    expected, forces, _ = trajectory(pair, tmp_path / "host", steps=20)
    for source in ("list", "device", "fixed"):
        found, others, _ = trajectory(
            with_graph(pair, f"graph {source}"), tmp_path / source, steps=20
        )
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-8)
        np.testing.assert_allclose(others[:, 1:4], forces[:, 1:4], rtol=0, atol=1e-8)
        np.testing.assert_allclose(others[:, 4:], forces[:, 4:], rtol=1e-8, atol=1e-3)  # bar Å³


def test_types_that_take_no_part(tmp_path: Path) -> None:
    pair = embedded().replace("H N Zn", "NULL N Zn")
    expected = evaluate([crystal()], tmp_path / "host", pair)
    for source in ("list", "device", "fixed"):
        options = f"graph {source}"
        found = evaluate([crystal()], tmp_path / source, with_graph(pair, options))
        same(found, expected, force_tolerance=2e-5)


EXCLUDE = "neigh_modify exclude type 2 2"


def test_excluded_pairs_need_the_list(tmp_path: Path) -> None:
    expected = evaluate([crystal()], tmp_path / "host", embedded(), after_read=EXCLUDE)
    pair = with_graph(embedded(), "graph list")
    found = evaluate([crystal()], tmp_path / "list", pair, after_read=EXCLUDE)
    same(found, expected, force_tolerance=2e-5)
    write_structure(crystal(), tmp_path / "structure.data")
    for source in ("device", "fixed"):
        pair = with_graph(embedded(), f"graph {source}")
        done = run_lammps(RUN.format(pair=pair, more=EXCLUDE, steps=0), tmp_path)
        assert done.returncode != 0
        assert f"'graph {source}' finds all pairs" in done.stdout
        assert "use 'graph list'" in done.stdout


@pytest.mark.frameworks
def test_more_edges_than_there_is_room_for(deployed: DeployedModels, tmp_path: Path) -> None:
    """A cell that shrinks by a sixth between two neighbour lists: the step is made again."""
    squeeze = (
        "fix 2 all deform 1 x erate -1.5 y erate -1.5 z erate -1.5 remap x\n"
        "neighbor 2.0 bin\nneigh_modify every 1000 delay 1000 check no"
    )
    pair = pair_lines(deployed("nequip-f64"))
    run = RUN.replace("neighbor 0.3 bin\nneigh_modify every 1 delay 0 check yes\n", "")
    found = {}
    for source in ("host", "fixed"):
        work = tmp_path / source
        work.mkdir()
        write_structure(crystal(), work / "structure.data")
        script = run.format(pair=with_graph(pair, f"graph {source}"), more=squeeze, steps=40)
        output = checked(run_lammps(script, work))
        assert "Neighbor list builds = 0" in output
        found[source] = np.loadtxt(work / "last.dump", skiprows=9)
    host, fixed = found["host"], found["fixed"]
    np.testing.assert_allclose(fixed[:, 1:4], host[:, 1:4], rtol=0, atol=1e-8)
    np.testing.assert_allclose(fixed[:, 4:], host[:, 4:], rtol=1e-8, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "ranks", "message"),
    [
        ("graph fixed", 2, "'graph fixed' is for one MPI rank, this run has 2: use 'graph device'"),
        ("graph fixed chunk 100", 1, "evaluates all atoms at once: leave out 'chunk'"),
    ],
)
def test_what_has_no_fixed_shapes(options: str, ranks: int, message: str, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    script = RUN.format(pair=with_graph(embedded(), options), more="", steps=0)
    done = run_lammps(script, tmp_path, ranks)
    assert done.returncode != 0
    assert message in done.stdout


@pytest.mark.frameworks
def test_fixed_shapes_need_edge_gradients(nequip_models: Path, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    pair = with_graph(pair_lines(nequip_models / "nequip-f64.nequip.pth"), "graph fixed")
    done = run_lammps(RUN.format(pair=pair, more="", steps=0), tmp_path)
    assert done.returncode != 0
    assert "write one with `mofmd deploy`" in done.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("graph gpu", "graph must be auto, host, list, device or fixed, not 'gpu'"),
        ("device cuda:x", "device must be auto, cpu, cuda or cuda:N, not 'cuda:x'"),
        ("chunk 0", "chunk must be a number of atoms, auto or none, not '0'"),
    ],
)
def test_unknown_words(options: str, message: str, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    pair = with_graph(embedded(), options)
    done = run_lammps(RUN.format(pair=pair, more="", steps=0), tmp_path)
    assert done.returncode != 0
    assert message in done.stdout
