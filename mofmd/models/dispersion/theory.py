"""The level of theory that a model was trained on: a functional, and dispersion or none."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mofmd.errors import InputError
from mofmd.models.words import XTB

NONE = "none"
KEY = "level_of_theory"
"""Name in manifests and in the ``info`` of labelled frames."""


@dataclass(frozen=True, order=True)
class LevelOfTheory:
    """Of labels, and of models that are trained on them.

    Parameters
    ----------
    functional
        ``pbe``, ``r2scan`` and so on, or the name of another method.
    dispersion
        What of it is in the labels: ``none``, ``d3bj:pbe``, or another word.
    """

    functional: str
    dispersion: str = NONE

    def __str__(self) -> str:
        """Write it as a word: ``pbe``, ``pbe+d3bj:pbe``."""
        return self.functional + ("" if self.dispersion == NONE else f"+{self.dispersion}")

    def as_record(self) -> dict[str, str]:
        """Give it as the manifest of a model holds it."""
        return asdict(self)

    def with_dispersion(self, added: object | None) -> LevelOfTheory:
        """Give the level of a model of this one with something added; None adds nothing."""
        if added is None:
            return self
        own = "" if self.dispersion == NONE else f"{self.dispersion}+"
        return LevelOfTheory(self.functional, f"{own}{added}")


GFN1 = LevelOfTheory(XTB, "d3bj")
"""GFN1-xTB has D3 with Becke-Johnson damping in it (Grimme et al., J. Chem. Theory Comput. 2017,
13, 1989, doi:10.1021/acs.jctc.7b00118)."""


def parse_theory(word: str) -> LevelOfTheory:
    """Read ``pbe`` (without dispersion), ``pbe+d3bj:pbe``.

    Raises
    ------
    InputError
        If it is no such word.

    Examples
    --------
    >>> parse_theory("PBE+d3bj:pbe")
    LevelOfTheory(functional='pbe', dispersion='d3bj:pbe')
    """
    functional, _, dispersion = word.strip().lower().partition("+")
    if not re.fullmatch(r"[\w.()-]+", functional) or (
        "+" in word and not re.fullmatch(r"[\w.:+()-]+", dispersion)
    ):
        raise InputError(
            f"level_of_theory: {word!r}, expected a functional without dispersion (pbe), or with "
            "what is in the labels (pbe+d3bj:pbe)"
        )
    return LevelOfTheory(functional, dispersion or NONE)


def theory_of(manifest: Mapping[str, Any] | None) -> LevelOfTheory | None:
    """Read what a manifest says of it; None where it says nothing."""
    theory = (manifest or {}).get(KEY)
    if not isinstance(theory, Mapping) or not theory.get("functional"):
        return None
    functional, dispersion = theory["functional"], theory.get("dispersion") or NONE
    return LevelOfTheory(str(functional).lower(), str(dispersion).lower())
