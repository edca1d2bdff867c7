"""What users of LAMMPS do with their atoms, types, styles and boxes."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.models.files.embedded import embedded_model
from tests.engine.lammps import (
    BIN,
    checked,
    engine_environment,
    evaluate,
    pair_lines,
    run_lammps,
    sanitizer_preload,
    write_structure,
)
from tests.engine.systems import SPECIES, SYSTEMS, crystal
from tests.engine.toy_models import write_springs
from tests.reference import reference_path

EMBEDDED = (
    f"pair_style allegro\npair_coeff * * {embedded_model('zif4-allegro-s')} {' '.join(SPECIES)}"
)
PRINT = 'print "mofmd $(pe:%.17g)"'
TOLERANCE = 2e-4  # eV, the embedded model is float32


def energies_of(output: str) -> list[float]:
    return [float(line.split()[1]) for line in output.splitlines() if line.startswith("mofmd ")]


def run(tmp_path: Path, body: str, ranks: int = 1, options: tuple[str, ...] = ()) -> list[float]:
    text = f"units metal\natom_style atomic\nread_data 0.data\n{body}"
    return energies_of(checked(run_lammps(text, tmp_path, ranks, options)))


def test_spring_model_is_what_paper_says(tmp_path: Path) -> None:
    """Two atoms 3 Å apart in a cell of 4 Å: energy and force by hand, images included."""
    model = write_springs(tmp_path / "springs.mofmd.pth", r_max=4.5)
    atoms = Atoms("CN", positions=[[0, 0, 0], [3, 0, 0]], cell=[4.0, 30, 30], pbc=True)
    pair = f"pair_style allegro\npair_coeff * * {model} {' '.join(SPECIES)}"
    (result,) = evaluate([atoms], tmp_path, pair)
    # within 4.5 Å: C-N at 3 Å and at 1 Å (image), C-C and N-N at 4 Å on both sides
    undirected = [(3.0, 1), (1.0, 1), (4.0, 2)]
    energy = sum(n * 0.5 * (r - 4.5) ** 2 for r, n in undirected)
    assert result.energy == pytest.approx(energy, abs=1e-12)
    force = (3.0 - 4.5) - (1.0 - 4.5)  # on C along x: pulled to N on the right, image on the left
    np.testing.assert_allclose(result.forces[0], [force, 0, 0], atol=1e-12)
    slope = sum(n * (r - 4.5) * r for r, n in undirected)  # dE/d(strain xx)
    assert result.stress[0, 0] == pytest.approx(slope / (4 * 30 * 30), abs=1e-12)


@pytest.mark.frameworks
@pytest.mark.parametrize(
    "file", ["nequip-f64.nequip.pth", "nequip-f64.nequip.pt2", "mace-f64.model-lammps.pt"]
)
def test_ids_with_gaps_and_deleted_atoms(
    file: str, nequip_models: Path, mace_models: Path, tmp_path: Path
) -> None:
    folder = mace_models if file.startswith("mace") else nequip_models
    atoms = SYSTEMS["tilted"]()
    kept = atoms[[k for k in range(len(atoms)) if k not in {0, 7, 13}]]
    (expected,) = evaluate([kept], tmp_path / "kept", pair_lines(folder / file))
    write_structure(atoms, tmp_path / "0.data")
    text = (tmp_path / "0.data").read_text()
    head, _, body = text.partition("Atoms # atomic\n\n")
    rows = [line.split() for line in body.splitlines()]
    rows = [[str(1000 - 7 * int(row[0])), *row[1:]] for row in rows]  # gaps, reversed
    body = "\n".join(" ".join(row) for row in rows)
    (tmp_path / "0.data").write_text(f"{head}Atoms # atomic\n\n{body}\n")
    delete = "group gone id 993 944 902\ndelete_atoms group gone compress no"
    found = run(tmp_path, f"{pair_lines(folder / file)}\n{delete}\nrun 0\n{PRINT}")
    assert found == [pytest.approx(expected.energy, abs=1e-9)]


def test_several_types_of_one_element(tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "0.data")
    more = (
        (tmp_path / "0.data")
        .read_text()
        .replace("4 atom types", "6 atom types")
        .replace("\nAtoms", "5 12.011\n6 1.008\n\nAtoms")
    )
    (expected,) = run(tmp_path, f"{EMBEDDED}\nrun 0\n{PRINT}")
    (tmp_path / "0.data").write_text(more)
    split = "group c type 1\nset group c type/fraction 5 0.4 12\ngroup h type 2\n"
    split += "set group h type/fraction 6 0.5 13"
    pair = f"{EMBEDDED} C H"
    assert run(tmp_path, f"{split}\n{pair}\nrun 0\n{PRINT}") == [
        pytest.approx(expected, abs=TOLERANCE)
    ]


@pytest.mark.parametrize("ranks", [1, 2])
def test_null_types_take_no_part(ranks: int, tmp_path: Path) -> None:
    atoms = crystal()
    without = atoms[[k for k, symbol in enumerate(atoms.symbols) if symbol != "H"]]
    (expected,) = evaluate([without], tmp_path / "without", EMBEDDED)
    pair = EMBEDDED.replace("C H N Zn", "C NULL N Zn")
    (found,) = evaluate([atoms], tmp_path / "null", pair, ranks=ranks)
    assert found.energy == pytest.approx(expected.energy, abs=TOLERANCE)
    is_h = np.array([symbol == "H" for symbol in atoms.symbols])
    np.testing.assert_allclose(found.forces[is_h], 0, atol=0)
    np.testing.assert_allclose(found.forces[~is_h], expected.forces, atol=1e-4)
    np.testing.assert_allclose(found.stress, expected.stress, atol=1e-6)


LJ = "lj/cut 6.0"
LJ_COEFF = "pair_coeff * * lj/cut 0.002 2.5"


@pytest.mark.parametrize(
    ("ranks", "newton"),
    [
        (1, "off"),
        (2, "on"),
        pytest.param(1, "on", marks=pytest.mark.long),
        pytest.param(2, "off", marks=pytest.mark.long),
    ],
)
def test_overlay_with_another_style(newton: str, ranks: int, tmp_path: Path) -> None:
    atoms, before = [crystal()], f"newton {newton}"
    (model,) = evaluate(atoms, tmp_path / "model", EMBEDDED, ranks=ranks, before=before)
    lj = f"pair_style {LJ}\n{LJ_COEFF.replace('lj/cut ', '')}"
    (other,) = evaluate(atoms, tmp_path / "lj", lj, ranks=ranks, before=before)
    both = f"pair_style hybrid/overlay allegro {LJ}\n{LJ_COEFF}\n"
    both += f"pair_coeff * * allegro {embedded_model('zif4-allegro-s')} {' '.join(SPECIES)}"
    (found,) = evaluate(atoms, tmp_path / "both", both, ranks=ranks, before=before)
    assert found.energy == pytest.approx(model.energy + other.energy, abs=TOLERANCE)
    np.testing.assert_allclose(found.forces, model.forces + other.forces, atol=1e-4)
    np.testing.assert_allclose(found.stress, model.stress + other.stress, atol=1e-6)


def test_hybrid_leaves_pairs_of_null_types_to_the_other_style(tmp_path: Path) -> None:
    """Framework by the model, guests (here: H as a stand-in) by Lennard-Jones."""
    atoms = crystal()
    (found,) = evaluate(
        [atoms],
        tmp_path / "hybrid",
        f"pair_style hybrid allegro {LJ}\n"
        f"pair_coeff * * allegro {embedded_model('zif4-allegro-s')} C NULL N Zn\n"
        "pair_coeff 2 * lj/cut 0.002 2.5\npair_coeff 1 2 lj/cut 0.002 2.5",
    )
    without = atoms[[k for k, symbol in enumerate(atoms.symbols) if symbol != "H"]]
    (model,) = evaluate([without], tmp_path / "model", EMBEDDED)
    zero = "pair_coeff 1 1 0.0 2.5\npair_coeff 1 3 0.0 2.5\npair_coeff 1 4 0.0 2.5\n"
    zero += "pair_coeff 3 3 0.0 2.5\npair_coeff 3 4 0.0 2.5\npair_coeff 4 4 0.0 2.5"
    lj = f"pair_style {LJ}\npair_coeff * * 0.002 2.5\n{zero}"
    (other,) = evaluate([atoms], tmp_path / "lj", lj)
    assert found.energy == pytest.approx(model.energy + other.energy, abs=TOLERANCE)


def test_units_real(tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "0.data")
    text = f"units UNITS\natom_style atomic\nread_data 0.data\n{EMBEDDED}\nrun 0\n"
    text += 'print "mofmd $(pe:%.17g)"\nprint "mofmd $(pxx:%.17g)"\n'
    metal_energy, metal_bar = energies_of(
        checked(run_lammps(text.replace("UNITS", "metal"), tmp_path))
    )
    real_energy, real_atm = energies_of(
        checked(run_lammps(text.replace("UNITS", "real"), tmp_path))
    )
    assert real_energy == pytest.approx(23.060549 * metal_energy, rel=1e-6)
    assert real_atm * 1.01325 == pytest.approx(metal_bar, rel=1e-4, abs=1.0)


def test_partitions(tmp_path: Path) -> None:
    """Two partitions of one rank each, in different volumes."""
    write_structure(crystal(), tmp_path / "0.data")
    scale = "variable s world 1.0 1.02\nchange_box all x scale $s remap"
    text = f"units metal\natom_style atomic\nread_data 0.data\n{scale}\n{EMBEDDED}\nrun 0\n"
    text += 'print "mofmd $(pe:%.17g)" file energy.$s\n'
    checked(run_lammps(text, tmp_path, 2, ("-partition", "2x1")))
    energies = [energies_of((tmp_path / f"energy.{s}").read_text()) for s in ("1.0", "1.02")]
    single = text.replace("world 1.0 1.02", "string 1.02")
    assert energies_of(checked(run_lammps(single, tmp_path))) == pytest.approx(energies[1])
    assert energies[0] != energies[1]


def test_box_flips(tmp_path: Path) -> None:
    """Shear a cell past its flip; the energy is that of the structure it has become."""
    write_structure(crystal(), tmp_path / "0.data")
    body = f"""
