"""Ensembles: many runs of one recipe that differ by seed, structure and fields of the protocol.

An ensemble is a directory: ``ensemble.json`` and one deck for each member in ``members/``. Its
state is that of the decks (their ``status.json``); no process holds any of it.
"""

from __future__ import annotations

import itertools
import json
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mofmd.disk.atomic import write_atomic, writing
from mofmd.disk.output import make_folder
from mofmd.disk.record import read_record
from mofmd.errors import InputError, MissingFileError
from mofmd.models.names import find_model
from mofmd.simulation.deck.deck import MANIFEST
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.simulation.ensemble.structures import sort_structures
from mofmd.simulation.run.status import read_status, run_progress, run_state
from mofmd.simulation.statics.request import generate_static
from mofmd.simulation.statics.task import TASK, is_static, static_kind

SCHEMA = "mofmd-ensemble-1"
RECORD = "ensemble.json"
MEMBERS = "members"
MISSING = "missing"
STRUCTURE = "structure"  # among the values of a member


@dataclass(frozen=True)
class Member:
    """One member.

    Parameters
    ----------
    name
        Number with leading zeros, also the name of its folder.
    directory
        Its deck.
    values
        The fields in which it differs from the others, seed and structure included.
    """

    name: str
    directory: Path
    values: Mapping[str, Any]

    @property
    def state(self) -> str:
        """State of its run (see `run_state`), or ``missing`` where its deck is gone."""
        return run_state(self.directory) if self._has_deck else MISSING

    @property
    def reason(self) -> str:
        """Why it failed, stopped or is missing; empty where it did not."""
        if not self._has_deck:
            return f"{self.directory} is gone, or its {MANIFEST}; put its folder back"
        return str(read_status(self.directory).get("error") or "")

    @property
    def _has_deck(self) -> bool:
        return (self.directory / MANIFEST).is_file() or is_static(self.directory)

    @property
    def record(self) -> dict[str, Any]:
        """What its deck or task says of itself; empty where it is missing."""
        name = TASK if is_static(self.directory) else MANIFEST
        if not self._has_deck:
            return {}
        return dict(json.loads((self.directory / name).read_text(encoding="utf-8")))

    @property
    def label(self) -> str:
        """Its name, and that of its structure where they differ by it."""
        return f"{self.name} {self.values.get(STRUCTURE, '')}".rstrip()

    @property
    def progress(self) -> str:
        """How far it is: stage, step, temperature; empty before the first step."""
        return run_progress(self.directory)


@dataclass(frozen=True)
class Ensemble:
    """An ensemble on disk.

    Parameters
    ----------
    directory
        Where it is.
    members
        In the order of their names.
    refused
        Why structures that were asked for have no members, by their names.
    """

    directory: Path
    members: tuple[Member, ...]
    refused: Mapping[str, str] = field(default_factory=dict)


def new_ensemble(
    request: Request,
    seeds: Sequence[int],
    vary: Mapping[str, Sequence[Any]],
    structures: Sequence[str] = (),
) -> Ensemble:
    """Write the decks of an ensemble: each structure with the varied fields and each seed.

    Parameters
    ----------
    request
        What a deck is made of; its output is the folder of the ensemble. Static tasks
        (``statics.task.KINDS``) have no seeds.
    seeds
        Seeds of the first velocities.
    vary
        Fields of the protocol and the values that they take.
    structures
        Files, patterns of files and built-in crystals, in place of the request's structure. Those
        that cannot be used, or repeat another one, are left out, and the ensemble says why.

    Raises
    ------
    InputError
        If nothing is varied, the folder is in use, or a deck cannot be made.
    """
    directory = request.output
    if directory is None:
        raise InputError("output: missing; give a new folder for the ensemble")
    _check_seeds(seeds)
    own = "seeds have their own options, --members and --first-seed; use them instead"
    if "seed" in vary:
        raise InputError(f"vary seed: {own}")
    if any(word.partition("=")[0].strip() == "seed" for word in request.settings):
        raise InputError(f"set seed: {own}")
    if "supercell" in vary and (request.supercell is not None or request.atoms is not None):
        raise InputError("vary supercell: given together with --supercell or --atoms; choose one")
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory}: in use; choose a new folder for the ensemble")
    empty = [name for name, values in vary.items() if not values]
    if empty:
        raise InputError(f"vary {empty[0]}: no values; write {empty[0]}=first,second")
    _check_varied(vary)
    make = _maker(request)
    combinations: list[dict[str, Any]] = [
        {**dict(zip(vary, values, strict=True)), **({} if make is generate_static else {"seed": s})}
        for values in itertools.product(*vary.values())
        for s in (seeds[:1] if make is generate_static else seeds)
    ]
    if not structures:
        return _write_members(request, make, [({}, request, combinations)], {})
    if request.structure is not None:
        raise InputError("structure: given together with structures; choose one of them")
    if request.model is not None:
        find_model(request.model)  # what is wrong with it is not the fault of any structure
    usable, refused = sort_structures(structures)
    groups = [
        ({STRUCTURE: name}, replace(request, structure=word), combinations)
        for name, word in usable.items()
    ]
    return _write_members(request, make, groups, refused)


