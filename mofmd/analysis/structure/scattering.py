"""Total scattering: structure factor S(Q) and pair functions G(r) and D(r), X-ray and neutron.

Faber-Ziman: S(Q) − 1 = Σ_ab w_ab(Q) (S_ab(Q) − 1) with w_ab = c_a c_b b_a b_b / ⟨b⟩² and
S_ab(Q) − 1 = 4πρ ∫ r² (g_ab(r) − 1) sin(Qr)/(Qr) L(r) dr. F(Q) = S(Q) − 1, and
D(r) = (2/π) ∫ Q F(Q) sin(Qr) W(Q) dQ is 4πρr times the weighted mean of g − 1 (Keen, J. Appl.
Crystallogr. 2001, 34, 172). For X-rays b is the form factor at each Q, for neutrons the coherent
length. L and W are Lorch's windows sin(πx)/(πx); D is calculated without L, which would damp it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Literal

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp
from mofmd.analysis.base.registry import observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.option_text import number
from mofmd.analysis.structure.rdf import bin_edges, normalised
from mofmd.errors import InputError
from mofmd.geometry.neighbours import cell_heights, count_pairs
from mofmd.trajectory.frame import Frame

Q_SHOWN_PER_A = 0.4
Radiation = Literal["xray", "neutron"]


def scattering_factors(
    elements: tuple[str, ...], radiation: Radiation, q: np.ndarray
) -> np.ndarray:
    """Scattering power of each element: form factor, or coherent length in fm (elements, q).

    Form factors are those of Waasmaier and Kirfel, lengths those of the NIST table, both from
    periodictable.
    """
    import periodictable
    from periodictable import cromermann

    if radiation == "xray":
        return np.array([cromermann.fxrayatq(name, q) for name in elements])
    lengths = [periodictable.elements.symbol(name).neutron.b_c for name in elements]
    unknown = [name for name, b in zip(elements, lengths, strict=True) if b is None]
    if unknown:
        raise InputError(f"scattering: no neutron scattering length of {unknown[0]}")
    return np.array(lengths, dtype=np.float64)[:, None] * np.ones(len(q))


def partial_structure_factors(
    r: np.ndarray, g: np.ndarray, density: float, q: np.ndarray, *, damped: bool = True
) -> np.ndarray:
    """S_ab(Q) − 1 of partials g_ab(r).

    Parameters
    ----------
    r
        (bins,) centres of bins of equal width [Å].
    g
        (pairs, bins) partial radial distribution functions.
    density
        Atoms per volume [1/Å³].
    q
        (q,) wave numbers [1/Å].
    damped
        Whether g − 1 goes to zero by Lorch's window at the end of its range; without it S ripples,
        but what is transformed back from it is whole.
    """
    width = r[1] - r[0]
    window = np.sinc(r / (r[-1] + width / 2)) if damped else np.ones(len(r))
    kernel = np.sinc(np.outer(q, r) / np.pi) * (4 * np.pi * density * r**2 * window * width)
    return np.asarray((g - 1) @ kernel.T)


@observable(
    "scattering",
    title="Scattering",
    interval_ps=1.0,
    frames=50,
    options={"r_max_A": number, "bin_width_A": number, "q_max_per_A": number},
    place=90,
)
@dataclass(eq=False)
class Scattering(Observable):
    """Structure factors and pair functions from all partial g(r).

    Parameters
    ----------
    r_max_A
        Range of g(r) [Å]; None takes what fits in half the cell of every frame. The truncation
        broadens S(Q) by about 2π/r_max.
    bin_width_A
        Width of a bin [Å].
    q_max_per_A
        Largest Q [1/Å]; the published ZIF-4 data end at 24.
    interval_ps, cut
        As for every observable.
    """

    r_max_A: float | None = None
    bin_width_A: float = 0.02
    q_max_per_A: float = 24.0

    def __post_init__(self) -> None:
        """Refuse ranges that are none."""
        r_max_A = self.bin_width_A if self.r_max_A is None else self.r_max_A
        self._edges = bin_edges(r_max_A, self.bin_width_A)
        if not self.q_max_per_A > 1:
            raise InputError(f"q_max_per_A: {self.q_max_per_A}, expected more than 1")
        self._record = Record()

    @property
    def name(self) -> str:
        """Short name for people."""
        return "scattering"

    def check(self, frame: Frame) -> None:
        """Find the range where it was left open, and the pairs."""
        if self.r_max_A is None:
            half = cell_heights(frame.cell).min() / 2
            bins = int(half / self.bin_width_A)
            self._edges = bin_edges(round(bins * self.bin_width_A, 9), self.bin_width_A)
        self._species = frame.species
        self._pairs = list(combinations_with_replacement(frame.species.elements, 2))

    def measure(self, frame: Frame) -> tuple[float, np.ndarray]:
        """Mean of 1/r over all pairs [1/Å]; partial g(r) and the density of atoms in one array."""
        half = cell_heights(frame.cell).min() / 2
        if self._edges[-1] > half + 1e-9 and self.r_max_A is not None:
            raise InputError(
                f"r_max_A: {self._edges[-1]:g} exceeds {half:.3f} Å, half the cell's smallest "
                f"height at step {frame.step}"
            )
        rows = []
        bins = len(self._edges) - 1
        total = np.zeros(bins)
        for pair in self._pairs:
            a, b = (frame.species.atoms_of(element) for element in pair)
            r_max = float(self._edges[-1])
            counts = count_pairs(frame.positions, frame.cell, r_max, bins, centres=a, others=b)
            total += counts
            g = normalised(counts, frame, pair, self._edges)
            # half a cell that breathes, of the smallest one: the rest is left out in the end
            g[self._edges[1:] > half + 1e-9] = np.nan
            rows.append(g)
        inverse = 2 / (self._edges[1:] + self._edges[:-1])
        array = np.array([*rows, np.full(bins, len(frame) / frame.volume_A3)])
        return float(total @ inverse / max(1.0, total.sum())), array

    def add(self, stamp: Stamp, value: tuple[float, np.ndarray]) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, *value)

    def result(self) -> Result:
        """Weight the mean partials."""
        sampling = self._record.sampling(self.cut)
        mean, _ = self._record.average.mean(sampling)
        fits = int(np.isfinite(mean).all(axis=0).sum())
        g, density = mean[:-1, :fits], float(mean[-1, 0])
        r = (self._edges[1:] + self._edges[:-1])[:fits] / 2
        # S(Q) of a short g(r) means nothing at small Q, but D(r) is whole only with all of it
        q = 0.02 * np.arange(1, round(self.q_max_per_A / 0.02))
        shown = q > Q_SHOWN_PER_A - 1e-9
        partials = partial_structure_factors(r, g, density, q)
        whole = partial_structure_factors(r, g, density, q, damped=False)
        fractions = np.bincount(self._species.codes) / len(self._species)
        structure, structure_self = ({"Q": Column(q[shown], "1/Å")} for _ in range(2))
        pair, pair_self = ({"r": Column(r, "Å")} for _ in range(2))
        window = np.sinc(q / self.q_max_per_A)
        transform = 2 / np.pi * np.sin(np.outer(r, q)) * (q * (q[1] - q[0]))
        notes = []
        radiations: tuple[Radiation, ...] = ("xray", "neutron")
        for radiation in radiations:
            try:
                factors = scattering_factors(self._species.elements, radiation, q)
            except InputError as error:
                notes.append(f"Without {radiation}: {error}")
                continue
            weights = _weights(self._species.elements, self._pairs, fractions, factors)
            f = np.einsum("pq,pq->q", weights, partials)
            f_whole = np.einsum("pq,pq->q", weights, whole)
            d = transform @ (window * f_whole)
            structure[f"S {radiation}"] = Column(1 + f[shown], label="S(Q)")
            pair[f"D {radiation}"] = Column(d, "1/Å²", label="D(r)")
            pair[f"G {radiation}"] = Column(d / (4 * np.pi * density * r), label="G(r)")
            # self scattering is ⟨b²⟩: what Gudrun divides by, if told so
            ratio = (fractions @ factors) ** 2 / (fractions @ factors**2)
            structure_self[f"S {radiation} self"] = Column(1 + (ratio * f)[shown], label="S(Q)")
            d_self = transform @ (ratio * f_whole)
            pair_self[f"D {radiation} self"] = Column(d_self, "1/Å²", label="D(r)")
        return Result(
            name=self.name,
            definition="Faber-Ziman S(Q) from all partial g(r); D(r) = (2/π)∫ Q F(Q) sin(Qr) dQ, "
            "Lorch window in Q (Keen 2001); G = D/(4πρr); 'self': F divided by ⟨b²⟩, not ⟨b⟩², and "
            "D without a window, as Gudrun's",
            settings={
                "r_max_A": float(self._edges[fits]),
                "bin_width_A": self.bin_width_A,
                "q_max_per_A": self.q_max_per_A,
                "density_per_A3": density,
            },
            scalars={},
            tables={
                "structure factor": Table(structure, "curve", "Structure factor"),
                "pair function": Table(pair, "curve", "Pair functions D(r) and G(r)"),
                "structure factor self": Table(
                    structure_self, "curve", "Structure factor, divided by ⟨b²⟩"
                ),
                "pair function self": Table(pair_self, "curve", "D(r), divided by ⟨b²⟩"),
            },
            sampling=sampling,
            notes=tuple(notes),
        )


def _weights(
    elements: tuple[str, ...],
    pairs: list[tuple[str, str]],
    fractions: np.ndarray,
    factors: np.ndarray,
) -> np.ndarray:
    """Faber-Ziman weight of each pair at each Q; unlike pairs count twice."""
    mean = fractions @ factors
    rows = []
    for first, second in pairs:
        a, b = elements.index(first), elements.index(second)
        both = 1 if a == b else 2
        rows.append(both * fractions[a] * fractions[b] * factors[a] * factors[b] / mean**2)
    return np.array(rows)
