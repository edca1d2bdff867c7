"""Observables by name, set up for a structure as the glass paper measures it.

Intervals between frames are those of Castel et al., Digital Discovery 2024, 3, 355, "Structural
properties": 0.1 ps for RDF, angles and coordination, 0.5 ps for displacements, 1 ps for rings,
10 ps for pores. They are left out where frames have no times.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from mofmd.analysis.angles import BondAngles
from mofmd.analysis.bond_graph import find_bonds
from mofmd.analysis.coordination import ZN_N_CUTOFF_A, CoordinationNumber
from mofmd.analysis.density import Density
from mofmd.analysis.integrity import Integrity
from mofmd.analysis.msd import Msd
from mofmd.analysis.neighbours import cell_heights
from mofmd.analysis.observable import Observable
from mofmd.analysis.pores import PoreStatistics
from mofmd.analysis.rdf import Rdf
from mofmd.analysis.rings import Rings
from mofmd.analysis.scattering import Scattering
from mofmd.analysis.strain_fluctuation import StrainFluctuation
from mofmd.analysis.vacf import Vacf
from mofmd.errors import InputError
from mofmd.structures.bonds import BOND_FACTOR
from mofmd.trajectory.frame import Frame

RDF_MAX_A = 10.0
RDF_BIN_A = 0.05


@dataclass(frozen=True)
class Subject:
    """What is to be measured on.

    Parameters
    ----------
    frame
        First frame.
    temperature_K
        Temperature, for potentials of mean force and elastic constants; None leaves the first out
        and makes the second an error.
    """

    frame: Frame
    temperature_K: float | None

    def every(self, interval_ps: float) -> float | None:
        """Interval, where frames have times."""
        return interval_ps if self.frame.time_ps is not None else None

    def bonded_pairs(self) -> list[tuple[str, str, float]]:
        """Metals and the donors bonded to them, with the longest bond [Å]."""
        import ase.data

        graph = find_bonds(self.frame, metal_cutoffs_A={("Zn", "N"): ZN_N_CUTOFF_A})
        elements = np.array(self.frame.species.elements)[self.frame.species.codes]
        bonds = np.flatnonzero(graph.to_metal)
        pairs = sorted({(elements[graph.first[k]], elements[graph.second[k]]) for k in bonds})
        if not pairs:
            raise InputError(
                "observables: no metal is bonded to a donor in the first frame; rdf, angles and "
                "coordination are set up by such bonds (Python takes any pair of elements)"
            )
        radii = {n: ase.data.covalent_radii[ase.data.atomic_numbers[n]] for p in pairs for n in p}
        return [
            (
                str(metal),
                str(donor),
                ZN_N_CUTOFF_A
                if (metal, donor) == ("Zn", "N")
                else BOND_FACTOR * (radii[metal] + radii[donor]),
            )
            for metal, donor in pairs
        ]


def _rdf(subject: Subject) -> Sequence[Observable]:
    pairs = [(metal, donor) for metal, donor, _ in subject.bonded_pairs()]
    metals = sorted({metal for metal, _ in pairs})
    pairs += [(a, b) for a, b in product(metals, metals) if a <= b]
    # whole bins within half the cell of the first frame; a cell that breathes leaves fewer
    half = cell_heights(subject.frame.cell).min() / 2
    r_max = RDF_BIN_A * int(min(RDF_MAX_A, half) / RDF_BIN_A)
    return [
        Rdf(
            a,
            b,
            r_max,
            RDF_BIN_A,
            subject.temperature_K,
            shrink=True,
            interval_ps=subject.every(0.1),
        )
        for a, b in pairs
    ]


def _angles(subject: Subject) -> Sequence[Observable]:
    return [
        BondAngles(
            donor,
            metal,
            donor,
            cutoff,
            temperature_K=subject.temperature_K,
            interval_ps=subject.every(0.1),
        )
        for metal, donor, cutoff in subject.bonded_pairs()
    ]


def _coordination(subject: Subject) -> Sequence[Observable]:
    return [
        CoordinationNumber(metal, donor, cutoff, interval_ps=subject.every(0.1))
        for metal, donor, cutoff in subject.bonded_pairs()
    ]


def _elasticity(subject: Subject) -> Sequence[Observable]:
    if subject.temperature_K is None:
        raise InputError("elasticity: needs the temperature; give --temperature in K")
    return [StrainFluctuation(temperature_K=subject.temperature_K)]


CATALOGUE: Mapping[str, Callable[[Subject], Sequence[Observable]]] = {
    "rdf": _rdf,
    "angles": _angles,
    "coordination": _coordination,
    "density": lambda subject: [Density(interval_ps=subject.every(0.1))],
    "integrity": lambda subject: [Integrity(interval_ps=subject.every(0.1))],
    "msd": lambda subject: [Msd(interval_ps=subject.every(0.5))],
    "rings": lambda subject: [Rings(interval_ps=subject.every(1.0))],
    "king": lambda subject: [Rings(kind="king", interval_ps=subject.every(1.0))],
    "pores": lambda subject: [PoreStatistics(interval_ps=subject.every(10.0))],
    "scattering": lambda subject: [Scattering(interval_ps=subject.every(1.0))],
    "elasticity": _elasticity,
    "vacf": lambda _: [Vacf()],
}
DEFAULT = ("rdf", "angles", "coordination", "density", "integrity", "rings", "pores")


def make_observables(names: Sequence[str], subject: Subject) -> list[Observable]:
    """Set up observables by name.

    Parameters
    ----------
    names
        Names in ``CATALOGUE``.
    subject
        What is to be measured on.
    """
    unknown = [name for name in names if name not in CATALOGUE]
    if unknown:
        raise InputError(
            f"observables: {unknown[0]!r} is unknown; there are {', '.join(CATALOGUE)}"
        )
    return [observable for name in names for observable in CATALOGUE[name](subject)]
