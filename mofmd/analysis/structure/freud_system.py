"""Frames as freud takes them, and freud on one thread.

freud (Ramasubramani et al., Comput. Phys. Commun. 2020, 254, 107275; BSD-3-Clause) keeps positions
in float32 and wants cells with a along x and b in the plane of x and y.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


def freud_system(points: np.ndarray, cell: np.ndarray) -> tuple[Any, np.ndarray]:
    """Turn points and their cell as freud wants them.

    Parameters
    ----------
    points
        (points, 3) anywhere in space [Å].
    cell
        (3, 3) rows [Å], right-handed, lying anyhow.

    Returns
    -------
    box, points
        freud's box, and the points within it, (points, 3) float32 [Å].
    """
    import freud

    # the lower triangle of a = L Qᵀ with a positive diagonal: lengths and angles stay
    q, r = np.linalg.qr(cell.T)
    signs = np.sign(np.diag(r))
    box = freud.box.Box.from_matrix(signs[:, None] * r)
    return box, box.wrap(points @ (q * signs))


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep freud to one thread: frames are what is measured side by side."""
    import freud

    with freud.parallel.NumThreads(1):
        yield
