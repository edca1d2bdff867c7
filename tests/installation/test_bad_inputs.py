"""What people get wrong: each is one message that names the thing and how to mend it."""

import re
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.io import write
from typer.testing import CliRunner

from mofmd.cli import main as cli
from mofmd.cli.main import app
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.request import Request
from mofmd.simulation.ensemble.ensemble import new_ensemble
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.zif import zif4
from tests.reference import reference_path

GENERATE = ("generate", "nvt", "--structure", "zif-4", "--model", "zif4-allegro-s", "-o", "deck")


def with_option(*words: str) -> tuple[str, ...]:
    """Return a good command line with more words, or with another value of an option."""
    command = list(GENERATE)
    if words[0] in command:
        at = command.index(words[0])
        command[at : at + 2] = words
        return tuple(command)
    return (*command, *words)


def protocol(name: str, *settings: str) -> tuple[str, ...]:
    command = ("generate", name, *GENERATE[2:])
    return (*command, *(word for setting in settings for word in ("--set", setting)))


def text_file(name: str, text: str) -> Callable[[], None]:
    def write_text() -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)

    return write_text


def structure_file(name: str, atoms: Atoms) -> Callable[[], None]:
    return lambda: write(name, atoms)


def yaml_file(text: str) -> Callable[[], None]:
    return text_file("my.yaml", text)


def nothing() -> None:
    """The input needs no file."""


def damaged_compression() -> None:
    """Write an archive whose only record is compressed, and a byte of what it holds wrong."""
    with zipfile.ZipFile("my.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m/extra/mofmd.json", "[1, 2, 3]" * 1000)
    data = bytearray(Path("my.pth").read_bytes())
    data[data.index(b"mofmd.json") + len(b"mofmd.json")] = 0xFF
    Path("my.pth").write_bytes(bytes(data))


POSITIVE = "expected a number of more than zero"
WHOLE = "expected a whole number of at least"
CASES: dict[str, tuple[Callable[[], object], tuple[str, ...], str]] = {}


def case(
    name: str, command: tuple[str, ...], message: str, prepare: Callable[[], object] = nothing
) -> None:
    assert name not in CASES
    CASES[name] = (prepare, command, message)


# numbers of protocols: every field, each with what cannot be
for field in ("temperature_K", "timestep_fs", "frame_interval_fs", "thermo_interval_fs",
              "restart_interval_ps", "thermostat_damping_fs"):  # fmt: skip
    for value in ("0", "-1", ".nan", ".inf", "hot", "true", "[1]", "null"):
        case(f"nvt {field}={value}", protocol("nvt", f"{field}={value}"), f"{field}: .*{POSITIVE}")
for field in ("temperature_max_K", "rate_K_per_ps", "timestep_hot_fs", "temperature_hot_K"):
    for value in ("0", "-20", "fast"):
        case(f"melt_quench {field}={value}", protocol("melt_quench", f"{field}={value}"),
             f"{field}: .*{POSITIVE}")  # fmt: skip
for field in ("equilibration_ps", "plateau_ps", "anneal_ps"):
    case(f"melt_quench {field}", protocol("melt_quench", f"{field}=-1"),
         f"{field}: -1, expected a number of zero or more")  # fmt: skip
for value in ("0", "-3", "1.5", "one", "true"):
    case(f"seed={value}", protocol("nvt", f"seed={value}"), f"seed: .*{WHOLE} 1")
case(
    "seed beyond LAMMPS's",
    protocol("nvt", "seed=2147483647"),
    f"seed: .*{WHOLE} 1, at most 2147483646",
)
for value in ("1_000", "1:30", "0x10"):
    case(
        f"time={value}",
        protocol("nvt", f"time_ps={value}"),
        f"time_ps: '{value}', expected a number",
    )
case(
    "no step", protocol("nvt", "time_ps=1e-9"), "1e-09 ps is shorter than half a timestep of 0.5 fs"
)
case(
    "too many steps",
    protocol("nvt", "time_ps=1e99"),
    "1e.99 ps is .* timesteps .*, more than can be counted",
)
for value in ("2", "[2, 2]", "[2, 2, 0]", "[2, 2, 1.5]", "2x2", "2x2x0"):
    case(f"supercell={value}", protocol("nvt", f"supercell={value}"),
         "supercell: .*expected three whole numbers of at least 1")  # fmt: skip
