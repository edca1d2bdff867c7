"""Model files that ``mofmd deploy`` writes, read without running anything in them.

A file is the zip archive that torch wrote, with a manifest (``extra/mofmd.json``) inside.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mofmd.errors import InputError
from mofmd.models.files.archive import open_archive, records, store
from mofmd.models.files.model_file import pair_commands

SCHEMA = 2
MANIFEST = "extra/mofmd.json"
# What the LAMMPS plugin reads of it, flat: "passed" or "failed", and a number.
VERDICT = "extra/mofmd_verified"
BYTES_PER_EDGE = "extra/mofmd_bytes_per_edge"
CITATION = "extra/mofmd_citation"
# Density of the features of known atoms, which `mofmd learn density fit` adds.
DENSITY = "extra/mofmd_density"
_OF_MANIFEST = (MANIFEST, VERDICT, BYTES_PER_EDGE, CITATION)
_OURS = (*_OF_MANIFEST, DENSITY)


@dataclass(frozen=True)
class DeployedModel:
    """A model file and what it says of itself.

    Attributes
    ----------
    path
        The file.
    manifest
        Its manifest, see ``docs/model_files.md``.
    """

    path: Path
    manifest: Mapping[str, Any]

    @property
    def family(self) -> str:
        """``nequip``, ``allegro``, ``mace`` or ``sevennet``: the pair style that runs it."""
        return str(self.manifest["family"])

    @property
    def type_names(self) -> tuple[str, ...]:
        """Elements that the model knows."""
        return tuple(self.manifest["type_names"])

    @property
    def r_max(self) -> float:
        """Cutoff of one layer [Å]."""
        return float(self.manifest["r_max"])

    def pair_commands(self) -> tuple[str, str]:
        """LAMMPS's ``pair_style`` and ``pair_coeff`` for types in the order of ``type_names``."""
        return pair_commands(self.family, self.path, self.type_names)


def read_deployed(path: Path) -> DeployedModel:
    """Read the manifest of a deployed model and check the file against it.

    Raises
    ------
    MissingFileError
        If there is no such file.
    InputError
        If the file is truncated, no model file of mofmd, of a later schema, or changed since.
    """
    manifest = read_manifest(path)
    recorded = manifest.get("payload_sha256")
    if recorded is not None and recorded != payload_sha256(path):
        raise InputError(
            f"{path}: the model inside is not the one that its manifest describes (sha256 "
            "differs): the file was changed or damaged; deploy or copy it again"
        )
    return DeployedModel(path, manifest)


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest alone, without the check of the payload."""
    manifest = find_manifest(path)
    if manifest is None:
        raise InputError(
            f"{path}: no manifest inside: the file was not written by `mofmd deploy` (which "
            "takes a checkpoint, package, .model or legacy file and writes a checked one)"
        )
    return manifest


def find_manifest(path: Path) -> dict[str, Any] | None:
    """Return the manifest of a model file, or None of one that ``mofmd deploy`` has not written."""
    with open_archive(path) as archive:
        name = next((info.filename for name, info in records(archive) if name == MANIFEST), None)
        if name is None:
            return None
        content = archive.read(name)
        try:
            manifest = json.loads(content)
        except ValueError as error:
            raise InputError(f"{path}: its manifest is damaged ({error})") from error
    if not isinstance(manifest, dict) or manifest.get("schema", 0) > SCHEMA:
        raise InputError(
            f"{path}: its manifest has a schema that this version of mofmd does not know: "
            "update mofmd"
        )
    return manifest


def payload_sha256(path: Path) -> str:
    """Return the hash of everything in the file but the manifest and its verdict."""
    digest = hashlib.sha256()
    with open_archive(path) as archive:
        for name, info in records(archive):
            if name in _OURS:
                continue
            digest.update(f"{name}\0{info.file_size}\0".encode())
            with archive.open(info) as record:
                while block := record.read(1 << 20):
                    digest.update(block)
    return digest.hexdigest()


def _citation(manifest: Mapping[str, Any]) -> str:
    """Return what LAMMPS's citation log shall say: a line that names the model, what to cite."""
    licence = f", licence {manifest['licence']}" if manifest.get("licence") else ""
    return "\n".join([f"model {manifest['name']}{licence}", "", *manifest["citations"], "", ""])


def write_with_manifest(source: Path, manifest: Mapping[str, Any], target: Path) -> None:
    """Copy a model file with another manifest; ``target`` appears whole or not at all.

    What the LAMMPS plugin needs of the manifest is repeated beside it. A density stays.
    """
    verification = manifest.get("verification")
    added = {MANIFEST: json.dumps(manifest, indent=1, ensure_ascii=False).encode()}
    if verification is not None:
        added[VERDICT] = b"passed" if verification["passed"] else b"failed"
    if manifest.get("bytes_per_edge"):
        added[BYTES_PER_EDGE] = f"{manifest['bytes_per_edge']:.0f}".encode()
    added[CITATION] = _citation(manifest).encode()
    _copy_with(source, added, _OF_MANIFEST, target)


def read_density_record(path: Path) -> str | None:
    """Return the density of features in a model file as text; None where there is none."""
    with open_archive(path) as archive:
        name = next((info.filename for name, info in records(archive) if name == DENSITY), None)
        return None if name is None else archive.read(name).decode("utf-8", "replace")


def write_density_record(source: Path, text: str, target: Path) -> None:
    """Copy a model file with a density of features; ``target`` appears whole or not at all."""
    _copy_with(source, {DENSITY: text.encode()}, (DENSITY,), target)


def _copy_with(
    source: Path, added: Mapping[str, bytes], left_out: Collection[str], target: Path
) -> None:
    """Copy an archive without some records, and with others added."""
    temporary = target.with_name(f".{target.name}.part")
    try:
        with open_archive(source) as old, zipfile.ZipFile(temporary, "w") as new:
            top = old.namelist()[0].split("/")[0]
            for name, info in records(old):
                if name not in left_out:
                    store(new, info.filename, old.read(info), info.compress_type)
            for name, content in added.items():
                store(new, f"{top}/{name}", content)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
