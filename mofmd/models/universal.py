"""Universal models by name: trained already, carried by the package of their framework."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mofmd.errors import EnvironmentSetupError
from mofmd.models.environments import Framework

_MPTRJ = "MPtrj: relaxations of the Materials Project (CC BY 4.0)"
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
    training_data, licence, citations
        For the manifest.
    """

    name: str
    framework: Framework
    checkpoint: str
    functionals: Mapping[str, str]
    training_data: str
    licence: str
    citations: tuple[str, ...]

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
MODELS = {
    model.name: model
    for model in (
        UniversalModel(
            "sevennet-0",
            "sevennet",
            f"{_POTENTIALS}/SevenNet_0__11Jul2024/checkpoint_sevennet_0.pth",
            {"": "pbe"},
            _MPTRJ,
            _LICENCE,
            (_MPTRJ_CITATION,),
        ),
        UniversalModel(
            "sevennet-l3i5",
            "sevennet",
            f"{_POTENTIALS}/SevenNet_l3i5/checkpoint_l3i5.pth",
            {"": "pbe"},
            _MPTRJ,
            _LICENCE,
            (_MPTRJ_CITATION,),
        ),
        UniversalModel(
            "sevennet-mf-0",
            "sevennet",
            f"{_POTENTIALS}/SevenNet_MF_0/checkpoint_sevennet_mf_0.pth",
            {"PBE": "pbe", "R2SCAN": "r2scan"},
            f"{_MPTRJ}, and relaxations of the Materials Project with r2SCAN",
            _LICENCE,
            (_MULTIFIDELITY, _MPTRJ_CITATION),
        ),
    )
}


def find_universal(word: Path) -> UniversalModel | None:
    """Return the universal model of this name, unless there is a file of it."""
    return None if word.exists() else MODELS.get(str(word))
