"""Ensembles over structures, and the static tasks that are their members."""

import csv
import json
from dataclasses import replace
from html import escape
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.io import write
from typer.testing import CliRunner

from mofmd.builders.blocks.blocks import find_blocks
from mofmd.builders.defects.defects import distinct_linker_defects, make_defects
from mofmd.calculator import DeployedModel
from mofmd.cli.main import app
from mofmd.cli.simulation.member_lines import MemberLines
from mofmd.disk.stop_request import ask_to_stop
from mofmd.engine.structure_file import write_structure
from mofmd.errors import InputError, InputWarning, RunError, StoppedError
from mofmd.relaxation.conduct import relax
from mofmd.relaxation.lbfgs import NoStepError
from mofmd.relaxation.options import RelaxOptions
from mofmd.report.screening import write_screening
from mofmd.simulation.deck.notes import notes_of
from mofmd.simulation.deck.request import Request
from mofmd.simulation.ensemble.ensemble import Ensemble, Member, new_ensemble, read_ensemble
from mofmd.simulation.ensemble.ensemble_run import Workers, run_ensemble
from mofmd.simulation.ensemble.structures import are_alike, fingerprint, sort_structures
from mofmd.simulation.ensemble.table import collect
from mofmd.simulation.run.status import run_state
from mofmd.simulation.statics import conduct
from mofmd.simulation.statics.conduct import run_static
from mofmd.simulation.statics.integrity import compare
from mofmd.simulation.statics.request import generate_static
from mofmd.simulation.statics.task import EquationOfStateTask, make_static
from mofmd.structures.crystals.crystal_data import build_crystal
from mofmd.structures.crystals.zif import zif4

MODEL = "zif4-allegro-s"
LOOSE = ("fmax_eV_per_A=0.05", "precision=file")


@pytest.fixture
def cifs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of structures: two that can be used, one that comes twice, one that is broken."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "cifs"
    folder.mkdir()
    write(folder / "a.cif", zif4())
    write(folder / "b.cif", other_setting(zif4()))
    rattled = zif4()
    rattled.rattle(0.07, seed=1)
    write(folder / "c.extxyz", rattled)
    (folder / "d.cif").write_text("data_x\n_cell_length_a 5\n")
    return folder


def other_setting(atoms: Atoms) -> Atoms:
    """The same crystal: twice the cell, moved, turned, in another order."""
    other = atoms.repeat((1, 2, 1))
    other = other[np.random.default_rng(0).permutation(len(other))]
    other.translate([1.0, 2.0, 3.0])
    other.wrap()
    other.rotate(40, (1, 2, 3), rotate_cell=True)
    return other


def run(ensemble: Ensemble) -> dict[str, str]:
    told: dict[str, str] = {}
    run_ensemble(ensemble, Workers(), lambda m: told.__setitem__(m.label, m.state))
    return told


def rows_of(ensemble: Ensemble) -> list[dict[str, str]]:
    return list(csv.DictReader(collect(ensemble).read_text().splitlines()))


def test_fingerprint_of_a_structure() -> None:
    crystal = zif4()
    own = fingerprint(crystal)
    assert are_alike(own, fingerprint(other_setting(crystal)))
    strained, moved, swapped = crystal.copy(), crystal.copy(), crystal.copy()
    strained.set_cell(1.001 * crystal.cell.array, scale_atoms=True)
    moved.positions[7] += [0.03, 0.0, 0.0]
    swapped.symbols[[0, -1]] = swapped.symbols[[-1, 0]]
    for other in (strained, moved, swapped, build_crystal("zif-8")):
        assert not are_alike(own, fingerprint(other))


def test_defects_that_lie_differently_are_no_twins(tmp_path: Path) -> None:
    """Two linkers are missing in each of the seven; all surroundings of 6 Å are alike."""
    crystal = build_crystal("uio-66")
    blocks = find_blocks(crystal)
    made = [
        make_defects(crystal, blocks, defects).atoms
        for defects, _ in distinct_linker_defects(blocks, count=2)
    ]
    prints = [fingerprint(atoms) for atoms in made]
    assert sum(are_alike(prints[0], each) for each in prints) == 6
    for number, atoms in enumerate([*made, other_setting(made[0])]):
        write(tmp_path / f"{number}.extxyz", atoms)
    usable, refused = sort_structures([str(tmp_path / f"{number}.extxyz") for number in range(8)])
    assert list(usable) == [str(number) for number in range(7)]
    assert refused == {"7": "is the same structure as 0"}


