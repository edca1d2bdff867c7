"""What follows from an elastic tensor: averages, stability, and moduli in every direction.

The analysis is that of ELATE (Gaillac, Pullumbi, Coudert, J. Phys.: Condens. Matter 2016, 28,
275201); extremes are found without its sampling over the third angle: at a fixed direction the
shear modulus and Poisson's ratio are quadratic forms in the transverse direction, whose extremes
are eigenvalues of a 2 × 2 matrix.

Voigt order xx yy zz yz xz xy, stiffness in GPa.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError

VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))
GPA_INVERSE_TO_TPA_INVERSE = 1e3
GRID = 60  # directions along the meridian that a search starts from
STARTS = 12


@dataclass(frozen=True)
class Averages:
    """Moduli of a polycrystal by one scheme.

    Parameters
    ----------
    bulk_GPa, young_GPa, shear_GPa
        K, E and G [GPa].
    poisson
        Poisson's ratio.
    """

    bulk_GPa: float
    young_GPa: float
    shear_GPa: float
    poisson: float


@dataclass(frozen=True)
class Extreme:
    """Smallest or largest value over all directions.

    Parameters
    ----------
    value
        The value, in the unit of the property.
    direction
        (3,) unit vector of the load.
    transverse
        (3,) unit vector of the second direction, for the shear modulus and Poisson's ratio.
    """

    value: float
    direction: np.ndarray
    transverse: np.ndarray | None = None


class ElasticTensor:
    """A stiffness tensor and what follows from it.

    Parameters
    ----------
    stiffness_GPa
        (6, 6) symmetric stiffness in Voigt order xx yy zz yz xz xy [GPa].

    Examples
    --------
    >>> silicon = np.diag([165.7] * 3 + [79.6] * 3)
    >>> silicon[:3, :3] += 63.9 * (1 - np.eye(3))
    >>> round(ElasticTensor(silicon).hill.shear_GPa, 3)
    66.535
    """

    def __init__(self, stiffness_GPa: np.ndarray) -> None:
        stiffness = np.array(stiffness_GPa, dtype=np.float64)
        if stiffness.shape != (6, 6) or not np.isfinite(stiffness).all():
            raise InputError(f"stiffness: shape {stiffness.shape}, expected 6 × 6 numbers [GPa]")
        asymmetry = abs(stiffness - stiffness.T).max()
        if asymmetry > 1e-3 * abs(stiffness).max():
            raise InputError(
                f"stiffness: not symmetric, C_ij and C_ji differ by {asymmetry:.3g} GPa"
            )
        self.stiffness_GPa = (stiffness + stiffness.T) / 2
        self.stiffness_GPa.setflags(write=False)
        self.eigenvalues_GPa = np.linalg.eigvalsh(self.stiffness_GPa)
        if abs(self.eigenvalues_GPa).min() < 1e-12 * abs(self.eigenvalues_GPa).max():
            raise InputError("stiffness: singular, so that it has no compliance")
        self.compliance_per_GPa = np.linalg.inv(self.stiffness_GPa)
        self._s = _full_compliance(self.compliance_per_GPa)

    @property
    def is_stable(self) -> bool:
        """Whether every deformation costs energy: all eigenvalues are positive (Born)."""
        return bool(self.eigenvalues_GPa[0] > 0)

    @property
    def voigt(self) -> Averages:
        """Averages at uniform strain."""
        c = self.stiffness_GPa
        a = np.trace(c[:3, :3]) / 3
        b = (c[0, 1] + c[0, 2] + c[1, 2]) / 3
        return _averages((a + 2 * b) / 3, (a - b + 3 * np.trace(c[3:, 3:]) / 3) / 5)

    @property
    def reuss(self) -> Averages:
        """Averages at uniform stress."""
        s = self.compliance_per_GPa
        a = np.trace(s[:3, :3]) / 3
        b = (s[0, 1] + s[0, 2] + s[1, 2]) / 3
        return _averages(1 / (3 * a + 6 * b), 5 / (4 * a - 4 * b + np.trace(s[3:, 3:])))

    @property
    def hill(self) -> Averages:
        """Mean of Voigt and Reuss in K and G, as in Castel et al. 2024, Table 3."""
        v, r = self.voigt, self.reuss
        return _averages((v.bulk_GPa + r.bulk_GPa) / 2, (v.shear_GPa + r.shear_GPa) / 2)

    def young_GPa(self, directions: np.ndarray) -> np.ndarray:
        """Young's modulus along (..., 3) unit vectors [GPa]."""
        n = directions
        return np.asarray(1 / np.einsum("ijkl,...i,...j,...k,...l->...", self._s, n, n, n, n))

    def linear_compressibility_per_TPa(self, directions: np.ndarray) -> np.ndarray:
        """Linear compressibility along (..., 3) unit vectors [1/TPa]."""
        hydrostatic = np.einsum("ijkk->ij", self._s)
        found = np.einsum("ij,...i,...j->...", hydrostatic, directions, directions)
        return np.asarray(GPA_INVERSE_TO_TPA_INVERSE * found)

    def shear_extremes_GPa(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest shear modulus with (..., 3) normal directions [GPa]."""
        values, _ = _quadratic_extremes(self._shear_form(directions), directions)
        return 1 / values[..., 1], 1 / values[..., 0]

    def poisson_extremes(self, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest Poisson's ratio under load along (..., 3) directions."""
        values, _ = _quadratic_extremes(self._poisson_form(directions), directions)
        return values[..., 0], values[..., 1]

    def young_range(self) -> tuple[Extreme, Extreme]:
        """Smallest and largest Young's modulus [GPa]."""
        self._require_stable()
        low, high = (_search(self.young_GPa, sign) for sign in (1, -1))
        return (
            Extreme(float(self.young_GPa(low)), low),
            Extreme(float(self.young_GPa(high)), high),
        )

    def linear_compressibility_range(self) -> tuple[Extreme, Extreme]:
        """Smallest and largest linear compressibility [1/TPa]."""
        values, vectors = np.linalg.eigh(np.einsum("ijkk->ij", self._s))
        scaled = GPA_INVERSE_TO_TPA_INVERSE * values
        return Extreme(float(scaled[0]), vectors[:, 0]), Extreme(float(scaled[2]), vectors[:, 2])

    def shear_range(self) -> tuple[Extreme, Extreme]:
        """Smallest and largest shear modulus [GPa]."""
        self._require_stable()
        low = _search(lambda n: self.shear_extremes_GPa(n)[0], 1)
        high = _search(lambda n: self.shear_extremes_GPa(n)[1], -1)
        # the form is 1/G: its larger eigenvalue belongs to the smaller modulus
        _, soft = _quadratic_extremes(self._shear_form(low), low)
        _, stiff = _quadratic_extremes(self._shear_form(high), high)
        return (
            Extreme(float(self.shear_extremes_GPa(low)[0]), low, soft[:, 1]),
            Extreme(float(self.shear_extremes_GPa(high)[1]), high, stiff[:, 0]),
        )

    def poisson_range(self) -> tuple[Extreme, Extreme]:
        """Smallest and largest Poisson's ratio."""
        self._require_stable()
        low = _search(lambda n: self.poisson_extremes(n)[0], 1)
        high = _search(lambda n: self.poisson_extremes(n)[1], -1)
        _, least = _quadratic_extremes(self._poisson_form(low), low)
        _, most = _quadratic_extremes(self._poisson_form(high), high)
        return (
            Extreme(float(self.poisson_extremes(low)[0]), low, least[:, 0]),
            Extreme(float(self.poisson_extremes(high)[1]), high, most[:, 1]),
        )

    def _require_stable(self) -> None:
        if not self.is_stable:
            raise InputError(
                f"stiffness: not stable, its lowest eigenvalue is {self.eigenvalues_GPa[0]:.3g} "
                "GPa: moduli go to infinity in some directions, so that there are no extremes"
            )

    def _shear_form(self, n: np.ndarray) -> np.ndarray:
        """Matrix whose form in the second direction is 1/G: 4 S_ijkl n_i n_k."""
        return np.asarray(4 * np.einsum("ijkl,...i,...k->...jl", self._s, n, n))

    def _poisson_form(self, n: np.ndarray) -> np.ndarray:
        """Matrix whose form in the second direction is ν: −S_ijkl n_i n_j E(n)."""
        form = np.einsum("ijkl,...i,...j->...kl", self._s, n, n)
        return np.asarray(-form * self.young_GPa(n)[..., None, None])


def _averages(bulk: float, shear: float) -> Averages:
    young = 9 * bulk * shear / (3 * bulk + shear)
    poisson = (3 * bulk - 2 * shear) / (2 * (3 * bulk + shear))
    return Averages(float(bulk), float(young), float(shear), float(poisson))


def _full_compliance(compliance: np.ndarray) -> np.ndarray:
    """(3, 3, 3, 3) tensor of a Voigt compliance, whose shear strains are doubled."""
    full = np.empty((3, 3, 3, 3))
    for p, (i, j) in enumerate(VOIGT):
        for q, (k, m) in enumerate(VOIGT):
            value = compliance[p, q] / ((1 + (p > 2)) * (1 + (q > 2)))
            for a, b in ((i, j), (j, i)):
                full[a, b, k, m] = full[a, b, m, k] = value
    return full


def _quadratic_extremes(form: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Extremes of a form over unit vectors normal to n: (..., 2) rising, (..., 3, 2) vectors."""
    helper = np.where(abs(n[..., :1]) < 0.6, [1.0, 0, 0], [0, 1.0, 0])
    one = np.cross(n, helper)
    one /= np.linalg.norm(one, axis=-1, keepdims=True)
    basis = np.stack([one, np.cross(n, one)], axis=-1)
    small = np.einsum("...ip,...ij,...jq->...pq", basis, form, basis)
    values, vectors = np.linalg.eigh((small + np.swapaxes(small, -1, -2)) / 2)
    return values, np.einsum("...ip,...pq->...iq", basis, vectors)


def unit_vectors(polar: np.ndarray, azimuth: np.ndarray) -> np.ndarray:
    """(..., 3) unit vectors of polar angle and azimuth [rad]."""
    return np.stack(
        [np.sin(polar) * np.cos(azimuth), np.sin(polar) * np.sin(azimuth), np.cos(polar)], axis=-1
    )


def _search(function: Callable[[np.ndarray], np.ndarray], sign: int) -> np.ndarray:
    """Direction of the smallest value times the sign: the best of a grid, followed downhill."""
    from scipy.optimize import minimize

    polar, azimuth = np.meshgrid(
        np.linspace(0, np.pi, GRID), np.linspace(0, np.pi, GRID, endpoint=False), indexing="ij"
    )
    values = sign * np.asarray(function(unit_vectors(polar, azimuth))).ravel()
    # local minima of the grid, not the STARTS lowest points of one valley
    order = np.argsort(values)
    starts: list[np.ndarray] = []
    for k in order:
        point = unit_vectors(polar.ravel()[k], azimuth.ravel()[k])
        if all(abs(point @ other) < np.cos(0.15) for other in starts):
            starts.append(point)
        if len(starts) == STARTS:
            break

    best, lowest = starts[0], np.inf
    for start in starts:
        # angles about the start, far from the poles
        axes = np.linalg.qr(np.column_stack([start, np.eye(3)]))[0]
        axes[:, 0] *= np.sign(axes[:, 0] @ start)

        def turned(x: np.ndarray, axes: np.ndarray = axes) -> np.ndarray:
            vector = axes[:, 0] + axes[:, 1:3] @ x
            return np.asarray(vector / np.linalg.norm(vector))

        found = minimize(
            lambda x, turned=turned: sign * float(function(turned(x))),
            np.zeros(2),
            method="Nelder-Mead",
            options={"xatol": 1e-10, "fatol": 1e-13, "initial_simplex": 0.05 * np.eye(3, 2, -1)},
        )
        if found.fun < lowest:
            best, lowest = turned(found.x), found.fun
    return best