Make = Callable[[Request], object]
Group = tuple[dict[str, Any], Request, list[dict[str, Any]]]


def _maker(request: Request) -> Make:
    is_task = bool(request.protocol) and static_kind(request.protocol) is not None
    return generate_static if is_task else generate_deck


def _write_members(
    request: Request, make: Make, groups: Sequence[Group], refused: Mapping[str, str]
) -> Ensemble:
    """Write all decks under a temporary name, then give the folder its own: all or nothing.

    A structure that does not suit the model or the protocol is refused as a whole.
    """
    directory = request.output
    assert directory is not None  # it has been looked at
    width = max(3, len(str(sum(len(group[2]) for group in groups) - 1)))
    members: list[Member] = []
    refused = dict(refused)
    make_folder(directory.parent)
    prefix, parent = f".{directory.name}.", directory.parent
    with writing(directory), tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as folder:
        temporary = Path(folder) / directory.name
        for traits, each, combinations in groups:
            made: list[Member] = []
            for values in combinations:
                name = f"{len(members) + len(made):0{width}}"
                words = (f"{key}={json.dumps(value)}" for key, value in values.items())
                output = temporary / MEMBERS / name
                try:
                    make(replace(each, settings=(*each.settings, *words), output=output))
                except (InputError, MissingFileError) as error:
                    if not traits:
                        raise
                    refused[str(traits[STRUCTURE])] = str(error)
                    for member in made:
                        shutil.rmtree(temporary / MEMBERS / member.name)
                    made = []
                    break
                made.append(Member(name, directory / MEMBERS / name, {**traits, **values}))
            members += made
        if not members:
            told = "; ".join(f"{name}: {reason}" for name, reason in refused.items())
            raise InputError(f"structures: none can be used: {told}")
        record = {
            "schema": SCHEMA,
            "protocol": request.protocol,
            "settings": list(request.settings),
            "members": [{"name": m.name, "values": dict(m.values)} for m in members],
            "refused": refused,
        }
        write_atomic(temporary / RECORD, json.dumps(record, indent=2) + "\n")
        temporary.replace(directory)  # an empty folder of this name is replaced
    return Ensemble(directory, tuple(members), refused)


def read_ensemble(directory: Path) -> Ensemble:
    """Read an ensemble that ``new_ensemble`` wrote."""
    record = read_record(
        directory / RECORD, SCHEMA, kind="an ensemble", mend="make the ensemble again"
    )
    return Ensemble(
        directory,
        tuple(
            Member(each["name"], directory / MEMBERS / each["name"], each["values"])
            for each in record["members"]
        ),
        record.get("refused", {}),
    )


def count_states(ensemble: Ensemble) -> dict[str, int]:
    """Count the members in each state."""
    return dict(Counter(member.state for member in ensemble.members))


def _check_varied(vary: Mapping[str, Sequence[Any]]) -> None:
    for name, values in vary.items():
        twice = [value for k, value in enumerate(values) if value in values[:k]]
        if twice:
            raise InputError(
                f"vary {name}: {twice[0]!r} is given twice; its members would be the same runs"
            )


def _check_seeds(seeds: Sequence[int]) -> None:
    if not seeds:
        raise InputError("members: none; give a number of at least 1")
    if len(set(seeds)) != len(seeds):
        raise InputError("seeds: one occurs twice; its members would be the same run")
