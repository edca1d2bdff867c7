"""``mofmd analyse`` and ``mofmd report``: what a run, an ensemble or a trajectory shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mofmd.cli.base.app import HEADING, more_help

if TYPE_CHECKING:
    from rich.console import Console

    from mofmd.study.settings import AnalysisSettings
    from mofmd.study.study import Analysis

Source = Annotated[
    Path,
    typer.Argument(
        help="directory of a run or ensemble, or a trajectory or structure (FILE#WHICH: of several)"
    ),
]
Observables = Annotated[
    str | None,
    typer.Option(
        "--observables",
        help="comma-separated, of those below [default: those marked with *]",
    ),
]
Temperature = Annotated[float | None, typer.Option(help="K [default: the protocol's]")]
Start = Annotated[
    float | None,
    typer.Option("--start-ps", help="equilibrated from here on [default: found by statistics]"),
]
Stage = Annotated[
    str | None,
    typer.Option("--stage", help="stage of the runs to take, such as melt [default: the last]"),
]
Intervals = Annotated[
    list[str] | None,
    typer.Option(
        "--interval",
        help="ps between measured frames, of all observables or of one, such as rings=1; 0 takes "
        "every frame; repeatable [default: by the length of the trajectory]",
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="setting of an observable, such as pores.radii_A=Ce:2.0, rings.depth=16, "
        "coordination.cutoff_A=Zr-O:2.6 or rdf.pairs=C-C; repeatable",
    ),
]
Stride = Annotated[int, typer.Option(min=1, help="every how many frames to take one")]
Timestep = Annotated[
    float | None, typer.Option("--timestep-fs", help="for dumps without times [default: protocol]")
]
Types = Annotated[str, typer.Option(help="elements of types 1, 2, ...: C,H,N,Zn")]
Unwrap = Annotated[bool, typer.Option("--unwrap", help="unwrap wrapped positions by continuity")]
Workers = Annotated[int, typer.Option(min=1, help="threads")]
References = Annotated[
    list[str] | None,
    typer.Option(
        "--reference",
        help="measured curve to lay over ours, QUANTITY=FILE or QUANTITY:NAME=FILE, such as "
        "D=glass.dofr; D, G, S, F, or a column such as 'g Zn-N'; repeatable",
    ),
]
Besides = Annotated[
    list[str] | None,
    typer.Option(
        "--beside",
        help="another analysis to lay beside this one, NAME=FILE, FILE being its results.json or "
        "folder; repeatable",
    ),
]
Output = Annotated[Path, typer.Option("--output", "-o", help="folder")]


def _command(
    default_output: str, help_text: str, examples: Sequence[str], *, page: bool
) -> Callable[..., None]:
    """Make a command with the options that both share; with ``page`` it writes the page too."""

    def command(
        source: Source,
        output: Output = Path(default_output),
        observables: Observables = None,
        temperature: Temperature = None,
        start_ps: Start = None,
        stride: Stride = 1,
        timestep_fs: Timestep = None,
        types: Types = "",
        unwrap: Unwrap = False,
        workers: Workers = 1,
        reference: References = None,
        beside: Besides = None,
        interval: Intervals = None,
        option: Options = None,
        stage: Stage = None,
    ) -> None:
        from mofmd.analysis.base.registry import default_observables
        from mofmd.analysis.catalogue import read_intervals, read_options
        from mofmd.errors import InputError
        from mofmd.report.page import write_page
        from mofmd.study.beside import read_beside
        from mofmd.study.reference import read_reference
        from mofmd.study.settings import AnalysisSettings

        lists = (types, reference, beside, interval, option)
        words = (observables, temperature, start_ps, timestep_fs, stage)
        is_plain = not any(lists) and all(word is None for word in words) and not unwrap
        if page and is_plain and stride == workers == 1 and _is_screening(source):
            _report_screening(source, output)
            return
        _refuse_static(source)
        if observables is not None and not _words(observables):
            raise InputError("observables: none; name some, such as rdf,rings, or leave it out")
        settings = AnalysisSettings(
            source,
            _words(observables) if observables is not None else default_observables(),
            temperature,
            start_ps,
            stride,
            timestep_fs,
            _words(types),
            unwrap,
            workers,
            tuple(read_reference(text) for text in reference or ()),
            tuple(read_beside(text) for text in beside or ()),
            read_intervals(interval or ()),
            read_options(option or ()),
            stage,
        )
        console, found = _run(settings, output)
        for folder, analysis in found.items() if page else ():
            written = write_page(analysis, folder)
            console.print(f"Report: {written}", highlight=False, soft_wrap=True)

    command.__doc__ = help_text + HEADING + "\n".join(examples)
    return more_help("Observables", _observables)(command)


def _observables() -> list[tuple[str, str]]:
    """Give names and titles of observables, and what ``--set`` takes."""
    from mofmd.analysis.base.registry import known_observables

    return [
        (
            f"{name} *" if entry.by_default else name,
            entry.title + (f"; --set: {', '.join(entry.options)}" if entry.options else ""),
        )
        for name, entry in known_observables().items()
    ]


analyse = _command(
    "analysis",
    "Measure observables in one pass: results.json, results.npz and a CSV file per curve.",
    (
        "mofmd analyse glass",
        "mofmd analyse trajectory.dump --types C,H,N,Zn --timestep-fs 0.5 --temperature 300",
        "mofmd analyse glass --observables rdf,rings --interval rings=1 --set rdf.pairs=Zn-N",
    ),
    page=False,
)
report = _command(
    "report",
    "Analyse, and write report.html: one page with figures, tables and a 3D view, no network.",
    ("mofmd report glasses -o report", "mofmd report zif-8 -o zif8 --observables pores,rings"),
    page=True,
)


def _is_screening(source: Path) -> bool:
    """Whether a folder is an ensemble whose members differ by structure."""
    from mofmd.simulation.ensemble.ensemble import RECORD, STRUCTURE, read_ensemble

    if not (source / RECORD).is_file():
        return False
    return any(STRUCTURE in member.values for member in read_ensemble(source).members)


def _refuse_static(source: Path) -> None:
    """Say where the results of static tasks are."""
    from mofmd.errors import InputError, in_command
    from mofmd.simulation.ensemble.ensemble import MEMBERS
    from mofmd.simulation.statics.conduct import RESULTS
    from mofmd.simulation.statics.task import TASK, is_static

    if is_static(source):
        raise InputError(f"{source}: is a static task, whose results are in {source / RESULTS}")
    if any((source / MEMBERS).glob(f"*/{TASK}")):
        raise InputError(
            f"{source}: its members are static tasks, without frames to measure: "
            f"`mofmd ensemble collect {in_command(source)}` makes a table of their results, "
            f"`mofmd report {in_command(source)}`, without other options than -o, a page"
        )


def _report_screening(source: Path, output: Path) -> None:
    from mofmd.disk.output import check_output
    from mofmd.report.screening import write_screening
    from mofmd.simulation.ensemble.ensemble import read_ensemble

    check_output(output)
    typer.echo(f"Report: {write_screening(read_ensemble(source), output)}")


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _run(settings: AnalysisSettings, output: Path) -> tuple[Console, dict[Path, Analysis]]:
    """Analyse, write the results and show them; return the analyses by their folders."""
    from rich.console import Console

    from mofmd.analysis.base.result import file_stem
    from mofmd.cli.base.verbosity import progress_console
    from mofmd.disk.output import check_output
    from mofmd.study.study import run_analyses, write_analysis

    check_output(output)
    console = Console()
    found = run_analyses(settings, progress_console())
    folders = [output / file_stem(each.group) if each.group else output for each in found]
    if len(found) > 1:
        kinds = "; ".join(f"{each.group} ({len(each.members)})" for each in found)
        console.print(
            f"{settings.source} holds runs of {len(found)} kinds, which are not averaged "
            f"together: {kinds}",
            style="yellow",
            highlight=False,
            soft_wrap=True,
        )
    for folder, analysis in zip(folders, found, strict=True):
        write_analysis(analysis, folder)
        _show(analysis, console)
        console.print(f"Results are in {folder}", highlight=False, soft_wrap=True)
    return console, dict(zip(folders, found, strict=True))


def _show(analysis: Analysis, console: Console) -> None:
    """Print the numbers, and what a reader of them must know."""
    from rich.table import Table

    from mofmd.study.notes import left_out, members_left_out, notes_of

    beside = analysis.settings.beside
    table = Table(title=analysis.group or str(analysis.settings.source))
    for column in ("observable", "quantity", "value", *(other.name for other in beside)):
        table.add_column(column)
    for result in analysis.results:
        for name, scalar in result.scalars.items():
            others = (other.text(result.name, name) for other in beside)
            table.add_row(result.name, name, str(scalar), *others)
    console.print(table)
    texts = [*notes_of(analysis.results), *left_out(analysis), *members_left_out(analysis)]
    texts += [
        f"{name}: ends within a frame, which was left out"
        for name in analysis.about["incomplete_frame"]
    ]
    for text in texts:
        console.print(text, style="yellow", highlight=False, markup=False, soft_wrap=True)