for value in ("cubic", "1"):
    case(f"coupling={value}", protocol("npt", f"coupling={value}"),
         "coupling: .*expected one of iso, aniso, tri")  # fmt: skip
for value in ("1", "[1, 2]", "[0, 0, 0, 0, 0, .nan]"):
    case(f"stress={value}", protocol("nst", f"stress_GPa={value}"),
         "stress_GPa: .*expected six numbers")  # fmt: skip
for value in ("[]", "1.0", "[1, -1]", "[1, x]"):
    case(f"volumes={value}", protocol("finite_strain", f"volume_ratios={value}"),
         "volume_ratios: .*expected a list of numbers of more than zero, such as")  # fmt: skip
case("volumes twice", protocol("energy_volume", "volume_ratios=[1, 1.0]"),
     "volume_ratios: .*holds a number twice; leave one out")  # fmt: skip
case(
    "shape", protocol("energy_volume", "shape=round"), "shape: 'round', expected one of fixed, free"
)
case("strain", protocol("elastic", "strain=0"), f"strain: 0, {POSITIVE}")
case(
    "cell",
    protocol("minimise", "cell=some"),
    "cell: 'some', expected one of fixed, iso, aniso, tri",
)

# fields that do not fit each other
case("cold melt", protocol("melt_quench", "temperature_max_K=200"),
     "temperature_max_K: 200 is below temperature_K 300; a melt is hotter")  # fmt: skip
case("hot step too long", protocol("melt_quench", "temperature_max_K=1600", "timestep_hot_fs=0.6"),
     "timestep_hot_fs: 0.6 is above timestep_fs 0.5; hotter atoms need a shorter step")  # fmt: skip
case("damping", protocol("nvt", "thermostat_damping_fs=4"),
     "thermostat_damping_fs: 4 fs is below ten timesteps of 0.5 fs")  # fmt: skip
case("barostat", protocol("npt", "pressure_damping_fs=1"), "pressure_damping_fs: 1 fs is below ten")
case("frame interval", protocol("nvt", "frame_interval_fs=0.1"),
     "frame_interval_fs: 0.1 is shorter than timestep_fs, 0.5 fs; make it longer")  # fmt: skip

# timesteps that hydrogen cannot follow
case("2 fs", protocol("nvt", "timestep_fs=2", "thermostat_damping_fs=1000"),
     "timestep: 2 fs is too long for H at 300 K, which allows 1.10 fs; take a shorter")  # fmt: skip
case("1 fs at 1500 K", protocol("nvt", "timestep_fs=1", "temperature_K=1500"),
     "timestep: 1 fs is too long for H at 1500 K, which allows 0.59 fs")  # fmt: skip
case("0.5 fs at 3000 K", protocol("nvt", "temperature_K=3000"), "too long for H at 3000 K")

# keys and names
case("unknown protocol", protocol("melt-quenching"),
     "protocol: 'melt-quenching' is unknown; did you mean melt_quench?")  # fmt: skip
case("no protocol", ("generate",), "protocol: missing; name one")
case("unit left out", protocol("nvt", "temperature=300"),
     "temperature: unknown key of protocol nvt; did you mean temperature_K?")  # fmt: skip
case(
    "wrong unit",
    protocol("nvt", "timestep_ps=1"),
    "timestep_ps: unknown key .*did you mean timestep_fs",
)
case(
    "key of another",
    protocol("nvt", "rate_K_per_ps=1"),
    "rate_K_per_ps: unknown key of protocol nvt",
)
case("no equals sign", protocol("nvt", "temperature_K"), "--set temperature_K: expected key=value")
case("no key", protocol("nvt", "=5"), "--set =5: expected key=value")
case("twice", protocol("nvt", "seed=1", "seed=2"), "--set seed: given twice")
case("not YAML", protocol("nvt", "seed=[1"), r"--set seed=\[1: the value cannot be read")

# protocol files
YAML = ("generate", "my.yaml", *GENERATE[2:])
case("no file", YAML, "my.yaml: no such file")
case("no protocol in it", YAML, "my.yaml: protocol: missing; say which one", yaml_file("seed: 3\n"))
case("a list", YAML, "my.yaml: expected lines of the form key: value", yaml_file("- 1\n"))
case("empty", YAML, "my.yaml: expected lines of the form key: value", yaml_file(""))
case("broken", YAML, "my.yaml: cannot be read as YAML", yaml_file("a: [1\n"))
case("key of a list", YAML, "my.yaml: cannot be read as YAML: a key that is no word",
     yaml_file("protocol: nvt\n? [a]\n: 1\n"))  # fmt: skip
