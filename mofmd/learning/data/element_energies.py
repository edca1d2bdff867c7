"""Energy of each element in a set of frames: what is left is what a model has to learn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.data.dataset import labels_of
from mofmd.learning.evaluate.metrics import EV_TO_MEV

ALIKE = 1e-6  # of the largest singular value of the compositions: less is rounding


@dataclass(frozen=True)
class ElementEnergies:
    """Energies of elements.

    Parameters
    ----------
    eV
        By element, such that their sum over the atoms of a frame is its energy as nearly as may be.
    residual_meV
        Root mean square of what is left, by atom [meV/atom].
    """

    eV: dict[str, float]
    residual_meV: float


def fit_element_energies(frames: Sequence[Atoms]) -> ElementEnergies:
    """Fit an energy for each element by least squares of the energies per atom.

    Parameters
    ----------
    frames
        With labels, of several compositions.

    Raises
    ------
    InputError
        If the compositions do not tell the elements apart: of one composition only the sum over all
        elements is known.
    """
    elements, shares, energies = _compositions(frames)
    values = np.linalg.svd(shares, compute_uv=False)
    rank = int((values > ALIKE * values[0]).sum())
    if rank < len(elements):
        raise InputError(
            f"the frames have {rank} independent compositions of {len(elements)} elements "
            f"({', '.join(elements)}), so that the energies of elements are not determined: add "
            "frames of other compositions, such as clusters (mofmd learn cut)"
        )
    solution = np.linalg.lstsq(shares, energies, rcond=None)[0]
    left = energies - shares @ solution
    return ElementEnergies(
        eV=dict(zip(elements, solution.tolist(), strict=True)),
        residual_meV=EV_TO_MEV * float(np.sqrt(np.square(left).mean())),
    )


def energy_shifts(frames: Sequence[Atoms]) -> dict[str, float] | float:
    """Shifts that a new model begins with [eV].

    The energies of the elements where the compositions determine them; of one composition the mean
    energy per atom for all alike. Of several that do not determine them those nearest to that mean
    which give the energies of all.
    """
    try:
        return fit_element_energies(frames).eV
    except InputError:
        elements, shares, energies = _compositions(frames)
        mean = float(energies.mean())
        if np.ptp(shares, axis=0).max() <= ALIKE:
            return mean
        more = np.linalg.lstsq(shares, energies - mean, rcond=ALIKE)[0]
        return {name: mean + float(e) for name, e in zip(elements, more, strict=True)}


def _compositions(frames: Sequence[Atoms]) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Elements, (frames, elements) shares of the atoms, (frames,) energies per atom [eV]."""
    elements = sorted({str(symbol) for frame in frames for symbol in set(frame.symbols)})
    counts = np.array(
        [[np.count_nonzero(frame.symbols == name) for name in elements] for frame in frames],
        dtype=np.float64,
    )
    sizes = counts.sum(axis=1)
    energies = np.array([labels_of(frame).energy_eV for frame in frames])
    return elements, counts / sizes[:, None], energies / sizes
