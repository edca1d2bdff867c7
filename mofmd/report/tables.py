"""Tables of the report: numbers, members of an ensemble, elastic tensors."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor, Extreme
from mofmd.study.member import Member
from mofmd.study.study import Analysis


def numbers_table(analysis: Analysis) -> str:
    """Scalars of all results, of what stands beside them, and of the members of an ensemble."""
    others = analysis.settings.beside
    rows = "".join(
        f"<tr><td>{escape(result.name)}</td><td>{escape(name)}</td>"
        f'<td class="number">{escape(str(scalar))}</td>'
        f'<td class="number" data-label="independent samples">'
        f"{_independent(scalar.independent)}</td>"
        + "".join(
            f'<td class="number" data-label="{escape(o.name)}">'
            f"{escape(o.text(result.name, name))}</td>"
            for o in others
        )
        + "</tr>"
        for result in analysis.results
        for name, scalar in result.scalars.items()
    )
    head = "".join(f"<th>{escape(other.name)}</th>" for other in others)
    return (
        '<section><h2 id="numbers">Numbers</h2><div class="scroll"><table class="stack"><thead><tr>'
        "<th>observable</th>"
        "<th>quantity</th><th>value ± standard error</th><th>independent samples</th>"
        f"{head}</tr></thead><tbody>{rows}</tbody></table></div></section>{_members(analysis)}"
    )


def _members(analysis: Analysis) -> str:
    """Values of the members of an ensemble, one row each, those left out of the mean last."""
    everyone = (*analysis.members, *analysis.apart)
    absent = {  # of which nothing could be measured
        name: reason
        for name, reason in analysis.about.get("members_left_out", {}).items()
        if name not in [member.name for member in everyone]
    }
    if len(everyone) + len(absent) < 2:
        return ""
    apart = [member.name for member in analysis.apart]
    units = {
        (result.name, name): scalar.unit
        for member in everyone
        for result in member.results
        for name, scalar in result.scalars.items()
    }
    # what is the same in all members tells nothing
    columns = [key for key in units if _spread(everyone, *key) > 0]
    names = [name for _, name in columns]
    head = "".join(
        f"<th>{escape(name if names.count(name) == 1 else f'{result}: {name}')}"
        f"{f' ({escape(units[result, name])})' if units[result, name] else ''}</th>"
        for result, name in columns
    )
    rows = "".join(
        f"<tr><td>{escape(member.name)}</td><td>{escape(member.state or '–')}"
        f"{', left out' if member.name in apart else ''}</td>"
        + "".join(f'<td class="number">{_text(_value(member, *key))}</td>' for key in columns)
        + "</tr>"
        for member in everyone
    )
    rows += "".join(
        f'<tr><td>{escape(name)}</td><td colspan="{1 + len(columns)}">left out: '
        f"{escape(reason)}</td></tr>"
        for name, reason in sorted(absent.items())
    )
    return (
        '<section><h2 id="members">Members</h2><div class="scroll wide">'
        '<table class="small"><thead>'
        f"<tr><th>member</th><th>run</th>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        "</section>"
    )


def _value(member: Member, result_name: str, name: str) -> float:
    """Return a number of a member; NaN where it has none."""
    for result in member.results:
        if result.name == result_name and name in result.scalars:
            return result.scalars[name].value
    return float("nan")


def _spread(members: Sequence[Member], result_name: str, name: str) -> float:
    values = np.array([_value(member, result_name, name) for member in members])
    known = values[np.isfinite(values)]
    if 0 < len(known) < len(values):
        return float("inf")  # some have none
    return float(np.ptp(known)) if len(known) else 0.0


def _text(value: float) -> str:
    return f"{value:.5g}" if np.isfinite(value) else "–"


def _independent(number: float) -> str:
    return f"{number:.1f}" if np.isfinite(number) else "–"


def tensor_tables(tensor: ElasticTensor) -> str:
    """Table of a tensor's constants, averages, and extremes with their directions, as ELATE's."""
    constants = "".join(
        "<tr>" + "".join(f'<td class="number">{value:.3f}</td>' for value in row) + "</tr>"
        # zeros without sign
        for row in np.round(tensor.stiffness_GPa, 3) + 0.0
    )
    eigenvalues = ", ".join(f"{value:.3f}" for value in tensor.eigenvalues_GPa)
    matrix = (
        "<p>Stiffness in GPa, Voigt order xx yy zz yz xz xy; "
        f"eigenvalues {eigenvalues} GPa.</p>"
        f'<div class="scroll wide"><table><tbody>{constants}</tbody></table></div>'
    )
    if not tensor.is_stable:
        return f"{matrix}<p>Not stable: moduli go to infinity in some directions.</p>"
    averages = "".join(
        f'<tr><td>{name}</td><td class="number">{mean.bulk_GPa:.3f}</td>'
        f'<td class="number">{mean.young_GPa:.3f}</td><td class="number">{mean.shear_GPa:.3f}</td>'
        f'<td class="number">{mean.poisson:.3f}</td></tr>'
        for name, mean in (("Voigt", tensor.voigt), ("Reuss", tensor.reuss), ("Hill", tensor.hill))
    )
    extremes = "".join(
        f"<tr><td>{name}</td>"
        + "".join(
            f'<td class="number">{found.value:.3f}</td><td class="number">{_vectors(found)}</td>'
            for found in pair
        )
        + "</tr>"
        for name, pair in (
            ("Young's modulus (GPa)", tensor.young_range()),
            ("linear compressibility (1/TPa)", tensor.linear_compressibility_range()),
            ("shear modulus (GPa)", tensor.shear_range()),
            ("Poisson's ratio", tensor.poisson_range()),
        )
    )
    return (
        f'{matrix}<div class="scroll wide"><table><thead><tr><th>average</th><th>K (GPa)</th>'
        "<th>E (GPa)</th>"
        f"<th>G (GPa)</th><th>Poisson's ratio</th></tr></thead><tbody>{averages}</tbody></table>"
        '</div><div class="scroll wide"><table><thead><tr><th>extremes</th><th>smallest</th>'
        "<th>along (and across)</th>"
        f"<th>largest</th><th>along (and across)</th></tr></thead><tbody>{extremes}</tbody></table>"
        "</div>"
    )


def _vectors(extreme: Extreme) -> str:
    vectors = [extreme.direction, *([] if extreme.transverse is None else [extreme.transverse])]
    # zeros without sign
    return "; ".join(
        "(" + " ".join(f"{x:.2f}" for x in np.round(v, 2) + 0.0) + ")" for v in vectors
    )
