"""Coefficients of D3 for some elements, as the file that ``pair_style d3`` reads.

S. Grimme, J. Antony, S. Ehrlich, H. Krieg, J. Chem. Phys. 132, 154104 (2010) and the papers of the
damping functions. The numbers come from the package tad-dftd3 (Apache-2.0), those of the actinides
as in L. Wittmann, I. Gordiy, M. Friede, B. Helmich-Paris, S. Grimme, A. Hansen, M. Bursch, Phys.
Chem. Chem. Phys. 26, 21379 (2024).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import mofmd
from mofmd.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = "mofmd-d3 1"
PACKAGE = "tad-dftd3"
PLAIN_EXPONENT = 14.0  # of zero damping, in all published parameters

Damping = Literal["bj", "zero", "bjm", "zerom"]
KERNEL = {"bj": "bj", "bjm": "bj", "zero": "zero", "zerom": "zero"}
PARAMETERS = {"bj": ("s6", "s8", "a1", "a2"), "zero": ("s6", "s8", "rs6", "rs8", "bet")}


@dataclass(frozen=True)
class DampingParameters:
    """Parameters of a damping function for a functional.

    Parameters
    ----------
    functional
        By the name that the data base has.
    values
        Of ``PARAMETERS``; lengths in bohr.
    doi
        Of the paper with these numbers, where the data base knows it.
    """

    functional: str
    values: dict[str, float]
    doi: str | None


def damping_parameters(damping: Damping, functional: str) -> DampingParameters:
    """Look up the parameters of a functional; upper case and hyphens do not matter.

    Raises
    ------
    InputError
        If the functional is unknown, or has no parameters for this damping.
    """
    data = _table("parameters.toml")
    name = _canonical(functional)
    if name not in data["parameter"]:
        hint = did_you_mean(name, [*data["parameter"], *_aliases()], most=3) or "."
        raise InputError(
            f"dispersion: no D3 parameters are known for the functional {functional!r}{hint} "
            f"There are parameters for {len(data['parameter'])} functionals, among them pbe, "
            "pbesol, revpbe, rpbe, blyp, b3lyp, pbe0, hse06, scan, r2scan"
        )
    known = data["parameter"][name].get("d3", {})
    if damping not in known:
        others = [f"d3{each}:{name}" for each in get_args(Damping) if each in known]
        raise InputError(
            f"dispersion: there are no parameters of d3{damping} for {name}; "
            + (f"there are those of {', '.join(others)}" if others else "nor of any other damping")
        )
    entry = {**data["default"]["parameter"]["d3"][damping], **known[damping]}
    if entry.get("alp", PLAIN_EXPONENT) != PLAIN_EXPONENT:
        raise InputError(f"dispersion: d3{damping}:{name} has another exponent than 14")
    values = {key: float(entry.get(key, 0.0)) for key in PARAMETERS[KERNEL[damping]]}
    return DampingParameters(name, values, entry.get("doi"))


def known_dampings(functional: str) -> tuple[Damping, ...]:
    """Dampings that a functional has parameters for, the preferred one first."""
    known = _table("parameters.toml")["parameter"].get(_canonical(functional), {}).get("d3", {})
    return tuple(each for each in get_args(Damping) if each in known)


def coefficient_file(damping: Damping, functional: str, elements: Sequence[str]) -> str:
    """Text of the file that ``pair_style d3`` reads.

    Parameters
    ----------
    damping, functional
        As for `damping_parameters`.
    elements
        Chemical symbols.

    Raises
    ------
    InputError
        If D3 has no coefficients of an element, or no parameters of the functional.
    """
    parameters = damping_parameters(damping, functional)
    symbols = sorted(set(elements))
    coefficients = _coefficients()
    for symbol in symbols:
        if symbol not in coefficients:
            raise InputError(
                f"dispersion: D3 has no coefficients of {symbol!r}: it knows the elements H to Lr; "
                "leave the dispersion out, or these atoms"
            )
    values = " ".join(f"{key} {value!r}" for key, value in parameters.values.items())
    source = f": doi:{parameters.doi}" if parameters.doi else ""
    lines = [
        f"# D3 dispersion for LAMMPS's pair_style d3, written by mofmd {mofmd.__version__}",
        f"# Damping parameters of {parameters.functional}{source}",
        f"# Coefficients: {PACKAGE} {metadata.version(PACKAGE)} (Apache-2.0), those of S. Grimme,",
        "# J. Antony, S. Ehrlich, H. Krieg, J. Chem. Phys. 132, 154104 (2010)",
        "# Radii in angstrom, all else in atomic units (bohr, hartree)",
        FORMAT,
        f"d3{damping}:{parameters.functional}",
        f"{KERNEL[damping]} {values}",
        f"{len(symbols)}",
        "# element, covalent radius, sqrt(Q), reference systems, their coordination numbers",
        *(coefficients.element_line(symbol) for symbol in symbols),
        "# element, element, R0, C6 of each pair of reference systems",
        *(
            coefficients.pair_line(a, b)
            for number, a in enumerate(symbols)
            for b in symbols[number:]
        ),
    ]
    return "\n".join(lines) + "\n"


class _Coefficients:
    """The tables of tad-dftd3, which has the radii in its own bohr: they were published in Å."""

    def __init__(self) -> None:
        import torch
        from ase.data import atomic_numbers
        from tad_dftd3.data import R4R2
        from tad_dftd3.reference import Reference
        from tad_mctc.data.radii import COV_D3, VDW_PAIRWISE
        from tad_mctc.units import length

        cpu, double = torch.device("cpu"), torch.double
        reference = Reference(device=cpu, dtype=double)
        self._z: dict[str, int] = atomic_numbers
        self._bohr = float(length.AU2AA)
        self._covalent: Tensor = COV_D3(device=cpu, dtype=double)
        self._radii: Tensor = VDW_PAIRWISE(device=cpu, dtype=double)
        self._moments: Tensor = R4R2(device=cpu, dtype=double)
        self._numbers: Tensor = reference.cn
        self._c6: Tensor = reference.c6

    def __contains__(self, symbol: str) -> bool:
        return 0 < self._z.get(symbol, 0) < len(self._numbers)

    def _references(self, z: int) -> list[int]:
        return [k for k, number in enumerate(self._numbers[z].tolist()) if number >= 0.0]

    def element_line(self, symbol: str) -> str:
        z = self._z[symbol]
        numbers = [self._numbers[z][k].item() for k in self._references(z)]
        covalent = 0.75 * self._covalent[z].item() * self._bohr
        return f"{symbol} {covalent:.2f} {self._moments[z].item()!r} {len(numbers)} " + " ".join(
            f"{number:.10g}" for number in numbers
        )

    def pair_line(self, first: str, second: str) -> str:
        a, b = self._z[first], self._z[second]
        c6 = [self._c6[a, b, k, m].item() for k in self._references(a) for m in self._references(b)]
        radius = self._radii[a, b].item() * self._bohr
        return f"{first} {second} {radius:.4f} " + " ".join(f"{value:.10g}" for value in c6)


@cache
def _coefficients() -> _Coefficients:
    return _Coefficients()


def _canonical(functional: str) -> str:
    name = functional.lower().replace("-", "")
    return _aliases().get(name, name)


def _aliases() -> dict[str, str]:
    return dict(_table("aliases.toml")["alias"])


@cache
def _table(name: str) -> dict[str, Any]:
    """Read a table of tad-dftd3 without importing it, which would import torch."""
    path = Path(str(metadata.distribution(PACKAGE).locate_file(f"tad_dftd3/param/{name}")))
    with path.open("rb") as file:
        return tomllib.load(file)
