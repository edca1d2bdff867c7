"""Universal models by name: trained already, carried by the package of their framework."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase.data import chemical_symbols

from mofmd.errors import EnvironmentSetupError
from mofmd.models.environments import Framework

_MPTRJ = "MPtrj: relaxations of the Materials Project (CC BY 4.0)"
_CAUTION = "Beside DFT bulk moduli and high phonon frequencies tend to be too low"
_LICENCE = "MIT, as the package sevenn that carries it"
_MPTRJ_CITATION = (
    "B. Deng et al., Nat. Mach. Intell. 5, 1031 (2023), doi:10.1038/s42256-023-00716-3"
)
_MULTIFIDELITY = "J. Kim et al., J. Am. Chem. Soc. 147, 1042 (2025), doi:10.1021/jacs.4c14455"


@dataclass(frozen=True)
class UniversalModel:
    """A trained model that a framework's package carries.

    Parameters
    ----------
    name
        By which it is asked for.
    framework
        In whose environment it lies.
    checkpoint
        Its file below the environment's packages.
    functionals
        Density functional of its labels, without dispersion, by modality; the modality is "" where
        there is one only.
    elements
        That it knows.
    training_data, licence, citations
        For the manifest.
    remark
        What it is good for, beside others.
    caution
        What its users should know.
    us_per_edge
        Processor time of an evaluation for each pair of an atom and a neighbour, fused, float32, on
        one core of an AMD EPYC [µs]: benchmarks/universal.py, UiO-66 of 456 atoms.
    """

    name: str
    framework: Framework
    checkpoint: str
    functionals: Mapping[str, str]
    elements: tuple[str, ...]
    training_data: str
    licence: str
    citations: tuple[str, ...]
    remark: str
    caution: str
    us_per_edge: float

    def find(self, python: Path) -> Path:
        """Return its checkpoint in the environment of a Python.

        Raises
        ------
        EnvironmentSetupError
            If the environment lacks it.
        """
        root = python.parents[1]
        found = sorted(root.glob(f"lib/python3*/site-packages/{self.checkpoint}"))
        if not found:
            raise EnvironmentSetupError(
                f"{self.name}: its checkpoint {self.checkpoint} is absent from {root}: remove that "
                f"folder, and `mofmd env {self.framework}` makes the environment again"
            )
        return found[0]


_POTENTIALS = "sevenn/pretrained_potentials"
_NOT_IN_MPTRJ = ("Po", "At", "Rn", "Fr", "Ra")
_MPTRJ_ELEMENTS = tuple(e for e in chemical_symbols[1:95] if e not in _NOT_IN_MPTRJ)
MODELS = {
    model.name: model
    for model in (
        UniversalModel(
            "sevennet-0",
            "sevennet",
            f"{_POTENTIALS}/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
            {"": "pbe"},
            _MPTRJ_ELEMENTS,
            _MPTRJ,
            _LICENCE,
            (_MPTRJ_CITATION,),
            "the fastest of them",
            _CAUTION,
            36.0,
        ),
        UniversalModel(
            "sevennet-l3i5",
            "sevennet",
            f"{_POTENTIALS}/SevenNet_l3i5/checkpoint_l3i5.pth",
            {"": "pbe"},
            _MPTRJ_ELEMENTS,
            _MPTRJ,
            _LICENCE,
            (_MPTRJ_CITATION,),
            "smoother and more accurate than sevennet-0, at about twice its cost",
            _CAUTION,
            59.0,
        ),
        UniversalModel(
            "sevennet-mf-0",
            "sevennet",
            f"{_POTENTIALS}/SevenNet_MF_0/checkpoint_sevennet_mf_0.pth",
            {"PBE": "pbe", "R2SCAN": "r2scan"},
            _MPTRJ_ELEMENTS,
            f"{_MPTRJ}, and relaxations of the Materials Project with r2SCAN",
            _LICENCE,
            (_MULTIFIDELITY, _MPTRJ_CITATION),
            "two levels of theory",
            _CAUTION,
            36.0,  # not measured: the layers of sevennet-0
        ),
    )
}


def find_universal(word: Path) -> UniversalModel | None:
    """Return the universal model of this name, unless there is a file of it."""
    return None if word.is_file() else MODELS.get(str(word))


@dataclass(frozen=True)
class Variant:
    """A universal model of one level of theory: what a file of it is made from.

    Parameters
    ----------
    name
        That of the model, and the modality's where there are several: ``sevennet-mf-0-pbe``.
    model
        The model.
    modality
        None where there is one only.
    """

    name: str
    model: UniversalModel
    modality: str | None

    @property
    def functional(self) -> str:
        """Density functional of its labels, without dispersion."""
        return self.model.functionals[self.modality or ""]

    def as_dict(self) -> dict[str, Any]:
        """Give what is known of it without a file, as the manifest of a file names it."""
        return {
            "name": self.name,
            "family": self.model.framework,
            "type_names": list(self.model.elements),
            "level_of_theory": {"functional": self.functional, "dispersion": "none"},
            "training_data": self.model.training_data,
            "licence": self.model.licence,
            "citations": list(self.model.citations),
            "remark": self.model.remark,
            "caution": self.model.caution,
        }


VARIANTS = {
    variant.name: variant
    for model in MODELS.values()
    for variant in (
        Variant(f"{model.name}-{key.lower()}" if key else model.name, model, key or None)
        for key in model.functionals
    )
}
RECOMMENDED = "sevennet-l3i5"
"""The one that messages name."""


def universal_for(elements: Iterable[str]) -> str | None:
    """Name a universal model that knows these elements; None where none does."""
    known = VARIANTS[RECOMMENDED].model.elements
    return RECOMMENDED if set(elements) <= set(known) else None