change_box all triclinic
{EMBEDDED}
velocity all create 300 5
fix 1 all nve
fix 2 all deform 1 xy erate 20.0 flip yes
timestep 0.0005
run 60
unfix 2
run 0
{PRINT}
print "mofmd $(xy/lx)"
write_data 1.data nocoeff
clear
units metal
atom_style atomic
read_data 1.data
{EMBEDDED}
run 0
{PRINT}
"""
    sheared, tilt, fresh = run(tmp_path, body)
    assert tilt < 0  # sheared upwards by 0.6 of the edge, then flipped
    assert sheared == pytest.approx(fresh, abs=2e-3)


def test_invariances(tmp_path: Path) -> None:
    """Translation, order of atoms, rotation by 90 degrees, and a supercell."""
    atoms = crystal()
    moved = atoms.copy()
    moved.positions += [3.3, -7.1, 11.9]
    moved.wrap()
    order = np.random.default_rng(0).permutation(len(atoms))
    turned = atoms.copy()
    turn = np.array([[0, 1, 0], [0, 0, 1], [1, 0, 0]])
    turned.set_cell(np.diag(atoms.cell.lengths() @ turn))
    turned.set_positions(atoms.positions @ turn)
    doubled = atoms.repeat((1, 2, 1))
    reference, *others = evaluate([atoms, moved, atoms[order], turned, doubled], tmp_path, EMBEDDED)
    for other in others[:3]:
        assert other.energy == pytest.approx(reference.energy, abs=TOLERANCE)
    assert others[3].energy == pytest.approx(2 * reference.energy, abs=2 * TOLERANCE)
    tolerance = {"rtol": 0, "atol": 1e-4}
    np.testing.assert_allclose(others[0].forces, reference.forces, **tolerance)
    np.testing.assert_allclose(others[1].forces, reference.forces[order], **tolerance)
    np.testing.assert_allclose(others[2].forces, reference.forces @ turn, **tolerance)
    np.testing.assert_allclose(others[2].stress, turn.T @ reference.stress @ turn, atol=1e-6)


def test_migration_between_ranks(tmp_path: Path) -> None:
    """A hot run with rebuilds and atoms changing ranks stays on the one-rank trajectory."""
    model = write_springs(tmp_path / "springs.mofmd.pth")  # float64
    write_structure(crystal(), tmp_path / "0.data")
    pair = f"pair_style allegro\npair_coeff * * {model} {' '.join(SPECIES)}"
    body = f"""
{pair}
velocity all create 3000 5 loop geom
fix 1 all nve
timestep 0.0005
run 200
{PRINT}
print "mofmd $(temp:%.17g)"
"""
    expected = run(tmp_path, body)
    for ranks in (2, 4):
        assert run(tmp_path, body, ranks) == pytest.approx(expected, rel=1e-9)


def test_restart_equals_no_restart(tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "0.data")
    start = f"{EMBEDDED}\nvelocity all create 300 5 loop geom\ntimestep 0.0005\n"
    (expected,) = run(tmp_path, f"{start}fix 1 all nve\nrun 10\nrun 10\n{PRINT}")
    run(tmp_path, f"{start}fix 1 all nve\nrun 10\nwrite_restart half.restart")
    resumed = (
        f"read_restart half.restart\n{EMBEDDED}\nfix 1 all nve\ntimestep 0.0005\nrun 10\n{PRINT}"
    )
    (found,) = energies_of(checked(run_lammps(resumed, tmp_path)))
    assert found == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.frameworks
def test_option_of_lammps_own_mace_style(mace_models: Path, tmp_path: Path) -> None:
    write_structure(SYSTEMS["tilted"](), tmp_path / "0.data")
    plain = pair_lines(mace_models / "mace-f64.model-lammps.pt")
    option = plain.replace("pair_style mace", "pair_style mace no_domain_decomposition")
    energies = [run(tmp_path, f"{lines}\nrun 0\n{PRINT}") for lines in (plain, option)]
    assert energies[0] == energies[1]


def test_empty_rank_of_null_types(tmp_path: Path) -> None:
    """Ranks whose atoms all are of a NULL type, and a system without any other atom."""
    write_structure(SYSTEMS["far_apart"](), tmp_path / "0.data")
    pair = EMBEDDED.replace("C H N Zn", "NULL NULL NULL Zn")
    for ranks in (1, 4):
        (energy,) = run(tmp_path, f"{pair}\nrun 1\n{PRINT}", ranks)
        assert energy < 0
    nothing = EMBEDDED.replace("C H N Zn", "NULL NULL NULL NULL")
    assert run(tmp_path, f"{nothing}\nrun 1\n{PRINT}", 2) == [0.0]


def test_python_module_on_two_ranks(tmp_path: Path) -> None:
    """``from lammps import lammps`` has the styles, driven by mpi4py."""
    (expected,) = evaluate([crystal()], tmp_path, EMBEDDED)
    program = f"""
