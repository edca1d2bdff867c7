"""Options that the commands of ``mofmd phonons`` share."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mofmd.models.dispersion.dispersion import HELP as DISPERSION_HELP
from mofmd.models.words import REFERENCE_WORDS

if TYPE_CHECKING:
    from mofmd.phonons.model import ModelOptions
    from mofmd.phonons.run import ForceOptions
    from mofmd.phonons.spectrum.spectrum import SpectrumOptions

MOST_TEMPERATURES = 100_000

StructureArgument = Annotated[str, typer.Argument(help="A file, or zif-4, zif-8, ...")]
ModelOption = Annotated[
    Path, typer.Option(help=f"A model file, the name of a model, {REFERENCE_WORDS}.")
]
FolderOption = Annotated[Path, typer.Option("--output", "-o", help="A folder.")]
SupercellOption = Annotated[
    str, typer.Option(help="2x2x2, nine numbers, or auto: twice the reach of a model.")
]
DisplacementOption = Annotated[
    str | None,
    typer.Option(
        help="How far atoms move [Å]; several (0.005,0.01): the limit of small ones. Default: "
        "0.001 in float64, 0.005 in float32."
    ),
]
MethodOption = Annotated[
    Literal["differences", "random", "fewest"],
    typer.Option(help="One atom at a time, all at once with a fit, or what takes fewer."),
]
SymmetryToleranceOption = Annotated[
    float | None,
    typer.Option(
        help="Within which symmetry is found [Å]; default: 1e-5, and 1e-2 in a relaxation that "
        "keeps the space group (--symmetry of run and qha)."
    ),
]
CellOption = Annotated[
    Literal["tri", "aniso", "iso", "volume", "fixed"],
    typer.Option(
        help="What relaxes of the cell: all, lengths, size, shape at its volume, nothing."
    ),
]
ForceLimitOption = Annotated[
    float, typer.Option(help="A structure with a larger force is not relaxed [eV/Å].")
]
SumRuleOption = Annotated[
    bool, typer.Option("--sum-rule/--no-sum-rule", help="Put the acoustic sum rule in.")
]
MeshOption = Annotated[
    str, typer.Option(help="11x11x11, or auto: as many points as cells fit into 100 Å.")
]
PointsOption = Annotated[
    int | None, typer.Option(help="Of each segment of the bands; default: by its length.")
]
PathOption = Annotated[
    Path | None,
    typer.Option("--path", help="YAML with labels, npoints and paths; default: the lattice's own."),
]
WidthOption = Annotated[float, typer.Option(help="Bin of the densities of states [THz].")]
TemperaturesOption = Annotated[str, typer.Option(help="First:last:step [K].")]
ToleranceOption = Annotated[
    float, typer.Option(help="Frequencies below minus this are imaginary [THz].")
]
VelocitiesOption = Annotated[
    bool, typer.Option("--velocities", help="Group velocities along the path, too.")
]
DispersionOption = Annotated[str, typer.Option(help=DISPERSION_HELP)]
DtypeOption = Annotated[Literal["float64", "file"], typer.Option(help="Precision of the network.")]
DeviceOption = Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")]
LanesOption = Annotated[int, typer.Option(help="Processes that evaluate at the same time.")]
ThreadsOption = Annotated[int, typer.Option(help="Threads of each process that evaluates.")]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Begin anew, whatever is in the folder.")
]


def numbers_of(text: str | None, name: str) -> tuple[float, ...]:
    """Read ``0.005,0.01``."""
    from mofmd.errors import InputError

    if text is None:
        return ()
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError as error:
        raise InputError(f"{name}: {text!r}, expected numbers with commas between them") from error


def atoms_of(text: str | None) -> tuple[int, ...]:
    """Read ``0,5,12-20``: atoms counted from zero."""
    from mofmd.errors import InputError

    found: set[int] = set()
    for word in (text or "").split(","):
        first, dash, last = word.strip().partition("-")
        if first.isdigit() and (last.isdigit() or not dash):
            found |= set(range(int(first), int(last if dash else first) + 1))
        elif word.strip():
            raise InputError(f"fix: {word!r}, expected numbers or ranges such as 0,5,12-20")
    return tuple(sorted(found))


def temperatures_of(text: str) -> tuple[float, ...]:
    """Read ``0:1000:10``."""
    from mofmd.errors import InputError

    try:
        first, last, step = (float(word) for word in text.split(":"))
        if not (0.0 <= first <= last < math.inf and 0.0 < step < math.inf):
            raise ValueError
    except ValueError as error:
        raise InputError(
            f"temperatures: {text!r}, expected first:last:step such as 0:1000:10 [K]"
        ) from error
    count = (last - first) / step + 1e-9
    if count >= MOST_TEMPERATURES:
        raise InputError(
            f"temperatures: {text!r} are {count:.3g}, expected at most {MOST_TEMPERATURES}; take a "
            "larger step"
        )
    return tuple(first + step * k for k in range(int(count) + 1))


def mesh_of(text: str) -> tuple[int, int, int] | None:
    """Read ``11x11x11`` or ``auto``."""
    from mofmd.errors import InputError
    from mofmd.structures.supercell import parse_supercell

    if text == "auto":
        return None
    try:
        numbers = parse_supercell(text)
    except InputError as error:
        raise InputError(f"mesh: {text!r}, expected three numbers such as 11x11x11") from error
    if not isinstance(numbers, tuple):
        raise InputError(f"mesh: {text!r}, expected three numbers such as 11x11x11")
    return numbers


def model_options(
    model: ModelOption,
    dispersion: DispersionOption = "auto",
    dtype: DtypeOption = "float64",
    device: DeviceOption = "cpu",
    lanes: LanesOption = 1,
    threads: ThreadsOption = 1,
) -> ModelOptions:
    """Gather what says how a model is run."""
    from mofmd.phonons.extra import need_packages
    from mofmd.phonons.model import ModelOptions

    need_packages()
    return ModelOptions(
        model=model,
        dispersion=dispersion,
        dtype=dtype,
        device=device,
        lanes=lanes,
        threads=threads,
    )


def calculator_options(
    model: ModelOption,
    dispersion: DispersionOption = "auto",
    dtype: DtypeOption = "float64",
    device: DeviceOption = "cpu",
    threads: ThreadsOption = 1,
) -> ModelOptions:
    """Gather what says how a model is run that evaluates one structure at a time."""
    return model_options(model, dispersion, dtype, device, 1, threads)


def force_options(
    supercell: SupercellOption = "auto",
    displacement: DisplacementOption = None,
    method: MethodOption = "differences",
    symmetry_tolerance: SymmetryToleranceOption = None,
    force_limit: ForceLimitOption = 1e-3,
    sum_rule: SumRuleOption = True,
) -> ForceOptions:
    """Gather what says how forces are made."""
    from mofmd.phonons.calculation.displacements import DisplacementOptions
    from mofmd.phonons.run import ForceOptions
    from mofmd.structures.supercell import parse_supercell

    return ForceOptions(
        supercell=None if supercell == "auto" else parse_supercell(supercell),
        displacements=DisplacementOptions(
            distances_A=numbers_of(displacement, "displacement"), method=method
        ),
        symmetry_tolerance_A=symmetry_tolerance,
        force_limit_eV_per_A=force_limit,
        sum_rule=sum_rule,
    )


def kept_within_A(displaced: ForceOptions) -> float:
    """Tolerance within which a relaxation finds the symmetry that it keeps [Å]."""
    from mofmd.relaxation.options import SYMMETRY_TOLERANCE_A

    given = displaced.symmetry_tolerance_A
    return SYMMETRY_TOLERANCE_A if given is None else given


def spectrum_options(
    mesh: MeshOption = "auto",
    points: PointsOption = None,
    path: PathOption = None,
    width: WidthOption = 0.05,
    temperatures: TemperaturesOption = "0:1000:10",
    tolerance: ToleranceOption = 0.01,
    velocities: VelocitiesOption = False,
) -> SpectrumOptions:
    """Gather what says what is made of force constants."""
    from mofmd.phonons.spectrum.spectrum import SpectrumOptions

    return SpectrumOptions(
        mesh=mesh_of(mesh),
        points=points,
        path=path,
        width_THz=width,
        temperatures_K=temperatures_of(temperatures),
        tolerance_THz=tolerance,
        velocities=velocities,
    )
