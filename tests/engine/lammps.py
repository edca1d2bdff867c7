"""Running LAMMPS as a subprocess, and reading what it computed."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from mofmd.units import BAR_TO_EV_PER_A3
from tests.engine.systems import SPECIES

BIN = Path(sys.prefix) / "bin"


@dataclass(frozen=True)
class Result:
    """Energy (eV), energies (n,), forces (n, 3) eV/Å in id order, stress (3, 3) eV/Å³."""

    energy: float
    energies: np.ndarray
    forces: np.ndarray
    stress: np.ndarray


def engine_environment() -> dict[str, str]:
    """Return the environment of a LAMMPS process: one thread, and the sanitized plugin if asked."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    sanitized = env.get("MOFMD_TEST_SANITIZED_PLUGIN")
    if sanitized:
        env["MOFMD_PLUGIN_DIR"] = str(Path(sanitized).resolve())
        # Leaks are not looked for: LAMMPS and torch keep what they allocate until the end. More
        # memory than there is must be refused as it is without a sanitizer.
        env["ASAN_OPTIONS"] = (
            "detect_leaks=0:detect_odr_violation=0:alloc_dealloc_mismatch=0"
            ":allocator_may_return_null=1"
        )
    return env


def sanitizer_preload() -> list[str]:
    """Return the command prefix that loads the sanitizer's runtime first, where it is in use."""
    if not os.environ.get("MOFMD_TEST_SANITIZED_PLUGIN"):
        return []
    # libstdc++ as well: Python is not linked to it, and exceptions are thrown through the sanitizer
    files = [
        subprocess.run(
            ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    ]
    return ["env", f"LD_PRELOAD={' '.join(files)}"]


def run_lammps(
    script: str,
    directory: Path,
    ranks: int = 1,
    options: Sequence[str] = (),
    timeout: float = 240.0,
) -> subprocess.CompletedProcess[str]:
    """Run an input script and return the finished process, whatever its exit status."""
    (directory / "in.lammps").write_text(script)
    launcher = [str(BIN / "mpirun"), "-n", str(ranks)] if ranks > 1 else []
    command = [str(BIN / "lmp"), "-in", "in.lammps", "-log", "log.lammps", *options]
    return subprocess.run(
        [*launcher, *sanitizer_preload(), *command],
        cwd=directory,
        env=engine_environment(),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def checked(process: subprocess.CompletedProcess[str]) -> str:
    """Return what a successful process printed."""
    assert process.returncode == 0, process.stdout[-3000:] + process.stderr[-3000:]
    return process.stdout


def write_structure(atoms: Atoms, path: Path) -> None:
    """Write a LAMMPS data file in the cell as it is (it must be lower triangular)."""
    cell = atoms.cell.array.tolist()
    assert np.allclose(cell, np.tril(cell)), "the cell is not LAMMPS's"
    (xx, _, _), (xy, yy, _), (xz, yz, zz) = cell
    types = [SPECIES.index(symbol) + 1 for symbol in atoms.symbols]
    masses = atomic_masses[[atomic_numbers[symbol] for symbol in SPECIES]]
    lines = [
        "written by mofmd's tests\n",
        f"{len(atoms)} atoms\n{len(SPECIES)} atom types",
        f"0 {xx!r} xlo xhi\n0 {yy!r} ylo yhi\n0 {zz!r} zlo zhi\n{xy!r} {xz!r} {yz!r} xy xz yz",
        "\nMasses\n",
        *(f"{number} {mass}" for number, mass in enumerate(masses, start=1)),
        "\nAtoms # atomic\n",
        *(
            f"{number} {kind} {x!r} {y!r} {z!r}"
            for number, (kind, (x, y, z)) in enumerate(
                zip(types, atoms.positions.tolist(), strict=True), start=1
            )
        ),
    ]
    path.write_text("\n".join(lines) + "\n")


def pair_lines(model: Path) -> str:
    """Return pair_style and pair_coeff for a model whose file name begins with its family."""
    family = model.name.partition("-")[0]
    return f"pair_style {family}\npair_coeff * * {model} {' '.join(SPECIES)}"


def boundary(atoms: Atoms) -> str:
    """Return LAMMPS's boundary line: p where periodic, s (shrink-wrapped) elsewhere."""
    return "boundary " + " ".join("p" if periodic else "s" for periodic in atoms.pbc)


def evaluate_script(
    structures: Sequence[Atoms],
    directory: Path,
    pair: str,
    before: str = "",
    after_read: str = "",
) -> str:
    """Return a script that evaluates each structure in turn in one process.

    Parameters
    ----------
    structures
        Structures in lower-triangular cells.
    directory
        Where the data files are written.
    pair
        The pair_style and pair_coeff lines.
    before, after_read
        Lines before and after read_data.
    """
    blocks = []
    for number, atoms in enumerate(structures):
        write_structure(atoms, directory / f"{number}.data")
        blocks.append(f"""
clear
units metal
{before}
{boundary(atoms)}
atom_style atomic
atom_modify map array sort 0 0
read_data {number}.data
{after_read}
{pair}
compute energies all pe/atom
thermo_style custom step pe pxx pyy pzz pyz pxz pxy
run 0
print "$(pe:%.17g) $(pxx:%.17g) $(pyy:%.17g) $(pzz:%.17g) $(pyz:%.17g) $(pxz:%.17g) $(pxy:%.17g)" &
  file {number}.txt screen no
write_dump all custom {number}.dump id c_energies fx fy fz modify sort id format float %.17g
""")
    return "\n".join(blocks)


def read_result(directory: Path, number: int) -> Result:
    """Read what `evaluate_script` wrote for one structure."""
    energy, *pressure = map(float, (directory / f"{number}.txt").read_text().split())
    table = np.loadtxt(directory / f"{number}.dump", skiprows=9, ndmin=2)
    xx, yy, zz, yz, xz, xy = (-p * BAR_TO_EV_PER_A3 for p in pressure)
    stress = np.array([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
    return Result(energy, table[:, 1], table[:, 2:5], stress)


def evaluate(
    structures: Sequence[Atoms],
    directory: Path,
    pair: str,
    *,
    ranks: int = 1,
    before: str = "",
    after_read: str = "",
) -> list[Result]:
    """Evaluate structures with LAMMPS in one process and return the results in order."""
    directory.mkdir(parents=True, exist_ok=True)
    script = evaluate_script(structures, directory, pair, before, after_read)
    checked(run_lammps(script, directory, ranks))
    return [read_result(directory, number) for number in range(len(structures))]
