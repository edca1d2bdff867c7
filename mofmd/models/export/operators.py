"""The operators of exported models, for tracing, scripting and evaluation in this process.

``mofmd::exchange`` appends the rows of ghosts (``edge_gradients.py``), ``mofmd::convolve`` is the
convolution of a layer (``convolution.py``), ``mofmd::contract`` MACE's symmetric contraction
(``contraction.py``). In LAMMPS all are the plugin's; here they are defined with torch's own
operators: the exporter traces models with them, and features of atoms are read from deployed files.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import torch

# Features per row of every call of mofmd::exchange in this process.
exchanged_widths: list[int] = []
FIELDS = 8  # per path: offsets and dimensions in x, y and out, offset in w, channels


@cache
def define_operators() -> None:
    """Register the operators, once however often it is called: torch takes a schema once."""
    _define_exchange()
    _define_convolve()
    _define_contract()


def _define_exchange() -> None:
    library = torch.library
    library.define(
        "mofmd::exchange", "(Tensor features, Tensor local_types, Tensor types) -> Tensor"
    )
    library.define("mofmd::exchange_backward", "(Tensor gradients, Tensor local_types) -> Tensor")

    def same_rows(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        if table.size(0) != rows.size(0):
            raise RuntimeError("ghost atoms need the operator of mofmd's LAMMPS plugin")
        return table.clone()

    def exchange(
        features: torch.Tensor, _local_types: torch.Tensor, types: torch.Tensor
    ) -> torch.Tensor:
        exchanged_widths.append(features.size(1))
        return same_rows(features, types)

    def exchange_fake(
        features: torch.Tensor, _local_types: torch.Tensor, types: torch.Tensor
    ) -> torch.Tensor:
        return features.new_empty((types.size(0), features.size(1)))

    def backward_fake(gradients: torch.Tensor, local_types: torch.Tensor) -> torch.Tensor:
        return gradients.new_empty((local_types.size(0), gradients.size(1)))

    def setup_context(ctx: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        del output
        ctx.save_for_backward(inputs[1])

    library.impl("mofmd::exchange", "CompositeExplicitAutograd")(exchange)
    library.impl("mofmd::exchange_backward", "CompositeExplicitAutograd")(same_rows)
    library.register_fake("mofmd::exchange")(exchange_fake)
    library.register_fake("mofmd::exchange_backward")(backward_fake)
    library.register_autograd(
        "mofmd::exchange",
        lambda ctx, gradients: (
            torch.ops.mofmd.exchange_backward(gradients, ctx.saved_tensors[0]),
            None,
            None,
        ),
        setup_context=setup_context,
    )


def _split(paths: list[int]) -> list[tuple[int, ...]]:
    return [tuple(paths[k : k + FIELDS]) for k in range(0, len(paths), FIELDS)]


def _check_paths(paths: list[int], widths: dict[str, int], num_couplings: int) -> None:
    """Refuse what the plugin's kernels refuse (``mofmd/plugin/kernels/convolution_shape.cpp``).

    Raises
    ------
    RuntimeError
        If a path leads out of a table, two overlap in one, or the couplings are not theirs.
    """
    if len(paths) % FIELDS:
        raise RuntimeError(f"mofmd::convolve: paths have {FIELDS} numbers each")
    blocks: dict[str, list[tuple[int, int, int]]] = {name: [] for name in widths}
    for x0, d1, y0, d2, out0, d3, w0, n in _split(paths):
        used = {"x": (x0, n, d1), "y": (y0, 1, d2), "out": (out0, n, d3), "w": (w0, n, 1)}
        for name, (offset, channels, dimension) in used.items():
            if offset < 0 or min(channels, dimension) < 1:
                raise RuntimeError("mofmd::convolve: a path has no size")
            if offset + channels * dimension > widths[name]:
                raise RuntimeError("mofmd::convolve: a path leads out of the tables")
            blocks[name].append(used[name])
        num_couplings -= d1 * d2 * d3
    if num_couplings:
        raise RuntimeError("mofmd::convolve: wrong number of couplings")
    for name, of_paths in blocks.items():
        past = 0
        # weights belong to one path, other parts may be shared
        for offset, channels, dimension in sorted(of_paths if name == "w" else set(of_paths)):
            if offset < past:
                raise RuntimeError(f"mofmd::convolve: two paths use parts of {name} that overlap")
            past = offset + channels * dimension


def _convolve(  # noqa: PLR0913, PLR0917 - those of the operator
    x: torch.Tensor,
    y: torch.Tensor,
    w: torch.Tensor,
    centres: torch.Tensor,
    neighbours: torch.Tensor,
    couplings: torch.Tensor,
    paths: list[int],
    out_width: int,
) -> torch.Tensor:
    widths = {"x": x.size(1), "y": y.size(1), "w": w.size(1), "out": out_width}
    _check_paths(paths, widths, couplings.numel())
    out = x.new_zeros((x.size(0), out_width))
    offset = 0
    for x0, d1, y0, d2, out0, d3, w0, n in _split(paths):
        coupling = couplings[offset : offset + d1 * d2 * d3].view(d1, d2, d3)
        offset += d1 * d2 * d3
        messages = torch.einsum(
            "eu,eua,eb,abc->euc",
            w[:, w0 : w0 + n],
            x[neighbours, x0 : x0 + n * d1].view(-1, n, d1),
            y[:, y0 : y0 + d2],
            coupling,
        )
        out[:, out0 : out0 + n * d3].index_add_(0, centres, messages.flatten(1))
    return out


def _convolve_backward(
    gradient: torch.Tensor, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, *constant: Any
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    with torch.enable_grad():
        inputs = [t.detach().requires_grad_(True) for t in (x, y, w)]
        out = _convolve(*inputs, *constant, gradient.size(1))
        found = torch.autograd.grad([out], inputs, [gradient])
    return found[0], found[1], found[2]


def _define_convolve() -> None:
    library = torch.library
    tables = (
        "Tensor x, Tensor y, Tensor w, Tensor centres, Tensor neighbours, Tensor couplings, "
        "int[] paths"
    )
    library.define("mofmd::convolve", f"({tables}, int out_width) -> Tensor")
    library.define(
        "mofmd::convolve_backward", f"(Tensor gradient, {tables}) -> (Tensor, Tensor, Tensor)"
    )

    def shape_of_result(x: torch.Tensor, *others: Any) -> torch.Tensor:
        return x.new_empty((x.size(0), others[-1]))

    def shapes_of_gradients(
        _gradient: torch.Tensor, x: torch.Tensor, y: torch.Tensor, w: torch.Tensor, *_others: Any
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return (x.new_empty(x.shape), y.new_empty(y.shape), w.new_empty(w.shape))

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs[:6])
        ctx.paths = inputs[6]

    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        saved = ctx.saved_tensors
        return (
            *torch.ops.mofmd.convolve_backward(gradient, *saved, ctx.paths),
            *(None,) * 5,
        )

    library.impl("mofmd::convolve", "CompositeExplicitAutograd")(_convolve)
    library.impl("mofmd::convolve_backward", "CompositeExplicitAutograd")(_convolve_backward)
    library.register_fake("mofmd::convolve")(shape_of_result)
    library.register_fake("mofmd::convolve_backward")(shapes_of_gradients)
    library.register_autograd("mofmd::convolve", backward, setup_context=setup_context)


def _contract(  # noqa: PLR0913, PLR0917 - those of the operator
    x: torch.Tensor,
    types: torch.Tensor,
    weights: torch.Tensor,
    products: torch.Tensor,
    terms: torch.Tensor,
    orders: list[int],
    width: int,
) -> torch.Tensor:
    """Polynomials of the components, see ``contraction.py``; products in groups of one order."""
    values, done = x, 0
    for count in orders:
        first, last = products[done : done + count].unbind(1)
        made = values.index_select(2, first) * x.index_select(2, last)
        values, done = torch.cat([values, made], 2), done + count
    found = values.index_select(2, terms[:, 0]) * weights.index_select(0, types).transpose(1, 2)
    return x.new_zeros((*x.shape[:2], width)).index_add(2, terms[:, 1], found)


def _contract_backward(gradient: torch.Tensor, x: torch.Tensor, *constant: Any) -> torch.Tensor:
    with torch.enable_grad():
        features = x.detach().requires_grad_(True)
        out = _contract(features, *constant, gradient.size(2))
        return torch.autograd.grad([out], [features], [gradient])[0]


def _define_contract() -> None:
    library = torch.library
    tables = "Tensor x, Tensor types, Tensor weights, Tensor products, Tensor terms, int[] orders"
    library.define("mofmd::contract", f"({tables}, int width) -> Tensor")
    library.define("mofmd::contract_backward", f"(Tensor gradient, {tables}) -> Tensor")

    def shape_of_result(x: torch.Tensor, *others: Any) -> torch.Tensor:
        return x.new_empty((*x.shape[:2], others[-1]))

    def shape_of_gradient(_gradient: torch.Tensor, x: torch.Tensor, *_others: Any) -> torch.Tensor:
        return x.new_empty(x.shape)

    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        del output
        ctx.save_for_backward(*inputs[:5])
        ctx.orders = inputs[5]

    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        found = torch.ops.mofmd.contract_backward(gradient, *ctx.saved_tensors, ctx.orders)
        return (found, *(None,) * 6)

    library.impl("mofmd::contract", "CompositeExplicitAutograd")(_contract)
    library.impl("mofmd::contract_backward", "CompositeExplicitAutograd")(_contract_backward)
    library.register_fake("mofmd::contract")(shape_of_result)
    library.register_fake("mofmd::contract_backward")(shape_of_gradient)
    library.register_autograd("mofmd::contract", backward, setup_context=setup_context)