from mpi4py import MPI
from lammps import lammps
engine = lammps(cmdargs=["-screen", "none", "-log", "none"], comm=MPI.COMM_WORLD)
engine.commands_string('''units metal
atom_style atomic
read_data 0.data
{EMBEDDED}
run 0''')
energy = engine.get_thermo("pe")
if MPI.COMM_WORLD.rank == 0:
    print("mofmd", repr(energy))
"""
    (tmp_path / "program.py").write_text(program)
    python = [*sanitizer_preload(), str(BIN / "python"), "program.py"]
    process = subprocess.run(
        [str(BIN / "mpirun"), "-n", "2", *python],
        cwd=tmp_path,
        env=engine_environment(),
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert energies_of(checked(process)) == [pytest.approx(expected.energy, abs=TOLERANCE)]


def test_minimisation(tmp_path: Path) -> None:
    """Conjugate gradients lower the energy and the forces."""
    body = f"{EMBEDDED}\nrun 0\n{PRINT}\nmin_style cg\nminimize 0 0.05 100 1000\n{PRINT}"
    body += '\nprint "mofmd $(fmax:%.17g)"'
    write_structure(crystal(), tmp_path / "0.data")
    before, after, largest_force = run(tmp_path, body)
    assert after < before - 1.0
    assert largest_force < 0.5


def test_teacher_on_the_crystal(tmp_path: Path) -> None:
    """The published DFT-level NequIP model, legacy format: −60083.22 ± 0.02 eV."""
    folder = reference_path("zif4")
    text = f"""
units metal
newton off
atom_style atomic
read_data {folder / "crystal.lmp"}
pair_style nequip
pair_coeff * * {folder / "nequip_l2r6stress0.pth"} C H N Zn
run 0
{PRINT}
"""
    (energy,) = energies_of(checked(run_lammps(text, tmp_path)))
    assert energy == pytest.approx(-60083.22, abs=0.02)
