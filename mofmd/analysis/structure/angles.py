"""Bond-angle distributions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.analysis.base.observable import Observable, Record, Stamp, require_elements
from mofmd.analysis.base.registry import Options, Subject, observable
from mofmd.analysis.base.result import Column, Result, Table
from mofmd.analysis.base.statistics import mean_of_series
from mofmd.analysis.option_text import limit_of, limits, number, triples
from mofmd.analysis.structure.rdf import pmf_table
from mofmd.compiled import compiled
from mofmd.errors import InputError
from mofmd.geometry.neighbours import find_pairs, refuse_coincident
from mofmd.structures.frame import Frame
from mofmd.topology.metal_donors import longest_bond_A


def bond_angles(frame: Frame, triple: tuple[str, str, str], cutoff_A: float) -> np.ndarray:
    """Angles A-B-C of all pairs of bonds at each atom B, each once [degrees].

    Parameters
    ----------
    frame
        Any periodic cell.
    triple
        Elements A, B, C; the centre is B.
    cutoff_A
        A and C are closer to B than this [Å]; all periodic images count.
    """
    first, vectors, side = _bonds(frame, triple, cutoff_A)
    return np.asarray(np.degrees(_angles(first, vectors, side, triple[0] == triple[2])))


@dataclass(eq=False)
class BondAngles(Observable):
    """Distribution of the angle A-B-C, per degree and integrating to 1, and its free energy.

    F(θ) = −k_B T ln(P(θ)/P_max), with P as it is (not divided by sin θ), as in Fig. 7 of Castel et
    al., Digital Discovery 2024, 3, 355.

    Parameters
    ----------
    first, centre, last
        Elements A, B, C.
    cutoff_A
        Longest bond [Å]; None takes the longer one of ``longest_bond_A`` of both: 2.5 Å for Zn-N
        ("Structural properties").
    bin_width_deg
        Width of a bin, a divisor of 180.
    temperature_K
        For the free energy; None leaves it out.
    interval_ps, cut
        As for every observable; the paper's interval is 0.1 ps.
    """

    first: str = "N"
    centre: str = "Zn"
    last: str = "N"
    cutoff_A: float | None = None
    bin_width_deg: float = 1.0
    temperature_K: float | None = None

    def __post_init__(self) -> None:
        """Refuse bins that do not fit."""
        bins = round(180 / self.bin_width_deg) if self.bin_width_deg > 0 else 0
        if bins < 1 or abs(bins * self.bin_width_deg - 180) > 1e-9:
            raise InputError(f"bin_width_deg: {self.bin_width_deg} does not divide 180")
        self.triple = (self.first, self.centre, self.last)
        self._cutoff_A = self.cutoff_A or max(
            longest_bond_A(self.first, self.centre), longest_bond_A(self.last, self.centre)
        )
        self._edges = np.linspace(0, 180, bins + 1)
        self._record = Record()

    @property
    def name(self) -> str:
        """Short name for people."""
        return f"angles {'-'.join(self.triple)}"

    def check(self, frame: Frame) -> None:
        """Refuse absent elements."""
        require_elements(frame, self.triple, self.name)

    def measure(self, frame: Frame) -> tuple[float, np.ndarray]:
        """Mean angle [degrees], and the distribution."""
        angles = bond_angles(frame, self.triple, self._cutoff_A)
        counts, _ = np.histogram(angles, bins=self._edges)
        if len(angles) == 0:
            raise InputError(
                f"{self.name}: no two bonds below {self._cutoff_A:g} Å at any {self.triple[1]} at "
                f"step {frame.step}: no angle; if they are longer, give cutoff_A (command line: "
                "--set angles.cutoff_A=)"
            )
        return float(angles.mean()), counts / (len(angles) * np.diff(self._edges))

    def add(self, stamp: Stamp, value: tuple[float, np.ndarray]) -> None:
        """Take the measurement of the next frame."""
        self._record.add(stamp, *value)

    def result(self) -> Result:
        """Average over the frames in equilibrium."""
        sampling = self._record.sampling(self.cut)
        density, error = self._record.average.mean(sampling)
        label = "-".join(self.triple)
        centres = (self._edges[1:] + self._edges[:-1]) / 2
        angle = Column(centres, "degree", label=f"{label} angle θ")
        tables = {
            "distribution": Table(
                {"angle": angle, "P": Column(density, "1/degree", error, "P(θ)")},
                "curve",
                f"{label} bond-angle distribution",
            )
        }
        if self.temperature_K is not None:
            tables["pmf"] = pmf_table(
                ("angle", angle),
                tables["distribution"].columns["P"],
                self.temperature_K,
                f"{label} free energy",
            )
        return Result(
            name=self.name,
            definition="P(θ) of angles between bonds shorter than the cutoff, ∫P dθ = 1; "
            "F = -kT ln(P/P_max) (Castel et al. 2024, Fig. 7)",
            settings={
                "triple": list(self.triple),
                "cutoff_A": self._cutoff_A,
                "bin_width_deg": float(self._edges[1]),
                "temperature_K": self.temperature_K,
            },
            scalars={
                "mean angle": mean_of_series(np.array(self._record.series), sampling, "degree")
            },
            tables=tables,
            sampling=sampling,
        )


@observable(
    "angles",
    title="Bond angles",
    interval_ps=0.1,
    frames=200,
    options={"triples": triples, "cutoff_A": limits, "bin_width_deg": number},
    by_default=True,
    place=20,
)
def _at_metals(subject: Subject, options: Options) -> Sequence[Observable]:
    """Make those of two donors at a metal, or of chosen triples."""
    chosen = options.get("triples")
    if chosen is None:
        chosen = [(donor, metal, donor) for metal, donor in subject.bonded_pairs()]
    given = options.get("cutoff_A", {})
    return [
        BondAngles(
            first,
            centre,
            last,
            max(
                limit_of(given, (centre, end)) or longest_bond_A(centre, end)
                for end in (first, last)
            ),
            options.get("bin_width_deg", 1.0),
            subject.temperature_K,
        )
        for first, centre, last in chosen
    ]


def _bonds(
    frame: Frame, triple: tuple[str, str, str], cutoff_A: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bonds in the order of their centres: centre, vector, and 0 for A, 1 for C."""
    centres = frame.species.atoms_of(triple[1])
    parts = []
    for side, element in enumerate(dict.fromkeys((triple[0], triple[2]))):
        others = frame.species.atoms_of(element)
        found = find_pairs(frame.positions, frame.cell, cutoff_A, centres=centres, others=others)
        refuse_coincident(found)
        parts.append((found.first, found.vectors, side))
    first = np.concatenate([part[0] for part in parts])
    order = np.argsort(first, kind="stable")
    sides = np.concatenate([np.full(len(part[0]), part[2]) for part in parts])
    return (
        first[order],
        np.concatenate([part[1] for part in parts])[order],
        sides[order],
    )


@compiled
def _angles(first: np.ndarray, vectors: np.ndarray, side: np.ndarray, alike: bool) -> np.ndarray:
    """Angles [rad] between bonds j < k of one centre, of different sides unless these are alike."""
    n = len(first)
    found = 0
    begin = 0
    for j in range(n + 1):
        if j == n or first[j] != first[begin]:
            found += (j - begin) * (j - begin - 1) // 2
            begin = j
    angles = np.empty(found)
    found = 0
    for j in range(n):
        k = j + 1
        while k < n and first[k] == first[j]:
            if alike or side[j] != side[k]:
                dot = 0.0
                jj = 0.0
                kk = 0.0
                for x in range(3):
                    dot += vectors[j, x] * vectors[k, x]
                    jj += vectors[j, x] ** 2
                    kk += vectors[k, x] ** 2
                angles[found] = np.arccos(min(1.0, max(-1.0, dot / np.sqrt(jj * kk))))
                found += 1
            k += 1
    return angles[:found]
