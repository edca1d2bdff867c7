"""pair_style d3 beside dftd3, and in all that LAMMPS does with a pair style."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.data import chemical_symbols
from ase.io import read
from dftd3.interface import (
    DampingParam,
    DispersionModel,
    ModifiedRationalDampingParam,
    ModifiedZeroDampingParam,
    RationalDampingParam,
    ZeroDampingParam,
)

from mofmd.engine.evaluate import Evaluation
from mofmd.engine.evaluate import evaluate as evaluate_any
from mofmd.engine.launch import Resources
from mofmd.models.dispersion.coefficients import Damping, coefficient_file
from mofmd.models.dispersion.dispersion import Dispersion
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import embedded_model
from tests.engine.lammps import checked, evaluate, run_lammps, write_structure
from tests.engine.systems import SPECIES, SYSTEMS, crystal, tilted, with_elements
from tests.engine.test_ranks import GRIDS, same, with_vacuum
from tests.reference import reference_path

BOHR = 0.529177210903  # Å, CODATA 2018
HARTREE = 27.211386245988  # eV
CUTOFF, COORDINATION = 14.3, 9.7  # Å; no image of a test structure lies there
SHARP = f"cutoff {CUTOFF} 0 coordination {COORDINATION} 0"
SMOOTH = f"cutoff {CUTOFF} 2.5 coordination {COORDINATION} 0"
ORACLES: dict[Damping, type[DampingParam]] = {
    "bj": RationalDampingParam,
    "zero": ZeroDampingParam,
    "bjm": ModifiedRationalDampingParam,
    "zerom": ModifiedZeroDampingParam,
}


def oracle(atoms: Atoms, damping: Damping, width: float = 0.0) -> Evaluation:
    """Return what dftd3 says, with the cutoffs above; ``width`` is that of the smooth end."""
    lattice = {"lattice": atoms.cell.array / BOHR, "periodic": atoms.pbc} if any(atoms.pbc) else {}
    model = DispersionModel(atoms.numbers, atoms.positions / BOHR, **lattice)
    model.set_realspace_cutoff(CUTOFF / BOHR, 1.0, COORDINATION / BOHR, width / BOHR)
    parameters = ORACLES[damping](method="pbe")
    found = model.get_dispersion(parameters, grad=True)
    energies = model.get_pairwise_dispersion(parameters)["additive pairwise energy"].sum(axis=1)
    return Evaluation(
        float(found["energy"]) * HARTREE,
        energies * HARTREE,
        -found["gradient"] * HARTREE / BOHR,
        found["virial"] * HARTREE / abs(atoms.cell.volume or np.nan),
    )


def pair_d3(
    folder: Path, options: str, elements: list[str], damping: Damping = "bj"
) -> tuple[str, str]:
    """Write the coefficients and return pair_style and pair_coeff."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{damping}.d3"
    file.write_text(coefficient_file(damping, "PBE", elements))
    return f"pair_style d3 {options}", f"pair_coeff * * {file} {' '.join(elements)}"


def d3(atoms: Atoms, folder: Path, options: str, damping: Damping = "bj", **how: Any) -> Evaluation:
    """Evaluate a periodic structure of any elements with pair_style d3."""
    elements = sorted(set(atoms.symbols))
    commands = pair_d3(folder, options, elements, damping)
    (found,) = evaluate_any([atoms], commands, elements, **how)
    return found


def agree(found: Evaluation, expected: Evaluation) -> None:
    """Compare to 1e-8: relative for the energy, eV/Å for forces, eV/Å³ for the stress."""
    assert found.energy_eV == pytest.approx(expected.energy_eV, rel=1e-8, abs=1e-12)
    np.testing.assert_allclose(found.forces_eV_per_A, expected.forces_eV_per_A, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.stress_eV_per_A3, expected.stress_eV_per_A3, rtol=0, atol=1e-9)
    assert found.atomic_energies_eV.sum() == pytest.approx(found.energy_eV, abs=1e-10)


@pytest.mark.parametrize("damping", ORACLES)
@pytest.mark.parametrize("system", ["crystal", "tilted", "very_tilted", "thin", "far_apart"])
def test_same_as_dftd3(system: str, damping: Damping, tmp_path: Path) -> None:
    atoms = SYSTEMS[system]()
    agree(d3(atoms, tmp_path, SHARP, damping), oracle(atoms, damping))
    agree(d3(atoms, tmp_path, SMOOTH, damping), oracle(atoms, damping, width=2.5))


