"""What a model file says of itself, read without running anything in it."""

from __future__ import annotations

import json
import math
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

from mofmd.errors import InputError
from mofmd.models.files.archive import open_archive

Family = Literal["nequip", "allegro", "mace", "sevennet"]


@dataclass(frozen=True)
class ModelFile:
    """A trained model as a file for LAMMPS.

    Parameters
    ----------
    path
        The file.
    family
        Which is also its pair style.
    type_names
        Elements that it knows; None where the file does not say.
    r_max_A
        Cutoff of one layer [Å]; None where the file does not say.
    gives_stress
        Whether it computes the virial; None where only running it can tell.
    """

    path: Path
    family: Family
    type_names: tuple[str, ...] | None
    r_max_A: float | None
    gives_stress: bool | None


def pair_commands(family: str, path: Path, names: Sequence[str]) -> tuple[str, str]:
    """Give ``pair_style`` and ``pair_coeff`` for a model file and the names of types 1, 2, ..."""
    return f"pair_style {family}", f'pair_coeff * * "{path.resolve()}" {" ".join(names)}'


def read_model_file(path: Path) -> ModelFile:
    """Read the metadata of a model file.

    Raises
    ------
    InputError
        If it is not an archive as torch writes it, or of a family that mofmd does not know.
    """
    with open_archive(path) as archive:
        names = archive.namelist()
        metadata = _metadata(archive, names)
    family = _family(path, names, metadata)
    types = metadata.get("type_names")
    return ModelFile(
        path=path,
        family=family,
        type_names=tuple(types.split()) if types else None,
        r_max_A=_r_max(path, metadata),
        gives_stress=_gives_stress(family, metadata),
    )


def _metadata(archive: zipfile.ZipFile, names: list[str]) -> dict[str, str]:
    """Extra files of a TorchScript archive, or the JSON object of an AOTInductor package."""
    metadata: dict[str, str] = {}
    for name in names:
        parts = name.split("/")
        if len(parts) > 2 and parts[1] == "extra":
            metadata["/".join(parts[2:])] = archive.read(name).decode("utf-8", "replace")
        elif "aotinductor/" in name and name.endswith("_metadata.json"):
            content = archive.read(name)
            try:
                found = json.loads(content)
            except ValueError as error:
                raise InputError(
                    f"{archive.filename}: its {name} is damaged ({error}); copy the file again"
                ) from error
            metadata.update({key: text for key, text in found.items() if isinstance(text, str)})
    return metadata


def _r_max(path: Path, metadata: dict[str, str]) -> float | None:
    recorded = metadata.get("r_max")
    if not recorded:
        return None
    try:
        r_max = float(recorded)
    except ValueError:
        r_max = math.nan
    if not 0 < r_max < math.inf:
        raise InputError(
            f"{path}: r_max is {recorded!r}, expected a positive number; deploy it again"
        )
    return r_max


def _family(path: Path, names: list[str], metadata: dict[str, str]) -> Family:
    stated = metadata.get("mofmd_family")
    if stated in get_args(Family):
        return cast(Family, stated)
    with_own_code: tuple[Family, ...] = ("mace", "allegro")
    for family in with_own_code:
        if any(f"/code/__torch__/{family}/" in f"/{name}" for name in names):
            return family
    inputs = metadata.get("nequip_aoti_inputs", "").split()
    if inputs:
        return "nequip" if "edge_cell_shift" in inputs else "allegro"
    if "type_names" in metadata:
        return "nequip"
    raise InputError(
        f"{path}: is neither a NequIP, an Allegro nor a MACE model for LAMMPS; deploy it first"
    )


def _gives_stress(family: Family, metadata: dict[str, str]) -> bool | None:
    if family == "mace" or metadata.get("mofmd_form") == "edge_gradients":
        return True
    if "nequip_aoti_outputs" in metadata:
        return "virial" in metadata["nequip_aoti_outputs"].split()
    config = metadata.get("config", "")  # nequip 0.5 and 0.6
    if "model_builders" in config:
        return "StressForceOutput" in config
    return None
