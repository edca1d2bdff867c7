"""Elastic constants from the fluctuations of the cell at constant stress."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp
from mofmd.analysis.base.registry import Options, Subject, observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate, Sampling
from mofmd.analysis.mechanics.elastic_tensor import VOIGT, ElasticTensor
from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.units import BOLTZMANN_EV_PER_K, EV_PER_A3_TO_GPA

FRAMES_MIN = 8
BLOCKS = 5


def strains(cells: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Finite (Green-Lagrange) strains of cells with respect to one.

    ε = ½ (h₀⁻¹ h hᵀ h₀⁻ᵀ − 1) for cells h of columns a, b, c (Parrinello and Rahman, J. Chem. Phys.
    1982, 76, 2662, eq. 2.5 with G = hᵀh). Rotations of the cell drop out.

    Parameters
    ----------
    cells
        (frames, 3, 3) rows a, b, c [Å].
    reference
        (3, 3) cell without strain.

    Returns
    -------
    np.ndarray
        (frames, 6) Voigt strains xx yy zz yz xz xy, shear doubled, in the axes of the reference.
    """
    inverse = np.linalg.inv(reference)
    metric = np.einsum("tik,tjk->tij", cells, cells)
    tensor = (np.einsum("ki,tkl,lj->tij", inverse.T, metric, inverse.T) - np.eye(3)) / 2
    return np.stack([tensor[:, i, j] * (1 + (i != j)) for i, j in VOIGT], axis=1)


def elastic_constants_GPa(cells: np.ndarray, temperature_K: float) -> np.ndarray:
    """Stiffness from strain fluctuations: S_ij = V/(k_B T) (⟨ε_i ε_j⟩ − ⟨ε_i⟩⟨ε_j⟩), C = S⁻¹.

    The reference is the mean cell, V its volume.

    Parameters
    ----------
    cells
        (frames, 3, 3) rows a, b, c [Å], of a simulation at constant stress.
    temperature_K
        Its temperature.

    Returns
    -------
    np.ndarray
        (6, 6) Voigt order xx yy zz yz xz xy [GPa].
    """
    if len(cells) < FRAMES_MIN:
        raise InputError(
            f"elastic constants: {len(cells)} frames, at least {FRAMES_MIN} are needed"
        )
    if not temperature_K > 0:
        raise InputError(f"temperature_K: {temperature_K}, expected more than zero")
    # the mean cell in one orientation: that of the mean metric
    mean = np.linalg.cholesky(np.einsum("tik,tjk->ij", cells, cells) / len(cells))
    found = strains(cells, mean)
    thermal = BOLTZMANN_EV_PER_K * temperature_K * EV_PER_A3_TO_GPA
    compliance = np.cov(found.T) * np.linalg.det(mean) / thermal
    scale = np.sqrt(np.diag(compliance))
    fixed = scale < 1e-6 * scale.max() if scale.max() > 0 else np.ones(6, dtype=np.bool_)
    if fixed.any():
        names = " ".join("xyz"[VOIGT[k][0]] + "xyz"[VOIGT[k][1]] for k in np.flatnonzero(fixed))
        raise InputError(
            f"elastic constants: strain {names} never changes; the cell must be free in all six "
            "(LAMMPS: fix npt tri)"
        )
    # unit variances first, as shear and dilation may differ by orders of magnitude
    normal = compliance / np.outer(scale, scale)
    return np.asarray(np.linalg.inv(normal) / np.outer(scale, scale))


def bulk_modulus_of_volumes(
    volumes_A3: np.ndarray, temperature_K: float, sampling: Sampling
) -> Estimate:
    """K = k_B T ⟨V⟩ / (⟨V²⟩ − ⟨V⟩²), isothermal [GPa].

    The error is that of a variance of as many independent normal values: √(2/(n − 1)).
    """
    used = np.asarray(volumes_A3, dtype=np.float64)[sampling.cut :]
    variance = float(np.var(used, ddof=1)) if len(used) > 1 else 0.0
    if variance <= 1e-18 * float(used.mean()) ** 2:
        raise InputError("bulk modulus: the volume never changes; the cell must be free")
    thermal = BOLTZMANN_EV_PER_K * temperature_K * EV_PER_A3_TO_GPA
    value = thermal * float(used.mean()) / variance
    n = sampling.independent
    error = value * np.sqrt(2 / (n - 1)) if n > 1 else float("nan")
    return Estimate(value, float(error), n, "GPa")


