"""Movements of modes for the page: few bytes each, in the place where the atoms are drawn."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

from mofmd.phonons.spectrum.modes import solve
from mofmd.phonons.spectrum.spectrum import Spectrum
from mofmd.report.view import drawn_cells
from mofmd.topology.building_units import find_units
from mofmd.trajectory.frame import Frame

if TYPE_CHECKING:
    from phonopy import Phonopy

BYTES_MOST = 6_000_000
POINTS_MOST = 24  # wave vectors of the path whose modes can be seen
LARGEST = 127  # of a byte with a sign


def movements(phonopy: Phonopy, spectrum: Spectrum) -> dict[str, Any]:
    """Movements of modes along the path, for the script of the page.

    Of each mode: where it stands in the figure, and the displacement of each drawn atom, complex,
    as bytes relative to the largest. The points are those of high symmetry and some between them;
    where all modes of all points are too much, the lowest are taken.

    Parameters
    ----------
    phonopy
        With force constants.
    spectrum
        Made of them.
    """
    atoms = spectrum.atoms
    frame = Frame.from_ase(atoms)
    cells = drawn_cells(find_units(frame), frame)
    places = atoms.get_scaled_positions(wrap=False) - cells
    masses = phonopy.primitive.masses
    chosen = _chosen_points(spectrum)
    each = 6 * len(atoms)
    n_modes = max(1, min(3 * len(atoms), BYTES_MOST // (each * len(chosen))))
    points = []
    for k in chosen:
        q = spectrum.path.q[k]
        frequencies, vectors = solve(phonopy, q)
        assert vectors is not None
        # phonopy's phases are those of the places of atoms
        phases = np.exp(2j * np.pi * (places @ q)) / np.sqrt(masses)
        moved = vectors.reshape(len(atoms), 3, -1) * phases[:, None, None]
        moved = moved[:, :, :n_modes].transpose(2, 0, 1).reshape(n_modes, -1)
        scale = np.maximum(np.abs(moved.real), np.abs(moved.imag)).max(axis=1, keepdims=True)
        parts = np.stack([moved.real, moved.imag], axis=1) / scale[:, :, None]
        points.append(
            {
                "x": float(spectrum.path.distances_per_A[k]),
                "q": [round(float(v), 5) for v in q],
                "thz": [round(float(f), 4) for f in frequencies[:n_modes]],
                "bytes": base64.b64encode(
                    np.rint(LARGEST * parts).astype(np.int8).tobytes()
                ).decode(),
            }
        )
    return {"atoms": len(atoms), "points": points, "all": n_modes == 3 * len(atoms)}


def _chosen_points(spectrum: Spectrum) -> list[int]:
    """Numbers of the points of the path: ends of segments first, then evenly between them."""
    path = spectrum.path
    ends: dict[float, int] = {}
    for first, end in path.segments:
        for k in (first, end - 1):
            ends.setdefault(round(float(path.distances_per_A[k]), 9), k)
    chosen = list(ends.values())
    per_segment = max(0, (POINTS_MOST - len(chosen)) // len(path.segments))
    for first, end in path.segments:
        inner = np.linspace(first, end - 1, per_segment + 2)[1:-1]
        chosen += [round(float(k)) for k in inner]
    return sorted(set(chosen))
