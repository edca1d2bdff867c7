"""The ``mofmd`` command: gathers one thin module per verb, imported when it is asked for."""

from __future__ import annotations

import errno
import io
import sys
import tempfile
import warnings
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Annotated, NoReturn, TextIO

import typer

from mofmd import __version__
from mofmd.cli.base import verbosity
from mofmd.cli.base.app import App, Lazy, LazyGroup
from mofmd.errors import ERROR_STATUS, STOPPED_STATUS, InputWarning, MofmdError, StoppedError
from mofmd.models.making_shown import set_show

if TYPE_CHECKING:
    from mofmd.models.deploy.audience import Audience

ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Commands(LazyGroup):
    """All commands."""

    TABLE = {  # noqa: RUF012 - a class variable of the base
        "Start": {
            "demo": Lazy("demo", "demo", "Melt and quench ZIF-4, in minutes"),
            "build": Lazy("build", "app", "Compile the LAMMPS plugin, or LAMMPS itself"),
            "doctor": Lazy("doctor", "doctor", "Examine the installation"),
            "env": Lazy("models.env", "env", "Create a framework's isolated environment"),
        },
        "Simulate": {
            "convert": Lazy("convert", "convert", "A structure in another cell or format"),
            "defects": Lazy("defects", "app", "Frameworks with defects"),
            "generate": Lazy("simulation.generate", "generate", "Write a deck"),
            "run": Lazy("simulation.run", "run", "Run a deck, or resume it"),
            "status": Lazy("simulation.status", "status", "How far a run is, from any shell"),
            "ensemble": Lazy("simulation.ensemble", "app", "Many runs of one recipe"),
            "relax": Lazy("simulation.relax", "relax", "Atoms and cell to a tight minimum"),
            "phonons": Lazy("phonons.commands", "app", "Lattice dynamics"),
        },
        "Analyse": {
            "analyse": Lazy("analyse", "analyse", "Measure observables"),
            "report": Lazy("analyse", "report", "Measure, and write a page with figures"),
            "mechanics": Lazy("simulation.mechanics", "mechanics", "E(V) and P(V) of structures"),
        },
        "Models": {
            "models": Lazy("models.models", "app", "Models by name; what a file is"),
            "deploy": Lazy("models.deploy", "deploy", "Make a trained model a file for LAMMPS"),
            "verify": Lazy("models.verify", "verify", "Check a deployed model's physics again"),
            "bench": Lazy("models.bench", "bench", "Measure what a step costs here"),
            "dispersion": Lazy("models.dispersion", "dispersion", "Write coefficients of D3"),
            "learn": Lazy("learn.commands", "app", "Sample, label, train, evaluate, distil"),
        },
    }


app = App(
    cls=Commands,
    no_args_is_help=True,
    add_completion=True,
    context_settings={"help_option_names": ["--help", "-h"]},
    help="Molecular dynamics of MOFs with LAMMPS and machine-learned potentials.",
    epilog="Each command has examples: mofmd COMMAND --help",
)


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"mofmd {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[  # noqa: ARG001 - its callback does it
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Tell the version.")
    ] = False,
    verbose: Annotated[
        bool,
        typer.Option("--verbose", "-v", help="Tell what is launched and where errors come from."),
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Tell results and errors alone, no progress.")
    ] = False,
) -> None:
    # of a command they may stand behind its name as well
    if verbose or quiet:
        verbosity.set_level(1 if verbose else -1)


def _show_making() -> AbstractContextManager[Audience]:
    from mofmd.cli.models.gate_display import show_making

    return show_making()


def main() -> None:
    """Run the command line; an error that people can mend is one message and exit status 1.

    What was asked to stop and can be gone on with ends with status 75.
    """
    _write_any_text()
    verbosity.listen()
    set_show(_show_making)
    show_warning = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if not issubclass(category, InputWarning):
            show_warning(message, category, filename, lineno, file, line)
        elif not verbosity.quiet():
            verbosity.tell(f"mofmd: note: {message}", "yellow")

    with warnings.catch_warnings():
        warnings.simplefilter("once", InputWarning)
        warnings.showwarning = show
        try:
            app()
        except StoppedError as stopped:
            typer.echo(str(stopped))
            sys.exit(STOPPED_STATUS)
        except MofmdError as error:
            _fail(str(error))
        except OSError as error:  # of a disk, a permission, a path: nothing that mofmd could know
            if isinstance(error, BrokenPipeError):
                raise
            _fail(_of_system(error))
        except MemoryError as error:
            _fail(f"out of memory: {error or 'there is none left'}; take a smaller system")


def _write_any_text() -> None:
    """Let Å and ³ be question marks where the terminal's encoding lacks them, not an error."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _of_system(error: OSError) -> str:
    """Say what the operating system refused, where it says of which file."""
    what = str(error.strerror or error)
    if error.filename:
        return f"{error.filename}: {what}"
    temporary = tempfile.gettempdir() if error.errno in ROOM else ""
    return f"{what}; temporary files are in {temporary} (TMPDIR)" if temporary else what


def _fail(message: str) -> NoReturn:
    """End with a message; with ``-v`` with where the error comes from, too."""
    if verbosity.verbose():
        import traceback

        traceback.print_exc()
    verbosity.tell(f"mofmd: error: {message}", "red")
    sys.exit(ERROR_STATUS)
