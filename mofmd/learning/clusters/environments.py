"""Environments: which blocks hold flagged atoms, and which blocks surround them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mofmd.builders.blocks.blocks import Blocks
from mofmd.errors import InputError
from mofmd.topology.bond_graph import adjacency

Image = tuple[int, int, int]
Key = tuple[int, Image]  # a block in one of its images
HOME: Image = (0, 0, 0)


@dataclass(frozen=True)
class Surroundings:
    """Which block is bonded to which, in which image, through which cut; arrays are read-only.

    Parameters
    ----------
    starts
        (blocks + 1,) where the rows of each block begin.
    neighbours, images, cuts
        (rows,), (rows, 3) and (rows,) the other block, its image seen from the block, the cut
        between them.
    """

    starts: np.ndarray
    neighbours: np.ndarray
    images: np.ndarray
    cuts: np.ndarray

    @classmethod
    def of(cls, blocks: Blocks) -> Surroundings:
        """Sort the cuts of blocks by the blocks on either side."""
        bricks, spacers = blocks.link_bricks, blocks.link_spacers
        starts, neighbours, images = adjacency(len(blocks), bricks, spacers, blocks.link_images)
        order = np.argsort(np.concatenate([bricks, spacers]), kind="stable")
        return cls(starts, neighbours, images, order % max(1, len(bricks)))

    def around(self, key: Key) -> list[tuple[Key, int]]:
        """Blocks around one in an image, each with the cut between them."""
        block, image = key
        rows = range(self.starts[block], self.starts[block + 1])
        found = []
        for row in rows:
            x, y, z = (int(a) + b for a, b in zip(self.images[row], image, strict=True))
            found.append(((int(self.neighbours[row]), (x, y, z)), int(self.cuts[row])))
        return found

    def grow(self, core: Sequence[Key], shells: int) -> dict[Key, int]:
        """Blocks within some shells of a core, each with its shell; the core's own is 0."""
        found = dict.fromkeys(core, 0)
        outermost = list(found)
        for shell in range(1, shells + 1):
            reached = [other for key in outermost for other, _ in self.around(key)]
            outermost = [key for key in dict.fromkeys(reached) if key not in found]
            found.update(dict.fromkeys(outermost, shell))
        return found


def core_blocks(blocks: Blocks, flagged: np.ndarray) -> list[int]:
    """Find the blocks that hold flagged atoms, in the order of their first ones.

    Parameters
    ----------
    blocks
        Blocks of a framework.
    flagged
        Indices of atoms.

    Raises
    ------
    InputError
        If there is no such atom.
    """
    n = len(blocks.block_of_atom)
    if bad := [int(k) for k in flagged if not 0 <= k < n]:
        raise InputError(f"atoms: there is no atom {bad[0] + 1}; the frame has {n}")
    return list(dict.fromkeys(blocks.block_of_atom[np.sort(flagged)].tolist()))


def signature(blocks: Blocks, surroundings: Surroundings, block: int) -> str:
    """Name what a block is and what it is bonded to: ``C12H5O32Zr6 + 11 C6H4``.

    Blocks of one signature have the same surroundings, and are cut out in the same way.
    """
    around = Counter(blocks.formula(key[0]) for key, _ in surroundings.around((block, HOME)))
    parts = [f"{n} {formula}" for formula, n in sorted(around.items())]
    return " + ".join([blocks.formula(block), *parts])
