"""MACE's symmetric contraction as one operator, ``mofmd::contract``.

For features x (atoms, channels, components) it is, with the components m of all irreps of the
result,

    out[b, c, m] = sum over n, k and i1 ... in of W_n[element of b, k, c] U_n[m, i1 ... in, k]
                   x[b, c, i1] ... x[b, c, in]

MACE contracts one factor after the other, with tensors of all i and k for each atom and channel. A
trained model's W is constant: summed over k it leaves a polynomial of the components for each
element, channel and m, most of whose coefficients are zero by symmetry. The operator evaluates
these polynomials, and their derivative, with each product of components made once.
"""

from __future__ import annotations

from typing import Any

import torch
from edge_gradients import ExportError

TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}  # of the largest value


class Contraction(torch.nn.Module):
    """``mofmd::contract`` with the polynomials of a symmetric contraction.

    Parameters
    ----------
    contraction
        ``mace.modules.symmetric_contraction.SymmetricContraction``.
    """

    def __init__(self, contraction: Any) -> None:
        super().__init__()
        parts = list(contraction.contractions)
        size = int(parts[0].U_matrix_1.size(-2))
        found: list[tuple[tuple[int, ...], int, torch.Tensor]] = []  # product, m, (elements, c)
        self.components: list[int] = []  # of each irrep of the result
        for part in parts:
            begin = sum(self.components)
            # of orders from the highest but one down, and of the highest
            weights = [*reversed(list(part.weights)), part.weights_max]
            for order, weight in enumerate(weights, 1):
                u = getattr(part, f"U_matrix_{order}").double()
                u = u if u.dim() == order + 2 else u.unsqueeze(0)  # a scalar has no axis m
                found += _terms(u, weight.detach().double(), begin)
            self.components.append(int(u.size(0)))
        needed = {product[:n] for product, _, _ in found for n in range(2, len(product) + 1)}
        products = [(k,) for k in range(size)]
        products += sorted(needed, key=lambda product: (len(product), product))
        numbers = {product: k for k, product in enumerate(products)}
        found.sort(key=lambda term: (numbers[term[0]], term[1]))
        self.width = sum(self.components)
        counts = [
            sum(len(product) == order for product in products)
            for order in range(2, len(products[-1]) + 1)
        ]
        self.orders = counts or [0]  # TorchScript knows no type of an empty list
        made = [(numbers[product[:-1]], product[-1]) for product in products[size:]]
        self.register_buffer("products", torch.tensor(made, dtype=torch.long).reshape(-1, 2))
        self.register_buffer(
            "terms", torch.tensor([(numbers[product], m) for product, m, _ in found])
        )
        coefficients = torch.stack([coefficient for _, _, coefficient in found], 1)
        self.register_buffer("weights", coefficients.to(parts[0].weights_max.dtype).contiguous())

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        """Contract features (atoms, channels, components) of atoms by elements (atoms, e)."""
        out = torch.ops.mofmd.contract(
            x, y.argmax(1), self.weights, self.products, self.terms, self.orders, self.width
        )
        return torch.cat([part.flatten(1) for part in out.split(self.components, 2)], 1)


def _terms(
    u: torch.Tensor, weight: torch.Tensor, begin: int
) -> list[tuple[tuple[int, ...], int, torch.Tensor]]:
    """Terms of one order: products of sorted components, number of the result, coefficients.

    Parameters
    ----------
    u
        (m, i1 ... in, k) couplings.
    weight
        (elements, k, channels).
    begin
        Number of the first m.
    """
    summed: dict[tuple[tuple[int, ...], int], torch.Tensor] = {}
    for m, *components in u.abs().sum(-1).nonzero().tolist():
        key = tuple(sorted(components)), m
        coupling = u[(m, *components)]
        summed[key] = summed[key] + coupling if key in summed else coupling
    kept = {key: coupling for key, coupling in summed.items() if coupling.any()}
    if not kept:
        return []
    coefficients = torch.einsum("tk,ekc->tec", torch.stack(list(kept.values())), weight)
    return [
        (product, begin + m, coefficient)
        for (product, m), coefficient in zip(kept, coefficients, strict=True)
    ]


def contracted(contraction: Any) -> Contraction:
    """Return the operator of a ``SymmetricContraction``.

    Raises
    ------
    ExportError
        If the two differ on random numbers.
    """
    found = Contraction(contraction)
    weights = contraction.contractions[0].weights_max
    generator = torch.Generator().manual_seed(1)
    size = int(contraction.contractions[0].U_matrix_1.size(-2))
    x = torch.randn(5, weights.size(2), size, generator=generator, dtype=weights.dtype)
    types = torch.arange(5) * 7 % weights.size(0)
    y = torch.nn.functional.one_hot(types, weights.size(0)).to(weights.dtype)
    with torch.no_grad():
        expected, actual = contraction(x, y), found(x, y)
    error = float((expected - actual).abs().max() / expected.abs().max())
    if not error <= TOLERANCE[weights.dtype]:
        raise ExportError(
            f"the symmetric contraction differs from the model's own by {error:.1e} of its largest "
            "value; deploy with --accelerate none, and tell us what the model is"
        )
    return found
