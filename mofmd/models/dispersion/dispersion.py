"""Which dispersion a model is run with: the one value type of ``--dispersion`` and its like."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast, get_args

from mofmd.errors import InputError
from mofmd.models.dispersion.coefficients import (
    Damping,
    coefficient_file,
    damping_parameters,
    known_dampings,
)
from mofmd.models.files.deployed import find_manifest

FILE = "dispersion.d3"
HELP = "Dispersion: d3bj:FUNCTIONAL, d3zero:FUNCTIONAL, none, or auto: as the model's file says."
CUTOFF_A = 15.0
"""To which ``pair_style d3`` sums over pairs where it is not told."""


@dataclass(frozen=True)
class Dispersion:
    """D3 dispersion beside a potential.

    Parameters
    ----------
    damping
        ``bj`` (Becke-Johnson), ``zero``, or the modified ones ``bjm`` and ``zerom``.
    functional
        That the potential was trained with; upper case and hyphens do not matter.

    Raises
    ------
    InputError
        If there are no such parameters.

    Examples
    --------
    >>> str(Dispersion("bj", "PBE"))
    'd3bj:pbe'
    """

    damping: Damping
    functional: str

    def __post_init__(self) -> None:
        """Take the name that the data base has."""
        name = damping_parameters(self.damping, self.functional).functional
        object.__setattr__(self, "functional", name)

    def __str__(self) -> str:
        """Return the word that it is parsed from."""
        return f"d3{self.damping}:{self.functional}"

    def coefficients(self, elements: Sequence[str]) -> str:
        """Text of the file for ``pair_style d3``.

        Raises
        ------
        InputError
            If D3 has no coefficients of an element.
        """
        return coefficient_file(self.damping, self.functional, elements)

    def pair_commands(
        self,
        file: Path,
        names: Sequence[str],
        beside: Sequence[str] = (),
        cutoff_A: float = CUTOFF_A,
    ) -> tuple[str, ...]:
        """LAMMPS commands for dispersion alone, or beside another potential.

        Parameters
        ----------
        file
            Where `coefficients` of these elements have been written.
        names
            Elements of LAMMPS types 1, 2, ...
        beside
            ``pair_style`` and ``pair_coeff`` of the other potential, such as
            ``DeployedModel.pair_commands`` gives.
        cutoff_A
            To which pairs are summed [Å].

        Examples
        --------
        >>> dispersion = Dispersion("bj", "pbe")
        >>> model = ("pair_style mace", "pair_coeff * * model.pth C H")
        >>> for line in dispersion.pair_commands(Path("/tmp/c.d3"), ["C", "H"], model):
        ...     print(line)
        pair_style hybrid/overlay mace d3 cutoff 15
        pair_coeff * * mace model.pth C H
        pair_coeff * * d3 "/tmp/c.d3" C H
        """
        own_style = f"d3 cutoff {cutoff_A:g}"
        own_coeff = f'"{file.resolve()}" {" ".join(names)}'
        if not beside:
            return f"pair_style {own_style}", f"pair_coeff * * {own_coeff}"
        style, *coefficients = beside
        arguments = style.removeprefix("pair_style ")
        name = arguments.split()[0]
        return (
            f"pair_style hybrid/overlay {arguments} {own_style}",
            *(line.replace("pair_coeff * *", f"pair_coeff * * {name}", 1) for line in coefficients),
            f"pair_coeff * * d3 {own_coeff}",
        )


DispersionChoice = Dispersion | Literal["auto", "none"]


def parse_dispersion(word: str) -> DispersionChoice:
    """Parse ``d3bj:pbe``, ``d3zero:pbe``, ``none`` or ``auto``.

    Raises
    ------
    InputError
        If it is none of them, or there are no such parameters.
    """
    if word in ("auto", "none"):
        return cast(Literal["auto", "none"], word)
    return parse_d3(word)


def parse_d3(word: str) -> Dispersion:
    """Parse ``d3bj:pbe`` and the like.

    Raises
    ------
    InputError
        If it is no such word, or there are no such parameters.
    """
    match = re.fullmatch(r"d3([a-z]+):(.+)", word.strip().lower())
    if match is None or match[1] not in get_args(Damping):
        dampings = ", ".join(f"d3{each}:FUNCTIONAL" for each in get_args(Damping))
        raise InputError(
            f"dispersion: {word!r} is not known: it can be {dampings} (such as d3bj:pbe); "
            "models also take none, or auto"
        )
    return Dispersion(cast(Damping, match[1]), match[2])


def choose_dispersion(choice: DispersionChoice, model: Path) -> Dispersion | None:
    """Settle what a model is run with.

    Parameters
    ----------
    choice
        What the user asks for; ``auto`` adds what the model's manifest says is missing: where
        ``level_of_theory`` names a functional and the dispersion ``none``.
    model
        Model file; one without a manifest, or whose manifest says nothing of it, gets none.

    Raises
    ------
    InputError
        If it must be added, but there are no parameters for the functional.
    """
    if choice == "none":
        return None
    if choice == "auto":
        functional = functional_without_dispersion(find_manifest(model))
        return None if functional is None else _for_functional(functional, model)
    return choice


def dispersion_hints(choice: DispersionChoice, chosen: Dispersion | None, model: Path) -> list[str]:
    """Sentences for the user: what ``auto`` added, and what would be counted twice."""
    theory = _theory(find_manifest(model))
    if chosen is None:
        return []
    if choice == "auto":
        return [
            f"dispersion {chosen} is added: {model.name} was trained with "
            f"{theory['functional']} without dispersion (--dispersion none leaves it out)"
        ]
    if theory.get("dispersion") not in (None, "none"):
        return [
            f"{model.name} was trained with dispersion ({theory['dispersion']}): {chosen} counts "
            "it twice"
        ]
    return []


def functional_without_dispersion(manifest: dict[str, Any] | None) -> str | None:
    """Functional of a model that was trained without dispersion; None for any other model."""
    theory = _theory(manifest)
    functional = theory.get("functional") if theory.get("dispersion") == "none" else None
    return str(functional) if functional else None


def _theory(manifest: dict[str, Any] | None) -> dict[str, Any]:
    theory = (manifest or {}).get("level_of_theory")
    return theory if isinstance(theory, dict) else {}


def _for_functional(functional: str, model: Path) -> Dispersion:
    dampings = known_dampings(functional)
    if not dampings:
        raise InputError(
            f"dispersion: {model.name} was trained with {functional} without dispersion, and D3 "
            "has no parameters for it: choose those of another functional (--dispersion d3bj:pbe), "
            "or leave it out (--dispersion none)"
        )
    return Dispersion(dampings[0], functional)
