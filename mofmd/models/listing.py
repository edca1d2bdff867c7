"""What models there are, and what each is good for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from mofmd.models.files.card import RANGE, read_card
from mofmd.models.files.deployed import read_manifest
from mofmd.models.files.embedded import embedded_models
from mofmd.models.made import made_file, made_files
from mofmd.models.universal import VARIANTS, Variant
from mofmd.units import MIB

Kind = Literal["in the package", "universal", "universal, of another version"]


@dataclass(frozen=True)
class Listed:
    """A model.

    Parameters
    ----------
    name
        By which it is asked for.
    kind
        Where it comes from.
    file
        Where it is; None of a universal one that has not been made on this machine.
    size_MiB
        Of the file; None where there is none.
    elements
        That it knows.
    good_for
        Which frameworks.
    level_of_theory
        Of its labels, and what is missing.
    licence
        Of its weights.
    """

    name: str
    kind: Kind
    file: Path | None
    size_MiB: float | None
    elements: tuple[str, ...]
    good_for: str
    level_of_theory: str
    licence: str

    def as_dict(self) -> dict[str, Any]:
        """Fields, for JSON."""
        return {**asdict(self), "file": self.file and str(self.file)}


def list_models() -> list[Listed]:
    """List the models of the package, universal ones, and files of these by other versions."""
    current = [made_file(variant) for variant in VARIANTS.values()]
    return [
        *(_embedded(name, file) for name, file in embedded_models().items()),
        *map(_universal, VARIANTS.values()),
        *(_other(file) for file in made_files() if file not in current),
    ]


def _embedded(name: str, file: Path) -> Listed:
    manifest, card = read_manifest(file), read_card(file)
    text = " ".join(card.section(RANGE).split()) if card else ""
    first = re.split(r"(?<=\.) ", text)[0]
    warning = "; not for other frameworks" if "Do not use it for other" in text else ""
    return Listed(
        name,
        "in the package",
        file,
        _size(file),
        tuple(manifest["type_names"]),
        (first.rstrip(".") or "see its manifest") + warning,
        _level(manifest) or "that of its teacher, see its card",
        str(manifest.get("licence") or "not stated"),
    )


def _universal(variant: Variant) -> Listed:
    file = made_file(variant)
    made = file if file.exists() else None
    return Listed(
        variant.name,
        "universal",
        made,
        None if made is None else _size(made),
        variant.model.elements,
        f"any framework of its elements; {variant.model.remark}. {variant.model.caution}",
        _level({"level_of_theory": {"functional": variant.functional, "dispersion": "none"}}),
        variant.model.licence,
    )


def _other(file: Path) -> Listed:
    manifest = read_manifest(file)
    return Listed(
        file.name.split(".")[0],
        "universal, of another version",
        file,
        _size(file),
        tuple(manifest["type_names"]),
        "what was made with it; its folder may be removed",
        _level(manifest),
        str(manifest.get("licence") or "not stated"),
    )


def _level(manifest: Mapping[str, Any]) -> str:
    theory = manifest.get("level_of_theory") or {}
    if not theory:
        return ""
    if theory.get("dispersion") == "none":
        return f"{theory['functional']} without dispersion, which D3 adds by default"
    return f"{theory['functional']}, dispersion {theory.get('dispersion', 'not stated')}"


def _size(file: Path) -> float:
    return file.stat().st_size / MIB
