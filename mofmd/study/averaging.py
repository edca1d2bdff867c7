"""Which members of an ensemble enter its mean, and which do not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mofmd.analysis.base.members import average_results
from mofmd.analysis.base.result import Result
from mofmd.errors import InputError
from mofmd.study.sources import Run

if TYPE_CHECKING:
    from mofmd.study.member import Member


@dataclass(frozen=True)
class MembersMean:
    """A mean over members of one kind.

    Parameters
    ----------
    members
        Those that enter it.
    results
        The mean; of one member its own results.
    left_out
        The others, and why.
    not_averaged
        Results that not all of these members have, and why.
    same_run
        Members of one deck, seed included: one run, told by the names of each.
    """

    members: tuple[Member, ...]
    results: tuple[Result, ...]
    left_out: Mapping[str, str]
    not_averaged: Mapping[str, str]
    same_run: tuple[tuple[str, ...], ...]


def average_members(
    analysed: Sequence[Member], runs: Mapping[str, Run], left_out: Mapping[str, str]
) -> MembersMean:
    """Average the members that have come to the end of what was measured of them.

    Parameters
    ----------
    analysed
        Members of one kind.
    runs
        Their runs, by name.
    left_out
        Members that could not be analysed, and why.

    Raises
    ------
    InputError
        If none is left.
    """
    out = dict(left_out)
    chosen = []
    for member in analysed:
        if runs[member.name].has_completed(member.stage):
            chosen.append(member)
        else:
            out[member.name] = runs[member.name].unfinished
    chosen = _alike(chosen, lambda member: member.stage or "all of its frames", "measured", out)
    chosen = _alike(
        chosen, lambda member: member.last.to_ase().get_chemical_formula(), "composition", out
    )
    if not chosen:
        told = "; ".join(f"{name}: {reason}" for name, reason in sorted(out.items()))
        raise InputError(
            f"no member can be averaged ({told}); analyse one by itself, or a stage that members "
            "have come through: --stage NAME"
        )
    mean = average_results({member.name: member.results for member in chosen})
    return MembersMean(
        tuple(chosen), mean.results, out, mean.left_out, _same_runs([m.name for m in chosen], runs)
    )


def _alike(
    members: list[Member], trait: Callable[[Member], str], what: str, left_out: dict[str, str]
) -> list[Member]:
    """Keep the members that most are like; the others are left out, which is noted."""
    if not members:
        return []
    (common, _), *_ = Counter(map(trait, members)).most_common()
    for member in members:
        if trait(member) != common:
            left_out[member.name] = f"{what}: {trait(member)}, of the others {common}"
    return [member for member in members if trait(member) == common]


def _same_runs(names: Sequence[str], runs: Mapping[str, Run]) -> tuple[tuple[str, ...], ...]:
    decks: dict[str, list[str]] = {}
    for name in names:
        files = runs[name].manifest.get("files")
        if files:
            decks.setdefault(str(sorted(files.items())), []).append(name)
    return tuple(tuple(found) for found in decks.values() if len(found) > 1)