case("tab", YAML, "my.yaml: cannot be read as YAML", yaml_file("protocol: nvt\n\tseed: 1\n"))
case(
    "key twice",
    YAML,
    "my.yaml: .*seed: given twice",
    yaml_file("protocol: nvt\nseed: 1\nseed: 2\n"),
)
case("unknown key in file", YAML, "my.yaml: pressure: unknown key of protocol nvt",
     yaml_file("protocol: nvt\npressure: 1\n"))  # fmt: skip
case("bad value in file", YAML, "my.yaml: time_ps: -1, expected a number of zero or more",
     yaml_file("protocol: nvt\ntime_ps: -1\n"))  # fmt: skip
case(
    "unknown protocol in file",
    YAML,
    "my.yaml: protocol: 'nph' is unknown",
    yaml_file("protocol: nph\n"),
)

# structures
MINE = with_option("--structure", "my.cif")
case(
    "no structure",
    ("generate", "nvt", *GENERATE[4:]),
    "structure: missing; give --structure a file",
)
case("absent", MINE, "structure: my.cif: no such file, and no built-in crystal .zif-4, zif-8")
case("unknown format", with_option("--structure", "my.pdb"),
     r"structure: my.pdb: format \.pdb is unknown; it can be \.cif", text_file("my.pdb", "x"))  # fmt: skip
case("no suffix", with_option("--structure", "my"), "format without suffix is unknown",
     text_file("my", "x"))  # fmt: skip
case(
    "not a CIF",
    MINE,
    "structure: my.cif: cannot be read as CIF, line 1: ",
    text_file("my.cif", "hello\n"),
)
case("empty file", with_option("--structure", "my.extxyz"), "my.extxyz: holds no complete frame",
     text_file("my.extxyz", ""))  # fmt: skip
case("not periodic", with_option("--structure", "my.extxyz"),
     "structure: is not periodic in all three directions; give it a cell",
     structure_file("my.extxyz", Atoms("Zn", cell=[9, 9, 9], pbc=(1, 1, 0))))  # fmt: skip
case("no cell", with_option("--structure", "my.extxyz"), r"frame 0: has no cell: no Lattice=\"ax ay az",
     structure_file("my.extxyz", molecule("C6H6")))  # fmt: skip
case("atoms on top of each other", with_option("--structure", "my.extxyz"),
     "structure: N 19 and C 273 are 0.10 Å apart; remove duplicates",
     lambda: write("my.extxyz", zif4() + Atoms("C", [zif4().positions[
         18] + (0.1, 0, 0)])))  # fmt: skip
case("flat cell", with_option("--structure", "my.extxyz"), "a, b, c must be right-handed and not flat",
     text_file("my.extxyz", '1\nLattice="9 0 0 0 9 0 9 9 0" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
                            "Zn 1 1 1\n"))  # fmt: skip
LATTICE = '1\nLattice="{}" Properties=species:S:1:pos:R:3 pbc="T T T"\n{}\n'
case("far away", with_option("--structure", "my.extxyz"), "atom 1 is 1.11e.08 cells away from the cell",
     text_file("my.extxyz", LATTICE.format("9 0 0 0 9 0 0 0 9", "Zn 1e9 1 1")))  # fmt: skip
case("one atom", with_option("--structure", "my.extxyz", "--supercell", "1x1x1"), "a single atom has no temperature",
     text_file("my.extxyz", LATTICE.format("9 0 0 0 9 0 0 0 9", "Zn 1 1 1")))  # fmt: skip
case("skewed", with_option("--structure", "my.extxyz"), 'skewed so far that it is 0.0049 Å thin; .*--supercell "1 0 0 ',
     text_file("my.extxyz", LATTICE.format("6 0 0 500 7 0 2000 300 8", "Zn 1 1 1")))  # fmt: skip
case("a garbled count", with_option("--structure", "my.extxyz"), "my.extxyz: holds no complete frame",
     text_file("my.extxyz", LATTICE.format("9 0 0 0 9 0 0 0 9", "Zn 1 1 1").replace("1\n", "9" * 18 + "\n", 1)))  # fmt: skip
