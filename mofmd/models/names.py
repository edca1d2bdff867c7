"""Models by name: files, those of the package, and universal ones, made when asked for."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mofmd.errors import InputError, MissingFileError, absent, choices
from mofmd.models.files.embedded import embedded_models
from mofmd.models.universal import MODELS, VARIANTS, Variant, universal_for


def model_names() -> list[str]:
    """Return all names that stand for a model."""
    return [*embedded_models(), *VARIANTS]


def find_model(word: str | Path) -> Path:
    """Return the file of a path, or of the model of this name; a universal one may be made first.

    Parameters
    ----------
    word
        Path of a model file, or one of ``model_names``; a file of that name comes first.

    Raises
    ------
    MissingFileError
        If there is neither.
    InputError
        If a name leaves the level of theory open.
    EnvironmentSetupError
        If a universal model cannot be made.
    """
    path, name, embedded = Path(word), str(word), embedded_models()
    if path.is_file():
        return path
    if name in embedded:
        return embedded[name]
    if name in VARIANTS:
        from mofmd.models.made import make

        return make(VARIANTS[name])
    if name in MODELS:
        several = [each.name for each in VARIANTS.values() if each.model.name == name]
        raise InputError(f"model: {name} has several levels of theory: take {' or '.join(several)}")
    raise MissingFileError(
        f"model: {word}: {absent(path, 'model file')}, and no model of this name"
        f"{choices(name, model_names())} (mofmd models list)"
    )


def not_made(word: str | Path) -> Variant | None:
    """Return the universal model of this name that was not made on this machine; else None."""
    variant = None if Path(word).is_file() else VARIANTS.get(str(word))
    if variant is None:
        return None
    from mofmd.models.made import made_file

    return None if made_file(variant).exists() else variant


def next_steps(elements: Iterable[str]) -> str:
    """Say what to do where a model lacks elements, or was not made for them."""
    known = universal_for(elements)
    universal = f"take the universal model {known}, " if known else ""
    return (
        f"{universal}bring a model trained for this composition (mofmd deploy), or train one "
        "(mofmd learn)"
    )
