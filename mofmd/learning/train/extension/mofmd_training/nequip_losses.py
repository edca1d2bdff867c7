"""NequIP: a callback for frames some of which have no stress.

``- _target_: mofmd_training.nequip_losses.MissingStresses``
"""

from __future__ import annotations

import lightning
import torch
from nequip.train import MeanSquaredError


class MeanSquareOfLabelled(MeanSquaredError):  # noqa: N818 - no exception
    """Mean squared error over what has labels; zero, not NaN, where nothing has."""

    def compute(self) -> torch.Tensor:
        """Return the mean over all components so far."""
        return self.sum.div(self.count.clamp(min=1))


class MissingStresses(lightning.Callback):
    """Trains on frames some of which have no stress, such as molecules.

    With nequip's ``ignore_nan`` the loss of a batch in which no frame has a stress is NaN, the mean
    of nothing: its gradient is that of energies and forces, but nobody can read the curve, and what
    looks at the loss (a stop when it is not a number) would end the training. Here that term is
    zero. The loss of all other batches is nequip's own, the mean over frames that have a stress.
    """

    def setup(
        self,
        trainer: lightning.Trainer,  # noqa: ARG002
        pl_module: lightning.LightningModule,
        stage: str,  # noqa: ARG002
    ) -> None:
        """Take the other mean for all terms of the loss that may lack labels.

        Raises
        ------
        ValueError
            If such a term is no mean squared error.
        """
        for name, entry in pl_module.loss.entries.items():
            if not entry.ignore_nan:
                continue
            if type(pl_module.loss[name]) is not MeanSquaredError:
                raise ValueError(
                    f"mofmd_training.nequip_losses.MissingStresses: the loss {name} is no "
                    "MeanSquaredError of one value for all types: leave this callback out"
                )
            pl_module.loss[name] = MeanSquareOfLabelled(dist_sync_on_step=True)
