"""The ``mofmd`` command: gathers one thin module per verb."""

import sys
import warnings
from typing import TextIO

import typer
from rich.console import Console

from mofmd.cli import analyse, build, defects, demo, doctor
from mofmd.cli.learn import cut, learn
from mofmd.cli.models import bench, deploy, dispersion, env, models, verify
from mofmd.cli.simulation import ensemble, generate, run
from mofmd.errors import InputWarning, MofmdError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Molecular dynamics of MOFs with LAMMPS and machine-learned potentials.",
)
app.add_typer(build.app, name="build")
app.command(name="deploy")(deploy.deploy)
app.command(name="verify")(verify.verify)
app.add_typer(models.app, name="models")
app.command(name="bench")(bench.bench)
app.command(name="doctor")(doctor.doctor)
app.command(name="demo")(demo.demo)
app.command(name="env")(env.env)
app.add_typer(defects.app, name="defects")
app.command(name="dispersion")(dispersion.dispersion)
app.command(name="generate")(generate.generate)
app.command(name="run")(run.run)
app.add_typer(ensemble.app, name="ensemble")
learn.app.command("cut")(cut.cut)
app.add_typer(learn.app, name="learn")
app.command(name="analyse")(analyse.analyse)
app.command(name="report")(analyse.report)


def main() -> None:
    """Run the command line; an error that people can mend is one message and exit status 1."""
    show_warning = warnings.showwarning

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if issubclass(category, InputWarning):
            _tell(f"mofmd: note: {message}", "yellow")
        else:
            show_warning(message, category, filename, lineno, file, line)

    with warnings.catch_warnings():
        warnings.simplefilter("once", InputWarning)
        warnings.showwarning = show
        try:
            app()
        except MofmdError as error:
            _tell(f"mofmd: error: {error}", "red")
            sys.exit(1)


def _tell(text: str, style: str) -> None:
    """Write a line to standard error."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)
