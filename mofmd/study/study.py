"""Analysing a run, an ensemble or a file, from the disk to results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from rich.console import Console

import mofmd
from mofmd.analysis.base.result import Result, write_results
from mofmd.errors import InputError
from mofmd.study.averaging import average_members
from mofmd.study.beside import Beside, check_names
from mofmd.study.member import Member, analyse_member
from mofmd.study.reference import check_observables, compare
from mofmd.study.settings import AnalysisSettings
from mofmd.study.sources import Run, find_runs, group_runs, is_ensemble
from mofmd.study.verdict import verdicts


@dataclass(frozen=True)
class Analysis:
    """An analysed run, ensemble or file.

    Parameters
    ----------
    settings
        What was asked for.
    members
        Runs that the results are of; one for a run or a file.
    results
        Means over the members; of one member its own results.
    about
        Where the results come from, as plain values.
    group
        What tells these members from others of the same source; empty if there are none.
    apart
        Members that were analysed but left out of the mean.
    """

    settings: AnalysisSettings
    members: tuple[Member, ...]
    results: tuple[Result, ...]
    about: Mapping[str, Any] = field(default_factory=dict)
    group: str = ""
    apart: tuple[Member, ...] = ()

    @property
    def name(self) -> str:
        """What it is called beside others."""
        return self.group or self.settings.name


def run_analysis(
    settings: AnalysisSettings | str | Path, console: Console | None = None
) -> Analysis:
    """Analyse a run, an ensemble of one kind, or a file.

    Parameters
    ----------
    settings
        What to do; a source alone is analysed as the command line does by default.
    console
        Where progress is shown; None shows nothing.

    Raises
    ------
    InputError
        If runs of different kinds are there: ``run_analyses`` keeps them apart.
    """
    if not isinstance(settings, AnalysisSettings):
        settings = AnalysisSettings(Path(settings))
    found = run_analyses(settings, console)
    if len(found) > 1:
        kinds = "; ".join(f"{each.group} ({len(each.members)})" for each in found)
        raise InputError(f"{settings.source}: holds runs of {len(found)} kinds: {kinds}")
    return found[0]


def run_analyses(settings: AnalysisSettings, console: Console | None = None) -> list[Analysis]:
    """Analyse a source; runs that differ in more than their seeds are not averaged together.

    Parameters
    ----------
    settings
        What to do.
    console
        Where progress is shown; None shows nothing.

    Returns
    -------
    list of Analysis
        One for each kind of run: protocol and its fields, composition, potential. Each has the
        others beside it.

    Raises
    ------
    InputError
        If a run cannot be analysed, or no member of an ensemble.
    """
    check_names(settings.beside, settings.name)
    for reference in settings.references:
        check_observables(reference, settings.observables)
    runs = find_runs(settings.source)
    if not is_ensemble(settings.source):
        return [_analyse_run(runs[0], settings, console)]
    found, failed = [], {}
    for group, members in group_runs(runs).items():
        try:
            found.append(_analyse_group(group, members, settings, console))
        except InputError as error:
            failed[group] = str(error)
    if not found:
        told = "\n".join(
            f"{group}: {reason}".removeprefix(": ") for group, reason in failed.items()
        )
        raise InputError(f"{settings.source}: {told}")
    return [_beside_others(analysis, found, failed) for analysis in found]


def _beside_others(
    analysis: Analysis, all_: Sequence[Analysis], failed: Mapping[str, str]
) -> Analysis:
    """Lay the other kinds of run beside one of them."""
    others = tuple(
        Beside(each.group, each.settings.source, {result.name: result for result in each.results})
        for each in all_
        if each is not analysis
    )
    return replace(
        analysis,
        settings=replace(analysis.settings, beside=(*others, *analysis.settings.beside)),
        about={**analysis.about, "kinds_left_out": dict(failed)},
    )


def _analyse_run(run: Run, settings: AnalysisSettings, console: Console | None) -> Analysis:
    """Analyse a run or a file by itself."""
    member = analyse_member(run, settings, console)
    results = _with_references(member.results, settings)
    unfinished = {run.name: run.unfinished} if run.unfinished else {}
    return Analysis(settings, (member,), results, _about(settings, (member,), unfinished))


def _analyse_group(
    group: str, runs: Sequence[Run], settings: AnalysisSettings, console: Console | None
) -> Analysis:
    """Analyse the members of an ensemble that are of one kind, and average those that can be."""
    analysed: list[Member] = []
    left_out = {run.name: run.unfinished for run in runs if not run.has_frames}
    for run in runs:
        if run.has_frames:
            try:
                analysed.append(analyse_member(run, settings, console))
            except InputError as error:
                left_out[run.name] = run.unfinished or str(error).removeprefix(f"{run.name}: ")
    mean = average_members(analysed, {run.name: run for run in runs}, left_out)
    unfinished = {run.name: run.unfinished for run in runs if run.unfinished}
    about = {
        **_about(settings, mean.members, unfinished),
        "group": group,
        "members_left_out": dict(sorted(mean.left_out.items())),
        "not_averaged": dict(mean.not_averaged),
        "same_run": [list(names) for names in mean.same_run],
    }
    names = [member.name for member in mean.members]
    apart = tuple(member for member in analysed if member.name not in names)
    results = _with_references(mean.results, settings)
    return Analysis(settings, mean.members, results, about, group, apart)


def _with_references(results: tuple[Result, ...], settings: AnalysisSettings) -> tuple[Result, ...]:
    return results + tuple(compare(results, reference) for reference in settings.references)


def _about(
    settings: AnalysisSettings, members: Sequence[Member], unfinished: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "mofmd": mofmd.__version__,
        "source": str(settings.source),
        "members": [member.name for member in members],
        "incomplete_frame": [member.name for member in members if member.incomplete_frame],
        "unfinished": dict(unfinished),
        "left_out": {member.name: dict(member.left_out) for member in members if member.left_out},
        "start_ps": settings.start_ps,
        "stage": sorted({member.stage for member in members}),
        "stride": settings.stride,
        "beside": {other.name: str(other.path) for other in settings.beside},
    }


def write_analysis(analysis: Analysis, directory: str | Path) -> list[Path]:
    """Write the results, and those of each member of an ensemble in a directory of its own.

    What they are about has the verdicts beside it, and of runs that were watched the novelty.
    """
    directory = Path(directory)
    everyone = (*analysis.members, *analysis.apart)
    about = {**analysis.about, "verdicts": [asdict(verdict) for verdict in verdicts(analysis)]}
    novelty = {m.name: m.watched.as_dict() for m in everyone if m.watched is not None}
    if novelty:
        about["novelty"] = novelty
    written = write_results(analysis.results, directory, about)
    if len(everyone) > 1:
        for member in everyone:
            about = {**analysis.about, "members": [member.name]}
            written += write_results(member.results, directory / "members" / member.name, about)
    return written