POSCAR = "x\n{}\n9 0 0\n0 {} 0\n0 0 9\nZn\n1\nCartesian\n{} 1 1\n"
for line, values in (("line 2: 'nan', expected the scale", ("nan", 9, 1)), ("line 2: '1_0', expected the scale", ("1_0", 9, 1)),
                     ("line 4: '0 inf 0', expected three numbers", (1, "inf", 1)), ("line 9: 'nan 1 1', expected three", (1, 9, "nan")),
                     ("has a cell without volume: a, b, c are .9.0, 0.0, 0.0., .0.0, 0.0, 0.0.", (1, 0, 1))):  # fmt: skip
    case(f"POSCAR {line[:8]}, {values}", with_option("--structure", "POSCAR"), f"structure: POSCAR: {line}",
         text_file("POSCAR", POSCAR.format(*values)))  # fmt: skip
case("not an element", with_option("--structure", "my.extxyz"), r"atom 1 is of no known element \(Qq\)",
     text_file("my.extxyz", '1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
                            "Qq 1 1 1\n"))  # fmt: skip
case("dummy atom", with_option("--structure", "my.extxyz"), "atom 1 is of no known element",
     text_file("my.extxyz", '1\nLattice="9 0 0 0 9 0 0 0 9" Properties=species:S:1:pos:R:3 pbc="T T T"\n'
                            "X 1 1 1\n"))  # fmt: skip
CIF = """data_x
_cell_length_a 9
_cell_length_b 9
_cell_length_c 9
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'P 1'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
Zn1 Zn 0.1 0.1 0.1 OCCUPANCY
"""
case("partial occupancy", MINE, r"structure: my.cif: site \S+ is occupied partly .Zn 0.5.; choose one",
     text_file("my.cif", CIF.replace("OCCUPANCY", "0.5")))  # fmt: skip
DATA = "x\n\n1 atoms\n1 atom types\n0 9 xlo xhi\n0 9 ylo yhi\n0 9 zlo zhi\n\nMasses\n\n1 MASS\n\nATOMS\n\n1 1 1 1 1\n"
case("mass of no element", with_option("--structure", "my.data"), "mass 2.9 g/mol is that of no element",
     text_file("my.data", DATA.replace("MASS", "2.9").replace("ATOMS", "Atoms # atomic")))  # fmt: skip
case("no atoms section", with_option("--structure", "my.data"), "my.data: has no Atoms section",
     text_file("my.data", DATA.replace("MASS", "65.38")))  # fmt: skip
case("style unknown", with_option("--structure", "my.data"),
     "the Atoms section does not name its style, and 4 columns do not show it",
     text_file("my.data", DATA.replace("MASS", "65.38").replace("ATOMS", "Atoms").replace(
         "1 1 1 1 1", "1 1 1 1")))  # fmt: skip

# supercells
for value in ("2x2", "0x1x1", "a", "2x2x2x2", "1 0 0 0 1 0 0 0 0", "1 0 0 0 1 0 0 0 -1"):
    case(f"--supercell {value}", with_option("--supercell", value),
         "supercell: .*expected three whole numbers of at least 1, such as 2x2x2, or nine")  # fmt: skip
for value in ("1000x1000x1000", "1000 0 0 0 1000 0 0 0 1000"):
    case(f"{value} cells", with_option("--supercell", value),
         "supercell: 1000000000 cells of 272 atoms are 272000000000 atoms, and files of more than 20000000")  # fmt: skip
case(
    "no atoms wanted",
    with_option("--atoms", "0"),
    "atoms: 0, expected a whole number of at least 1",
)
case(
    "both",
    with_option("--atoms", "272", "--supercell", "1x1x1"),
    "atoms: given together with supercell",
)

# potentials
case("no model", ("generate", "nvt", "--structure", "zif-4", "-o", "deck"),
     "model: give either --model .* or --potential-script")  # fmt: skip
case("model and script", with_option("--potential-script", "a.in"), "model: give either --model")
case("absent model", with_option("--model", "my.pth"), "my.pth: no such model file")
case("not a model", with_option("--model", "my.pth"), "my.pth: truncated, corrupt or not a model file",
     text_file("my.pth", "weights"))  # fmt: skip
case("model of damaged compression", ("models", "show", "my.pth"), "my.pth: truncated, corrupt or not a model file",
     damaged_compression)  # fmt: skip
