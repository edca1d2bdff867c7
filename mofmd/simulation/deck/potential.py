"""Potentials of decks: a trained model, or LAMMPS commands of the user's own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ase import Atoms

from mofmd.errors import InputError, MissingFileError, absent
from mofmd.models.dispersion import dispersion as d3
from mofmd.models.dispersion.dispersion import Dispersion
from mofmd.models.files.model_file import read_model_file
from mofmd.models.files.validity import check_species
from mofmd.models.names import find_model
from mofmd.simulation.protocols.base.protocol import Variable

POTENTIAL_SCRIPT = "potential.in"


@dataclass(frozen=True)
class Potential:
    """A trained model as the potential of a deck.

    Parameters
    ----------
    pair_style
        LAMMPS pair style with its arguments, such as ``allegro``.
    model_file
        Deployed model.
    type_names
        Element of each LAMMPS type, in order; the model must know them.
    dispersion
        Added to the model.
    """

    pair_style: str
    model_file: Path
    type_names: tuple[str, ...]
    dispersion: Dispersion | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that are copied into the deck."""
        return (self.model_file,)

    @property
    def script(self) -> Path | None:
        """The deck's own potential.in stays as it is."""
        return None

    @property
    def texts(self) -> dict[str, str]:
        """Files that are written into the deck, by name."""
        if self.dispersion is None:
            return {}
        return {d3.FILE: self.dispersion.coefficients(self.type_names)}

    @property
    def variables(self) -> list[Variable]:
        """Variables of potential.in."""
        variables = [
            Variable("pair_style", self.pair_style),
            Variable("model", self.model_file.name),
        ]
        if self.dispersion is not None:
            variables.append(Variable("dispersion", "d3", f"{self.dispersion}, in {d3.FILE}"))
        return variables

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest says of it."""
        record = {
            "pair_style": self.pair_style,
            "model": self.model_file.name,
            "type_names": list(self.type_names),
        }
        return record if self.dispersion is None else record | {"dispersion": str(self.dispersion)}


@dataclass(frozen=True)
class PotentialScript:
    """LAMMPS commands as the potential of a deck: any pair style that LAMMPS has.

    Parameters
    ----------
    script
        File with ``pair_style``, ``pair_coeff`` and the like; ``${elements}`` stands for the
        elements of LAMMPS types 1, 2, ...; it names potential files without a folder.
    type_names
        Element of each LAMMPS type, in order.
    files
        Potential files that the script names.
    """

    script: Path
    type_names: tuple[str, ...]
    files: tuple[Path, ...] = ()

    @property
    def texts(self) -> dict[str, str]:
        """None: the script names its files."""
        return {}

    @property
    def variables(self) -> list[Variable]:
        """None: the script says all."""
        return []

    @property
    def record(self) -> dict[str, Any]:
        """What the manifest says of it."""
        return {
            "pair_style": None,
            "model": POTENTIAL_SCRIPT,
            "type_names": list(self.type_names),
        }


AnyPotential = Potential | PotentialScript


def model_potential(
    model: str | Path,
    type_names: Sequence[str] | Atoms,
    dispersion: Dispersion | None = None,
) -> Potential:
    """Make a potential from a model file, whose family gives the pair style.

    Parameters
    ----------
    model
        A file, or a name (``mofmd models list``).
    type_names
        Element of each LAMMPS type, in order; of a structure its elements in alphabetical order.
    dispersion
        Added to the model.

    Raises
    ------
    InputError
        If the model lacks one of the elements, by name.
    """
    symbols = type_names.symbols if isinstance(type_names, Atoms) else None
    names = tuple(type_names if symbols is None else sorted(set(symbols)))
    model_file = find_model(model)
    known = read_model_file(model_file)
    check_species(model_file, known.type_names, names)
    return Potential(known.family, model_file, names, dispersion)


def check_stress(potential: AnyPotential, protocol_name: str) -> None:
    """Refuse a model without a virial for a protocol whose cell answers to the stress."""
    if isinstance(potential, PotentialScript):
        return
    if read_model_file(potential.model_file).gives_stress is False:
        raise InputError(
            f"model: {potential.model_file.name} gives no stress, which {protocol_name} needs; "
            "deploy it with stress output, or take a protocol with a fixed cell (nvt, nve)"
        )


def check_files(potential: AnyPotential, taken: frozenset[str]) -> None:
    """Refuse files that are not there, or whose names LAMMPS or the deck cannot take."""
    names = set()
    for file in potential.files:
        if not file.is_file():
            raise MissingFileError(f"{file}: {absent(file, f'{_kind(potential)} file')}")
        name = file.name
        if not re.fullmatch(r"[\w.+=-]+", name, flags=re.ASCII):
            raise InputError(
                f"{_kind(potential)}_file: {name!r} cannot stand in a LAMMPS script; rename it to "
                "letters, digits and . _ + = -"
            )
        if name in taken or name in names:
            raise InputError(
                f"{_kind(potential)}_file: a deck has another file named {name!r}; rename it"
            )
        names.add(name)
    if potential.script is not None and not potential.script.is_file():
        raise MissingFileError(f"potential_script: {potential.script}: {absent(potential.script)}")


def _kind(potential: AnyPotential) -> str:
    return "model" if isinstance(potential, Potential) else "potential"
