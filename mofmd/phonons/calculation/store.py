"""Forces on disk, each kept as it comes."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections.abc import Mapping
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
from mofmd.errors import InputError, RunError

SCHEMA = "mofmd-forces-1"
UNDISPLACED = -1
MIRRORED = -2
"""Number of the mirror image of the first displaced structure."""
NAMED = {UNDISPLACED: "the undisplaced structure", MIRRORED: "the mirror image"}
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
    n_atoms
        Of the supercell: results of another number of atoms are never kept.
    facts
        More of it, for people.
    overwrite
        Remove what is there, as the first result is kept.

    Raises
    ------
    InputError
        If the folder holds forces of something else, or is damaged.
    """

    def __init__(
        self,
        folder: Path,
        identity: Identity,
        n_atoms: int,
        facts: dict[str, Any] | None = None,
        *,
        overwrite: bool = False,
    ) -> None:
        check_output(folder)
        self.folder = folder
        self._shapes = {"forces_eV_per_A": (n_atoms, 3), "energy_eV": ()}
        self._model = ((facts or {}).get("model_facts") or {}).get("model", "the calculator")
        self._mark = hashlib.sha256("".join(identity.as_dict().values()).encode()).hexdigest()
        self._record = {"schema": SCHEMA, **identity.as_dict(), **(facts or {})}
        # what is there stays until there is a result in its place
        self._is_old = overwrite and folder.is_dir()
        if self._is_old:
            return
        make_folder(folder)
        plan = folder / PLAN
        if plan.exists() and any(folder.glob("*.npz")):  # else it says nothing of any forces
            found = read_record(
                plan, SCHEMA, kind="a folder of forces", mend=f"remove {folder}, or --overwrite"
            )
            other = [text for key, text in WHAT.items() if found.get(key) != getattr(identity, key)]
            # displacements alone do not tell 2x1x1 of an orthogonal cell from 1x2x1
            if "supercell" in found and found["supercell"] != (facts or {}).get("supercell"):
                other.append("another supercell")
            if other:
                raise InputError(
                    f"{folder}: holds forces of {' and '.join(other)}; choose another folder, or "
                    "--overwrite"
                )
        else:
            self._write_plan()

    def _write_plan(self) -> None:
        text = json.dumps(self._record, indent=1, ensure_ascii=False) + "\n"
        write_atomic(self.folder / PLAN, text)

    def _remove_old(self) -> None:
        shutil.rmtree(self.folder)
        make_folder(self.folder)
        self._write_plan()
        self._is_old = False

    def path(self, number: int) -> Path:
        """File of a displacement, of the undisplaced structure, or of the mirror image."""
        names = {UNDISPLACED: "undisplaced.npz", MIRRORED: "mirrored.npz"}
        return self.folder / names.get(number, f"{number:05d}.npz")

    def keep(self, number: int, found: Evaluation) -> None:
        """Keep the result of a displacement.

        Raises
        ------
        RunError
            If the calculator gave no numbers, or forces of another number of atoms.
        """
        results = {"forces_eV_per_A": found.forces_eV_per_A, "energy_eV": found.energy_eV}
        if wrong := self._wrong(results):
            what = NAMED.get(number, f"displacement {number}")
            raise RunError(
                f"{self._model}: {what}: {wrong}: it is not kept; mend the calculator and run "
                "again to go on"
            )
        if self._is_old:
            self._remove_old()
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
        return [n for n in range(-1, count) if self._is_old or not self.path(n).exists()]

    def forces(self, number: int) -> np.ndarray:
        """(atoms, 3) forces of a displacement [eV/Å].

        Raises
        ------
        InputError
            If the file is damaged, or of something else.
        """
        return self._arrays(number)["forces_eV_per_A"]

    def energy(self, number: int) -> float:
        """Energy of a displaced supercell [eV]."""
        return float(self._arrays(number)["energy_eV"])

    def undisplaced(self) -> tuple[float, np.ndarray, np.ndarray]:
        """Energy [eV], forces [eV/Å] and stress [eV/Å³] of the undisplaced supercell."""
        arrays = self._arrays(-1)
        stress = arrays.get("stress_eV_per_A3", np.empty(0))
        if stress.shape != (3, 3):
            raise self._damaged(UNDISPLACED, "has no stress")
        return float(arrays["energy_eV"]), arrays["forces_eV_per_A"], stress

    def _arrays(self, number: int) -> dict[str, np.ndarray]:
        path = self.path(number)
        try:
            arrays = read_arrays(path)
        except InputError as error:
            raise InputError(f"{error}; remove it, and it is made anew") from error
        if str(arrays.get("of", "")) != self._mark:
            raise InputError(
                f"{path}: holds forces of another structure, model or displacement; remove it, and "
                "it is made anew"
            )
        if wrong := self._wrong(arrays):
            raise self._damaged(number, wrong)
        return arrays

    def _damaged(self, number: int, wrong: str) -> InputError:
        return InputError(f"{self.path(number)}: {wrong}; remove it, and it is made anew")

    def _wrong(self, results: Mapping[str, Any]) -> str:
        """Say what is wrong with forces and energy; nothing where nothing is."""
        for name, shape in self._shapes.items():
            what = name.partition("_")[0]
            if name not in results:
                return f"has no {what}"
            values = np.asarray(results[name])
            if values.shape != shape:
                return f"{what} of shape {values.shape}, expected {shape}"
            if values.dtype.kind not in "fiu" or not np.isfinite(values).all():
                return f"{what} with values that are not finite"
        return ""
