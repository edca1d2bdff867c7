"""Whether a study came to its end, whole, in equilibrium and known to its model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal

import numpy as np

from mofmd.analysis.base.statistics import INDEPENDENT_MIN, mean_of_series, sample
from mofmd.engine.lammps_log import ThermoTable, join_stages, lines_from
from mofmd.errors import counted
from mofmd.study.novelty import Watched

if TYPE_CHECKING:
    from mofmd.study.member import Member
    from mofmd.study.study import Analysis

Answer = Literal["yes", "no", "unknown", "none"]
WORST: Sequence[Answer] = ("no", "unknown", "yes", "none")  # first counts
DRIFT_ERRORS = 3.0  # halves that differ by more standard errors are not of one equilibrium
TREND_MAX = 0.8  # of the variance, that a straight line explains
CUT_MAX = 0.5  # of a series, to equilibrate: beyond that it is taken to drift
STEADY = 1e-9  # relative: what varies less is held fixed
TIMES = ("time", "step", "frame")
NAMES_MAX = 3
EQUILIBRATION_MIN_PS = 5.0
"""Time below which a run cannot tell: linkers rotate and cells breathe within picoseconds, so that
what is steady for less, worth many samples as it may be, has seen the fast vibrations alone."""
# what is held fixed says nothing: of these the series that vary are looked at
THERMO: Mapping[str, str] = {
    "Temp": "temperature",
    "PotEng": "potential energy",
    "Volume": "volume",
}
GRIDS: Mapping[str, tuple[str, str]] = {
    "FiniteStrain": ("Press", "pressure"),
    "VolumeGrid": ("Press", "pressure"),
    "PressureGrid": ("Volume", "volume"),
}
RELAXED = ("EnergyVolume", "Elastic", "Minimise")
BROKEN = " is broken: "  # in what the watch says of a linker (simulation.deck.limits)


@dataclass(frozen=True)
class _Series:
    """What was measured, its values in the order of time, and how long that was [ps]."""

    what: str
    values: np.ndarray
    time_ps: float


@dataclass(frozen=True)
class Verdict:
    """An answer to one question.

    Parameters
    ----------
    question
        Finished, Intact, Equilibrated, Known to the model.
    answer
        ``yes``, ``no``, ``unknown`` (nothing tells, or too little was run), or ``none`` (the
        question does not arise).
    text
        Why, in a sentence.
    """

    question: str
    answer: Answer
    text: str


def verdicts(analysis: Analysis) -> tuple[Verdict, ...]:
    """Say whether the runs finished, whether their linkers are whole, and whether they settled.

    Of runs that were watched also whether the model knew what it saw.
    """
    three = (finished(analysis), intact(analysis), equilibrated(analysis))
    last = known(analysis)
    return three if last is None else (*three, last)


def finished(analysis: Analysis) -> Verdict:
    """Say whether every run came to its end."""
    question = "Finished"
    member = analysis.members[0]
    unfinished = analysis.about.get("unfinished", {})
    if "members_left_out" not in analysis.about:
        if not member.manifest:
            return Verdict(question, "none", "A file: no run stands behind it.")
        if unfinished:
            return Verdict(question, "no", f"{_sentence(next(iter(unfinished.values())))}")
        return Verdict(question, "yes", f"The run came to its end{_length(member)}.")
    names = {m.name for m in (*analysis.members, *analysis.apart)} | set(unfinished)
    names |= set(analysis.about["members_left_out"])
    done = len(names) - len(unfinished)
    text = f"{done} of {len(names)} members came to their end"
    if not unfinished:
        return Verdict(question, "yes", f"All {len(names)} members came to their end.")
    return Verdict(question, "no", f"{text}; {_named(unfinished)}")


def intact(analysis: Analysis) -> Verdict:
    """Say whether the linkers of the starting structure are whole in the last frame.

    A run that the watch stopped as one broke has whole frames only.
    """
    question = "Intact"
    counts = {m.name: m.linkers for m in analysis.members if m.linkers is not None}
    if not counts:
        return Verdict(question, "none", "No organic linkers in the structure.")
    total = sum(count.total for count in counts.values())
    if all(member.frames == 1 and not member.manifest for member in analysis.members):
        return Verdict(question, "none", f"{total} linkers; one structure tells of no change.")
    whole = sum(count.intact for count in counts.values())
    where = "in the last frame" if len(counts) == 1 else f"in the last frames of {len(counts)} runs"
    caps = sum(count.caps for count in counts.values())
    whole_caps = sum(count.caps_intact for count in counts.values())
    and_caps = f" and {whole_caps} of {caps} caps" if caps else ""
    text = f"{whole} of {total} linkers{and_caps} are whole {where}"
    fewest = [
        result.scalars["intact, fewest"].value
        for member in analysis.members
        for result in member.results
        if "intact, fewest" in result.scalars
    ]
    least = total // len(counts)
    if whole == total and fewest and min(fewest) < least:
        text += f"; {min(fewest):.0f} of {least} in the worst frame, where bonds were stretched"
    stopped = [name for name, why in analysis.about.get("unfinished", {}).items() if BROKEN in why]
    if stopped:
        text += "; after it one broke, and the watch stopped the run"
        if len(counts) > 1:
            text += f" ({', '.join(stopped)})"
        return Verdict(question, "no", f"{text}.")
    is_whole = whole == total and whole_caps == caps
    return Verdict(question, "yes" if is_whole else "no", f"{text}.")


def equilibrated(analysis: Analysis) -> Verdict:
    """Say whether what was measured is of an equilibrium, by the series of each run."""
    question = "Equilibrated"
    found = {member.name: _settled(member) for member in analysis.members}
    if len(found) == 1:
        answer, text = next(iter(found.values()))
        return Verdict(question, answer, _sentence(text))
    worst = next(a for a in WORST if any(answer == a for answer, _ in found.values()))
    if worst in ("yes", "none"):
        return Verdict(question, worst, f"All {len(found)} members: {found[next(iter(found))][1]}.")
    bad = {name: text for name, (answer, text) in found.items() if answer == worst}
    name, reason = next(iter(bad.items()))
    text = f"{len(bad)} of {len(found)} members, such as {name}: {reason}"
    return Verdict(question, worst, _sentence(text))


def known(analysis: Analysis) -> Verdict | None:
    """Say whether the model knew the surroundings of all atoms; None where no run was watched.

    A few scores above 1 are ordinary, as many as the quantile says that the model's density was
    made with; more are not, nor is a single one that is far above.
    """
    question = "Known to the model"
    everyone = (*analysis.members, *analysis.apart)  # who was left out may be so for a new atom
    watched = [(m.watched, len(m.last)) for m in everyone if m.watched is not None]
    if not watched:
        return None
    judged = [(_known_to(each, atoms), each) for each, atoms in watched]
    answer = next(a for a in WORST if any(found == a for found, _ in judged))
    such = [each for found, each in judged if found == answer]
    top = max(such, key=lambda each: each.largest)
    who = f"the newest, {top.newest.atom}," if top.newest.atom else "the newest"
    newest = f"{who} has {top.largest:.3g} at step {top.newest.step}"
    if len(everyone) > 1:
        newest += f" of {top.name}"
    bound = f"{top.keep_above:g}"
    where = f", in {len(such)} of {len(watched)} runs" if len(watched) > 1 else ""
    if answer == "no":
        count = counted(top.newest.most_above, "atom")
        text = f"Up to {count} at once with a novelty above {bound}{where}; {newest}"
        if not top.newest.most_above:
            text = f"A novelty above {top.ordinary_max:.2g}{where}: {newest}"
        why = "The model was not trained on such surroundings: what comes of them may be wrong."
        return Verdict(question, answer, f"{text}. {why}")
    if answer == "unknown":
        why = f"scores were counted above {bound}, not above 1; --watch keep_above=1 counts them"
        return Verdict(question, answer, _sentence(f"{newest}{where}, and {why}"))
    above = sum(each.above for each, _ in watched)
    if not above:
        return Verdict(question, answer, f"No atom with a novelty above {bound}; {newest}.")
    if top.largest <= 1.0:  # then the bound is lower, and the count tells nothing
        return Verdict(question, answer, f"No atom with a novelty above 1; {newest}.")
    total = sum(len(each.looks) * atoms for each, atoms in watched)
    text = f"{above} of {total} scores are above {bound}, as few as is ordinary; {newest}."
    return Verdict(question, answer, text)


def _known_to(run: Watched, atoms: int) -> Answer:
    """Whether the novelty of a run is that of what its model was trained on."""
    if run.largest > run.ordinary_max:
        return "no"
    if run.largest <= 1.0:
        return "yes"
    # the table counts scores above ``keep_above``: of those above 1 that is a bound, and no more
    few = run.above <= run.ordinary_share * atoms * len(run.looks)
    if few:
        return "yes" if run.keep_above <= 1.0 else "unknown"
    return "no" if run.keep_above >= 1.0 else "unknown"


def _settled(member: Member) -> tuple[Answer, str]:
    """Judge one run."""
    protocol = str(member.manifest.get("protocol", {}).get("name", ""))
    if protocol in RELAXED:
        return "none", "relaxed structures, no dynamics"
    series = list(_thermo_series(member, protocol)) or list(_result_series(member))
    series = [each for each in series if len(each.values) > 1]
    if not series and member.frames > 1:
        return "unknown", "nothing that was measured varies"
    if not series:
        return "none", "a single structure, no dynamics"
    shortest = min(each.time_ps for each in series)
    if not shortest >= EQUILIBRATION_MIN_PS:  # nor where the times are not known
        return "unknown", _too_short(shortest)
    judged = [(_judge(each.values), each.what) for each in series]
    # what is averaged at the end is judged too: it may need longer than the energy
    judged += [
        (("no", found), name) for name, values in _observed(member) if (found := _trend(values))
    ]
    worst = next(a for a in WORST if any(answer == a for (answer, _), _ in judged))
    reasons = [(what, reason) for (answer, reason), what in judged if answer == worst]
    whats = _list([what for what, _ in reasons])
    if worst == "yes":
        steady = _list([each.what for each in series])
        return worst, (
            f"{steady} steady over {shortest:.4g} ps, worth {_least(series)} independent samples"
        )
    # of several that are too short the shortest tells
    return worst, f"{whats}: {reasons[0][1]}"


def _too_short(time_ps: float) -> str:
    wanted = f"at least {EQUILIBRATION_MIN_PS:g} ps are wanted; run longer"
    if np.isnan(time_ps):
        return f"the times of the frames are not known, {wanted}"
    return f"{time_ps:.3g} ps is too short to tell, {wanted}"


def _observed(member: Member) -> Iterable[tuple[str, np.ndarray]]:
    """Series that structural observables were averaged over, by the name of the observable."""
    for result in member.results:
        if "series" in result.tables:
            for name, column in result.tables["series"].columns.items():
                if name not in TIMES and len(column.values) >= INDEPENDENT_MIN:
                    yield f"{name} ({result.name})", column.values


def _judge(values: np.ndarray) -> tuple[Answer, str]:
    """Whether a series is of one equilibrium, and if not why."""
    # before samples are counted: of what changes all the way there are never enough
    if changed := _trend(values):
        return "no", changed
    found = sample(values)
    used = values[found.cut :]
    if found.cut > CUT_MAX * len(values):
        return "no", f"still changed during {found.cut / len(values):.0%} of what was measured"
    if found.independent < INDEPENDENT_MIN:
        return (
            "unknown",
            f"worth {found.independent:.1f} independent samples, {INDEPENDENT_MIN} are wanted; "
            "run longer",
        )
    middle = len(used) // 2
    first, second = (mean_of_series(h, sample(h, 0)) for h in (used[:middle], used[middle:]))
    error = float(np.hypot(first.standard_error, second.standard_error))
    apart = abs(second.value - first.value)
    if apart > DRIFT_ERRORS * error and error > 0:
        return "no", f"drifts: its two halves differ by {apart / error:.1f} standard errors"
    return "yes", ""


def _trend(values: np.ndarray) -> str:
    """Say that a series changed from its beginning to its end; empty where it did not."""
    if len(values) < 4 or np.ptp(values) <= STEADY * abs(values).max():
        return ""
    share = float(np.corrcoef(np.arange(len(values)), values)[0, 1] ** 2)
    if share <= TREND_MAX:
        return ""
    return f"changed all the way: {share:.0%} of its variance is a straight line"


def _least(series: Iterable[_Series]) -> str:
    return f"{min(sample(each.values).independent for each in series):.0f}"


def _thermo_series(member: Member, protocol: str) -> Iterable[_Series]:
    """Series of the log: of what was measured, or of each point of a grid."""
    tables = [t for t in member.thermo if t.stage != "minimise" and len(t.columns["Step"]) > 1]
    if protocol in GRIDS:
        column, what = GRIDS[protocol]
        points = [
            t
            for t in tables
            if t.stage.startswith("sample_") and {"Time", column} <= t.columns.keys()
        ]
        for stage, parts in groupby(points, lambda table: table.stage):
            found = join_stages(parts, ("Step", "Time", column))
            yield _Series(f"{what} of {stage}", found[column], _span(found["Time"]))
        return
    measured = [t for t in tables if not member.stage or t.stage == member.stage]
    measured = [t for t in measured if "Time" in t.columns]
    for column, what in THERMO.items():
        if measured and all(column in table.columns for table in measured):
            joined = join_stages(measured, ("Step", "Time", column))
            found = lines_from(joined, member.start_ps)
            if not len(found[column]):
                continue
            if np.ptp(found[column]) > STEADY * abs(found[column]).max():
                yield _Series(what, found[column], _span(found["Time"]))


def _result_series(member: Member) -> Iterable[_Series]:
    """Series of the results: the volume where it varies, and coordination numbers."""
    for result in member.results:
        columns = result.tables["series"].columns if "series" in result.tables else {}
        time_ps = _span(columns["time"].values) if "time" in columns else float("nan")
        if "volume" in columns and np.ptp(columns["volume"].values) > 0:
            yield _Series("volume", columns["volume"].values, time_ps)
        if result.name.startswith("coordination") and np.ptp(columns["number"].values) > 0:
            what = f"{result.name.split()[-1]} coordination"
            yield _Series(what, columns["number"].values, time_ps)


def _span(times_ps: np.ndarray) -> float:
    return float(times_ps[-1] - times_ps[0])


def _length(member: Member) -> str:
    """How long the run was, by its log."""
    tables: list[ThermoTable] = [t for t in member.thermo if t.stage != "minimise"]
    tables = [t for t in tables if "Time" in t.columns and len(t.columns["Time"])]
    if not tables:
        return ""
    last = tables[-1].columns
    return f": {last['Step'][-1]:.0f} steps, {last['Time'][-1]:.4g} ps"


def _named(reasons: Mapping[str, str]) -> str:
    shown = list(reasons.items())[:NAMES_MAX]
    more = len(reasons) - len(shown)
    text = "; ".join(f"{name}: {reason}" for name, reason in shown)
    return text + (f"; and {more} more." if more else ".")


def _list(names: Sequence[str]) -> str:
    shown = names[:NAMES_MAX]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
