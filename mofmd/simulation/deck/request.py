"""From words to a deck: what ``mofmd generate`` does, as one call."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from ase import Atoms

from mofmd.calculator.density.new_atoms import new_atoms_hint_of_file
from mofmd.errors import InputError
from mofmd.models.dispersion.dispersion import (
    DispersionChoice,
    choose_dispersion,
    dispersion_hints,
    parse_dispersion,
)
from mofmd.models.files.validity import check_suits
from mofmd.models.names import find_model, model_names
from mofmd.simulation.deck.atom_types import framework_and_guest_types
from mofmd.simulation.deck.deck import Deck, write_deck
from mofmd.simulation.deck.notes import Notes, kept_notes
from mofmd.simulation.deck.novelty_watch import NoveltyWatch, parse_watch
from mofmd.simulation.deck.potential import (
    AnyPotential,
    Potential,
    PotentialScript,
    model_potential,
)
from mofmd.simulation.deck.protocol_file import (
    file_dispersion,
    file_watch,
    known_protocols,
    make_protocol,
    parse_settings,
    read_protocol,
)
from mofmd.simulation.protocols.base.protocol import Protocol
from mofmd.simulation.statics.task import KINDS
from mofmd.structures.read import read_structure
from mofmd.structures.supercell import matrix_supercell, parse_supercell, supercell_for_atoms
from mofmd.topology.check import check_structure
from mofmd.topology.guests import remove_guests


@dataclass(frozen=True)
class Request:
    """What a deck shall be made of.

    Parameters
    ----------
    protocol
        Name of a protocol, or a YAML file.
    structure
        Built-in crystal or file.
    output
        Folder of the deck.
    model
        Model file, or a name (``mofmd models list``).
    potential_script, potential_files
        Another potential, as LAMMPS commands, and the files that it names.
    settings
        Fields of the protocol as ``key=value``, in place of the file's or the defaults.
    dispersion
        ``d3bj:pbe`` and the like, ``none``, or ``auto``: what the model's manifest says is missing.
        In place of the protocol file's; ``auto`` where neither says.
    watch
        How often to look how new atoms are to the model: ``every=20`` and other fields of
        ``NoveltyWatch``, in place of the protocol file's.
    supercell
        Repetitions ``2x2x2`` or a matrix of nine numbers, in place of the protocol's.
    atoms
        Number of atoms wanted, in place of the protocol's supercell.
    keep_guests
        Whether molecules in the pores stay.
    guest_types
        Whether their atoms have LAMMPS types of their own.
    overwrite
        Replace a deck that is there.
    """

    protocol: str
    structure: str | None
    output: Path | None
    model: str | None = None
    potential_script: Path | None = None
    potential_files: tuple[Path, ...] = ()
    settings: tuple[str, ...] = ()
    dispersion: str | None = None
    watch: tuple[str, ...] = ()
    supercell: str | None = None
    atoms: int | None = None
    keep_guests: bool = True
    guest_types: bool = False
    overwrite: bool = False


def generate_deck(request: Request) -> Deck:
    """Read, check and write a deck; hints at what may be wrong go to standard error.

    Raises
    ------
    InputError
        Naming what is wrong and how to mend it; nothing is written then.
    """
    protocol = _protocol(request)
    if request.structure is None:
        raise InputError("structure: missing; give --structure a file or a built-in crystal")
    if request.output is None:
        raise InputError("output: missing; give --output a new folder")
    if request.guest_types and not request.keep_guests:
        raise InputError("guest_types: given although guests are removed; choose one of them")
    with kept_notes() as notes:
        structure = read_structure(request.structure)
        for hint in check_structure(structure):
            notes.hint(hint)
        if not request.keep_guests:
            structure = remove_guests(structure)
        cell = structure  # as features in a supercell of it are the same
        structure, protocol = _supercell(request, structure, protocol)
        types = framework_and_guest_types(structure) if request.guest_types else None
        names = types.names if types else tuple(sorted(set(structure.symbols)))
        potential = _potential(request, names, notes)
        if isinstance(potential, Potential):
            check_suits(potential.model_file, structure)
            if hint := new_atoms_hint_of_file(potential.model_file, cell, "structure"):
                notes.hint(hint)
    return write_deck(
        protocol,
        structure,
        potential,
        request.output,
        types=types,
        watch=_watch(request),
        overwrite=request.overwrite,
        notes=notes,
    )


def _protocol(request: Request) -> Protocol:
    changes = parse_settings(request.settings)
    if not request.protocol:
        names = ", ".join([*known_protocols(), *KINDS])
        raise InputError(f"protocol: missing; name one ({names}) or a YAML file")
    if _is_file(Path(request.protocol)):
        return read_protocol(Path(request.protocol), changes, KINDS)
    return make_protocol(request.protocol, changes, KINDS)


def _dispersion(request: Request) -> DispersionChoice:
    if request.dispersion is not None:
        return parse_dispersion(request.dispersion)
    file = Path(request.protocol)
    return parse_dispersion((_is_file(file) and file_dispersion(file)) or "auto")


def _watch(request: Request) -> NoveltyWatch | None:
    if request.watch:
        return parse_watch(parse_settings(request.watch, "--watch"))
    file = Path(request.protocol)
    return file_watch(file) if _is_file(file) else None


def _is_file(protocol: Path) -> bool:
    return protocol.suffix in (".yaml", ".yml")


def _supercell(request: Request, structure: Atoms, protocol: Protocol) -> tuple[Atoms, Protocol]:
    if request.supercell is not None and request.atoms is not None:
        raise InputError("atoms: given together with supercell; choose one of them")
    if request.atoms is not None:
        repetitions = supercell_for_atoms(structure, request.atoms)
        return structure, replace(protocol, supercell=repetitions)
    if request.supercell is None:
        return structure, protocol
    parsed = parse_supercell(request.supercell)
    if isinstance(parsed, tuple):
        return structure, replace(protocol, supercell=parsed)
    return matrix_supercell(structure, parsed), replace(protocol, supercell=(1, 1, 1))


def _potential(request: Request, elements: tuple[str, ...], notes: Notes) -> AnyPotential:
    if (request.model is None) == (request.potential_script is None):
        raise InputError(
            "model: give either --model (a file, or one of "
            f"{', '.join(model_names())}) or --potential-script"
        )
    choice = _dispersion(request)
    if request.potential_script is not None:
        if choice != "auto":
            raise InputError(
                "dispersion: goes with --model; a potential script says itself what it adds "
                "(pair_style hybrid/overlay ... d3, see docs/pair_styles.md)"
            )
        return PotentialScript(request.potential_script, elements, request.potential_files)
    assert request.model is not None  # one of the two is given
    if request.potential_files:
        raise InputError("potential_file: goes with --potential-script, not with --model")
    file = find_model(request.model)
    potential = model_potential(file, elements, choose_dispersion(choice, file))
    for hint in dispersion_hints(choice, potential.dispersion, file):
        notes.hint(hint)
    return potential
