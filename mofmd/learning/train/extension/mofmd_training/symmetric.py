"""MACE's symmetric contraction as products of matrices.

For features x (atoms, channels, components) the contraction of an irrep is, with the components m
of the result,

    out[b, c, m] = sum over n, k and i1 ... in of W_n[element of b, k, c] U_n[m, i1 ... in, k]
                   x[b, c, i1] ... x[b, c, in]

MACE contracts one factor after the other, with tensors of all i for each atom and channel. Here the
products x[i1] ... x[in] with i1 <= ... <= in, each of which is there once, are taken first; the
couplings, summed over the orders of the same indices, are then one matrix.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import torch

from mofmd_training.convolution import PART, Constants


class SymmetricProducts(Constants):
    """What is constant in a symmetric contraction.

    Parameters
    ----------
    contraction
        ``mace.modules.symmetric_contraction.SymmetricContraction``.

    Raises
    ------
    ValueError
        If its irreps differ in their correlation.
    """

    def __init__(self, contraction: Any) -> None:
        super().__init__()
        parts = list(contraction.contractions)
        self.orders = parts[0].correlation
        if any(part.correlation != self.orders for part in parts):
            raise ValueError("the irreps of a symmetric contraction differ in their correlation")
        size = parts[0].U_matrix_1.size(-2)
        self.components: list[int] = []  # of the result of each part
        self.paths: list[list[int]] = []  # of each part and order
        couplings: list[list[torch.Tensor]] = [[] for _ in range(self.orders)]
        for part in parts:
            tensors = [getattr(part, f"U_matrix_{n}") for n in range(1, part.correlation + 1)]
            # a scalar has no axis of components
            tensors = [u if u.dim() == n + 2 else u.unsqueeze(0) for n, u in enumerate(tensors, 1)]
            self.components.append(tensors[0].size(0))
            self.paths.append([u.size(-1) for u in tensors])
            for n, u in enumerate(tensors, 1):
                couplings[n - 1].append(_summed_over_orders(u, _products(size, n)))
        kept = _products(size, 1)
        for n, of_parts in enumerate(couplings, 1):
            matrix, shorter, products = torch.cat(of_parts, 1), kept, _products(size, n)
            if n == self.orders > 1:  # others are factors of longer products
                rows = matrix.any(1).nonzero().flatten()
                matrix, products = matrix[rows], [products[row] for row in rows]
            self._keep(f"couplings_{n}", matrix)
            if n > 1:
                firsts = [shorter.index(product[:-1]) for product in products]
                self._keep(f"first_{n}", _one_hot(firsts, len(shorter), matrix))
                self._keep(f"last_{n}", _one_hot([p[-1] for p in products], size, matrix))
                kept = products

    def _keep(self, name: str, table: torch.Tensor) -> None:
        self.register_buffer(name, table.contiguous(), persistent=False)

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Return the products with the couplings of each order, (atoms, channels, all paths)."""
        found, products = [], x
        for n in range(1, self.orders + 1):
            if n > 1:  # matrices of zeros and ones: their derivatives are fast, an index's are not
                products = (products @ getattr(self, f"first_{n}")) * (
                    x @ getattr(self, f"last_{n}")
                )
            found.append(products @ getattr(self, f"couplings_{n}"))
        return found


def contract(self: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """``SymmetricContraction.forward``: features (atoms, channels, i), elements (atoms, e)."""
    constants: SymmetricProducts = getattr(self, PART)
    widths = [
        [m * counts[n] for m, counts in zip(constants.components, constants.paths, strict=True)]
        for n in range(constants.orders)
    ]
    by_order = [
        coupled.split(width, 2) for coupled, width in zip(constants(x), widths, strict=True)
    ]
    outs = []
    for number, part in enumerate(self.contractions):
        out = None
        # of orders from the highest but one down, and of the highest
        weights = [*reversed(list(part.weights)), part.weights_max]
        for n, weight in enumerate(weights):
            of_atoms = torch.einsum("be,ekc->bck", y, weight)
            coupled = by_order[n][number]
            coupled = coupled.view(*coupled.shape[:2], constants.components[number], -1)
            term = (coupled * of_atoms.unsqueeze(2)).sum(3)
            out = term if out is None else out + term
        outs.append(out.flatten(1))
    return torch.cat(outs, dim=-1)


def _products(size: int, order: int) -> list[tuple[int, ...]]:
    return list(itertools.combinations_with_replacement(range(size), order))


def _summed_over_orders(u: torch.Tensor, products: Sequence[tuple[int, ...]]) -> torch.Tensor:
    """Return couplings (products, components times paths) of U (components, i1 ... in, paths)."""
    numbers = {product: k for k, product in enumerate(products)}
    size, order = u.size(1), u.dim() - 2
    rows = [numbers[tuple(sorted(i))] for i in itertools.product(range(size), repeat=order)]
    flat = u.movedim(0, -2).reshape(size**order, -1)
    return flat.new_zeros((len(products), flat.size(1))).index_add(0, torch.tensor(rows), flat)


def _one_hot(rows: list[int], size: int, like: torch.Tensor) -> torch.Tensor:
    """Return (size, number of rows), a one in each column."""
    return torch.nn.functional.one_hot(torch.tensor(rows), size).T.to(like)
