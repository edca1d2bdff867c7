"""Double the channels of a MACE and the width of its radial networks; it computes what it did.

Every channel becomes two equal ones, and the weights that leave the two differ by a part drawn at
random, with opposite signs, which cancels as long as the two are equal. Energies and forces stay
(to rounding), gradients differ, and training goes on from where the narrow model stood (after
Chen, Goodfellow and Shlens, Net2Net, ICLR 2016, arXiv:1511.05641).

Usage, with the Python of MACE's environment (`mofmd env mace` says where it is):
widen.py NARROW.model WIDE.model
"""

from __future__ import annotations

import sys

import torch
from e3nn import nn, o3
from mace.modules import ScaleShiftMACE
from mace.modules.symmetric_contraction import Contraction
from mace.tools.scripts_utils import extract_config_mace_model


def doubled(weight: torch.Tensor, target: torch.Tensor, blocks: tuple[int, int]) -> torch.Tensor:
    """Weights of a linear map for features of twice the width.

    Parameters
    ----------
    weight
        (in, ..., out) of the narrow model.
    target
        Of the wide one; an end of the same length in both is not doubled.
    blocks
        Features on each of the two ends come in blocks of so many in the narrow model, each of
        which is followed by its copy.
    """
    ends = []
    for axis, width in zip((0, -1), blocks, strict=True):
        new = torch.arange(target.shape[axis])
        old, copy = new // (2 * width) * width + new % width, new // width % 2
        ends.append((old, copy) if len(new) == 2 * weight.shape[axis] else (new, None))
    (rows, row_copy), (columns, _) = ends
    wide = weight.index_select(0, rows).index_select(-1, columns)
    if row_copy is None:
        return wide
    drawn = weight.std() * torch.randn(*weight.shape[:-1], target.shape[-1])
    sign = (1 - 2 * row_copy).reshape(-1, *[1] * (weight.ndim - 1))
    # e3nn divides by the root of the width
    return (wide + sign * drawn.index_select(0, rows)) / 2**0.5


@torch.no_grad()
def fill(narrow: torch.nn.Module, wide: torch.nn.Module, block: int) -> None:
    """Give each module of `wide` the weights of its namesake; `block`: channels of `narrow`."""
    for (_, a), (_, b) in zip(narrow.named_modules(), wide.named_modules(), strict=True):
        if isinstance(a, o3.Linear | o3.FullyConnectedTensorProduct):
            for x, y in zip(a.weight_views(), b.weight_views(), strict=True):
                y.copy_(doubled(x, y, (block, block)))
        elif isinstance(a, nn.FullyConnectedNet):
            for x, y in zip(a, b, strict=True):
                rows, columns = x.weight.shape
                if x is a[-1]:  # a weight for each path and channel
                    columns = block
                y.weight.copy_(doubled(x.weight, y.weight, (rows, columns)))
        elif isinstance(a, Contraction):
            for x, y in zip(a.parameters(), b.parameters(), strict=True):
                y.copy_(x.repeat(1, 1, 2))
    for name in ("radial_embedding", "atomic_energies_fn", "scale_shift"):
        getattr(wide, name).load_state_dict(getattr(narrow, name).state_dict())


def main(source: str, target: str) -> None:
    """Widen the model in `source` and write it to `target`."""
    torch.manual_seed(1)
    narrow = torch.load(source, map_location="cpu", weights_only=False)
    torch.set_default_dtype(next(narrow.parameters()).dtype)
    config = extract_config_mace_model(narrow)
    block = config["hidden_irreps"].count(o3.Irrep("0e"))
    config["hidden_irreps"] = o3.Irreps([(2 * n, kind) for n, kind in config["hidden_irreps"]])
    config["radial_MLP"] = [2 * width for width in config["radial_MLP"]]
    wide = ScaleShiftMACE(**config)
    fill(narrow, wide, block)
    torch.save(wide, target)


if __name__ == "__main__":
    main(*sys.argv[1:])
