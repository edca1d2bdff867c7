"""Bad input: one plain sentence on every rank count, at once, and a non-zero exit status."""

import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from mofmd.errors import InputError
from mofmd.models.files.embedded import embedded_model
from mofmd.models.files.model_file import read_model_file
from tests.engine.lammps import checked, engine_environment, run_lammps, write_structure
from tests.engine.systems import SYSTEMS, cluster
from tests.engine.toy_models import NoVirial, write_model, write_springs, write_throws

TIME_LIMIT_S = 60.0  # a hang, not a benchmark: the machine may be busy


def script(pair: str, units: str = "metal", before: str = "", run: str = "run 0") -> str:
    return f"""
units {units}
{before}
atom_style atomic
read_data 0.data
{pair}
{run}
"""


@pytest.fixture
def work(tmp_path: Path) -> Path:
    write_structure(SYSTEMS["tilted"](), tmp_path / "0.data")
    return tmp_path


def refused(work: Path, text: str, ranks: int = 1) -> str:
    start = time.monotonic()
    process = run_lammps(text, work, ranks, timeout=TIME_LIMIT_S)
    assert process.returncode != 0, process.stdout[-2000:]
    assert time.monotonic() - start < TIME_LIMIT_S
    output = process.stdout + process.stderr
    assert "terminate called" not in output  # an uncaught C++ exception
    return output


def pair(model: Path | str, names: str = "C H N Zn", style: str = "allegro") -> str:
    return f"pair_style {style}\npair_coeff * * {model} {names}"


@pytest.mark.parametrize("ranks", [1, 2])
def test_missing_file(work: Path, ranks: int) -> None:
    output = refused(work, script(pair("no/such/model.nequip.pth")), ranks)
    assert "cannot open the model file 'no/such/model.nequip.pth'" in output


@pytest.mark.parametrize("ranks", [1, 2])
def test_truncated_file(work: Path, ranks: int) -> None:
    content = embedded_model("zif4-allegro-s").read_bytes()
    (work / "cut.pth").write_bytes(content[: len(content) // 2])
    output = refused(work, script(pair("cut.pth")), ranks)
    assert "the model file 'cut.pth' is truncated, corrupt or not a model file" in output


def test_file_that_is_no_archive(work: Path) -> None:
    (work / "text.pth").write_text("no model")
    output = refused(work, script(pair("text.pth")))
    assert "the model file 'text.pth' is truncated, corrupt or not a model file" in output


def test_archive_without_a_model(work: Path) -> None:
    with zipfile.ZipFile(work / "other.pth", "w") as archive:
        archive.writestr("other/data.pkl", b"")
        archive.writestr("other/version", b"3\n")
    output = refused(work, script(pair("other.pth")))
    assert (
        "other.pth' holds no NequIP, Allegro, MACE or SevenNet model deployed for LAMMPS" in output
    )


def test_other_family(work: Path) -> None:
    output = refused(work, script(pair(embedded_model("zif4-allegro-s"), style="nequip")))
    assert "is of the family allegro: use pair_style allegro, not pair_style nequip" in output


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("file", "style"),
    [("nequip-f64.nequip.pth", "allegro"), ("mace-f64.model-lammps.pt", "nequip")],
)
def test_files_of_the_frameworks_under_another_style(
    file: str, style: str, work: Path, nequip_models: Path, mace_models: Path
) -> None:
    family = file.partition("-")[0]
    folder = mace_models if family == "mace" else nequip_models
    output = refused(work, script(pair(folder / file, style=style)))
    assert f"is of the family {family}: use pair_style {family}, not pair_style {style}" in output


@pytest.mark.frameworks
def test_message_passing_compiled_for_pair_allegro(work: Path, nequip_models: Path) -> None:
    output = refused(work, script(pair(nequip_models / "nequip-as-allegro.nequip.pt2")))
    assert "passes messages between atoms" in output


@pytest.mark.frameworks
@pytest.mark.parametrize("file", ["nequip-f64.nequip.pth", "mace-f64.model-lammps.pt"])
def test_message_passing_on_two_ranks(
    file: str, work: Path, nequip_models: Path, mace_models: Path
) -> None:
    family = file.partition("-")[0]
    folder = mace_models if family == "mace" else nequip_models
    output = refused(work, script(pair(folder / file, style=family)), ranks=2)
    assert "runs on one MPI rank only, this run has 2" in output


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("C H N", "pair_coeff names 3 atom types, the system has 4"),
        ("C H N Zn O", "pair_coeff names 5 atom types, the system has 4"),
        ("C H N Cd", "does not know 'Cd', given for atom type 4 (it knows: C H N Zn"),
    ],
)
def test_names_on_pair_coeff(names: str, message: str, work: Path) -> None:
    assert message in refused(work, script(pair(embedded_model("zif4-allegro-s"), names)))


