"""What a reader of an analysis must know, each thing said once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mofmd.analysis.result import Result
from mofmd.report.analysis import Analysis


def notes_of(results: Sequence[Result]) -> list[str]:
    """Give the notes of results, with the names of those that share one before it."""
    return _shared((note, result.name) for result in results for note in result.notes)


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


def _shared(found: Iterable[tuple[str, str]]) -> list[str]:
    names: dict[str, list[str]] = {}
    for text, name in found:
        names.setdefault(text, []).append(name)
    return [f"{', '.join(dict.fromkeys(owners))}: {text}" for text, owners in names.items()]
