"""Forces on disk, each kept as it comes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.disk.npz import read_arrays
from mofmd.disk.output import check_output, make_folder
from mofmd.disk.record import read_record
from mofmd.engine.evaluate import Evaluation
from mofmd.errors import InputError

SCHEMA = "mofmd-forces-1"
UNDISPLACED = -1
MIRRORED = -2
"""Number of the mirror image of the first displaced structure."""
PLAN = "plan.json"
WHAT = {
    "structure": "another structure",
    "model": "another model, precision or dispersion",
    "displacements": "other displacements",
}


@dataclass(frozen=True)
class Identity:
    """What forces are of: hashes of structure, model and displacements."""

    structure: str
    model: str
    displacements: str

    def as_dict(self) -> dict[str, str]:
        """Give them by name."""
        return {
            "structure": self.structure,
            "model": self.model,
            "displacements": self.displacements,
        }


def structure_digest(atoms: Atoms) -> str:
    """Hash of elements, positions and cell."""
    digest = hashlib.sha256()
    for array in (atoms.numbers, atoms.positions, atoms.cell.array):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


class ForceStore:
    """A folder with the forces of each displaced structure in a file of its own.

    A file appears whole or not at all, and says what it is of: a calculation that was killed goes
    on with what lacks, and forces of something else are refused.

    Parameters
    ----------
    folder
        Is made if it lacks.
    identity
        What the forces are of.
    facts
        More of it, for people.
    overwrite
        Remove what is there.

    Raises
    ------
    InputError
        If the folder holds forces of something else, or is damaged.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        facts: dict[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        check_output(folder)
        self.folder = folder
        self._mark = hashlib.sha256("".join(identity.as_dict().values()).encode()).hexdigest()
        if overwrite and folder.is_dir():
            shutil.rmtree(folder)
        make_folder(folder)
        plan = folder / PLAN
        if plan.exists() and any(folder.glob("*.npz")):  # else it says nothing of any forces
            found = read_record(
                plan, SCHEMA, kind="a folder of forces", mend=f"remove {folder}, or --overwrite"
            )
            other = [text for key, text in WHAT.items() if found.get(key) != getattr(identity, key)]
            if other:
                raise InputError(
                    f"{folder}: holds forces of {' and '.join(other)}; choose another folder, or "
                    "--overwrite"
                )
        else:
            record = {"schema": SCHEMA, **identity.as_dict(), **(facts or {})}
            write_atomic(plan, json.dumps(record, indent=1, ensure_ascii=False) + "\n")

    def path(self, number: int) -> Path:
        """File of a displacement, of the undisplaced structure, or of the mirror image."""
        names = {UNDISPLACED: "undisplaced.npz", MIRRORED: "mirrored.npz"}
        return self.folder / names.get(number, f"{number:05d}.npz")

    def keep(self, number: int, found: Evaluation) -> None:
        """Keep the result of a displacement."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            forces_eV_per_A=found.forces_eV_per_A,
            energy_eV=np.float64(found.energy_eV),
            stress_eV_per_A3=found.stress_eV_per_A3,
            of=np.str_(self._mark),
        )
        write_atomic(self.path(number), buffer.getvalue())

    def missing(self, count: int) -> list[int]:
        """Numbers that are not there, the undisplaced structure's first."""
        return [number for number in range(-1, count) if not self.path(number).exists()]

    def forces(self, number: int) -> np.ndarray:
        """(atoms, 3) forces of a displacement [eV/Å].

        Raises
        ------
        InputError
            If the file is damaged, or of something else.
        """
        return np.asarray(self._arrays(number)["forces_eV_per_A"])

    def energy(self, number: int) -> float:
        """Energy of a displaced supercell [eV]."""
        return float(self._arrays(number)["energy_eV"])

    def undisplaced(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy [eV], forces [eV/Å] and stress [eV/Å³] of the undisplaced supercell."""
        arrays = self._arrays(-1)
        return float(arrays["energy_eV"]), arrays["forces_eV_per_A"], arrays["stress_eV_per_A3"]

    def _arrays(self, number: int) -> dict[str, np.ndarray]:
        path = self.path(number)
        arrays = read_arrays(path)
        if str(arrays.get("of", "")) != self._mark:
            raise InputError(
                f"{path}: holds forces of another structure, model or displacement; remove it, and "
                "it is made anew"
            )
        return arrays
