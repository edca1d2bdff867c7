"""The first screen of the report: the structure, the verdict, and the numbers that matter."""

from __future__ import annotations

from html import escape

import mofmd
from mofmd.report.view import view
from mofmd.study.key_numbers import key_numbers
from mofmd.study.notes import common_notes, left_out, members_left_out, notes_of_making
from mofmd.study.study import Analysis
from mofmd.study.verdict import verdicts

SIGNS = {"yes": "✓", "no": "✗", "unknown": "?", "none": "–"}


def title_of(analysis: Analysis) -> str:
    """Name of what was analysed, and what it consists of."""
    formula = analysis.members[0].last.to_ase().get_chemical_formula()
    kind = f", {analysis.group}" if analysis.group else ""
    return f"{analysis.settings.name}{kind}, {formula}"


def front(analysis: Analysis) -> str:
    """Lay out title, view, verdict and numbers."""
    member = analysis.members[0]
    alone = len(analysis.members) == 1
    return (
        f"<header><h1>{escape(title_of(analysis))}</h1>"
        f'<p class="lead">{escape(_what(analysis))}</p></header>'
        f'<div class="first">{view(member.last, "" if alone else f"{member.name}.")}'
        f'<div class="facts">{_verdicts(analysis)}{_numbers(analysis)}</div></div>'
    )


def remarks(analysis: Analysis) -> str:
    """Tell what a reader must know before any number."""
    texts = [
        f"{name}: the file ends within a frame, which was left out."
        for name in analysis.about["incomplete_frame"]
    ]
    texts += [*notes_of_making(analysis), *members_left_out(analysis)]
    texts += [*left_out(analysis), *common_notes(analysis)]
    return "".join(f'<p class="note">{escape(text)}</p>' for text in texts)


def _what(analysis: Analysis) -> str:
    """Protocol, model, size and stage in one line."""
    member = analysis.members[0]
    protocol = str(member.manifest.get("protocol", {}).get("name", ""))
    model = str(member.manifest.get("potential", {}).get("model", ""))
    n = len(analysis.members)
    parts = [
        protocol,
        model,
        f"{len(member.last)} atoms",
        f"{n} members" if n > 1 else "",
        f"stage {member.stage}" if member.stage else "",
        f"{member.frames} frame{'s' if member.frames > 1 else ''}" if n == 1 else "",
        f"mofmd {mofmd.__version__}",
    ]
    return " · ".join(part for part in parts if part)


def _verdicts(analysis: Analysis) -> str:
    rows = "".join(
        f'<li class="{verdict.answer}"><b><span aria-hidden="true">{SIGNS[verdict.answer]}</span> '
        f"{verdict.question}: {_word(verdict.answer)}</b> {escape(verdict.text)}</li>"
        for verdict in verdicts(analysis)
    )
    return f'<ul class="verdicts" aria-label="verdict">{rows}</ul>'


def _word(answer: str) -> str:
    return {"unknown": "not known", "none": "does not apply"}.get(answer, answer)


def _numbers(analysis: Analysis) -> str:
    cards = "".join(
        f"<div><dt>{escape(number.label)}</dt><dd>{escape(str(number.estimate))}</dd></div>"
        for number in key_numbers(analysis)
    )
    return f'<dl class="numbers">{cards}</dl>' if cards else ""