case("cut model", with_option("--model", "my.pth"), "my.pth: truncated, corrupt or not a model file",
     lambda: Path("my.pth").write_bytes(embedded_model("zif4-nequip-s").read_bytes()[:5000]))  # fmt: skip


def model_with_a_cutoff(text: str) -> None:
    """Write an archive with the metadata of a model of nequip alone."""
    with zipfile.ZipFile("my.pth", "w") as archive:
        archive.writestr("m/extra/type_names", "C H N Zn")
        archive.writestr("m/extra/r_max", text)


case("cutoff that is no number", with_option("--model", "my.pth"),
     "my.pth: r_max is '6.0garbage', expected a positive number; deploy it again",
     lambda: model_with_a_cutoff("6.0garbage"))  # fmt: skip
case("species that the model lacks", with_option("--structure", "uio-66"),
     "model: zif4-allegro-s.mofmd.pth lacks O, Zr: it knows C, H, N, Zn; take the universal model sevennet-l3i5, ")  # fmt: skip
case("file without a script", with_option("--potential-file", "x"),
     "potential_file: goes with --potential-script")  # fmt: skip
SCRIPT = ("generate", "nvt", "--structure", "zif-4", "-o", "deck", "--potential-script", "p.in")
case("absent script", SCRIPT, "potential_script: p.in: no such file")
case("absent potential file", (*SCRIPT, "--potential-file", "Si.sw"), "Si.sw: no such potential file",
     text_file("p.in", "pair_style zero 5\n"))  # fmt: skip
case("name with a blank", with_option("--model", "my model.pth"),
     "model_file: 'my model.pth' cannot stand in a LAMMPS script; rename it",
     lambda: Path("my model.pth").write_bytes(embedded_model("zif4-nequip-s").read_bytes()))  # fmt: skip
case("name of another file", with_option("--model", "thermo.in"),
     "model_file: a deck has another file named 'thermo.in'; rename it",
     lambda: Path("thermo.in").write_bytes(embedded_model("zif4-nequip-s").read_bytes()))  # fmt: skip

# folders
case("no output", ("generate", *GENERATE[1:6]), "output: missing; give --output a new folder")
case("output is a file", GENERATE, "deck: is a file, expected a directory", text_file("deck", "x"))
case("output in use", GENERATE, "deck: not empty; choose another directory, or replace .* --overwrite",
     lambda: (Path("deck").mkdir(), Path("deck/x").touch()))  # fmt: skip
case("not ours to overwrite", with_option("--overwrite"), "deck: not empty and not a deck, so it is not",
     lambda: (Path("deck").mkdir(), Path("deck/x").touch()))  # fmt: skip

case("output within a file", with_option("-o", "file/deck"), "file/deck: cannot be written: Not a directory",
     text_file("file", "x"))  # fmt: skip
case("analysis within a file", ("analyse", "zif-4", "-o", "file/out"),
     "file/out: cannot be written: .*file is a file, expected a folder", text_file("file", "x"))  # fmt: skip
case("frames into a folder", ("learn", "distort", "zif-8", "-o", "file"), "file: cannot be written: Is a directory",
     lambda: Path("file").mkdir())  # fmt: skip
case(
    "where nothing can be written",
    with_option("-o", "/proc/deck"),
    "/proc/deck: cannot be written: ",
)

# folders instead of files, and files of nothing
for words in (
    MINE,
    ("relax", "my.cif", "--model", "zif4-nequip-s", "-o", "r.cif"),
    ("defects", "characterise", "my.cif"),
):
    case(f"{words[0]} a folder", words, "structure: my.cif: is a folder, expected a file",
         lambda: Path("my.cif").mkdir())  # fmt: skip
for words in (
    ("verify", "my.pth"),
    ("models", "show", "my.pth"),
    ("bench", "my.pth"),
    with_option("--model", "my.pth"),
):
    case(f"{words[0]} a folder of a model", words, "my.pth: is a folder, expected a model file",
         lambda: Path("my.pth").mkdir())  # fmt: skip
case("an energy that is text", ("learn", "check", "my.extxyz"), "energy: 'none', expected numbers",
     text_file("my.extxyz", LATTICE.format('9 0 0 0 9 0 0 0 9', "Zn 1 1 1 0 0 0").replace("pos:R:3", "pos:R:3:forces:R:3 energy=none")))  # fmt: skip
