"""``mofmd defects``: frameworks with missing linkers, missing nodes and mixed metals."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mofmd.cli.base.app import App
from mofmd.errors import InputError

if TYPE_CHECKING:
    from ase import Atoms

    from mofmd.builders.blocks.blocks import Blocks
    from mofmd.builders.defects.characterise import Character
    from mofmd.builders.defects.defect_files import Variant
    from mofmd.builders.defects.defects import Defects, Loss

app = App(
    no_args_is_help=True,
    help="Defects of frameworks: missing linkers and nodes, substituted metals.",
)

Structure = Annotated[
    str, typer.Argument(help="A file (FILE#WHICH: one of several), or a built-in: uio-66, mof-5.")
]
Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", help="File (.extxyz, .cif, .data); or a folder, where there are several."
    ),
]
Supercell = Annotated[
    str | None, typer.Option(help="Repetitions before defects are made: 2x2x2, or nine numbers.")
]
CapName = Annotated[
    Literal["formate", "acetate", "trifluoroacetate"],
    typer.Option("--cap", help="What takes a linker's place at its carboxylates."),
]
Axis = Annotated[
    Literal["x", "y", "z"], typer.Option(help="Linkers in planes perpendicular to it are missing.")
]
ChargeOptions = Annotated[
    list[str] | None,
    typer.Option("--charge", help="Of an ion that has several: Cu=2; repeatable."),
]
Count = Annotated[int, typer.Option(help="How many.")]
Chosen = Annotated[
    int | None, typer.Option("--class", help="One class alone, by its number from 1.")
]
Suffix = Annotated[
    Literal["extxyz", "cif", "data"], typer.Option("--format", help="Of structures in a folder.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a folder.")]


@app.command()
def ld(
    structure: Structure,
    output: Output,
    count: Count = 1,
    supercell: Supercell = None,
    cap: CapName = "formate",
    chosen: Chosen = None,
    suffix: Suffix = "extxyz",
    overwrite: Overwrite = False,
) -> None:
    """Take out one linker, or several: each choice that symmetry does not make alike.

    Examples
    --------
    mofmd defects ld uio-66 -o missing_linker.extxyz
    mofmd defects ld uio-66 --count 2 --class 1 -o two.cif
    """
    from mofmd.builders.defects.defects import distinct_linker_defects

    work = _Work(structure, supercell, cap)
    choices = distinct_linker_defects(work.blocks, count)
    name = "ld" if count == 1 else f"ld-{count}"
    work.write(name, choices, output, chosen=chosen, suffix=suffix, overwrite=overwrite)


@app.command("ld-2")
def ld_2(
    structure: Structure,
    output: Output,
    supercell: Supercell = None,
    cap: CapName = "formate",
    chosen: Chosen = None,
    suffix: Suffix = "extxyz",
    overwrite: Overwrite = False,
) -> None:
    """Take out two linkers: each choice that symmetry does not make alike (UiO-66: seven).

    Examples
    --------
    mofmd defects ld-2 uio-66 -o pairs    # seven files
    """
    ld(structure, output, 2, supercell, cap, chosen, suffix, overwrite)


@app.command()
def hf(
    structure: Structure,
    output: Output,
    count: Count = 1,
    metal: Annotated[str, typer.Option(help="What takes a metal's place.")] = "Hf",
    supercell: Supercell = None,
    charge: ChargeOptions = None,
    chosen: Chosen = None,
    suffix: Suffix = "extxyz",
    overwrite: Overwrite = False,
) -> None:
    """Substitute one metal atom, or several: each choice that symmetry does not make alike.

    Examples
    --------
    mofmd defects hf uio-66 --metal Ce -o cerium.extxyz
    """
    from mofmd.builders.defects.defects import distinct_substitutions

    work = _Work(structure, supercell, "formate", charge)
    choices = distinct_substitutions(work.blocks, metal, count, charges=work.charges)
    name = metal.lower() if count == 1 else f"{metal.lower()}-{count}"
    work.write(name, choices, output, chosen=chosen, suffix=suffix, overwrite=overwrite)


@app.command()
def reo(
    structure: Structure,
    output: Output,
    supercell: Supercell = None,
    cap: CapName = "formate",
) -> None:
    """Take out one node in four of an fcu net, with its linkers.

    Examples
    --------
    mofmd defects reo uio-66 -o reo.cif
    """
    from mofmd.builders.nets import fcu

    work = _Work(structure, supercell, cap)
    work.write_one("reo", fcu.reo(fcu.find_fcu(work.blocks, work.structure.cell.array)), output)


@app.command()
def bcu(
    structure: Structure,
    output: Output,
    axis: Axis = "z",
    supercell: Supercell = None,
    cap: CapName = "formate",
) -> None:
    """Take out all linkers of an fcu net in planes perpendicular to an axis.

    Examples
    --------
    mofmd defects bcu uio-66 --axis x -o bcu.cif
    """
    from mofmd.builders.nets import fcu

    work = _Work(structure, supercell, cap)
    work.write_one(
        "bcu", fcu.bcu(fcu.find_fcu(work.blocks, work.structure.cell.array), axis), output
    )


@app.command()
def scu(
    structure: Structure,
    output: Output,
    axis: Axis = "z",
    supercell: Supercell = None,
    cap: CapName = "formate",
) -> None:
    """Take out of an fcu net what reo and bcu lack together.

    Examples
    --------
    mofmd defects scu uio-66 --cap acetate -o scu.cif
    """
    from mofmd.builders.nets import fcu

    work = _Work(structure, supercell, cap)
    work.write_one(
        "scu", fcu.scu(fcu.find_fcu(work.blocks, work.structure.cell.array), axis), output
    )


@app.command()
def random(
    structure: Structure,
    output: Output,
    linkers: Annotated[
        str | None,
        typer.Option(help="A fraction (.2): drawn from all; a number (611): gone in the end."),
    ] = None,
    nodes: Annotated[
        str | None, typer.Option(help="Nodes taken out with their linkers; as for linkers.")
    ] = None,
    metal: Annotated[
        list[str] | None, typer.Option(help="Metals substituted: Hf=.2 or Hf=20; repeatable.")
    ] = None,
    final: Annotated[
        bool, typer.Option("--final", help="Fractions, too, are of what is gone in the end.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the random numbers.")] = 0,
    supercell: Supercell = None,
    cap: CapName = "formate",
    charge: ChargeOptions = None,
) -> None:
    """Draw missing linkers, missing nodes and substituted metals at random.

    Examples
    --------
    mofmd defects random uio-66 --supercell 4x4x4 --nodes .1 --linkers .2 -o disordered.extxyz
    mofmd defects random uio-66 --supercell 2x2x2 --metal Hf=20 --seed 7 -o mixed.extxyz
    """
    from mofmd.builders.defects.random_defects import RandomDefects, draw_defects, parse_amount

    metals = {
        element: parse_amount(amount, f"metal {element}")
        for element, amount in _pairs(metal, "metal", "Hf=.2")
    }
    wanted = RandomDefects(
        nodes=None if nodes is None else parse_amount(nodes, "nodes"),
        linkers=None if linkers is None else parse_amount(linkers, "linkers"),
        metals=metals,
        final=final,
        seed=seed,
    )
    work = _Work(structure, supercell, cap, charge)
    work.write_one("random", draw_defects(work.blocks, wanted, work.charges), output)


@app.command()
def characterise(
    structures: Annotated[list[str], typer.Argument(help="Files or built-in crystals.")],
    pristine: Annotated[
        str | None, typer.Option(help="Framework without defects: tells what is missing.")
    ] = None,
    supercell: Annotated[
        str | None, typer.Option(help="Repetitions of it that make the structures' cell.")
    ] = None,
    charge: ChargeOptions = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="JSON file with all there is.")
    ] = None,
) -> None:
    """Say what frameworks are: missing and substituted parts, caps, coordination, density.

    Examples
    --------
    mofmd defects characterise disordered.extxyz --pristine uio-66 --supercell 4x4x4
    """
    import json

    from mofmd.builders.defects.characterise import characterise as character_of
    from mofmd.builders.defects.characterise import count_pristine
    from mofmd.disk.atomic import write_atomic
    from mofmd.disk.output import make_folder
    from mofmd.structures.read import read_structure
    from mofmd.structures.supercell import repeat

    if supercell is not None and pristine is None:
        raise InputError("supercell: is of the pristine framework; name it (--pristine uio-66)")
    reference = None if pristine is None else read_structure(pristine)
    if reference is not None and supercell is not None:
        reference = repeat(reference, supercell)
    found = {}
    for name in structures:
        atoms = read_structure(name)
        given = None if supercell is not None else atoms
        counts = None if reference is None else count_pristine(reference, given)
        found[name] = character_of(atoms, counts, parse_charges(charge))
        typer.echo(f"{name}: {_told(found[name])}")
    if reference is None:
        typer.echo(
            "? in (metals-nodes-linkers): not known without the framework that has no defects; "
            "name it (--pristine uio-66)",
            err=True,
        )
    if output is not None:
        text = {name: character.as_dict() for name, character in found.items()}
        make_folder(output.parent)
        write_atomic(output, json.dumps(text, indent=1) + "\n")


def parse_charges(options: Sequence[str] | None) -> dict[str, int]:
    """Read charges of ions: Cu=2."""
    charges = {}
    for ion, text in _pairs(options, "charge", "Cu=2"):
        try:
            charges[ion] = int(text)
        except ValueError:
            raise InputError(f"charge: {ion}={text}, expected a whole number: Cu=2") from None
    return charges


def _pairs(options: Sequence[str] | None, name: str, example: str) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for option in options or ():
        key, sign, value = option.partition("=")
        if not sign or not key or not value:
            raise InputError(f"{name}: {option!r}, expected {example}")
        if key in dict(pairs):
            raise InputError(f"{name}: {key} is given twice")
        pairs.append((key, value))
    return pairs


class _Work:
    """A framework whose defects are made and written."""

    def __init__(
        self,
        structure: str,
        supercell: str | None,
        cap: str,
        charges: Sequence[str] | None = None,
    ) -> None:
        from mofmd.builders.blocks.blocks import find_blocks
        from mofmd.builders.blocks.caps import find_cap
        from mofmd.builders.defects.characterise import count_pristine
        from mofmd.structures.read import read_structure
        from mofmd.structures.supercell import repeat

        atoms = read_structure(structure)
        self.structure: Atoms = atoms if supercell is None else repeat(atoms, supercell)
        self.blocks: Blocks = find_blocks(self.structure)
        self.pristine = count_pristine(self.structure)
        self.cap = find_cap(cap)
        self.charges = parse_charges(charges)

    def write_one(self, name: str, defects: Defects, output: Path) -> None:
        """Write a framework with some defects."""
        self.write(name, [(defects, 1)], output)

    def write(
        self,
        name: str,
        choices: Sequence[tuple[Defects, int]],
        output: Path,
        *,
        chosen: int | None = None,
        suffix: str = "extxyz",
        overwrite: bool = False,
    ) -> None:
        """Write one framework of each class of defects, and tell what they are."""
        from mofmd.builders.defects.defect_files import write_variants

        variants = [
            self._variant(name if len(choices) == 1 else f"{name}-{k}", *choice)
            for k, choice in enumerate(choices, start=1)
            if chosen in (None, k)
        ]
        if not variants:
            raise InputError(f"class: {chosen}, but they are numbered from 1 to {len(choices)}")
        paths = write_variants(output, variants, suffix=f".{suffix}", overwrite=overwrite)
        for path, variant in zip(paths, variants, strict=True):
            times = f" ({variant.multiplicity} alike)" if variant.multiplicity > 1 else ""
            typer.echo(f"{path}: {_told(variant.character)}{times}")
            if told := _told_loose(variant.framework.loss):
                typer.echo(told)

    def _variant(self, name: str, defects: Defects, multiplicity: int) -> Variant:
        from mofmd.builders.defects.characterise import characterise as character_of
        from mofmd.builders.defects.defect_files import Variant
        from mofmd.builders.defects.defects import make_defects
        from mofmd.topology.check import refuse_overlaps

        framework = make_defects(self.structure, self.blocks, defects, self.cap, self.charges)
        refuse_overlaps(framework.atoms)
        character = character_of(framework.atoms, self.pristine, self.charges)
        return Variant(name, defects, multiplicity, framework, character)


def _told_loose(loss: Loss) -> str:
    if not loss.loose_nodes and not loss.loose_linkers:
        return ""
    return (
        f"{loss.loose_nodes} of the missing nodes and {loss.loose_linkers} of the missing linkers "
        "hung on nothing, and were dropped"
    )


def _told(character: Character) -> str:
    caps = ", ".join(f"{n} {name}" for name, n in character.caps.items())
    charge = "" if character.charge == 0 else f", charge {character.charge or 'unknown'}"
    return (
        f"{character.code} metals-nodes-linkers, {character.n_atoms} atoms {character.formula}, "
        f"{character.nodes} nodes, {character.linkers} linkers, mean coordination "
        f"{character.mean_coordination:.2f}, {character.density_g_per_cm3:.4f} g/cm³"
        f"{', ' + caps if caps else ''}{charge}"
    )
