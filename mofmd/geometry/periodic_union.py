"""Disjoint sets in a periodic system: what is joined, in which image, and whether endlessly."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mofmd.compiled import compiled


@dataclass(frozen=True)
class PeriodicUnion:
    """Sets of items; a set is endless once it is joined with an image of itself.

    Parameters
    ----------
    parent
        (n,) another item of the same set, or the item itself if it is the root.
    image
        (n, 3) image of the parent seen from the item.
    endless
        (n,) of roots: whether the set is endless.
    """

    parent: np.ndarray
    image: np.ndarray
    endless: np.ndarray

    @classmethod
    def of(cls, n: int) -> PeriodicUnion:
        """Make n sets of one item."""
        return cls(np.arange(n), np.zeros((n, 3), dtype=np.int64), np.zeros(n, dtype=np.bool_))

    def is_news(self, pair: np.ndarray, image: np.ndarray) -> bool:
        """Whether a link joins two sets, or makes one endless."""
        return bool(_is_news(pair[0], pair[1], image, self.parent, self.image, self.endless))

    def join(self, pairs: np.ndarray, images: np.ndarray, *, stop: bool = False) -> int:
        """Join through links in turn.

        Parameters
        ----------
        pairs
            (links, 2) items.
        images
            (links, 3) image of the second item that the first is joined to.
        stop
            Stop after the link that makes a set endless.

        Returns
        -------
        int
            Links taken; with ``stop``, one less than that of the link after which it stopped, or
            the number of links if none did.
        """
        return int(_join(pairs, images, self.parent, self.image, self.endless, stop))

    def roots(self) -> np.ndarray:
        """(n,) root of each item."""
        found = [_find(k, self.parent, self.image)[0] for k in range(len(self.parent))]
        return np.array(found, dtype=np.int64)


@compiled
def _find(item: int, parent: np.ndarray, image: np.ndarray) -> tuple[int, int, int, int]:
    """Root of an item and its image; halves the way there."""
    x, y, z = 0, 0, 0
    while parent[item] != item:
        up = parent[item]
        if parent[up] != up:
            for k in range(3):
                image[item, k] += image[up, k]
            parent[item] = parent[up]
        x += image[item, 0]
        y += image[item, 1]
        z += image[item, 2]
        item = parent[item]
    return item, x, y, z


@compiled
def _is_news(  # noqa: PLR0913, PLR0917 - plain arrays
    one: int,
    two: int,
    link: np.ndarray,
    parent: np.ndarray,
    image: np.ndarray,
    endless: np.ndarray,
) -> bool:
    ra, ax, ay, az = _find(one, parent, image)
    rb, bx, by, bz = _find(two, parent, image)
    if ra != rb:
        return True
    closed = ax == link[0] + bx and ay == link[1] + by and az == link[2] + bz
    return not closed and not endless[ra]


@compiled
def _join(  # noqa: PLR0913, PLR0917 - plain arrays
    pairs: np.ndarray,
    links: np.ndarray,
    parent: np.ndarray,
    image: np.ndarray,
    endless: np.ndarray,
    stop: bool,
) -> int:
    for k in range(len(pairs)):
        ra, ax, ay, az = _find(pairs[k, 0], parent, image)
        rb, bx, by, bz = _find(pairs[k, 1], parent, image)
        # of the second root, seen from the first
        x, y, z = links[k, 0] + bx - ax, links[k, 1] + by - ay, links[k, 2] + bz - az
        if ra != rb:
            # from the second root back to the first
            parent[rb] = ra
            image[rb, 0] = -x
            image[rb, 1] = -y
            image[rb, 2] = -z
            endless[ra] = endless[ra] or endless[rb]
        elif x != 0 or y != 0 or z != 0:
            endless[ra] = True
            if stop:
                return k
    return len(pairs)