def test_structures_that_cannot_be_used_are_named(cifs: Path) -> None:
    usable, refused = sort_structures(["cifs/*", "zif-4", "mof-5", "absent.cif"])
    assert list(usable) == ["a", "c", "mof-5"]
    assert set(refused) == {"b", "d", "zif-4", "absent"}
    assert refused["b"] == refused["zif-4"] == "is the same structure as a"
    assert "cifs/d.cif: holds no atoms" in refused["d"]
    assert "no such file" in refused["absent"]
    with pytest.raises(InputError, match=r"structures: cifs/\*\.vasp: no file is named so"):
        sort_structures(["cifs/*.vasp"])
    (cifs / "two").mkdir()
    write(cifs / "two" / "a.cif", build_crystal("zif-8"))
    assert list(sort_structures(["cifs/a.cif", "cifs/two/a.cif"])[0]) == [
        "cifs/a.cif",
        "cifs/two/a.cif",
    ]


@pytest.mark.usefixtures("cifs")
def test_each_member_fails_or_finishes_alone() -> None:
    settings = (*LOOSE, "calls_max=6")
    request = Request("relax", None, Path("screen"), model=MODEL, settings=settings)
    made = new_ensemble(request, [1], {}, ["cifs/*", "uio-66"])
    assert [m.label for m in made.members] == ["000 a", "001 c"]
    assert "lacks O, Zr" in made.refused["uio-66"]
    assert read_ensemble(Path("screen")) == made
    assert run(made) == {"000 a": "finished", "001 c": "failed"}
    a, c, *others = rows_of(made)
    assert (a["structure"], a["state"], a["reason"]) == ("a", "finished", "")
    assert float(a["Zn-N_before"]) == float(a["Zn-N_after"]) == 4.0
    assert (a["atoms"], a["linkers"], a["linkers_intact"]) == ("272", "32", "32")
    expected = relax(
        zif4(),
        DeployedModel(MODEL, skin_A=0.0),
        RelaxOptions(fmax_eV_per_A=0.05, calls_max=6),
    )
    assert float(a["volume_A3"]) == pytest.approx(expected.volume_A3, rel=1e-6)
    assert float(a["volume_change"]) == pytest.approx(
        expected.volume_A3 / zif4().get_volume() - 1, abs=1e-6
    )
    assert (c["state"], c["volume_A3"]) == ("failed", "")
    assert "6 force calls do not reach the limits" in c["reason"]
    assert {row["structure"]: row["state"] for row in others} == {
        "b": "refused",
        "d": "refused",
        "uio-66": "refused",
    }
    assert len(json.loads(Path("screen/results.json").read_text())) == 5
    page = write_screening(made, "page").read_text()
    for text in ("is the same structure as a", "6 force calls do not reach", "volume (Å³)"):
        assert text in page
    assert Path("page/figures/volume_change.svg").is_file()


@pytest.mark.usefixtures("cifs")
def test_dynamics_of_structures() -> None:
    """NPT: mean volume with its error and change, metals and linkers at the end."""
    settings = ("time_ps=0.02", "thermo_interval_fs=1", "minimise_steps_max=2", "supercell=[1,1,1]")
    settings = (*settings, "frame_interval_fs=2")
    request = Request("npt", None, Path("screen"), model=MODEL, settings=settings)
    made = new_ensemble(request, [1], {}, ["cifs/a.cif", "cifs/b.cif", "cifs/c.extxyz"])
    assert run(made) == {"000 a": "finished", "001 c": "finished"}
    row, other, refused = rows_of(made)
    assert refused["state"] == "refused"
    change = float(row["volume_A3"]) / zif4().get_volume() - 1
    assert float(row["volume_change"]) == pytest.approx(change, abs=1e-6)
    assert 0 < float(row["volume_error_A3"]) < 50
    assert (row["linkers_intact"], row["seed"]) == ("32", "1")
    assert float(row["Zn-N_after"]) == 4.0
    check_means([row, other])