@pytest.mark.parametrize("damping", ["bj", "zero"])
@pytest.mark.parametrize("file", ["uio66_conventional_456", "mof5_conventional_424"])
def test_same_as_dftd3_in_frameworks(file: str, damping: Damping, tmp_path: Path) -> None:
    atoms = read(reference_path(f"mofs/{file}.extxyz"))
    assert isinstance(atoms, Atoms)
    atoms.rattle(0.05, seed=3)
    agree(d3(atoms, tmp_path, SMOOTH, damping), oracle(atoms, damping, width=2.5))


@pytest.mark.parametrize("damping", ["bj", "zero"])
def test_same_as_dftd3_without_periodicity(damping: Damping, tmp_path: Path) -> None:
    atoms = SYSTEMS["cluster"]()
    pair = "\n".join(pair_d3(tmp_path, SHARP, list(SPECIES), damping))
    (found,) = evaluate([atoms], tmp_path, pair)
    expected = oracle(atoms, damping)
    assert found.energy == pytest.approx(expected.energy_eV, rel=1e-8)
    np.testing.assert_allclose(found.forces, expected.forces_eV_per_A, rtol=0, atol=1e-8)
    np.testing.assert_allclose(found.energies, expected.atomic_energies_eV, rtol=0, atol=1e-9)


@pytest.mark.parametrize("damping", ["bj", "zero"])
def test_all_elements(damping: Damping, tmp_path: Path) -> None:
    """Every element's coefficients are those that dftd3 has, and so is every pair's.

    But for Cm, of which dftd3 1.7 leaves out one reference system that tad-dftd3 0.7 has, and Md,
    where a C6 differs by 1e-7.
    """
    atoms = with_elements([each for each in chemical_symbols[1:104] if each not in ("Cm", "Md")])
    agree(d3(atoms, tmp_path, SHARP, damping), oracle(atoms, damping))


