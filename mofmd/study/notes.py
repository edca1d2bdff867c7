"""What a reader of an analysis must know, each thing said once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from mofmd.analysis.base.result import Result
from mofmd.simulation.deck.notes import notes_of as notes_of_record
from mofmd.study.study import Analysis

COMMON_MIN = 3  # families that a note is common to


def notes_of(results: Sequence[Result], but: Collection[str] = ()) -> list[str]:
    """Give the notes of results, with the names of those that share one before it.

    Parameters
    ----------
    results
        Results of an analysis.
    but
        Notes that are left out, as they are told elsewhere.
    """
    return _shared(
        (note, result.name) for result in results for note in result.notes if note not in but
    )


def common_notes(analysis: Analysis) -> list[str]:
    """Give the notes that concern several families of results, to be told once before all."""
    families: dict[str, set[str]] = {}
    for result in analysis.results:
        for note in result.notes:
            families.setdefault(note, set()).add(result.name.split()[0])
    return [note for note, owners in families.items() if len(owners) >= COMMON_MIN]


def left_out(analysis: Analysis) -> list[str]:
    """Which observables were left out, and why; of an ensemble in which members."""
    many = len(analysis.members) > 1
    return _shared(
        (
            f"left out: {reason.removeprefix(f'{name}: ')}",
            f"{member.name}, {name}" if many else name,
        )
        for member in analysis.members
        for name, reason in member.left_out.items()
    )


def members_left_out(analysis: Analysis) -> list[str]:
    """Say what does not stand behind the mean of an ensemble; of a run, how it ended."""
    about = analysis.about
    if "members_left_out" not in about:
        return [f"{name} {reason}" for name, reason in about["unfinished"].items()]
    told = _shared(
        (f"left out of the mean: {reason}", name)
        for name, reason in about["members_left_out"].items()
    )
    if told and len(analysis.members) == 1:
        told.append(f"{analysis.members[0].name}: these numbers are of this member alone.")
    told += [f"{name}: not averaged: {why}" for name, why in about["not_averaged"].items()]
    told += [
        f"{', '.join(names)}: have the same deck, seed included; they are one run, and no "
        "independent members."
        for names in about["same_run"]
    ]
    told += [f"{kind}: {why}" for kind, why in about["kinds_left_out"].items()]
    return told


def notes_of_making(analysis: Analysis) -> list[str]:
    """Give what was told when the decks were made; where all members share it, without names."""
    members = (*analysis.members, *analysis.apart)
    owners: dict[str, list[str]] = {}
    for member in members:
        for text in notes_of_record(member.manifest):
            owners.setdefault(text, []).append(member.name)
    return [
        text if len(names) == len(members) else f"{', '.join(names)}: {text}"
        for text, names in owners.items()
    ]


def _shared(found: Iterable[tuple[str, str]]) -> list[str]:
    names: dict[str, list[str]] = {}
    for text, name in found:
        names.setdefault(text, []).append(name)
    return [f"{', '.join(dict.fromkeys(owners))}: {text}" for text, owners in names.items()]