def test_names_against_masses(work: Path) -> None:
    output = checked(run_lammps(script(pair(embedded_model("zif4-allegro-s"), "N H C Zn")), work))
    assert "atom type 1 has mass 12.011 g/mol but pair_coeff calls it N, which has 14.007" in output
    assert "atom type 2 has mass" not in output


def test_units(work: Path) -> None:
    output = refused(work, script(pair(embedded_model("zif4-allegro-s")), units="lj"))
    assert "needs units metal or real" in output


def test_atoms_without_ids(tmp_path: Path) -> None:
    text = f"""
units metal
atom_style atomic
atom_modify id no
region box block 0 8 0 8 0 8
create_box 4 box
create_atoms 1 single 1 1 1
mass * 12.011
{pair(embedded_model("zif4-allegro-s"))}
run 0
"""
    assert "needs atoms with ids" in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("pair_coeff 1 1 model.pth C H N Zn", "start with * * for pair style allegro"),  # by LAMMPS
        ("pair_coeff * *", "pair_coeff * * needs the model file and a name for each atom type"),
    ],
)
def test_arguments_of_pair_coeff(line: str, message: str, work: Path) -> None:
    assert message in refused(work, script(f"pair_style allegro\n{line}"))


def test_no_pair_coeff(work: Path) -> None:
    assert "ERROR" in refused(work, script("pair_style allegro"))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("device tpu", "device must be auto, cpu, cuda or cuda:N, not 'tpu'"),
        ("fast", "unknown option 'fast'"),
    ],
)
def test_options(option: str, message: str, work: Path) -> None:
    text = pair(embedded_model("zif4-allegro-s")).replace(
        "pair_style allegro", f"pair_style allegro {option}"
    )
    assert message in refused(work, script(text))


def test_gpu_that_is_not_there(work: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    text = pair(embedded_model("zif4-allegro-s")).replace(
        "pair_style allegro", "pair_style allegro device cuda"
    )
    for ranks in (1, 2):
        assert "a GPU is asked for, but torch" in refused(work, script(text), ranks)


@pytest.mark.parametrize(
    ("record", "value", "expected"),
    [
        ("r_max", "5.0garbage", "a positive number"),
        ("r_max", "5,0", "a positive number"),
        ("r_max", "-5.0", "a positive number"),
        ("r_max", "nan", "a positive number"),
        ("per_edge_type_cutoff", "5.0 5.0 5.0 x", "a positive number"),
        ("per_edge_type_cutoff", " ".join(["50.0"] * 16), "no more than r_max, which is 5"),
        ("num_types", "5", "4, as it names C H N Zn"),
        ("type_names", " ", "names"),
        ("model_dtype", "float3", "float32 or float64"),
        ("mofmd_exchange_width", "6 4", "a count"),
        ("mofmd_exchange_width", "-1", "a count"),
        ("mofmd_exchange_width", "99999999999", "a count"),
        ("mofmd_layers", "2.5", "a count"),
        ("mofmd_bytes_per_edge", "much", "a number"),
        ("mofmd_bytes_per_edge", "inf", "a number"),
        ("mofmd_verified", "passe", "passed or failed"),
    ],
)
def test_damaged_numbers(record: str, value: str, expected: str, work: Path) -> None:
    """A deployed message-passing model with one record changed: one sentence says which."""
    damage(embedded_model("zif4-nequip-s"), work / "x.pth", {f"extra/{record}": value.encode()})
    output = refused(work, script(pair("x.pth", style="nequip")))
    told = f"the model file 'x.pth' records {record} as '"
    assert told in output
    if record != "per_edge_type_cutoff":
        assert f"{told}{value}'" in output
    assert f"expected {expected}" in output
    assert "copy it again from its source, or deploy it again" in output


@pytest.mark.parametrize("value", ["5.0garbage", "-5.0", "nan"])
def test_damaged_cutoff_without_lammps(value: str, work: Path) -> None:
    damage(embedded_model("zif4-nequip-s"), work / "x.pth", {"extra/r_max": value.encode()})
    with pytest.raises(InputError, match=f"r_max is '{value}', expected a positive number"):
        read_model_file(work / "x.pth")


@pytest.mark.parametrize("ranks", [1, 2])
def test_features_wider_than_the_file_says(ranks: int, work: Path) -> None:
    """LAMMPS's buffers are as long as the file says: nothing is written past their ends."""
    damage(embedded_model("zif4-nequip-s"), work / "x.pth", {"extra/mofmd_exchange_width": b"3"})
    text = script(pair("x.pth", style="nequip"))
    if ranks == 1:  # nothing is exchanged
        checked(run_lammps(text, work))
        return
    output = refused(work, text, ranks)
    assert "'x.pth' records a mofmd_exchange_width of 3 features: deploy it again" in output


@pytest.mark.parametrize("value", ["many", "0", "2x"])
def test_threads_that_are_no_number(
    value: str, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "tests.engine.lammps.engine_environment",
        lambda: {**engine_environment(), "OMP_NUM_THREADS": value},
    )
    output = refused(work, script(pair(embedded_model("zif4-allegro-s"))))
    assert f"OMP_NUM_THREADS is '{value}', expected a whole number of at least 1" in output


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("damaged", "message"),
    [
        ('{"r_max": "6.0"', "are damaged (no JSON: expected '}' at byte 15)"),
        ('{"x": {"nequip_aoti_inputs": "pos"}}', "was not written by nequip-compile or mofmd"),
        ('{"nequip_aoti_inputs": ["pos"]}', "was not written by nequip-compile or mofmd"),
    ],
)
def test_damaged_metadata_of_a_package(
    damaged: str, message: str, work: Path, nequip_models: Path
) -> None:
    rewrite(
        nequip_models / "allegro-f64.nequip.pt2",
        work / "x.nequip.pt2",
        {"_metadata.json": damaged.encode()},
    )
    output = refused(work, script(pair("x.nequip.pt2")))
    assert "x.nequip.pt2'" in output
    assert message in output