VARY = ("ensemble", "new", "x", "nvt", *GENERATE[2:6], "--members", "2", "--vary")
case(
    "varied twice",
    (*VARY, "temperature_K=300,300.0"),
    "vary temperature_K: 300.0 is given twice; its members",
)
case(
    "no observables",
    ("analyse", "zif-4", "--observables", "", "-o", "out"),
    "observables: none; name some",
)
case("relaxed into another format", ("relax", "zif-4", "--model", "zif4-nequip-s", "-o", "r.pdb"),
     "r.pdb: format .pdb is not written; it can be .extxyz")  # fmt: skip
for verb in ("distort", "cut", "label"):
    options = ("--labeller", "zif4-nequip-s") if verb == "label" else ()
    case(f"{verb} no frames", ("learn", verb, "my.extxyz", *options, "-o", "out.extxyz"),
         "my.extxyz: holds no frames", text_file("my.extxyz", ""))  # fmt: skip

for words in (
    ("relax", "uio-66"),
    ("phonons", "run", "uio-66", "--supercell", "1x1x1"),
    ("phonons", "elastic", "uio-66"),
):
    case(f"{words[:2]} of other elements", (*words, "--model", "zif4-allegro-s", "-o", "out"),
         "zif4-allegro-s.mofmd.pth lacks O, Zr: it knows C, H, N, Zn")  # fmt: skip

# runs
case("run nothing", ("run", "deck"), "manifest.json: no such file, so deck is not a deck")
case("run an ensemble", ("run", "many"),
     "many is not a deck, but an ensemble: mofmd ensemble run many",
     lambda: (Path("many").mkdir(), Path("many/ensemble.json").write_text("{}")))  # fmt: skip
case("run garbage", ("run", "deck"), "manifest.json: is not JSON .* write the deck again",
     lambda: (Path("deck").mkdir(), Path("deck/manifest.json").write_text("{")))  # fmt: skip
case("run an old deck", ("run", "deck"), "schema 'mofmd-deck-1', expected 'mofmd-deck-2'; write the deck",
     lambda: (Path("deck").mkdir(),
              Path("deck/manifest.json").write_text('{"schema": "mofmd-deck-1"}')))  # fmt: skip
case("no ranks", ("run", "deck", "--ranks", "0"), "ranks: 0, expected a whole number of at least 1")
case("no threads", ("run", "deck", "--threads", "-1"), "threads: -1, expected a whole number")
case("gpus", ("run", "deck", "--gpus", "0;1"), "gpus: '0;1', expected numbers with commas")

# guests
case("guest types of nothing", with_option("--guest-types"),
     "guest_types: the structure holds no molecules in its pores")  # fmt: skip
case("guest types of guests removed", with_option("--guest-types", "--no-keep-guests"),
     "guest_types: given although guests are removed; choose one of them")  # fmt: skip

# shapes at constant volume
case("shape jumps", protocol("volume_grid", "shape_damping_fs=1"),
     "shape_damping_fs: 1 fs is below 50 timesteps of 0.5 fs")  # fmt: skip
for field in ("shape_damping_fs", "shear_modulus_guess_GPa", "sampling_ps", "deformation_ps"):
    case(f"volume_grid {field}", protocol("volume_grid", f"{field}=0"), f"{field}: 0, {POSITIVE}")

# ensembles
NEW = ("ensemble", "new", "many", "nvt", "--structure", "zif-4", "--model", "zif4-allegro-s")
case("no members", (*NEW, "--members", "0"), "members: none; give a number of at least 1")
case("vary nothing", (*NEW, "--vary", "temperature_K="), "vary temperature_K: no values")
case("vary the unknown", (*NEW, "--vary", "T=1,2"), "T: unknown key of protocol nvt")
case("vary seeds", (*NEW, "--vary", "seed=1,2"), "vary seed: seeds have their own option")
case("vary badly", (*NEW, "--vary", "temperature_K=300,-1"), "temperature_K: -1, expected a number")
case("ensemble in use", NEW, "many: in use; choose a new folder",
     lambda: (Path("many").mkdir(), Path("many/x").touch()))  # fmt: skip
for verb in ("run", "status", "collect"):
    case(
        f"{verb} no ensemble",
        ("ensemble", verb, "many"),
        "ensemble.json: no such file, so many is not",
    )
