"""Frequencies and densities of states of two models beside each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms

from mofmd.arrays import freeze
from mofmd.disk.npz import read_arrays
from mofmd.errors import InputError, MissingFileError
from mofmd.phonons.cells import to_atoms
from mofmd.phonons.load import load_phonopy
from mofmd.phonons.spectrum.mesh import Dos, make_dos, make_mesh
from mofmd.phonons.spectrum.modes import sample
from mofmd.structures.read import has_known_format, read_structure

if TYPE_CHECKING:
    from phonopy import Phonopy

BANDS_OF_OTHERS = ("qpoints", "frequencies_THz")
DOS_OF_OTHERS = (("freq_THz", "dos"), ("dos_freq_THz", "dos"))
SOFTNESS_BELOW_THZ = (6.0, 20.0, 60.0)


@dataclass(frozen=True)
class Other:
    """What somebody else has: force constants, bands and a density of states, or a structure.

    Parameters
    ----------
    name
        For people.
    phonopy
        With force constants; None where there are none.
    q, frequencies_THz
        (points, 3), (points, modes) of bands; None where there are none.
    dos
        (2, points) frequency [THz] and states; None where there are none.
    structure
        That of the force constants, or alone; None where there is none.
    """

    name: str
    phonopy: Phonopy | None = None
    q: np.ndarray | None = None
    frequencies_THz: np.ndarray | None = None
    dos: np.ndarray | None = None
    structure: Atoms | None = None

    def __post_init__(self) -> None:
        """Make the arrays read-only."""
        freeze(self, "q", "frequencies_THz", "dos")


@dataclass(frozen=True)
class Comparison:
    """Differences of the first to the second, all in THz.

    Parameters
    ----------
    rmsd_mesh_THz
        Root mean square difference over a whole mesh, modes in order of frequency; None where one
        has no force constants.
    rmsd_bands_THz
        The same over the wave vectors of bands from a file.
    rmsd_gamma_THz
        At Γ.
    mean_gamma_THz
        Mean difference at Γ: below zero for a model that is too soft.
    softness
        Ratio of frequencies by least squares, all and below some frequencies [THz] of the second.
    wasserstein_THz
        Wasserstein distance of the densities of states, each taken to one: how far states must be
        moved on average to make one of the other.
    wasserstein_to_THz
        The highest frequency that it counts.
    """

    rmsd_mesh_THz: float | None = None
    rmsd_bands_THz: float | None = None
    rmsd_gamma_THz: float | None = None
    mean_gamma_THz: float | None = None
    softness: dict[str, float] = field(default_factory=dict)
    wasserstein_THz: float | None = None
    wasserstein_to_THz: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give all by name."""
        return vars(self).copy()


def read_other(source: Path, *, sum_rule: bool = True) -> Other:
    """Read somebody's phonons, or the structure alone.

    Parameters
    ----------
    source
        A folder of ``mofmd phonons run``, a phonopy.yaml, or an npz file with ``qpoints`` and
        ``frequencies_THz``, or a density of states (``freq_THz`` and ``dos``), or both, or a
        structure (CIF, extxyz, POSCAR).
    sum_rule
        See ``load_phonopy``.
    """
    if has_known_format(source):
        return Other(source.name, structure=read_structure(source))
    if source.suffix != ".npz":
        phonopy = load_phonopy(source, sum_rule=sum_rule)[0]
        return Other(source.name, phonopy, structure=to_atoms(phonopy.unitcell))
    if not source.is_file():
        raise MissingFileError(f"{source}: no such file")
    arrays = read_arrays(source)
    q = frequencies = dos = None
    if all(name in arrays for name in BANDS_OF_OTHERS):
        q, frequencies = (np.asarray(arrays[name]) for name in BANDS_OF_OTHERS)
    for x, y in DOS_OF_OTHERS:
        if x in arrays and y in arrays:
            dos = np.stack([arrays[x], arrays[y]])
            break
    if q is None and dos is None:
        raise InputError(
            f"{source}: holds neither qpoints and frequencies_THz nor freq_THz and dos, but "
            f"{', '.join(arrays)}"
        )
    return Other(source.stem, None, q, frequencies, dos)


