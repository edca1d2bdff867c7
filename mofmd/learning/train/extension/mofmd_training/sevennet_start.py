"""A checkpoint of SevenNet that a training goes on from: what it says, and its copy for new labels.

python -m mofmd_training.sevennet_start facts START FRAMES.extxyz ANSWER.json
python -m mofmd_training.sevennet_start shift START OFFSETS.json COPY
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

import sevenn
import torch
from ase.data import chemical_symbols
from ase.io import read
from sevenn import _const, _keys
from sevenn.checkpoint import SevenNetCheckpoint
from sevenn.sevennet_calculator import SevenNetCalculator


def describe(start: Path, frames: Path) -> dict[str, Any]:
    """Return elements, modalities, the architecture, and energies of the frames [eV]."""
    config = SevenNetCheckpoint(start).config
    if not config:
        raise SystemExit("the file holds no checkpoint of SevenNet")
    types = config[_keys.TYPE_MAP]
    names = [chemical_symbols[z] for z in sorted(types, key=types.get)]
    modalities = list(config.get(_keys.MODAL_MAP) or {})
    known = _const.DEFAULT_E3_EQUIVARIANT_MODEL_CONFIG
    model = {key: config[key] for key in known if config.get(key) is not None}
    # set by the trainer itself, from the weights
    model = {k: v for k, v in model.items() if k != _keys.CONV_DENOMINATOR}
    energies = []
    warnings.simplefilter("ignore")  # of kernels that would be faster on a GPU
    atoms = read(frames, ":")
    if not modalities and {str(s) for a in atoms for s in a.symbols} <= set(names):
        calculator = SevenNetCalculator(start, device="cpu")
        energies = [float(calculator.get_potential_energy(each)) for each in atoms]
    return {
        "type_names": names,
        "modalities": modalities,
        "model": model,
        "scales": _of_types(config[_keys.SCALE], types),
        "shifts": _of_types(config[_keys.SHIFT], types),
        "energies_eV": energies,
    }


def _of_types(given: Any, types: dict[int, int]) -> list[float]:
    """Return a value for each type, however the checkpoint gives them: by atomic number, or one."""
    values = given.tolist() if hasattr(given, "tolist") else given
    if not isinstance(values, list):
        values = [values]
    if isinstance(values[0], list) or len(values) == len(types):
        return values
    if len(values) == _const.NUM_UNIV_ELEMENT:
        return [float(values[z]) for z in sorted(types, key=types.get)]
    return [float(values[0])] * len(types)


def shift(start: Path, offsets: dict[str, float], copy: Path) -> None:
    """Write a copy whose atoms have other energies, by element [eV]."""
    checkpoint = SevenNetCheckpoint(start)
    config, state = checkpoint.config, checkpoint.build_model().state_dict()
    types = config[_keys.TYPE_MAP]
    for name, key in (("shift", _keys.SHIFT), ("scale", _keys.SCALE)):
        values = torch.tensor(_of_types(config[key], types))
        if name == "shift":
            for z, number in types.items():
                values[number] += offsets.get(chemical_symbols[z], 0.0)
        state[f"rescale_atomic_energy.{name}"] = values
        config[key] = values.tolist()
    # the weights are in the order of this version: those of an older one would be sorted again
    config["version"] = sevenn.__version__
    torch.save({"model_state_dict": state, "config": config, "epoch": 0}, copy)


def main() -> None:
    """Answer."""
    task, start, second, answer = sys.argv[1:]
    torch.set_num_threads(1)
    if task == "facts":
        Path(answer).write_text(json.dumps(describe(Path(start), Path(second))))
    else:
        shift(Path(start), json.loads(Path(second).read_text()), Path(answer))


if __name__ == "__main__":
    main()
