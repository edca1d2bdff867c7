"""Bad input: one plain sentence on every rank count, at once, and a non-zero exit status."""

import json
import shutil
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from mofmd.models.embedded import embedded_model
from tests.engine.lammps import checked, run_lammps, write_structure
from tests.engine.systems import SYSTEMS, cluster
from tests.engine.toy_models import NoVirial, write_model, write_springs

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
    assert "other.pth' holds no NequIP, Allegro or MACE model deployed for LAMMPS" in output


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
    source = nequip_models / "allegro-f64.nequip.pt2"
    with zipfile.ZipFile(source) as package:
        name = next(n for n in package.namelist() if n.endswith("_metadata.json"))
        metadata = {**json.loads(package.read(name)), key: value}
    edited = {"_metadata.json": json.dumps(metadata).encode()}
    rewrite(source, work / "other.nequip.pt2", edited)
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