@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_kernels_of_all_processors(
    capability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Torch's own variable lowers what the processor is taken for; it cannot raise it."""
    monkeypatch.setenv("ATEN_CPU_CAPABILITY", capability)
    for damping in ("bj", "zero"):
        atoms = crystal()
        agree(d3(atoms, tmp_path, SMOOTH, damping), oracle(atoms, damping, width=2.5))


@pytest.mark.parametrize("damping", ["bj", "zerom"])
def test_forces_and_stress_are_derivatives(damping: Damping, tmp_path: Path) -> None:
    """With smooth ends, of coordination numbers too: central differences to 1e-7."""
    atoms, step = tilted(), 1e-4
    elements = list(SPECIES)
    commands = pair_d3(tmp_path, "cutoff 9 3 coordination 6 3", elements, damping)
    structures = [atoms]
    for atom, axis in ((0, 0), (7, 1), (17, 2)):
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            structures.append(moved)
    for a, b in ((0, 0), (1, 1), (2, 1)):
        for sign in (1, -1):
            strain = np.eye(3)
            strain[a, b] += sign * step
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            structures.append(strained)
    found = evaluate_any(structures, commands, elements)
    slopes = [
        (plus.energy_eV - minus.energy_eV) / (2 * step)
        for plus, minus in zip(found[1::2], found[2::2], strict=True)
    ]
    forces, stress = found[0].forces_eV_per_A, found[0].stress_eV_per_A3 * atoms.get_volume()
    expected = [
        -forces[0, 0],
        -forces[7, 1],
        -forces[17, 2],
        stress[0, 0],
        stress[1, 1],
        stress[2, 1],
    ]
    np.testing.assert_allclose(slopes, expected, rtol=0, atol=1e-7)


@pytest.mark.parametrize("newton", [pytest.param("on", marks=pytest.mark.long), "off"])
def test_ranks_and_grids(newton: str, tmp_path: Path) -> None:
    """One to four ranks, empty ranks among them, in bricks and tiles: the same to 1e-10."""
    structures = [with_vacuum(), tilted()]
    pair = "\n".join(pair_d3(tmp_path, "cutoff 12", list(SPECIES)))
    before = f"newton {newton}"
    expected = evaluate(structures, tmp_path / "serial", pair, before=before)
    for number, (ranks, grid, after) in enumerate([*GRIDS, (3, "processors 1 1 3", "")]):
        used = structures[:1] if "tiled" in grid else structures  # LAMMPS's own limit
        found = evaluate(
            used,
            tmp_path / str(number),
            pair,
            ranks=ranks,
            before=f"{before}\n{grid}",
            after_read=after,
        )
        same(found, expected[: len(used)], force_tolerance=1e-10)


def test_threads_and_the_order_of_atoms(tmp_path: Path) -> None:
    atoms = crystal()
    expected = d3(atoms, tmp_path, "")
    order = np.random.default_rng(0).permutation(len(atoms))
    found = d3(atoms[order], tmp_path, "", resources=Resources(threads=2))
    np.testing.assert_allclose(
        found.forces_eV_per_A, expected.forces_eV_per_A[order], rtol=0, atol=1e-12
    )
    np.testing.assert_allclose(
        found.atomic_energies_eV, expected.atomic_energies_eV[order], rtol=0, atol=1e-12
    )


STRESS_OF_ATOMS = """\
units {units}
atom_style atomic
read_data 0.data
{pair}
compute stress all stress/atom NULL pair
compute sum all reduce sum c_stress[1] c_stress[2] c_stress[3] c_stress[4] c_stress[5] c_stress[6]
thermo_style custom step pe press c_sum[1] c_sum[2] c_sum[3] c_sum[4] c_sum[5] c_sum[6]
run 0
variable v equal vol
print "$(pe:%.17g) $(pxx*vol:%.17g) $(pyy*vol:%.17g) $(pzz*vol:%.17g) $(pxy*vol:%.17g) &
$(pxz*vol:%.17g) $(pyz*vol:%.17g)" file whole.txt
print "$(-c_sum[1]:%.17g) $(-c_sum[2]:%.17g) $(-c_sum[3]:%.17g) $(-c_sum[4]:%.17g) &
$(-c_sum[5]:%.17g) $(-c_sum[6]:%.17g)" file atoms.txt
"""


def test_virials_of_atoms_and_units(tmp_path: Path) -> None:
    """Virials of atoms sum to the whole one; ``units real`` is the same in kcal/mol."""
    pair = "\n".join(pair_d3(tmp_path, "", list(SPECIES)))
    write_structure(tilted(), tmp_path / "0.data")
    energies = {}
    for units in ("metal", "real"):
        checked(run_lammps(STRESS_OF_ATOMS.format(units=units, pair=pair), tmp_path))
        energy, *whole = map(float, (tmp_path / "whole.txt").read_text().split())
        atoms = list(map(float, (tmp_path / "atoms.txt").read_text().split()))
        np.testing.assert_allclose(atoms, whole, rtol=1e-12, atol=1e-9)
        energies[units] = energy
    assert energies["real"] / energies["metal"] == pytest.approx(23.060549, rel=1e-6)


@pytest.mark.long
def test_beside_a_model(tmp_path: Path) -> None:
    """hybrid/overlay is the sum, and the model's neighbour list is no longer than alone."""
    names = " ".join(SPECIES)
    model = f"{embedded_model('zif4-nequip-s')} {names}"
    style, coeff = pair_d3(tmp_path, "cutoff 26.46", list(SPECIES))
    both = (
        f"pair_style hybrid/overlay nequip {style.removeprefix('pair_style ')}\n"
        f"pair_coeff * * nequip {model}\n{coeff.replace('* *', '* * d3')}"
    )
    structures = [crystal(), tilted()]
    d3_alone = evaluate(
        structures, tmp_path / "d3", f"{style}\n{coeff}", before="neigh_modify one 9999 page 99999"
    )
    alone = evaluate(structures, tmp_path / "model", f"pair_style nequip\npair_coeff * * {model}")
    for ranks in (1, 2):
        found = evaluate(structures, tmp_path / str(ranks), both, ranks=ranks)
        for each, a, b in zip(found, alone, d3_alone, strict=True):
            np.testing.assert_allclose(each.forces, a.forces + b.forces, rtol=0, atol=3e-5)
            np.testing.assert_allclose(each.energies, a.energies + b.energies, rtol=0, atol=3e-5)
            np.testing.assert_allclose(each.stress, a.stress + b.stress, rtol=0, atol=1e-6)
    lists = {name: _neighbours(tmp_path / name / "log.lammps") for name in ("model", "1")}
    # LAMMPS's hybrid takes the longest of the model's cutoffs between elements for all of them
    assert lists["model"] <= lists["1"] < 1.5 * lists["model"]


def _neighbours(log: Path) -> int:
    """Length of the first neighbour list that a log tells of."""
    return int(log.read_text().split("FullNghs:")[1].split()[0])


def test_types_of_one_element_and_types_that_take_no_part(tmp_path: Path) -> None:
    """Types may share an element; atoms of NULL types are as if they were not there."""
    atoms = tilted()
    elements = list(SPECIES)
    expected = d3(atoms, tmp_path, "")
    write_structure(atoms, tmp_path / "0.data")
    file = tmp_path / "bj.d3"
    half = " ".join(str(k) for k in range(1, len(atoms) + 1, 2))
    retype = f"group odd id {half}\ngroup carbon type 1\ngroup some intersect odd carbon\n"
    _, forces = _forces(
        tmp_path,
        f"{retype}set group some type 5\nmass 5 12.011",
        f"pair_style d3\npair_coeff * * {file} {' '.join(elements)} C",
        extra_types=1,
    )
    np.testing.assert_allclose(forces, expected.forces_eV_per_A, rtol=0, atol=1e-10)

    without_zinc = atoms[[atom.symbol != "Zn" for atom in atoms]]
    energy, forces = _forces(tmp_path, "", f"pair_style d3\npair_coeff * * {file} C H N NULL")
    expected = d3(without_zinc, tmp_path, "")
    assert energy == pytest.approx(expected.energy_eV, rel=1e-10)
    is_zinc = atoms.symbols == "Zn"
    np.testing.assert_allclose(forces[~is_zinc], expected.forces_eV_per_A, rtol=0, atol=1e-10)
    assert not forces[is_zinc].any()


def _forces(
    folder: Path, after_read: str, pair: str, extra_types: int = 0
) -> tuple[float, np.ndarray]:
    """Energy and forces of 0.data in the order of ids."""
    script = f"""\
units metal
atom_style atomic
atom_modify map array
read_data 0.data extra/atom/types {extra_types}
{after_read}
{pair}
run 0
print "$(pe:%.17g)" file energy.txt
write_dump all custom forces.dump id fx fy fz modify sort id format float %.17g
"""
    checked(run_lammps(script, folder))
    table = np.loadtxt(folder / "forces.dump", skiprows=9)
    return float((folder / "energy.txt").read_text()), table[:, 1:]


TETHERED = """\
units metal
atom_style atomic
atom_modify map array
{before}
read_data 0.data
{pair}
neighbor 0.5 bin
fix tether all spring/self 4.0
fix_modify tether energy yes
fix nve all nve
timestep 0.00005
velocity all create 1200 7 mom yes
thermo 10
thermo_style custom step etotal pe
thermo_modify format float %.12g
"""


def _tethered_run(folder: Path, options: str, steps: int, dynamics: str = "") -> np.ndarray:
    """Total energy along a run of atoms that are tied to their places and see D3 alone."""
    folder.mkdir(exist_ok=True)
    write_structure(crystal(), folder / "0.data")
    pair = "\n".join(pair_d3(folder, options, list(SPECIES)))
    script = TETHERED.format(before="", pair=pair) + (dynamics or f"run {steps}\n")
    text = checked(run_lammps(script, folder))
    rows = [line.split() for line in text.splitlines()]
    return np.array([float(row[1]) for row in rows if len(row) == 3 and row[0].isdigit()])


def test_energy_is_conserved_at_the_smooth_end(tmp_path: Path) -> None:
    """Atoms cross the cutoff all the time: with a step in the energy it drifts, else not."""
    smooth = _tethered_run(tmp_path / "smooth", "cutoff 8 2 coordination 6 2", 3000)
    sharp = _tethered_run(tmp_path / "sharp", "cutoff 8 0 coordination 6 0", 3000)
    spread = {name: np.ptp(e - e[0]) / 272 for name, e in (("smooth", smooth), ("sharp", sharp))}
    print(spread)
    assert spread["smooth"] < 3e-6  # eV an atom: the integrator's own
    assert spread["sharp"] > 5 * spread["smooth"]


def test_restart_goes_on_where_it_was(tmp_path: Path) -> None:
    whole = _tethered_run(tmp_path / "whole", "", 40)
    folder = tmp_path / "parts"
    _tethered_run(folder, "", 0, "run 20\nwrite_restart half\n")
    pair = "\n".join(pair_d3(folder, "", list(SPECIES)))
    script = TETHERED.format(before="", pair=pair).replace("read_data 0.data", "read_restart half")
    script = "\n".join(line for line in script.splitlines() if not line.startswith("velocity"))
    text = checked(run_lammps(script + "\nrun 20\n", folder))
    rows = [line.split() for line in text.splitlines()]
    energies = [float(row[1]) for row in rows if len(row) == 3 and row[0].isdigit()]
    assert energies[-1] == pytest.approx(whole[-1], abs=1e-8)


@pytest.mark.parametrize(
    ("pair", "before", "message"),
    [
        ("pair_style d3\npair_coeff * * none.d3 C H N Zn", "", "cannot read the file 'none.d3'"),
        ("pair_style d3\npair_coeff * * 0.data C H N Zn", "", "these are no coefficients of D3"),
        ("pair_style d3\npair_coeff * * bj.d3 C H N", "", "names 3 atom types, the system has 4"),
        ("pair_style d3\npair_coeff * * bj.d3 C H N Zr", "", "no coefficients of 'Zr'"),
        ("pair_style d3 cutof 12\npair_coeff * * bj.d3 C H N Zn", "", "unknown option 'cutof'"),
        ("pair_style d3 cutoff -2\npair_coeff * * bj.d3 C H N Zn", "", "a distance above 0"),
        ("pair_style d3 cutoff 9 12\npair_coeff * * bj.d3 C H N Zn", "", "from 0 to that distance"),
        ("pair_style d3 device tpu\npair_coeff * * bj.d3 C H N Zn", "", "not 'tpu'"),
        ("pair_style d3 device cuda:99\npair_coeff * * bj.d3 C H N Zn", "", "is asked for, but"),
        ("pair_style d3 cutoff\npair_coeff * * bj.d3 C H N Zn", "", "cutoff needs a distance"),
        ("pair_style d3\npair_coeff * * bj.d3 C H N Zn", "units lj", "not units lj"),
        (
            "pair_style d3\npair_coeff * * bj.d3 C H N Zn\nneigh_modify exclude type 1 1",
            "",
            "neigh_modify excludes some",
        ),
        ("pair_style d3\npair_coeff * * short.d3 C H N Zn", "", "line 16: expected a C6"),
        ("pair_style d3\npair_coeff * * long.d3 C H N Zn", "", "'extra' is one word too many"),
    ],
)
def test_bad_input(pair: str, before: str, message: str, tmp_path: Path) -> None:
    pair_d3(tmp_path, "", list(SPECIES))
    lines = (tmp_path / "bj.d3").read_text().splitlines()
    (tmp_path / "short.d3").write_text("\n".join([*lines[:15], lines[15][:40]]))
    (tmp_path / "long.d3").write_text("\n".join([*lines[:15], lines[15] + " extra", *lines[16:]]))
    write_structure(tilted(), tmp_path / "0.data")
    script = f"units metal\n{before}\natom_style atomic\nread_data 0.data\n{pair}\nrun 0\n"
    done = run_lammps(script, tmp_path)
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_wrong_masses_are_told(tmp_path: Path) -> None:
    pair = "\n".join(pair_d3(tmp_path, "", list(SPECIES))).replace("C H N Zn", "H C N Zn")
    write_structure(tilted(), tmp_path / "0.data")
    script = f"units metal\natom_style atomic\nread_data 0.data\n{pair}\nrun 0\n"
    assert "atom type 1 has mass 12.011 g/mol" in checked(run_lammps(script, tmp_path))


def test_pair_commands_run(tmp_path: Path) -> None:
    """What Python gives for a model with dispersion is what LAMMPS takes."""
    atoms = tilted()
    dispersion = Dispersion("zero", "PBEsol")
    file = tmp_path / "any name.d3"
    file.write_text(dispersion.coefficients(SPECIES))
    model = read_deployed(embedded_model("zif4-nequip-s")).pair_commands()
    (alone,) = evaluate_any([atoms], model, SPECIES)
    (only,) = evaluate_any([atoms], dispersion.pair_commands(file, SPECIES), SPECIES)
    (both,) = evaluate_any([atoms], dispersion.pair_commands(file, SPECIES, model), SPECIES)
    assert both.energy_eV == pytest.approx(alone.energy_eV + only.energy_eV, abs=1e-4)
    assert only.energy_eV < -0.1
