"""Novelty of atoms in LAMMPS: Python's numbers on any ranks, and forces that do not feel it."""

import re
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.calculator.density.scorer import Scorer
from mofmd.models.files.embedded import embedded_model
from tests.engine.lammps import checked, run_lammps, write_structure
from tests.engine.systems import SPECIES, SYSTEMS, crystal
from tests.known_models import write_known

NAMES = ("zif4-nequip-s", "zif4-mace-s", "zif4-allegro-s")
FIX = "fix novel all pair {every} {style} novelty 1\n"
DUMP = "dump d all custom 1 out.dump id f_novel\ndump_modify d sort id format float %.17g\n"


class Known(dict[str, Path]):
    """Files of models with a density, each made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    def __missing__(self, name: str) -> Path:
        self[name] = write_known(name, self.folder / f"{name}.mofmd.pth")
        return self[name]


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return Known(tmp_path_factory.mktemp("known"))


def style_of(name: str) -> str:
    return name.split("-")[1]


def begin(atoms: Atoms, folder: Path, before: str = "") -> str:
    write_structure(atoms, folder / "0.data")
    return f"units metal\natom_style atomic\natom_modify map yes\n{before}\nread_data 0.data\n"


def pair(name: str, model: Path, options: str = "dtype float64") -> str:
    style = style_of(name)
    return f"pair_style {style} {options}\npair_coeff * * {model} {' '.join(SPECIES)}\n"


def columns(path: Path) -> dict[int, np.ndarray]:
    """Rows of each step of a dump, without ids."""
    frames = {}
    for frame in path.read_text().split("ITEM: TIMESTEP\n")[1:]:
        head, _, rows = frame.partition("ITEM: ATOMS")
        table = [line.split()[1:] for line in rows.splitlines()[1:]]
        frames[int(head.split()[0])] = np.array(table, dtype=float)
    return frames


def novelty(
    atoms: Atoms, name: str, model: Path, folder: Path, ranks: int = 1, options: str = "", **kw: str
) -> np.ndarray:
    folder.mkdir(exist_ok=True)
    script = begin(atoms, folder, kw.get("before", "")) + pair(
        name, model, f"dtype float64 {options}"
    )
    script += FIX.format(every=1, style=style_of(name)) + DUMP + "run 0\n"
    checked(run_lammps(script, folder, ranks))
    return columns(folder / "out.dump")[0][:, 0]


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        ("zif4-nequip-s", 2),
        *(
            pytest.param(name, ranks, marks=pytest.mark.long)
            for name in NAMES
            for ranks in (1, 2, 4)
            if (name, ranks) != ("zif4-nequip-s", 2)
        ),
    ],
)
def test_numbers_of_python_on_any_ranks(
    name: str, ranks: int, known: dict[str, Path], tmp_path: Path
) -> None:
    atoms = crystal()
    atoms.positions[5] += 0.2
    expected = Scorer(known[name], "float64").of_atoms(atoms)
    assert expected.max() > 2.0
    assert expected.min() < 0.5
    found = novelty(atoms, name, known[name], tmp_path, ranks)
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-10)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("zif4-nequip-s", "chunk 50"),
        ("zif4-allegro-s", "chunk 50"),
        ("zif4-mace-s", "graph device"),
        ("zif4-allegro-s", "graph device chunk 50"),
        ("zif4-nequip-s", "graph fixed"),
    ],
)
def test_ways_of_evaluation(
    name: str, options: str, known: dict[str, Path], tmp_path: Path
) -> None:
    atoms = SYSTEMS["tilted"]() if "fixed" in options else crystal()
    expected = Scorer(known[name], "float64").of_atoms(atoms)
    found = novelty(atoms, name, known[name], tmp_path, options=options)
    # far from everything scores are thousands
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.long
def test_chunks_on_ranks_some_of_them_empty(known: dict[str, Path], tmp_path: Path) -> None:
    atoms = crystal()
    atoms.wrap()
    cell = atoms.cell.array.copy()
    cell[0, 0] *= 4
    atoms.set_cell(cell)
    name = "zif4-nequip-s"
    expected = Scorer(known[name], "float64").of_atoms(atoms)
    found = novelty(atoms, name, known[name], tmp_path, 4, "chunk 50", before="processors 4 1 1")
    np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("name", "ranks"),
    [
        ("zif4-nequip-s", 1),
        *(
            pytest.param(name, ranks, marks=pytest.mark.long)
            for name in NAMES
            for ranks in (1, 2)
            if (name, ranks) != ("zif4-nequip-s", 1)
        ),
    ],
)
def test_forces_do_not_feel_it(
    name: str, ranks: int, known: dict[str, Path], tmp_path: Path
) -> None:
    """Bit by bit: twelve steps of dynamics in float32, watched every third or never."""
    states = []
    for watch in (FIX.format(every=3, style=style_of(name)), ""):
        script = begin(crystal(), tmp_path) + pair(name, known[name], "")
        script += f"velocity all create 600 1\nfix 1 all nve\n{watch}timestep 0.0005\n"
        script += "dump d all custom 12 out.dump id x y z fx fy fz\n"
        script += "dump_modify d sort id format float %.17g\nrun 12\n"
        checked(run_lammps(script, tmp_path, ranks))
        states.append(columns(tmp_path / "out.dump"))
        (tmp_path / "out.dump").unlink()
    for step in (0, 12):
        np.testing.assert_array_equal(states[0][step], states[1][step])


def test_users_reduce_and_halt(known: dict[str, Path], tmp_path: Path) -> None:
    """Every second step of dynamics a number for the whole system; a bound ends the run."""
    name = "zif4-allegro-s"
    script = begin(crystal(), tmp_path) + pair(name, known[name])
    script += "velocity all create 30000 1\nfix 1 all nve\ntimestep 0.0005\n"
    script += FIX.format(every=2, style="allegro")
    script += "compute most all reduce max f_novel\nvariable most equal c_most\n"
    script += "fix stop all halt 2 v_most > 5 error soft\n"
    script += "thermo 2\nthermo_style custom step c_most\nrun 60\nprint 'at $(step)'\n"
    output = checked(run_lammps(script, tmp_path))
    at = int(output.rpartition("at ")[2].split()[0])
    assert 0 < at < 60
    block = re.split(r"Step +c_most", output)[1].split("Loop time")[0]
    rows = re.findall(r"^ *(\d+) +([-+.\de]+) *$", block, re.MULTILINE)
    table = {int(step): float(value) for step, value in rows}
    assert table[at] > 5.0
    assert all(value <= 5.0 for step, value in table.items() if 0 < step < at)


@pytest.mark.long
def test_minimisation_hybrid_and_types_left_out(known: dict[str, Path], tmp_path: Path) -> None:
    name = "zif4-allegro-s"
    atoms = crystal()
    names = "C NULL N Zn"
    script = begin(atoms, tmp_path) + "pair_style hybrid/overlay allegro dtype float64 zero 5.0\n"
    script += f"pair_coeff * * allegro {known[name]} {names}\npair_coeff * * zero\n"
    script += FIX.format(every=1, style="allegro") + DUMP + "minimize 0 0 3 10\n"
    checked(run_lammps(script, tmp_path))
    frames = columns(tmp_path / "out.dump")
    hydrogens = atoms.symbols == "H"
    others = atoms[~hydrogens]
    expected = Scorer(known[name], "float64").of_atoms(others)
    np.testing.assert_allclose(frames[0][~hydrogens, 0], expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(frames[0][hydrogens, 0], 0.0)
    last = max(frames)
    assert last > 0
    assert np.abs(frames[last] - frames[0]).max() > 1e-3


def test_what_is_told(tmp_path: Path) -> None:
    name = "zif4-allegro-s"
    fix = FIX.format(every=1, style="allegro")
    start = begin(crystal(), tmp_path)
    for body, said in (
        (pair(name, embedded_model(name)) + fix, "holds no density of features"),
        ("pair_style allegro\n" + fix, "before pair_coeff"),
    ):
        done = run_lammps(start + body, tmp_path)
        assert done.returncode != 0
        assert said in done.stdout + done.stderr
