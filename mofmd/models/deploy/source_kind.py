"""What a trained model's file is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from mofmd.errors import InputError, in_command
from mofmd.models.environments import Framework
from mofmd.models.files.archive import open_archive, records
from mofmd.models.universal import MODELS

Kind = Literal["nequip", "legacy_nequip", "mace", "sevennet"]
ENVIRONMENTS: dict[Kind, Framework] = {
    "nequip": "nequip",
    "legacy_nequip": "nequip",
    "mace": "mace",
    "sevennet": "sevennet",
}


def source_kind(path: Path) -> Kind:
    """Tell what a trained model's file is, without running anything in it.

    Raises
    ------
    MissingFileError, InputError
        If the file does not exist, is truncated, or is of no kind that can be deployed.
    """
    with open_archive(path) as archive:
        names = [name.partition("/")[2] for name in archive.namelist()]
        broken = archive.testzip()
        # a checkpoint says in its pickle what it holds
        pickled = (
            b""
            if broken
            else b"".join(
                archive.read(info) for name, info in records(archive) if name == "data.pkl"
            )
        )
    if broken:
        raise InputError(f"{path}: damaged inside ({broken}): copy it again")
    if "extra/mofmd.json" in names:
        raise InputError(
            f"{path}: is deployed already: `mofmd verify {in_command(path)}` checks it"
        )
    if any(".data/extern_modules" in name for name in names):
        return "nequip"  # torch.package, what nequip-package writes
    if any(name.startswith("data/aotinductor") for name in names):
        raise InputError(f"{path}: is compiled already: deploy the checkpoint or package instead")
    if any(name.startswith("code/") for name in names):
        if "extra/nequip_version" in names:
            return "legacy_nequip"
        if "extra/chemical_symbols_to_index" in names:
            raise InputError(
                f"{path}: was deployed by SevenNet for its own pair style e3gnn: deploy the "
                "checkpoint (.pth) instead"
            )
        raise InputError(
            f"{path}: is a TorchScript file made for LAMMPS, which runs as it is; for a file "
            "that runs on any number of ranks deploy the checkpoint, package or .model instead"
        )
    if path.suffix == ".ckpt":
        return "nequip"
    if path.suffix == ".model":
        return "mace"
    if path.suffix == ".pth" and b"model_state_dict" in pickled:
        return "sevennet"
    raise InputError(
        f"{path}: what is it? Known: NequIP and Allegro checkpoints (.ckpt) and packages "
        "(.nequip.zip), MACE models (.model), SevenNet checkpoints (.pth), files deployed by "
        f"nequip 0.5 and 0.6 (.pth), and the universal models {', '.join(MODELS)}"
    )
