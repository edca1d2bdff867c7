"""Partial radial distribution functions and potentials of mean force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, require_elements
from mofmd.analysis.base.registry import Options, Subject, observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import Estimate, Sampling
from mofmd.analysis.option_text import flag, number, pairs
from mofmd.errors import InputError
from mofmd.geometry.neighbours import cell_heights, count_pairs
from mofmd.trajectory.frame import Frame
from mofmd.units import BOLTZMANN_EV_PER_K, EV_TO_KJ_PER_MOL

GAP_DEPTH = 0.5  # two shells are told apart by a g(r) below this between them


@dataclass(eq=False)
class Rdf(Observable):
    """Partial radial distribution function g(r) of two elements, and its potential of mean force.

    g_AB(r) = ⟨ n_AB(r) / (N_A N_B / V · 4π/3 (r₊³ − r₋³)) ⟩ over frames, n_AB(r) being the number
    of ordered pairs (an atom A, an image of an atom B) at a distance in the bin [r₋, r₊). It tends
    to 1 at large r; for A = B to 1 − 1/N_A in a large cell, as an atom is no pair with itself.
    F(r) = −k_B T (ln g(r) − ln g_max): Castel et al.,
    Digital Discovery 2024, 3, 355, "Structural properties".

    Parameters
    ----------
    first, second
        The elements.
    r_max_A
        Upper end [Å], a multiple of the bin width; None takes what fits in half the cell of every
        frame.
    bin_width_A
        Width of a bin [Å].
    temperature_K
        For the potential of mean force; None leaves it out.
    beyond_half_cell
        Allow ``r_max_A`` beyond half the cell's smallest height, where an atom meets images of one
        and the same neighbour: exact counts of a periodic crystal, but no longer those of a
        liquid or glass.
    shrink
        Leave out what does not fit in half the cell of some frame, instead of refusing it.
    interval_ps, cut
        As for every observable; the paper's interval is 0.1 ps.
    """

    first: str
    second: str
    r_max_A: float | None = 10.0
    bin_width_A: float = 0.05
    temperature_K: float | None = None
    beyond_half_cell: bool = field(default=False, kw_only=True)
    shrink: bool = field(default=False, kw_only=True)

    def __post_init__(self) -> None:
        """Refuse bins that do not fit."""
        self.pair = (self.first, self.second)
        r_max_A = self.bin_width_A if self.r_max_A is None else self.r_max_A
        self._edges = bin_edges(r_max_A, self.bin_width_A)
        self._record = Record()

    @property
    def name(self) -> str:
        """Short name for people."""
        return f"rdf {'-'.join(self.pair)}"

    def check(self, frame: Frame) -> None:
        """Refuse absent elements; find the range where it was left open."""
        require_elements(frame, self.pair, self.name)
        if self.r_max_A is None:
            bins = int(cell_heights(frame.cell).min() / 2 / self.bin_width_A)
            self._edges = bin_edges(bins * self.bin_width_A, self.bin_width_A)

    def measure(self, frame: Frame) -> tuple[float, np.ndarray]:
        """Mean of 1/r over the pairs [1/Å], and g(r) of the frame."""
        half = cell_heights(frame.cell).min() / 2
        shrinks = self.shrink or self.r_max_A is None
        if self._edges[-1] > half + 1e-9 and not (self.beyond_half_cell or shrinks):
            raise InputError(
                f"r_max_A: {self._edges[-1]:g} exceeds {half:.3f} Å, half the cell's smallest "
                f"height at step {frame.step}; reduce it, use a supercell, or allow "
                "beyond_half_cell"
            )
        counts = pair_counts(frame, self.pair, self._edges)
        centres = (self._edges[1:] + self._edges[:-1]) / 2
        inverse = float(counts @ (1 / centres) / max(1, counts.sum()))
        g = normalised(counts, frame, self.pair, self._edges)
        if shrinks and not self.beyond_half_cell:
            g[self._edges[1:] > half + 1e-9] = np.nan
        return inverse, g

    def add(self, stamp: Stamp, value: tuple[float, np.ndarray]) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, *value)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        g, error = self._record.average.mean(sampling)
        # bins that did not fit in the cell of some frame
        fits = int(np.isfinite(g).sum())
        g, error = g[:fits].copy(), error[:fits].copy()
        r = (self._edges[1:] + self._edges[:-1])[:fits] / 2
        label = "-".join(self.pair)
        tables = {
            "g": Table(
                {"r": Column(r, "Å"), "g": Column(g, "", error, "g(r)")},
                "curve",
                f"{label} radial distribution function",
            )
        }
        scalars, notes = {}, []
        if self.shrink and fits < len(self._edges) - 1:
            notes.append(
                f"g(r) ends at {self._edges[fits]:.4g} Å, half the cell's smallest height; "
                f"beyond_half_cell goes on to {self._edges[-1]:.4g} Å, where an atom meets images "
                "of one and the same neighbour (command line: --set rdf.beyond_half_cell=yes)"
            )
        if g.max() > 0:
            scalars["highest peak"] = Estimate(float(r[g.argmax()]), np.nan, np.inf, "Å")
        if self.temperature_K is not None and g.max() > 0:
            tables["pmf"] = pmf_table(
                ("r", Column(r, "Å")),
                tables["g"].columns["g"],
                self.temperature_K,
                f"{label} potential of mean force",
            )
            gap = find_gap(g)
            if gap is not None and g[gap].min() > 0:
                scalars["PMF barrier"] = _barrier(tables["pmf"].columns["F"], gap, sampling)
            elif gap is not None:
                empty = r[gap][g[gap] == 0]
                notes.append(
                    f"PMF barrier: no pair was seen at {empty[0]:.2f} to {empty[-1]:.2f} Å; it is "
                    "higher than this run can tell"
                )
        return Result(
            name=self.name,
            definition="g(r) = n(r) V / (N_A N_B ΔV(r)), ordered pairs; "
            "F(r) = -kT ln(g/g_max) (Castel et al. 2024, Structural properties); its barrier "
            "stands between the first two shells",
            settings={
                "pair": list(self.pair),
                "r_max_A": float(self._edges[fits]),
                "bin_width_A": self.bin_width_A,
                "temperature_K": self.temperature_K,
            },
            scalars=scalars,
            tables=tables,
            sampling=sampling,
            notes=tuple(notes),
        )


@observable(
    "rdf",
    title="Radial distribution functions",
    interval_ps=0.1,
    frames=200,
    options={"pairs": pairs, "r_max_A": number, "bin_width_A": number, "beyond_half_cell": flag},
    by_default=True,
    place=10,
)
def _of_bonded(subject: Subject, options: Options) -> Sequence[Observable]:
    """Make those of metals with their donors and with each other, or of chosen pairs."""
    chosen = options.get("pairs")
    if chosen is None:
        bonded = subject.bonded_pairs()
        metals = sorted({metal for metal, _ in bonded})
        chosen = bonded + [(a, b) for a, b in product(metals, metals) if a <= b]
    own = {
        "temperature_K": subject.temperature_K,
        "shrink": True,
        **{name: value for name, value in options.items() if name != "pairs"},
    }
    return [Rdf(a, b, **own) for a, b in chosen]


def find_gap(g: np.ndarray) -> slice | None:
    """Find the bins between the first shell and the next: from where g falls below 1 to 1 again.

    None where there are no two shells: g does not fall below 1/2 between them, or it does not rise
    to 1 again within the range.
    """
    full = g >= 1.0
    deep = np.flatnonzero(g < GAP_DEPTH)
    deep = deep[deep > np.argmax(full)]
    if not full.any() or not len(deep) or not full[deep[0] :].any():
        return None
    start = int(np.flatnonzero(full[: deep[0]])[-1]) + 1
    return slice(start, int(deep[0] + np.argmax(full[deep[0] :])))


def _barrier(pmf: Column, gap: slice, sampling: Sampling) -> Estimate:
    """Highest F in the gap above the lowest F of the first shell."""
    energy, error = pmf.values, pmf.standard_error
    top = gap.start + int(np.argmax(energy[gap]))
    bottom = int(np.nanargmin(energy[: gap.start]))
    spread = np.nan if error is None else float(np.hypot(error[top], error[bottom]))
    return Estimate(float(energy[top] - energy[bottom]), spread, sampling.independent, pmf.unit)


def pmf_table(
    abscissa: tuple[str, Column], density: Column, temperature_K: float, title: str
) -> Table:
    """Potential of mean force −k_B T ln(p/p_max) [kJ/mol]; NaN where p is zero."""
    thermal = BOLTZMANN_EV_PER_K * EV_TO_KJ_PER_MOL * temperature_K
    p, error = density.values, density.standard_error
    with np.errstate(divide="ignore", invalid="ignore"):
        energy = np.where(p > 0, -thermal * np.log(p / p.max()), np.nan)
        spread = None if error is None else np.where(p > 0, thermal * error / p, np.nan)
    name, column = abscissa
    return Table({name: column, "F": Column(energy, "kJ/mol", spread)}, "curve", title)


def bin_edges(r_max_A: float, bin_width_A: float) -> np.ndarray:
    """Edges of bins from zero to a distance that is a multiple of their width [Å]."""
    if not bin_width_A > 0:
        raise InputError(f"bin_width_A: {bin_width_A}, expected a positive width")
    bins = round(r_max_A / bin_width_A)
    if bins < 1 or abs(bins * bin_width_A - r_max_A) > 1e-9:
        raise InputError(f"r_max_A: {r_max_A} is not a multiple of bin_width_A {bin_width_A}")
    return np.linspace(0.0, r_max_A, bins + 1)


def normalised(
    counts: np.ndarray, frame: Frame, pair: tuple[str, str], edges: np.ndarray
) -> np.ndarray:
    """Turn counts of ordered pairs into g(r)."""
    shells = 4 / 3 * np.pi * np.diff(edges**3)
    n_first, n_second = (len(frame.species.atoms_of(element)) for element in pair)
    return np.asarray(counts * frame.volume_A3 / (n_first * n_second * shells))


def pair_counts(frame: Frame, pair: tuple[str, str], edges: np.ndarray) -> np.ndarray:
    """Count ordered pairs of two elements in bins of their distance, all images included.

    Parameters
    ----------
    frame
        Any periodic cell.
    pair
        The elements.
    edges
        Of the bins [Å], as ``bin_edges`` gives them.
    """
    first, second = (frame.species.atoms_of(element) for element in pair)
    # the shorter list is cheaper as centres, and the ordered pairs are the same
    few, many = (first, second) if len(first) <= len(second) else (second, first)
    r_max, bins = float(edges[-1]), len(edges) - 1
    return count_pairs(frame.positions, frame.cell, r_max, bins, centres=few, others=many)