def check_means(rows: list[dict[str, str]]) -> None:
    """The page is of each structure and says how to get means; a report of observables is these."""
    report = ["report", "screen", "-o"]
    page = CliRunner().invoke(app, [*report, "page"], catch_exceptions=False)
    assert page.exit_code == 0
    assert "--observables rdf,coordination -o means" in Path("page/report.html").read_text()
    for number, option in enumerate((["--start-ps", "0"], ["--workers", "2"])):
        asked = CliRunner().invoke(app, [*report, f"asked{number}", *option])
        assert "Mean over 2 members" in Path(f"asked{number}/report.html").read_text(), asked.output
    nothing = CliRunner().invoke(app, [*report, "none", "--observables", ""])
    assert "observables: none; name some" in str(nothing.exception)
    mean = CliRunner().invoke(app, [*report, "mean", "--observables", "density"])
    assert mean.exit_code == 0
    density, *_ = json.loads(Path("mean/results.json").read_text())["results"]
    volume = density["scalars"]["volume"]
    assert volume["independent_samples"] == 2
    volumes = [float(row["volume_A3"]) for row in rows]
    assert volume["value"] == pytest.approx(np.mean(volumes), rel=0.01)
    assert "Mean over 2 members" in Path("mean/report.html").read_text()


def test_what_became_of_a_framework() -> None:
    before, after = zif4(), zif4()
    zinc = int(np.flatnonzero(before.symbols == "Zn")[0])
    after.positions[zinc] += [2.5, 0.0, 0.0]
    hydrogen = int(np.flatnonzero(before.symbols == "H")[0])
    after.positions[hydrogen] += [0.0, 0.0, 3.0]
    found = compare(before, after)
    assert found["coordination"]["Zn-N"][0] == 4.0
    assert found["coordination"]["Zn-N"][1] < 4.0
    assert (found["linkers"], found["linkers_intact"]) == (32, 31)
    argon = Atoms("Ar4", scaled_positions=0.5 * np.eye(4, 3), cell=[9, 9, 9], pbc=True)
    assert compare(argon, argon) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": ("fmax=1",)}, "fmax: unknown key of relax; did you mean fmax_eV_per_A"),
        ({"settings": ("cell=wide",)}, "cell: 'wide', expected one of tri, aniso, iso"),
        ({"model": None}, "model: relax needs --model"),
        ({"structure": None}, "structure: missing"),
        ({"guest_types": True}, "guest_types: relax knows no types"),
        (
            {"protocol": "equation-of-state", "settings": ("points=6",)},
            "points: 6, expected an odd",
        ),
    ],
)
def test_refused_tasks(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    request = Request("relax", "zif-4", tmp_path / "task", model=MODEL)
    with pytest.raises(InputError, match=message):
        generate_static(replace(request, **changes))  # type: ignore[arg-type]
    assert not (tmp_path / "task").exists()


@pytest.fixture
def equation(tmp_path: Path) -> Path:
    settings = ("points=5", "fmax_eV_per_A=0.005", "volume_range=0.02")
    request = Request("equation_of_state", "zif-4", tmp_path / "a", settings=settings)
    return generate_static(replace(request, model="zif4-mace-m")).directory


def test_volumes_of_an_equation_of_state() -> None:
    assert EquationOfStateTask(points=5, volume_range=0.02).ratios == pytest.approx(
        (0.98, 0.99, 1.0, 1.01, 1.02), abs=1e-12
    )
    given = make_static("equation_of_state", {"volume_ratios": [1.02, 0.8, 0.9, 0.95]})
    assert isinstance(given, EquationOfStateTask)
    assert given.ratios == (0.8, 0.9, 0.95, 1.0, 1.02)  # the relaxed one is always among them
    with pytest.raises(InputError, match="volume_ratios: 3 different volumes, expected 4 or more"):
        EquationOfStateTask(volume_ratios=(0.9, 0.95, 1.0))


def test_volumes_are_told_as_they_are_done(tmp_path: Path) -> None:
    """Each step says which volume it is of; lines of an ensemble tell each volume once."""
    settings = ("points=5", "fmax_eV_per_A=9", "precision=file", "volume_range=0.02")
    request = Request("equation_of_state", "zif-4", tmp_path / "a", settings=settings)
    task = generate_static(replace(request, model=MODEL)).directory
    member = Member("0", task, {"structure": "zif-4"})
    told: list[str] = []
    lines = MemberLines(told.append)
    steps: list[str] = []

    def look(text: str) -> None:
        steps.append(text)
        lines.look([member])

    run_static(task, tell=look)
    lines.look([member])
    found = [text.partition(":")[0] for text in steps]
    ratios = ("1.0100", "1.0200", "0.9900", "0.9800")
    volumes = [f"volume {k} of 5, {ratio} V0" for k, ratio in enumerate(ratios, start=2)]
    assert list(dict.fromkeys(found)) == ["relax", *volumes]
    assert told[0] == "0 zif-4: begins"
    assert "0 zif-4: volume 2 of 5, 1.0100 V0: 1 force calls" in told[2]
    assert len({line.split(": ")[1] for line in told[1:]}) == len(told) - 1


@pytest.mark.long
def test_equation_of_state_stopped_and_continued(equation: Path, tmp_path: Path) -> None:
    """Stopped twice on its way, it gives the unbroken one's numbers; K as finite strains do."""
    whole = tmp_path / "whole"
    whole.mkdir()
    for file in equation.iterdir():
        (whole / file.name).write_bytes(file.read_bytes())
    expected = run_static(whole)
    seen: list[str] = []

    def stop_at(count: int, text: str) -> None:
        seen.append(text)
        if len(seen) == count:
            ask_to_stop(equation)

    for count in (3, 40):
        with pytest.raises(StoppedError):
            run_static(equation, resume=True, tell=lambda text, n=count: stop_at(n, text))
        assert run_state(equation) == "stopped"
    found = run_static(equation, resume=True)
    assert found == expected
    assert run_state(equation) == "finished"
    assert run_static(equation, resume=True) == expected  # nothing is done again
    volumes, energies = np.array(found["volumes_A3"]), np.array(found["energies_eV"])
    assert energies.argmin() == 2
    parabola = np.polyfit(volumes, energies, 2)
    stiffness = 2 * parabola[0] * volumes[2] * 160.21766
    assert found["bulk_modulus_GPa"] == pytest.approx(stiffness, rel=0.1)


def test_a_stopped_task_is_not_begun_anew_unasked(equation: Path) -> None:
    """Its steps are what a screening's hours are in; an old result does not outlive a new run."""

    def stop(_: str) -> None:
        ask_to_stop(equation)

    (equation / "results.json").write_text("{}")
    with pytest.raises(StoppedError):
        run_static(equation, tell=stop)
    assert not (equation / "results.json").exists()
    kept = {path: path.read_bytes() for path in equation.rglob("*") if path.is_file()}
    done = CliRunner().invoke(app, ["run", str(equation)])
    assert done.exit_code == 1
    assert "holds a run (stopped)" in str(done.output) + str(done.exception)
    assert {path: path.read_bytes() for path in equation.rglob("*") if path.is_file()} == kept


def test_model_that_has_changed(equation: Path) -> None:
    record = json.loads((equation / "task.json").read_text())
    record["model_sha256"] = "0"
    (equation / "task.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="its model has changed"):
        run_static(equation)


@pytest.mark.parametrize(("precision", "mend"), [("file", "precision=float64"), ("float64", "")])
def test_a_task_is_asked_for_float64_by_its_own_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, precision: str, mend: str
) -> None:
    request = Request("relax", "zif-4", tmp_path / "a", model=MODEL)
    task = generate_static(replace(request, settings=(f"precision={precision}",)))

    def fail(*_: object, **__: object) -> None:
        raise NoStepError("no step", is_noise=True)

    monkeypatch.setattr(conduct, "relax_in_folder", fail)
    with pytest.raises(RunError, match="no step") as error:
        run_static(task.directory)
    assert "--dtype" not in str(error.value)
    assert ("float32" in str(error.value)) == bool(mend)
    assert mend in str(error.value)


def test_limits_that_are_not_reached(tmp_path: Path) -> None:
    settings = ("fmax_eV_per_A=1e-9", "calls_max=2")
    request = Request("relax", "zif-4", tmp_path / "a", model=MODEL, settings=settings)
    task = generate_static(request)
    with pytest.raises(RunError, match="2 force calls do not reach the limits"):
        run_static(task.directory)
    assert run_state(task.directory) == "failed"


def test_what_is_told_on_making_stands_on_the_page(tmp_path: Path) -> None:
    """A structure without one of its hydrogen atoms is told of twice; the whole one is not."""
    crystal = zif4()
    del crystal[[atom.index for atom in crystal if atom.symbol == "H"][:1]]
    write_structure(tmp_path / "lacks.extxyz", crystal)
    both = (str(tmp_path / "lacks.extxyz"), "zif-4")
    request = Request("relax", None, tmp_path / "screen", model="zif4-mace-s")
    with pytest.warns(InputWarning) as warned:
        made = new_ensemble(request, (1,), {}, both)
    told = notes_of(made.members[0].record)
    assert told == [str(each.message) for each in warned]
    assert "hydrogen atoms may be missing" in told[0]
    assert "was made for ZnC6H6N4" in told[1]
    assert notes_of(made.members[1].record) == []
    page = write_screening(made, tmp_path / "page").read_text()
    for text in told:
        assert f'<p class="note">lacks: {escape(text)}</p>' in page
