"""How large a fit of force constants is, known before anything is evaluated for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mofmd.errors import InputError
from mofmd.units import GIB

if TYPE_CHECKING:
    from phonopy import Phonopy

NUMBER_BYTES = 8
MATRICES = 2  # the normal equations, and the copy that LAPACK factorises


def free_parameters(phonopy: Phonopy) -> int:
    """Force constants of the supercell that its symmetry leaves free, before the sum rule."""
    from phonopy.interface.symfc import SymfcFCSolver

    solver = SymfcFCSolver(phonopy.supercell, symmetry=phonopy.symmetry)
    return int(solver.estimate_basis_size(orders=[2])[2])


def fit_bytes(parameters: int) -> float:
    """Memory that a fit by least squares takes at its largest [bytes]."""
    return float(MATRICES * NUMBER_BYTES) * parameters**2


def refuse_large_fit(
    parameters: int, atoms: int, free_bytes: float | None, instead: str = ""
) -> None:
    """Refuse a fit that does not fit into memory: Linux would end the process without a word.

    Parameters
    ----------
    parameters
        See ``free_parameters``.
    atoms
        Of the supercell.
    free_bytes
        See ``available_bytes``; None where nobody knows.
    instead
        What else can be done, for the message.

    Raises
    ------
    InputError
        Naming what it takes and what is free.
    """
    needed = fit_bytes(parameters)
    if free_bytes is None or needed <= free_bytes:
        return
    raise InputError(
        f"out of memory: a fit of the {parameters} force constants that symmetry leaves of {atoms} "
        f"atoms takes about {needed / GIB:.1f} GiB, {free_bytes / GIB:.1f} GiB are free: take "
        f"{instead}a smaller cell, one of higher symmetry, or a machine with more memory"
    )
