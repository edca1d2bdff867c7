"""Universal models as files: made once by a user on a machine, kept in the user's cache."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from mofmd.disk.lock import LOCK, lock_folder
from mofmd.errors import InputError, RunError
from mofmd.models.environments import requirements_file
from mofmd.models.files.deployed import SCHEMA
from mofmd.models.making_shown import shown
from mofmd.models.universal import Variant

LOCATION = "MOFMD_MODELS"
WAIT_S = 7200.0  # for another process that makes the same file
_EXPORTER = Path(__file__).parent / "export"
_SUFFIX = ".mofmd.pth"


def cache_location() -> Path:
    """Return the folder: ``MOFMD_MODELS``, or ``mofmd/models`` in the user's cache."""
    override = os.environ.get(LOCATION)
    if override:
        return Path(override)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "mofmd" / "models"


def made_file(variant: Variant) -> Path:
    """Return where a universal model is, or will be, as a file.

    The folder is named for all that the file depends on: the framework's pinned packages, which
    bring the weights, the exporter's source, the schema of manifests, and the model itself. It does
    not depend on the plugin, nor on the torch that runs it: any of them take a TorchScript file.
    """
    digest = hashlib.sha256(requirements_file(variant.model.framework).read_bytes())
    for file in sorted(_EXPORTER.glob("*.py")):
        digest.update(file.read_bytes())
    digest.update(json.dumps([variant.name, variant.model.checkpoint, SCHEMA]).encode())
    return cache_location() / digest.hexdigest()[:12] / f"{variant.name}{_SUFFIX}"


def made_files() -> list[Path]:
    """Return all files in the cache, of older versions of mofmd as well."""
    return sorted(cache_location().glob(f"*/*{_SUFFIX}"))


def make(variant: Variant, *, again: bool = False) -> Path:
    """Return the file of a universal model; make it unless it is there.

    Of several processes one makes it and the others wait. The file appears whole, after its physics
    gate, or not at all.

    Parameters
    ----------
    variant
        Which.
    again
        Make it anew.

    Raises
    ------
    InputError
        If the cache cannot be written to.
    EnvironmentSetupError
        If the framework's environment cannot be made.
    RunError
        If another process takes hours to make it.
    """
    from mofmd.models.deploy.deploy import deploy
    from mofmd.models.deploy.options import Options

    path = made_file(variant)
    if path.exists() and not again:
        return path
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / LOCK).touch()
    except OSError as error:
        raise InputError(
            f"model {variant.name}: is made once and kept in {path.parent}, which cannot be "
            f"written to ({error.strerror}): set {LOCATION} to a folder that can"
        ) from error
    with shown() as audience:
        what = f"making of {variant.name}"
        try:
            lock = lock_folder(path.parent, what)
        except RunError:
            audience.report(f"another process is making {variant.name}: waiting for it")
            lock = lock_folder(path.parent, what, patience_s=WAIT_S)
        with lock:
            if path.exists() and not again:
                return path
            audience.report(
                f"making {variant.name}, once on this machine: minutes; it is kept in {path.parent}"
            )
            options = Options(modality=variant.modality, name=variant.name)
            deploy(Path(variant.model.name), path, options, audience)
    return path