@pytest.mark.frameworks
def test_inputs_that_a_compiled_model_does_not_have(work: Path, nequip_models: Path) -> None:
    """It would read past the end of what it is given."""
    edit_metadata(
        nequip_models / "allegro-f64.nequip.pt2",
        work / "x.nequip.pt2",
        nequip_aoti_inputs="pos atom_types",
    )
    output = refused(work, script(pair("x.nequip.pt2")))
    assert "'x.nequip.pt2' records the inputs pos atom_types, which this version" in output


@pytest.mark.frameworks
@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("AOTI_DEVICE_KEY", "cuda", "a GPU is asked for, but torch"),
        ("AOTI_MACHINE", "riscv64", "was compiled for riscv64"),
    ],
)
def test_package_compiled_for_another_machine(
    key: str, value: str, message: str, work: Path, nequip_models: Path
) -> None:
    edit_metadata(
        nequip_models / "allegro-f64.nequip.pt2", work / "other.nequip.pt2", **{key: value}
    )
    assert message in refused(work, script(pair("other.nequip.pt2")))


@pytest.mark.frameworks
def test_package_that_this_torch_cannot_load(work: Path, nequip_models: Path) -> None:
    """A compiled library without the entry points that this torch looks for."""
    (work / "empty.cpp").write_text("int nothing() { return 0; }\n")
    library = work / "empty.so"
    subprocess.run(["c++", "-shared", "-fPIC", "-o", library, work / "empty.cpp"], check=True)
    package = work / "other.nequip.pt2"
    rewrite(nequip_models / "allegro-f64.nequip.pt2", package, {".so": library.read_bytes()})
    output = refused(work, script(pair("other.nequip.pt2")))
    assert "cannot run the model file 'other.nequip.pt2'" in output
    assert "deploy it again with this one" in output


def edit_metadata(source: Path, target: Path, **changes: object) -> None:
    """Copy an AOTInductor package with some of its metadata changed."""
    with zipfile.ZipFile(source) as package:
        name = next(n for n in package.namelist() if n.endswith("_metadata.json"))
        metadata = {**json.loads(package.read(name)), **changes}
    rewrite(source, target, {"_metadata.json": json.dumps(metadata).encode()})


