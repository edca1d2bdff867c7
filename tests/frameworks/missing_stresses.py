"""Losses of nequip over frames some of which have no stress, in its own environment.

python missing_stresses.py ANSWER.json
"""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from mofmd_training.nequip_losses import MissingStresses
from nequip.data import AtomicDataDict as Keys
from nequip.train import EnergyForceStressLoss

ATOMS = 2  # of each frame


def frames(stresses: list[float | None]) -> tuple[dict, dict, torch.nn.Parameter]:
    """Predictions that are one weight everywhere, and labels of zero but for the stresses."""
    weight = torch.nn.Parameter(torch.ones(()))
    count = len(stresses)
    predicted = {
        Keys.TOTAL_ENERGY_KEY: ATOMS * weight * torch.ones(count, 1),
        Keys.FORCE_KEY: weight * torch.ones(ATOMS * count, 3),
        Keys.STRESS_KEY: weight * torch.ones(count, 3, 3),
        Keys.NUM_NODES_KEY: torch.full((count,), ATOMS),
        Keys.BATCH_KEY: torch.arange(count).repeat_interleave(ATOMS),
        Keys.POSITIONS_KEY: torch.zeros(ATOMS * count, 3),
    }
    labels = {key: torch.zeros_like(value) for key, value in predicted.items()}
    labels |= {k: predicted[k] for k in (Keys.NUM_NODES_KEY, Keys.BATCH_KEY, Keys.POSITIONS_KEY)}
    found = [float("nan") if each is None else each for each in stresses]
    labels[Keys.STRESS_KEY] = torch.tensor(found)[:, None, None].expand(count, 3, 3)
    return predicted, labels, weight


def losses(batches: list[list[float | None]], *, mended: bool) -> dict:
    """Loss and gradient of each batch, and the terms over all of them."""
    loss = EnergyForceStressLoss(
        coeffs={"total_energy": 1.0, "forces": 1.0, "stress": 2.0}, ignore_nan={"stress": True}
    )
    if mended:
        MissingStresses().setup(None, SimpleNamespace(loss=loss), "fit")
    told = []
    for stresses in batches:
        predicted, labels, weight = frames(stresses)
        terms = loss(predicted, labels)
        terms["weighted_sum"].backward()
        told.append([terms["stress_mse"].item(), terms["weighted_sum"].item(), weight.grad.item()])
    return {"batches": told, "epoch": {k: v.item() for k, v in loss.compute().items()}}


BATCHES = [[None], [0.0], [None, None], [3.0, None], [None, 2.0, 0.0]]
answer = {str(mended): losses(BATCHES, mended=mended) for mended in (False, True)}
Path(sys.argv[1]).write_text(json.dumps(answer))
