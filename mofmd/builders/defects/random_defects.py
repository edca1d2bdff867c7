"""Defects drawn at random: fractions as the paper draws them, or numbers as they shall be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from mofmd.builders.blocks.blocks import Blocks
from mofmd.builders.defects.defects import Charges, Defects, Loss, remove_blocks, replaceable_metals
from mofmd.errors import InputError

Amount = int | float
ATTEMPTS = 1000


@dataclass(frozen=True)
class RandomDefects:
    """How many defects to draw.

    A float is a fraction of all nodes, linkers or metals: so many are drawn, linkers from all,
    those of lost nodes included, so that more are gone in the end (Dobbelaere et al., Chem. Mater.
    2025). An int is the number that is gone in the end, linkers of lost nodes and loose pieces
    included. Metals are counted among those that are left.

    Parameters
    ----------
    nodes, linkers
        How many are missing; None: none are drawn, but some may become loose.
    metals
        How many metals each element takes the place of.
    final
        Take fractions of nodes and linkers, too, for what is gone in the end.
    seed
        Of the random numbers.
    """

    nodes: Amount | None = None
    linkers: Amount | None = None
    metals: Mapping[str, Amount] = field(default_factory=dict)
    final: bool = False
    seed: int = 0


def parse_amount(text: str, name: str) -> Amount:
    """Read a whole number, or a fraction, which has a decimal point.

    Raises
    ------
    InputError
        If it is neither, or beyond its bounds.

    Examples
    --------
    >>> parse_amount("34", "nodes"), parse_amount(".133", "nodes")
    (34, 0.133)
    """
    try:
        amount: Amount = int(text) if text.strip().lstrip("+-").isdigit() else float(text)
    except ValueError:
        amount = np.nan
    _check_amount(amount, name, text)
    return amount


def draw_defects(blocks: Blocks, wanted: RandomDefects, charges: Charges = None) -> Defects:
    """Draw defects; the same seed draws the same.

    Raises
    ------
    InputError
        If an amount is impossible, or none of a thousand draws has the final numbers asked for.
    """
    if not (wanted.nodes or wanted.linkers or wanted.metals):
        raise InputError("defects: none are asked for (--linkers .2, --nodes .1, --metal Hf=.2)")
    random = np.random.default_rng(wanted.seed)
    n_nodes = _count(wanted.nodes or 0, len(blocks.nodes), "nodes")
    n_linkers = _count(wanted.linkers or 0, len(blocks.linkers), "linkers")
    nodes_are_final, linkers_are_final = (
        isinstance(amount, int) or (wanted.final and amount is not None)
        for amount in (wanted.nodes, wanted.linkers)
    )
    least_lost = len(blocks.linkers)
    for _ in range(ATTEMPTS):
        nodes = random.permutation(len(blocks.nodes))[:n_nodes]
        lost = _linkers_at(blocks, nodes) if linkers_are_final else np.empty(0, dtype=np.int64)
        least_lost = min(least_lost, len(lost))
        if len(lost) > n_linkers:
            continue
        free = np.setdiff1d(np.arange(len(blocks.linkers)), lost)
        linkers = random.permutation(free)[: n_linkers - len(lost)]
        drawn = Defects(tuple(np.sort(linkers).tolist()), tuple(np.sort(nodes).tolist()))
        loss = _loss(blocks, drawn)
        if loss is None or (nodes_are_final and len(loss.nodes) != n_nodes):
            continue
        if linkers_are_final and len(loss.linkers) != n_linkers:
            continue
        return replace(drawn, metals=_draw_metals(blocks, loss, wanted.metals, random, charges))
    raise InputError(_why_not(blocks, n_nodes, n_linkers, least_lost))


def _loss(blocks: Blocks, drawn: Defects) -> Loss | None:
    """Find what a draw loses; None where only loose pieces are left of the framework."""
    try:
        return remove_blocks(blocks, drawn)
    except InputError:
        return None


def _why_not(blocks: Blocks, n_nodes: int, n_linkers: int, least_lost: int) -> str:
    if least_lost > n_linkers:
        return (
            f"linkers: {n_linkers}, but the nodes taken out ({n_nodes}) took at least {least_lost} "
            f"linkers with them in {ATTEMPTS} draws; ask for more linkers or fewer nodes"
        )
    return (
        f"defects: with {n_nodes} of {len(blocks.nodes)} nodes and {n_linkers} of "
        f"{len(blocks.linkers)} linkers out, more became loose in each of {ATTEMPTS} draws; ask "
        "for fewer linkers, or for more nodes"
    )


def _linkers_at(blocks: Blocks, nodes: np.ndarray) -> np.ndarray:
    """Numbers of the linkers that hold some nodes."""
    held = blocks.link_spacers[np.isin(blocks.link_bricks, blocks.nodes[nodes])]
    return np.flatnonzero(np.isin(blocks.linkers, held))


def _draw_metals(
    blocks: Blocks,
    loss: Loss,
    metals: Mapping[str, Amount],
    random: np.random.Generator,
    charges: Charges,
) -> dict[int, str]:
    left = blocks.is_metal & loss.kept[blocks.block_of_atom]
    drawn: dict[int, str] = {}
    for element, amount in metals.items():
        sites = replaceable_metals(blocks, element, charges)
        sites = sites[left[sites] & ~np.isin(sites, list(drawn))]
        number = _count(amount, int(left.sum()), f"metal {element}")
        if number > len(sites):
            raise InputError(
                f"metal {element}: {number} wanted, but only {len(sites)} metals are left to be "
                "replaced"
            )
        drawn.update((int(k), element) for k in random.permutation(sites)[:number])
    return drawn


def _check_amount(amount: Amount, name: str, text: str | None = None) -> None:
    told = str(amount) if text is None else repr(text)
    if isinstance(amount, int):
        if amount < 0:
            raise InputError(f"{name}: {told}, expected a number of at least 0")
    elif not 0 <= amount <= 1:
        raise InputError(
            f"{name}: {told}, expected a fraction from 0 to 1 (.2), or a whole number of them (34)"
        )


def _count(amount: Amount, total: int, name: str) -> int:
    _check_amount(amount, name)
    number = amount if isinstance(amount, int) else round(amount * total)
    if number > total:
        raise InputError(f"{name}: {number}, but there are only {total}")
    return number