def damage(source: Path, target: Path, records: dict[str, bytes]) -> None:
    """Copy a deployed TorchScript file with records put in the place of its own, or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        top = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            if name.partition("/")[2] not in records:
                new.writestr(name, old.read(name))
        for name, content in records.items():
            new.writestr(f"{top}/{name}", content)


def rewrite(source: Path, target: Path, replaced: dict[str, bytes]) -> None:
    """Copy a package with the files of the given endings replaced."""
    with zipfile.ZipFile(source) as package, zipfile.ZipFile(target, "w") as copy:
        for name in package.namelist():
            content = package.read(name)
            for ending, new in replaced.items():
                content = new if name.endswith(ending) else content
            copy.writestr(name.replace(source.stem, target.stem), content)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("throws", "a toy model met a lone Zn"),
        ("nan", "an energy or force that is not a number at atom"),
    ],
)
def test_failure_on_one_rank_only(fault: str, message: str, tmp_path: Path) -> None:
    """The one Zn lies in the upper half of a long box: rank 1 fails and takes rank 0 with it."""
    atoms = cluster()
    atoms.pbc = True
    atoms.set_cell([8.0, 8.0, 40.0])
    atoms.positions[[s == "Zn" for s in atoms.symbols], 2] += 25.0
    write_structure(atoms, tmp_path / "0.data")
    model = write_springs(tmp_path / "toy.mofmd.pth", fault=fault)
    run = "velocity all create 300 1\nfix 1 all nve\nrun 5"
    text = script(pair(model), before="processors 1 1 2", run=run)
    output = refused(tmp_path, text, ranks=2)
    assert message in output
    assert "rank 1" in output


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("raises", "the model failed: ValueError: too many atoms for a toy model buy a larger one"),
        ("index", "the model failed: index out of range in self"),
        ("shape", "the model failed: mat1 and mat2 shapes cannot be multiplied (256x3 and 256x3)"),
        ("operator", "the model failed: mofmd::exchange takes a float32 or float64 table"),
        ("memory", "out of memory on cpu with 18 atoms (256 edges) on this rank: use more ranks"),
    ],
)
def test_a_model_that_throws_says_why(fault: str, message: str, work: Path) -> None:
    """In the line of the error, whatever code TorchScript quotes before it."""
    model = write_throws(work / "x.mofmd.pth", fault)
    output = refused(work, script(pair(model)))
    (line,) = [line for line in output.splitlines() if line.startswith("ERROR")]
    assert f"pair_style allegro: step 0, rank 0: {message}" in line
    assert "TorchScript interpreter" not in output


def test_code_that_this_torch_cannot_read(work: Path) -> None:
    model = write_throws(work / "whole.mofmd.pth", "operator")
    with zipfile.ZipFile(model) as archive:
        name = next(n for n in archive.namelist() if n.endswith("toy_models.py"))
        code = archive.read(name)
    assert b"ops.mofmd.exchange" in code
    changed = code.replace(b"ops.mofmd.exchange", b"ops.mofmd.unknown")
    damage(model, work / "x.pth", {name.partition("/")[2]: changed})
    output = refused(work, script(pair("x.pth")))
    (line,) = [line for line in output.splitlines() if line.startswith("ERROR")]
    assert "cannot run the model file 'x.pth': Unknown builtin op: mofmd::unknown." in line
    assert "deploy it again with this one" in line


def test_pressure_of_a_model_without_virial(work: Path) -> None:
    """LAMMPS wants a virial on every first step: a NaN and a warning, no wrong number."""
    model = write_model(NoVirial(), work / "novirial.pth", 4.0)
    output = checked(run_lammps(script(pair(model), run="run 0\nprint 'P $(press)'"), work))
    assert "gives no virial: pressures are not a number" in output
    assert "P nan" in output or "P -nan" in output


@pytest.mark.frameworks
def test_per_atom_virial_of_a_model_without(work: Path, nequip_models: Path) -> None:
    run = "compute s all stress/atom NULL\ndump 1 all custom 1 s.dump id c_s[1]\nrun 0"
    output = refused(work, script(pair(nequip_models / "allegro-f64.nequip.pth"), run=run))
    assert "gives no per-atom virial" in output


def test_bonded_neighbours_left_out(work: Path) -> None:
    text = """
units metal
atom_style bond
region box block 0 8 0 8 0 8
create_box 4 box bond/types 1 extra/bond/per/atom 1 extra/special/per/atom 2
create_atoms 1 single 1 1 1
create_atoms 1 single 2.3 1 1
mass 1 12.011
mass 2 1.008
mass 3 14.007
mass 4 65.38
bond_style zero
bond_coeff 1
create_bonds single/bond 1 1 2
PAIR
run 0
"""
    lines = pair(embedded_model("zif4-allegro-s"))
    assert "special_bonds lj/coul 1.0 1.0 1.0" in refused(work, text.replace("PAIR", lines))
    mended = text.replace("PAIR", f"special_bonds lj/coul 1.0 1.0 1.0\n{lines}")
    checked(run_lammps(mended, work))


def test_stale_plugin_is_not_offered(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mofmd.engine.plugin_path import LIBRARY_NAME, RECORD_NAME, plugin_location

    copy = work / "plugin"
    copy.mkdir()
    shutil.copy(plugin_location() / LIBRARY_NAME, copy)
    record = (plugin_location() / RECORD_NAME).read_text()
    (copy / RECORD_NAME).write_text(record.replace('"torch": "', '"torch": "0.'))
    monkeypatch.delenv("MOFMD_TEST_SANITIZED_PLUGIN", raising=False)
    monkeypatch.setenv("MOFMD_PLUGIN_DIR", str(copy))
    output = refused(work, script(pair(embedded_model("zif4-allegro-s"))))
    assert "plugin is stale (built for torch 0." in output
    assert "run `mofmd build`" in output
    monkeypatch.setenv("MOFMD_PLUGIN_DIR", str(work / "nowhere"))
    assert "plugin is not built yet: run `mofmd build`" in refused(
        work, script(pair(embedded_model("zif4-allegro-s")))
    )
