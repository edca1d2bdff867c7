"""Which atoms of a structure are new to a model, in a line for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.calculator.density.scorer import Scorer
from mofmd.errors import MofmdError, counted
from mofmd.models.files.deployed import read_density_record

ABOVE = 1.0
"""Novelty from which an atom is new: as rare as the quantile of the density says."""
ATOMS_MAX = 2000
"""Atoms of a structure that is scored where nothing else of it is evaluated."""


def new_atoms_hint(score: Callable[[Atoms], np.ndarray | None], atoms: Atoms, what: str) -> str:
    """Say which atoms are new to a model; empty where none is, or the model does not tell.

    Parameters
    ----------
    score
        Gives (atoms,) novelty, or None where the model holds no density. What it refuses is told in
        the place of the novelty: a hint ends nothing.
    atoms
        The structure.
    what
        What it is, to begin the line with.
    """
    try:
        scores = score(atoms)
    except MofmdError as error:
        return f"{what}: how new its atoms are to the model is not known: {error}"
    if scores is None or not (scores > ABOVE).any():
        return ""
    new = Counter(atoms.symbols[k] for k in np.flatnonzero(scores > ABOVE))
    top = int(np.argmax(scores))
    elements = ", ".join(f"{number} {element}" for element, number in sorted(new.items()))
    return (
        f"{what}: {new.total()} of {counted(len(atoms), 'atom')} are new to the model, with a "
        f"novelty above {ABOVE:g} ({elements}; the newest, {atoms.symbols[top]} {top + 1}, has "
        f"{scores[top]:.3g}): what it says of them may be wrong (docs/density.md)"
    )


def new_atoms_hint_of_file(model: Path, atoms: Atoms, what: str) -> str:
    """Say which atoms are new to the model of a file, in which nothing has been evaluated yet.

    It costs loading the model and one evaluation of the structure, where the file holds a density;
    larger structures than ``ATOMS_MAX`` are left to a run's watch, which is told.

    Parameters
    ----------
    model
        File of a model.
    atoms, what
        As of ``new_atoms_hint``.
    """
    try:
        if read_density_record(model) is None:
            return ""
    except MofmdError:
        return ""  # no archive, which its readers say with more words
    if len(atoms) > ATOMS_MAX:
        return (
            f"{what}: how new its {len(atoms)} atoms are to the model is not looked at, as it has "
            f"more than {ATOMS_MAX}; --watch does so in a run, `mofmd learn density score` in a "
            "file (docs/density.md)"
        )
    return new_atoms_hint(lambda each: _scorer(model, _age(model)).of_atoms(each), atoms, what)


def _age(model: Path) -> int:
    return model.stat().st_mtime_ns


@lru_cache(maxsize=1)
def _scorer(model: Path, _: int) -> Scorer:
    """Load a model once for the many structures of a screening."""
    return Scorer(model)
