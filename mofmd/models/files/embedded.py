"""Models that ship with mofmd; each has a card beside it that says what it is good for."""

from pathlib import Path

from mofmd.errors import InputError, choices

DEFAULT_MODEL = "zif4-mace-m"
_FOLDER = Path(__file__).parents[2] / "data" / "models"


def embedded_models() -> dict[str, Path]:
    """Return the files of the embedded models by name."""
    return {file.name.split(".")[0]: file for file in sorted(_FOLDER.glob("*.mofmd.pth"))}


def embedded_model(name: str = DEFAULT_MODEL) -> Path:
    """Return the file of an embedded model.

    Raises
    ------
    InputError
        When there is no model of this name.
    """
    models = embedded_models()
    if name not in models:
        raise InputError(f"no embedded model {name!r}{choices(name, models)}")
    return models[name]
