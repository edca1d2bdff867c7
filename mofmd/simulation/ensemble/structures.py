"""Structures of a screening: patterns of files, and those that cannot be used or come twice."""

from __future__ import annotations

import glob
import math
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms

from mofmd.errors import InputError, InputWarning, MissingFileError
from mofmd.structures.matching import is_same, surroundings
from mofmd.structures.read import BUILDERS, read_structure
from mofmd.topology.check import check_structure

SAME = 1e-4  # relative: the decimals of CIFs


def sort_structures(words: Sequence[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Find structures, and those among them that can be used.

    Parameters
    ----------
    words
        Files (``FILE#WHICH``: one of several), patterns such as ``cifs/*.cif``, built-in crystals.

    Returns
    -------
    usable
        What to read, by a short name.
    refused
        Why others are not among them, by their names.

    Raises
    ------
    InputError
        If a pattern finds nothing.
    """
    names = _short_names(_expand(words))
    usable: dict[str, str] = {}
    refused: dict[str, str] = {}
    known: dict[str, tuple[tuple[str, np.ndarray], Atoms]] = {}
    for name, word in names.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", InputWarning)  # told when it is read for its deck
                atoms = read_structure(word)
            check_structure(atoms)
            found = fingerprint(atoms)
        except (InputError, MissingFileError) as error:
            refused[name] = str(error)
            continue
        twin = next(
            (
                other
                for other, (seen, twin) in known.items()
                if are_alike(found, seen) and is_same(atoms, twin)
            ),
            None,
        )
        if twin is not None:
            refused[name] = f"is the same structure as {twin}"
            continue
        known[name], usable[name] = (found, atoms), word
    return usable, refused


def fingerprint(atoms: Atoms) -> tuple[str, np.ndarray]:
    """Numbers that do not depend on the choice of cell, origin, axes or order of atoms.

    Returns
    -------
    formula
        Reduced.
    numbers
        Volume of an atom [Å³]; for each two elements the mean over the first's atoms of sums over
        neighbours of the second of smooth functions of their distance.
    """
    counts = Counter(map(str, atoms.symbols))
    divisor = math.gcd(*counts.values())
    formula = "".join(f"{name}{counts[name] // divisor}" for name in sorted(counts))
    found, symbols = surroundings(atoms), np.array(atoms.get_chemical_symbols())
    means = [found[symbols == element].mean(axis=0) for element in sorted(counts)]
    return formula, np.concatenate([[atoms.get_volume() / len(atoms)], *means])


def are_alike(first: tuple[str, np.ndarray], second: tuple[str, np.ndarray]) -> bool:
    """Whether two fingerprints are alike, as those of one structure are.

    Those of two structures are, too, where all that differs is how defects lie to each other.
    """
    return first[0] == second[0] and np.allclose(first[1], second[1], rtol=SAME, atol=1e-9)


def _expand(words: Sequence[str]) -> list[str]:
    found: list[str] = []
    for word in words:
        if word in BUILDERS or Path(word).exists() or not glob.has_magic(word):
            found.append(word)
            continue
        files = sorted(glob.glob(word, recursive=True))  # noqa: PTH207 - of any folder
        if not files:
            raise InputError(f"structures: {word}: no file is named so")
        found += files
    return list(dict.fromkeys(found))


def _short_names(words: Sequence[str]) -> dict[str, str]:
    """Name files by their stems, and by more of their path where two are alike."""
    stems = [_stem(word) for word in words]
    return {
        (stem if stems.count(stem) == 1 else word): word
        for stem, word in zip(stems, words, strict=True)
    }


def _stem(word: str) -> str:
    return word if word in BUILDERS else Path(word).name.rsplit(".", 1)[0]
