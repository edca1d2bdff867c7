"""``mofmd build``: the plugin for this environment, or LAMMPS itself from source."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

from mofmd.cli.base.app import App

app = App()

Framework = Literal["nequip", "mace", "sevennet"]
Jobs = Annotated[int | None, typer.Option(min=1, help="compiler processes [default: all cores]")]


@app.callback(invoke_without_command=True)
def plugin(
    context: typer.Context,
    directory: Annotated[
        Path | None, typer.Option(help="where the plugin goes [default: where LAMMPS looks]")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="also when it is up to date")] = False,
    sanitize: Annotated[
        bool, typer.Option("--sanitize", help="with address and undefined-behaviour sanitizers")
    ] = False,
    jobs: Jobs = None,
    operators_for: Annotated[
        Framework | None,
        typer.Option(
            "--for", help="only the operators, for the torch of a framework's environment"
        ),
    ] = None,
) -> None:
    """Compile the LAMMPS plugin for this environment (also after a torch or LAMMPS upgrade).

    Examples
    --------
    mofmd build
    mofmd build --force --jobs 4
    mofmd build --for nequip    # trainings there, where its torch is another one
    """
    if context.invoked_subcommand is None and operators_for is not None:
        _build_operators(operators_for, directory, force=force, jobs=jobs)
    elif context.invoked_subcommand is None:
        from mofmd.engine.build import build_plugin

        with _bar() as progress:
            build_plugin(
                directory,
                force=force,
                sanitize=sanitize,
                jobs=jobs,
                report=typer.echo,
                progress=progress,
            )


def _build_operators(
    framework: Framework, directory: Path | None, *, force: bool, jobs: int | None
) -> None:
    from mofmd.engine.operators_library import build_operators
    from mofmd.errors import InputError
    from mofmd.models.environments import environment_python

    if directory is not None:
        raise InputError("--directory: with --for the operators go into the environment itself")
    python = environment_python(framework)
    if python is None:
        raise InputError(f"--for: there is no {framework} environment: run `mofmd env {framework}`")
    with _bar() as progress:
        build_operators(python, force=force, jobs=jobs, report=typer.echo, progress=progress)


@app.command()
def lammps(
    source: Annotated[Path, typer.Option(help="LAMMPS's source tree or a tarball of it")],
    prefix: Annotated[Path, typer.Option(help="folder to install to")],
    mpi: Annotated[
        str | None, typer.Option(help="the MPI's C++ compiler wrapper, such as mpicxx")
    ] = None,
    cmake_arg: Annotated[
        list[str] | None,
        typer.Option(
            help="an argument for LAMMPS's own cmake, such as -DPKG_REAXFF=on; repeatable"
        ),
    ] = None,
    jobs: Jobs = None,
) -> None:
    """Compile LAMMPS from source with the same plugin, for a cluster's own MPI.

    Examples
    --------
    mofmd build lammps --source lammps-4Feb2025.tar.gz --mpi mpicxx --prefix ~/lammps
    """
    from mofmd.engine.build_lammps import LammpsBuild, build_lammps

    with _bar() as progress:
        build_lammps(LammpsBuild(source, prefix, mpi, cmake_arg or [], jobs), typer.echo, progress)


@contextmanager
def _bar() -> Iterator[Callable[[str, int, int], None]]:
    from mofmd.cli.base.progress import StepBar
    from mofmd.cli.base.verbosity import progress_console

    with StepBar(progress_console()) as bar:
        yield bar.show