SCREEN = ("ensemble", "new", "many", "relax", "--model", "zif4-allegro-s", "--structures")
case("pattern without files", (*SCREEN, "cifs/*.cif"), "structures: cifs/.*: no file is named so")
case("structure and structures", (*SCREEN, "zif-4", "--structure", "zif-4"),
     "structure: given together with structures")  # fmt: skip
case("no structure that can be used", (*SCREEN, "uio-66", "--structures", "a.cif"),
     "none can be used: a: .*no such file.*uio-66: model: .*lacks O, Zr")  # fmt: skip
case("seeds of relaxations", (*SCREEN, "zif-4", "--members", "3"), "members: relax has no seeds")
case("model of screening", (*SCREEN, "zif-4", "--model", "sevenet-0"), "did you mean sevennet-0")
case("universal model by another name", ("models", "make", "sevennet-l3i"),
     "sevennet-l3i: is no universal model; did you mean sevennet-l3i5")  # fmt: skip
case("level of theory left open", with_option("--model", "sevennet-mf-0"),
     "take sevennet-mf-0-pbe or sevennet-mf-0-r2scan")  # fmt: skip
case("relaxation without a model", ("generate", "relax", "--structure", "zif-4", "-o", "deck"),
     "model: relax needs --model, a file or one of uio66-mace-m, .*sevennet-l3i5")  # fmt: skip
case("analysis of static tasks", ("analyse", "many"), "many: its members are static tasks",
     text_file("many/members/000/task.json", "{}"))  # fmt: skip
ARRAY = ("ensemble", "run", "many", "--slurm-array")


def made() -> None:
    """Write an ensemble of a member."""
    request = Request("nvt", "zif-4", Path("many"), model="zif4-allegro-s")
    new_ensemble(request, [1], {})


case("gpus of an array", (*ARRAY, "--gpus", "0"), "gpus: SLURM deals them out", made)
case(
    "options of an array",
    (*ARRAY, "--slurm-options", "-p gpu"),
    "slurm_options: '-p gpu', exp",
    made,
)


@pytest.mark.parametrize("name", CASES)
def test_one_message_that_names_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    prepare, command, message = CASES[name]
    monkeypatch.chdir(tmp_path)
    prepare()
    before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
    monkeypatch.setattr(sys, "argv", ["mofmd", *command])
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert exit_.value.code == 1
    error = capsys.readouterr().err
    assert "Traceback" not in error
    assert re.search(f"mofmd: error: .*{message}", error, flags=re.S), error
    # nothing half-written stays behind
    assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before


def test_there_are_more_than_a_hundred() -> None:
    assert len(CASES) > 100


def test_model_without_stress_is_refused_where_the_cell_moves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model file of nequip 0.5 whose configuration has forces but no stress."""
    whole = reference_path("zif4/nequip_l2r6stress0.pth")
    with zipfile.ZipFile(whole) as source, zipfile.ZipFile(tmp_path / "m.pth", "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("extra/config"):
                data = data.replace(b"StressForceOutput", b"ForceOutput")
            target.writestr(name, data)
    monkeypatch.chdir(tmp_path)
    relaxed = ["minimise", "--set", "cell=tri"]
    for kind, code in (("npt", 1), ("nvt", 0), (relaxed, 1)):
        words = [kind, *SHORT] if isinstance(kind, str) else kind
        name = words[0]
        command = ["generate", *words, "--structure", "zif-4", "--model", "m.pth", "-o", name]
        monkeypatch.setattr(sys, "argv", ["mofmd", *command])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
        assert exit_.value.code == code
    told = capsys.readouterr().err
    for name in ("npt", "minimise"):
        assert f"model: m.pth gives no stress, which {name} needs" in told
    done = run_deck(tmp_path / "nvt")  # a pressure that is no number is nothing to stop at
    assert done.steps == 1


SHORT = ("--set", "supercell=[1,1,1]", "--set", "time_ps=0.0005", "--set", "minimise_steps_max=0")


def test_a_deck_of_lammps_commands(tmp_path: Path) -> None:
    """Nothing is known of what it costs, and the command says nothing of it."""
    (tmp_path / "p.in").write_text("pair_style zero 5.0\npair_coeff * *\n")
    words = [
        "generate",
        "nvt",
        "--structure",
        "zif-4",
        "--potential-script",
        str(tmp_path / "p.in"),
    ]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "deck")])
    assert done.exit_code == 0, done.output
    assert "run it with" in done.output