@dataclass(eq=False)
class StrainFluctuation(Observable):
    """Elastic tensor, moduli and bulk modulus from the fluctuations of the cell.

    For a simulation at constant stress with a free cell: Castel et al., Digital Discovery 2024, 3,
    355, "strain-fluctuation method", which takes 5 to 10 ns. Errors are those of five parts.

    Parameters
    ----------
    temperature_K
        Temperature of the simulation.
    interval_ps, cut
        As for every observable.
    """

    temperature_K: float = 300.0

    def __post_init__(self) -> None:
        """Begin with no frame."""
        self._record = Record()
        self._cells: list[np.ndarray] = []

    @property
    def name(self) -> str:
        """Short name for people."""
        return "elasticity"

    def measure(self, frame: Frame) -> np.ndarray:
        """Take the cell."""
        return frame.cell

    def add(self, stamp: Stamp, value: np.ndarray) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, float(np.linalg.det(value)))
        self._cells.append(value)

    def result(self) -> Result:
        """Evaluate the fluctuations in equilibrium."""
        sampling = self._record.sampling(self.cut)
        cells = np.array(self._cells[sampling.cut :])
        stiffness = elastic_constants_GPa(cells, self.temperature_K)
        n = sampling.independent
        parts = [
            elastic_constants_GPa(part, self.temperature_K)
            for part in np.array_split(cells, BLOCKS)
            if len(part) >= FRAMES_MIN
        ]
        spread = np.full((6, 6), np.nan)
        hill_parts: list[list[float]] = []
        if len(parts) == BLOCKS:
            spread = np.std(parts, axis=0, ddof=1) / np.sqrt(BLOCKS)
            hill_parts = [_hill(ElasticTensor(part)) for part in parts]
        tensor = ElasticTensor(stiffness)
        scalars = {
            "bulk modulus K (volume)": bulk_modulus_of_volumes(
                np.array(self._record.series), self.temperature_K, sampling
            ),
            **tensor_scalars(tensor, hill_parts, n),
        }
        return Result(
            name=self.name,
            definition="S_ij = V/(kT) cov(ε_i, ε_j), reference: the mean cell; K = kT⟨V⟩/var(V)",
            settings={"temperature_K": self.temperature_K, "voigt_order": "xx yy zz yz xz xy"},
            scalars=scalars,
            tables={"stiffness": stiffness_table(stiffness, spread)},
            sampling=sampling,
            notes=()
            if tensor.is_stable
            else ("The elastic tensor has a negative eigenvalue: not stable, or too few samples.",),
        )


def stiffness_table(stiffness_GPa: np.ndarray, errors_GPa: np.ndarray | None) -> Table:
    """Table of the 36 elastic constants."""
    rows, columns = np.unravel_index(np.arange(36), (6, 6))
    errors = None if errors_GPa is None else errors_GPa.ravel().copy()
    return Table(
        {
            "i": Column(rows + 1.0),
            "j": Column(columns + 1.0),
            "C": Column(stiffness_GPa.ravel().copy(), "GPa", errors),
        },
        "bars",
        "Elastic constants",
    )


def tensor_scalars(
    tensor: ElasticTensor, parts: Sequence[Sequence[float]] = (), independent: float = np.inf
) -> dict[str, Estimate]:
    """Hill's averages of a tensor; errors from those of parts of the data, where there are any.

    Parameters
    ----------
    tensor
        The tensor.
    parts
        K, E, G [GPa] and Poisson's ratio of each part.
    independent
        Independent samples behind the tensor; infinite for one that was calculated.
    """
    names = ("bulk modulus K", "Young's modulus E", "shear modulus G", "Poisson's ratio")
    errors = np.full(4, np.nan)
    if len(parts):
        errors = np.std(parts, axis=0, ddof=1) / np.sqrt(len(parts))
    return {
        f"{name} (Hill)": Estimate(value, float(error), independent, "GPa" if k < 3 else "")
        for k, (name, value, error) in enumerate(zip(names, _hill(tensor), errors, strict=True))
    }


def _hill(tensor: ElasticTensor) -> list[float]:
    hill = tensor.hill
    return [hill.bulk_GPa, hill.young_GPa, hill.shear_GPa, hill.poisson]


@observable("elasticity", title="Elasticity", interval_ps=0.0, frames=1, place=95)
def _at_temperature(subject: Subject, options: Options) -> Sequence[Observable]:
    """Make it at the temperature, which must be known."""
    if subject.temperature_K is None:
        raise InputError("elasticity: needs the temperature; give --temperature in K")
    return [StrainFluctuation(temperature_K=subject.temperature_K, **options)]
