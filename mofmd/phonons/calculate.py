"""The whole way, from a structure and a model to results and a page in a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from mofmd.disk.output import check_output, make_folder
from mofmd.errors import RunError
from mofmd.phonons.calculation.collect import Progress
from mofmd.phonons.calculation.force_constants import ForceConstants
from mofmd.phonons.calculation.store import PLAN
from mofmd.phonons.cells import check_crystal, to_atoms
from mofmd.phonons.extra import need_packages
from mofmd.phonons.ladder import symmetry_ladder
from mofmd.phonons.model import ModelOptions, opened
from mofmd.phonons.output import write_force_constants, write_phonopy, write_spectrum
from mofmd.phonons.run import FORCES, ForceOptions, check_supercell, forces_in_folder
from mofmd.phonons.spectrum.spectrum import Spectrum, SpectrumOptions, make_spectrum
from mofmd.relaxation import RelaxOptions, relax_in_folder

if TYPE_CHECKING:
    from phonopy import Phonopy

RELAXATION = "relax"
PLANNED = ("supercell", "displacements_A", "method", "evaluations")


def calculate(  # noqa: PLR0913 - one argument per stage
    atoms: Atoms,
    model: ModelOptions,
    folder: Path,
    *,
    relax: RelaxOptions | None = None,
    forces: ForceOptions | None = None,
    spectrum: SpectrumOptions | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    on_forces: Callable[[Progress], None] = lambda _: None,
    on_results: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
    name: str = "",
) -> Spectrum:
    """Relax, evaluate displacements, and make results and a page; run again, it goes on.

    Parameters
    ----------
    atoms
        A crystal.
    model
        Of what, and how it is run.
    folder
        Is made if it lacks.
    relax
        Limits of the relaxation; None: the structure is relaxed for the model already.
    forces, spectrum
        How, and what is made of them.
    overwrite
        Begin anew, whatever is in the folder.
    tell, on_forces, on_results
        Called with what is said on the way, after each evaluation, and with what is made, how much
        is done, and of how much.
    name
        Of the structure, for the record.

    Raises
    ------
    InputError, RunError
        As ``relax_in_folder`` and ``forces_in_folder``.
    """
    phonopy, constants, facts, used = force_constants_of(
        atoms,
        model,
        folder,
        relax=relax,
        forces=forces,
        overwrite=overwrite,
        tell=tell,
        on_forces=on_forces,
    )
    about = {"structure": name, **facts} if name else facts
    return results_in_folder(phonopy, constants, folder, spectrum, about, used, on_results)


def force_constants_of(  # noqa: PLR0913 - one argument per stage
    atoms: Atoms,
    model: ModelOptions,
    folder: Path,
    *,
    relax: RelaxOptions | None = None,
    forces: ForceOptions | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = lambda _: None,
    on_forces: Callable[[Progress], None] = lambda _: None,
) -> tuple[Phonopy, ForceConstants, dict[str, Any], Atoms]:
    """Relax if asked, then evaluate displacements: the first stages of ``calculate``.

    Returns
    -------
    tuple
        phonopy's object, force constants, facts for the record, and the structure they are of.
    """
    need_packages()
    check_output(folder)
    check_crystal(atoms)
    facts: dict[str, Any] = {}
    with opened(model, atoms) as (calculator, described, evaluates):
        for hint in model.hints(calculator):
            tell(hint)
        check_supercell(described, forces)
        if relax is not None:
            done = relax_in_folder(
                atoms, calculator, relax, folder / RELAXATION, overwrite=overwrite
            )
            tell(str(done))
            if not done.converged:
                raise RunError(
                    f"{folder / RELAXATION}: the limits were not kept; look at convergence.png, "
                    "run again to go on, or set a larger limit (--fmax)"
                )
            atoms = done.atoms
            facts["relaxation"] = done.as_dict()
        phonopy, constants = forces_in_folder(
            atoms,
            evaluates,
            described,
            folder,
            forces,
            overwrite=overwrite,
            on_progress=on_forces,
        )
    plan = json.loads((folder / FORCES / PLAN).read_text(encoding="utf-8"))
    planned = {name: plan[name] for name in PLANNED}
    return phonopy, constants, {**described.facts, **planned, **facts}, atoms


def results_in_folder(  # noqa: PLR0913, PLR0917 - one argument per part
    phonopy: Phonopy,
    constants: ForceConstants,
    folder: Path,
    options: SpectrumOptions | None,
    facts: dict[str, Any],
    atoms: Atoms | None = None,
    on_results: Callable[[str, int, int], None] = lambda _what, _done, _total: None,
    sections: tuple[str, ...] = (),
) -> Spectrum:
    """Make results of force constants, and write tables and page: the last stage of ``calculate``.

    Parameters
    ----------
    phonopy, constants
        From ``force_constants_of`` or ``load_phonopy``.
    folder
        Is made if it lacks.
    options
        What is made.
    facts
        For the record.
    atoms
        The structure whose symmetry is told; None: phonopy's unit cell, and phonopy's own files are
        written as well.
    on_results
        See ``make_spectrum``.
    sections
        See ``write_page``.
    """
    from mofmd.phonons.page.page import write_page

    check_output(folder)
    found = make_spectrum(phonopy, constants, options, on_results)
    make_folder(folder)
    ladder = symmetry_ladder(to_atoms(phonopy.unitcell) if atoms is None else atoms)
    if atoms is None:
        write_phonopy(phonopy, folder)
        write_force_constants(phonopy, folder)
    write_page(phonopy, found, folder, facts, ladder=ladder, sections=sections)
    write_spectrum(found, folder, facts, ladder)
    return found
