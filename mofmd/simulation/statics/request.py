"""From words to a static task: what ``generate`` and ``ensemble new`` do for one."""

from __future__ import annotations

import warnings
from importlib import import_module
from pathlib import Path

from ase import Atoms

from mofmd.calculator.density.new_atoms import new_atoms_hint_of_file
from mofmd.disk.yaml_file import read_mapping
from mofmd.errors import InputError, InputWarning
from mofmd.models.dispersion.dispersion import (
    choose_dispersion,
    dispersion_hints,
    parse_dispersion,
)
from mofmd.models.files.model_file import read_model_file
from mofmd.models.files.validity import check_suits
from mofmd.models.names import find_model, model_names
from mofmd.simulation.deck.notes import kept_notes
from mofmd.simulation.deck.protocol_file import DISPERSION, parse_settings
from mofmd.simulation.deck.request import Request
from mofmd.simulation.statics.task import (
    HeatCapacityTask,
    StaticTask,
    make_static,
    static_kind,
    write_static,
)
from mofmd.structures.read import read_structure
from mofmd.structures.supercell import repeat, repeat_cells, supercell_for_atoms
from mofmd.topology.check import check_structure
from mofmd.topology.guests import remove_guests


def generate_static(request: Request) -> StaticTask:
    """Read, check and write a static task; hints go to standard error.

    Raises
    ------
    InputError, MissingFileError
        Naming what is wrong; nothing is written then.
    """
    name = static_kind(request.protocol)
    assert name is not None  # the caller has looked
    is_file = name != request.protocol.replace("-", "_")
    values = dict(read_mapping(Path(request.protocol))) if is_file else {}
    values.pop("protocol", None)
    word = values.pop(DISPERSION, None)
    settings = make_static(name, {**values, **parse_settings(request.settings)})
    if isinstance(settings, HeatCapacityTask):
        import_module(f"{settings.ROOM}.extra").need_packages()
    if request.output is None:
        raise InputError("output: missing; give --output a new folder")
    if request.model is None or request.potential_script is not None:
        raise InputError(
            f"model: {name} needs --model, a file or one of {', '.join(model_names())}; LAMMPS "
            "commands will not do"
        )
    if request.watch:
        raise InputError(f"watch: is for decks; {name} has no steps in time")
    if request.guest_types:
        raise InputError(f"guest_types: {name} knows no types of atoms; leave it out")
    with kept_notes() as notes:
        atoms = _structure(request)
        model = find_model(request.model)
        known = read_model_file(model)
        check_suits(model, atoms)
        if known.gives_stress is False:
            raise InputError(f"model: {model.name} gives no stress, which {name} needs")
        choice = parse_dispersion(request.dispersion or str(word or "auto"))
        dispersion = choose_dispersion(choice, model)
        for hint in dispersion_hints(choice, dispersion, model):
            # once, whatever the number of members
            warnings.warn(hint, InputWarning, stacklevel=2)
        if hint := new_atoms_hint_of_file(model, atoms, f"structure: {request.structure}"):
            warnings.warn(hint, InputWarning, stacklevel=2)
    return write_static(request.output, settings, atoms, model, dispersion, notes)


def _structure(request: Request) -> Atoms:
    if request.structure is None:
        raise InputError("structure: missing; give --structure a file or a built-in crystal")
    atoms = read_structure(request.structure)
    for hint in check_structure(atoms):
        warnings.warn(f"structure: {request.structure}: {hint}", InputWarning, stacklevel=2)
    if not request.keep_guests:
        atoms = remove_guests(atoms)
    if request.supercell is not None and request.atoms is not None:
        raise InputError("atoms: given together with supercell; choose one of them")
    if request.atoms is not None:
        atoms = repeat_cells(atoms, supercell_for_atoms(atoms, request.atoms))
    if request.supercell is not None:
        atoms = repeat(atoms, request.supercell)
    return atoms
