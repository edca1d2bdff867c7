"""``mofmd relax``: atoms and cell to a minimum within tight limits."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mofmd.errors import InputError
from mofmd.models.dispersion.dispersion import HELP as DISPERSION_HELP
from mofmd.models.words import REFERENCE_WORDS


def relax(
    structure: Annotated[str, typer.Argument(help="A file, or zif-4, zif-8, ...")],
    model: Annotated[
        Path, typer.Option(help=f"A model file, the name of a model, {REFERENCE_WORDS}.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", help="A folder; or a file (.cif, .extxyz, .data), beside a folder."
        ),
    ],
    fmax: Annotated[float, typer.Option(help="Limit of the largest force [eV/Å].")] = 1e-4,
    stress: Annotated[
        float | None,
        typer.Option(help="Limit of the largest stress [GPa]; default: 10 GPa per eV/Å of --fmax."),
    ] = None,
    stress_bar: Annotated[float | None, typer.Option(help="The same [bar].")] = None,
    cell: Annotated[
        Literal["tri", "aniso", "iso", "volume", "fixed"],
        typer.Option(help="What of the cell: all, lengths, size, shape at its volume, nothing."),
    ] = "tri",
    pressure: Annotated[
        float | None, typer.Option(help="Target pressure [GPa], compression positive.")
    ] = None,
    pressure_bar: Annotated[float | None, typer.Option(help="The same [bar].")] = None,
    fix: Annotated[
        str | None,
        typer.Option(help="Atoms that keep their fractional coordinates: Zn, or 0,5,12-20."),
    ] = None,
    symmetry: Annotated[
        bool, typer.Option("--symmetry", help="Keep the space group of the structure.")
    ] = False,
    symmetry_tolerance: Annotated[
        float, typer.Option(help="Within which the space group is found [Å].")
    ] = 1e-2,
    calls: Annotated[int, typer.Option(help="Force calls at most.")] = 1000,
    dispersion: Annotated[str, typer.Option(help=DISPERSION_HELP)] = "auto",
    dtype: Annotated[
        Literal["float64", "file"], typer.Option(help="Precision of the network.")
    ] = "float64",
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    threads: Annotated[int, typer.Option(help="Threads of this process.")] = 1,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin anew, whatever is in the folder.")
    ] = False,
) -> None:
    """Relax atoms and cell; run again, it goes on from the last step. Status 3: limits not kept.

    Examples
    --------
    mofmd relax zif-4 --model zif4-mace-m -o zif4.cif --fmax 1e-5
    mofmd relax my.cif --model model.pth -o relaxed --cell iso --pressure 0.5 --symmetry
    mofmd relax my.cif --model gfn1-xtb -o gfn1 --cell fixed
    """
    from mofmd.calculator.options import CalculatorOptions
    from mofmd.cli.base.verbosity import quiet
    from mofmd.engine.structure_file import write_structure
    from mofmd.errors import NOT_REACHED_STATUS
    from mofmd.relaxation.conduct import output_paths, relax_in_folder
    from mofmd.relaxation.options import RelaxOptions
    from mofmd.structures.read import read_structure

    folder, file = output_paths(output)
    if file is not None and file.exists() and Path(structure).exists() and file.samefile(structure):
        raise InputError(f"output: {file} is the structure itself; choose another name")
    atoms = read_structure(structure)
    options = RelaxOptions(
        fmax_eV_per_A=fmax,
        stress_GPa=_gigapascal("stress", stress, stress_bar),
        cell=cell,
        pressure_GPa=_gigapascal("pressure", pressure, pressure_bar) or 0.0,
        fixed=_chosen(fix, atoms.get_chemical_symbols()) if fix else (),
        keep_symmetry=symmetry,
        symmetry_tolerance_A=symmetry_tolerance,
        calls_max=calls,
    )
    models = CalculatorOptions(
        model=model, dispersion=dispersion, dtype=dtype, device=device, threads=threads
    )

    def show(relaxation: object) -> None:
        from mofmd.relaxation.relaxation import Relaxation

        assert isinstance(relaxation, Relaxation)
        if quiet():
            return
        row = relaxation.state.rows[-1]
        typer.echo(
            f"calls {int(row[0]):5d}  enthalpy {row[2]:.6f} eV  volume {row[3]:.3f} Å³  "
            f"force {row[4]:.2e} eV/Å  stress {row[5]:.2e} GPa"
        )

    if not quiet():  # a model takes seconds to load, the first time a minute or more
        typer.echo(f"{structure}: {len(atoms)} atoms, loading {model}")
    with models.opened(atoms) as calculator:
        for hint in models.hints(calculator):
            typer.echo(hint)
        done = relax_in_folder(
            atoms, calculator, options, folder, overwrite=overwrite, on_step=show
        )
    if file is not None:
        write_structure(file, done.atoms)
    group = "" if done.space_group is None else f", space group {done.space_group}"
    typer.echo(f"{file or folder}: {done}{group}")
    if not done.converged:
        typer.echo(f"{folder}: go on with more --calls, or look at convergence.png", err=True)
        raise typer.Exit(NOT_REACHED_STATUS)


def _gigapascal(name: str, gigapascal: float | None, bar: float | None) -> float | None:
    from mofmd.errors import InputError
    from mofmd.units import BAR_TO_GPA

    if gigapascal is not None and bar is not None:
        raise InputError(f"--{name}: given together with --{name}-bar; choose one of them")
    return bar * BAR_TO_GPA if bar is not None else gigapascal


def _chosen(words: str, symbols: list[str]) -> tuple[int, ...]:
    """Atoms that ``Zn``, ``0,5,12-20`` and the like name, counted from zero."""
    from mofmd.errors import InputError

    chosen: set[int] = set()
    for word in words.split(","):
        name = word.strip()
        first, dash, last = name.partition("-")
        if name in symbols:
            chosen |= {k for k, symbol in enumerate(symbols) if symbol == name}
        elif first.isdigit() and (last.isdigit() or not dash):
            chosen |= set(range(int(first), int(last if dash else first) + 1))
        else:
            raise InputError(
                f"--fix {word!r}: is no element of the structure ({', '.join(sorted(set(symbols)))}"
                "), and no number or range of atoms such as 5 or 12-20, counted from zero"
            )
    return tuple(sorted(chosen))
