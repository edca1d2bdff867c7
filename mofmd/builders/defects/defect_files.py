"""Files of frameworks with defects: one structure, or a folder with one of each class."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mofmd.builders.defects.characterise import Character
from mofmd.builders.defects.defects import DefectiveFramework, Defects
from mofmd.disk.atomic import folder_beside, write_atomic
from mofmd.disk.output import make_folder
from mofmd.engine.structure_file import check_writable, write_structure
from mofmd.errors import InputError

TABLE = "classes.csv"


@dataclass(frozen=True)
class Variant:
    """One framework with defects, of several that symmetry does not make alike.

    Parameters
    ----------
    name
        Stem of its file in a folder.
    defects
        What was changed.
    multiplicity
        How many choices symmetry makes of this one.
    framework
        The structure.
    character
        What it is.
    """

    name: str
    defects: Defects
    multiplicity: int
    framework: DefectiveFramework
    character: Character


def write_variants(
    output: Path, variants: Sequence[Variant], *, suffix: str, overwrite: bool
) -> list[Path]:
    """Write frameworks: a file if the output's name has a suffix, otherwise a folder.

    A folder holds a structure of each, and a table of their classes.

    Parameters
    ----------
    output
        File or folder.
    variants
        What to write.
    suffix
        Format of the structures in a folder.
    overwrite
        Replace a folder that exists.

    Raises
    ------
    InputError
        If several are to go into one file, a format is not known, or the folder exists.
    """
    if output.suffix:
        if len(variants) > 1:
            raise InputError(
                f"{output}: there are {len(variants)} structures that differ by symmetry; name a "
                "folder (a name without suffix), or choose one of them (--class 1)"
            )
        _write(output, variants[0])
        return [output]
    check_writable(Path(f"x{suffix}"))
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file; name a folder, or a file with a suffix")
    if output.exists() and any(output.iterdir()) and not overwrite:
        raise InputError(f"{output}: exists; choose another folder, or replace it (--overwrite)")
    make_folder(output.parent)
    names = [f"{variant.name}{suffix}" for variant in variants]
    with folder_beside(output) as work:
        made = work / "made"
        made.mkdir()
        for name, variant in zip(names, variants, strict=True):
            _write(made / name, variant)
        write_atomic(made / TABLE, _table(names, variants))
        if output.exists():
            output.rename(work / "old")
        made.rename(output)
    return [output / name for name in names]


def _write(path: Path, variant: Variant) -> None:
    atoms = variant.framework.atoms.copy()
    character = variant.character
    # what an extended XYZ file can carry
    atoms.info = {
        "defects": character.code,
        "nodes": character.nodes,
        "linkers": character.linkers,
        "multiplicity": variant.multiplicity,
    }
    write_structure(path, atoms)


def _table(names: Sequence[str], variants: Sequence[Variant]) -> str:
    buffer = io.StringIO()
    rows = csv.writer(buffer, lineterminator="\n")
    rows.writerow([
        "file", "multiplicity", "linkers_taken_out", "nodes_taken_out", "metals", "atoms",
        "mean_coordination", "coordination", "density_g_per_cm3",
    ])  # fmt: skip
    for name, variant in zip(names, variants, strict=True):
        defects, character = variant.defects, variant.character
        metals = (f"{atom + 1}={element}" for atom, element in defects.metals.items())
        rows.writerow(
            [
                name,
                variant.multiplicity,
                " ".join(map(str, defects.linkers)),
                " ".join(map(str, defects.nodes)),
                " ".join(metals),
                character.n_atoms,
                f"{character.mean_coordination:.6g}",
                " ".join(f"{n}x{k}" for k, n in character.coordination.items()),
                f"{character.density_g_per_cm3:.6f}",
            ]
        )
    return buffer.getvalue()