def compare(
    first: Phonopy,
    second: Other,
    mesh: tuple[int, int, int] | None = None,
    top_THz: float | None = None,
    width_THz: float = 0.01,
) -> Comparison:
    """Compare a model with another one or with a reference.

    Parameters
    ----------
    first
        With force constants.
    second
        What it is compared with.
    mesh
        Whose frequencies are compared; None: by ``MESH_LENGTH_A``.
    top_THz
        Highest frequency of the densities of states that counts; None: all.
    width_THz
        Their bin.

    Raises
    ------
    InputError
        If the two are not of as many atoms.
    """
    if second.phonopy is None and second.q is None and second.dos is None:
        return Comparison()
    own = make_mesh(first, mesh)
    dos = make_dos(own, width_THz=width_THz)
    found: dict[str, Any] = {}
    gamma = sample(first, np.zeros((1, 3))).frequencies_THz[0]
    other_dos = second.dos
    if second.phonopy is not None:
        _same_size(len(first.primitive), len(second.phonopy.primitive))
        half, counts = _half_mesh(own.numbers)
        a = sample(first, half).frequencies_THz
        b = sample(second.phonopy, half).frequencies_THz
        found["rmsd_mesh_THz"] = _rmsd(a, b, counts)
        found |= _at_gamma(gamma, sample(second.phonopy, np.zeros((1, 3))).frequencies_THz[0])
        found["softness"] = _softness(a, b)
        other = make_dos(make_mesh(second.phonopy, own.numbers), width_THz=width_THz)
        other_dos = np.stack([other.centres_THz, other.total_per_THz])
    elif second.q is not None and second.frequencies_THz is not None:
        _same_size(3 * len(first.primitive), second.frequencies_THz.shape[1])
        a, b = sample(first, second.q).frequencies_THz, second.frequencies_THz
        found["rmsd_bands_THz"] = _rmsd(a, b)
        at = np.flatnonzero((np.abs(second.q) < 1e-9).all(axis=1))
        if len(at):
            found |= _at_gamma(gamma, b[at[0]])
        found["softness"] = _softness(a, b)
    if other_dos is not None:
        found["wasserstein_THz"] = dos_distance(dos, other_dos, top_THz)
        found["wasserstein_to_THz"] = top_THz
    return Comparison(**found)


def dos_distance(first: Dos, second: np.ndarray, top_THz: float | None = None) -> float:
    """Wasserstein distance of two densities of states [THz], each taken to one.

    Parameters
    ----------
    first
        In bins.
    second
        (2, points) frequency and states.
    top_THz
        Highest frequency that counts; None: all.
    """
    from scipy.stats import wasserstein_distance

    top = np.inf if top_THz is None else top_THz
    a = first.centres_THz <= top
    b = second[0] <= top
    return float(
        wasserstein_distance(
            first.centres_THz[a],
            second[0][b],
            np.maximum(first.total_per_THz[a], 0.0),
            np.maximum(second[1][b], 0.0),
        )
    )


def _half_mesh(numbers: tuple[int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """(points, 3) of a mesh around Γ, of q and −q one, and how many each stands for."""
    axes = [np.arange(n) / n for n in numbers]
    q = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    whole = np.rint(q * numbers).astype(int)
    mirrored = (-whole) % numbers
    key = np.minimum(_key(whole, numbers), _key(mirrored, numbers))
    _, first, counts = np.unique(key, return_index=True, return_counts=True)
    return np.asarray(q[first]), counts


def _key(whole: np.ndarray, numbers: tuple[int, int, int]) -> np.ndarray:
    return np.asarray((whole[:, 0] * numbers[1] + whole[:, 1]) * numbers[2] + whole[:, 2])


def _same_size(first: int, second: int) -> None:
    if first != second:
        raise InputError(
            f"compare: primitive cells with {first} and {second} atoms (or modes, for an npz) "
            "are of two structures; phonons are compared of one"
        )


def _rmsd(first: np.ndarray, second: np.ndarray, counts: np.ndarray | None = None) -> float:
    squares = (first - second) ** 2
    mean = np.average(squares, axis=0, weights=counts) if counts is not None else squares
    return float(np.sqrt(np.mean(mean)))


def _at_gamma(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    return {
        "rmsd_gamma_THz": _rmsd(first, second),
        "mean_gamma_THz": float(np.mean(first - second)),
    }


def _softness(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    found = {}
    for name, top in [("all", np.inf), *((f"below_{t:g}_THz", t) for t in SOFTNESS_BELOW_THZ)]:
        chosen = (second < top) & (second > 0.0)
        if chosen.any():
            a, b = first[chosen], second[chosen]
            found[name] = float((a @ b) / (b @ b))
    return found
