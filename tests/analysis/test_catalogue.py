"""Observables set up for any structure: how often, by what bonds, with what options."""

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from typer.testing import CliRunner

from mofmd.analysis.base.observable import Observable
from mofmd.analysis.base.registry import Subject, default_observables, known_observables
from mofmd.analysis.catalogue import make_observables, read_intervals, read_options
from mofmd.analysis.dynamics.msd import Msd
from mofmd.analysis.one_pass import analyse
from mofmd.analysis.span import Span
from mofmd.analysis.structure.angles import BondAngles
from mofmd.analysis.structure.coordination import CoordinationNumber
from mofmd.analysis.structure.density import Density
from mofmd.analysis.structure.rdf import Rdf
from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.read import read_structure
from mofmd.study.notes import left_out, notes_of
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analysis
from mofmd.topology.metal_donors import longest_bond_A, metal_donors
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.in_memory import Trajectory
from mofmd.trajectory.trajectory import TrajectoryFile
from tests.frameworks_made import CYANIDE_EDGE_A, cyanide, shaken
from tests.reference import reference_path
from tests.trajectories import trajectory_of


def intervals(n: int, spacing_ps: float, **asked: float) -> dict[str, float | None]:
    """Time between measured frames of each observable, of a trajectory of n frames."""
    frame = Frame.from_ase(cyanide(), time_ps=0.0)
    span = Span(frame, n, (n - 1) * spacing_ps)
    subject = Subject(frame, 300.0, span, asked)
    return {name: subject.interval_ps(entry) for name, entry in known_observables().items()}


def test_a_long_run_is_measured_at_the_intervals_of_the_paper():
    found = intervals(50_001, 0.1)  # 5 ns
    assert found["pores"] == pytest.approx(10)
    assert found["rings"] == pytest.approx(1)
    assert found["msd"] == pytest.approx(0.5)
    # every frame
    assert found["rdf"] is found["angles"] is found["coordination"] is found["density"] is None
    assert found["vacf"] is found["elasticity"] is None


def test_a_short_run_is_measured_more_often():
    found = intervals(201, 0.1)  # 20 ps: 3 frames of pores and 21 of rings would be left
    assert found["pores"] == pytest.approx(0.6)
    assert found["rings"] == found["scattering"] == pytest.approx(0.4)
    assert found["msd"] is found["rdf"] is None
    assert set(intervals(20, 0.005).values()) == {None}
    dense = intervals(20_001, 0.001)
    assert dense["rdf"] == pytest.approx(0.1)
    assert dense["pores"] == pytest.approx(0.666)


def test_intervals_are_whole_frames_apart():
    """Displacements need even times: 0.5 ps is no multiple of 0.3."""
    assert intervals(20_001, 0.3)["msd"] is None
    assert intervals(20_001, 0.2)["msd"] == pytest.approx(0.4)
    assert intervals(201, 0.1, rings=0.25)["rings"] == pytest.approx(0.2)
    assert intervals(201, 0.1, rings=0)["rings"] is None
    frames = shaken(cyanide(), 30)
    trajectory = Trajectory.from_ase(frames, interval_ps=0.2)
    subject = Subject(next(iter(trajectory)), span=Span.of(trajectory), intervals_ps={"msd": 0.5})
    (found,) = analyse(trajectory, make_observables(["msd"], subject))
    assert found.tables["msd"].columns["lag"].values[:2] == pytest.approx([0, 0.4])


def test_span_of_a_file(tmp_path):
    frames = shaken(cyanide(), 12)
    for k, atoms in enumerate(frames):
        atoms.info = {"step": 100 * k}
        atoms.write(tmp_path / "a.extxyz", append=True)
    file = TrajectoryFile(tmp_path / "a.extxyz", timestep_fs=1.0)
    found = Span.of(file)
    assert (found.frames, found.length_ps) == (12, pytest.approx(1.1))
    found = Span.of(file, start_ps=0.55)
    assert (found.frames, found.length_ps) == (6, pytest.approx(0.5))
    assert found.first.time_ps == 0
    assert Span.of(TrajectoryFile(tmp_path / "a.extxyz")).length_ps is None
    assert Span.of(trajectory_of(cyanide())).frames == 1


def write_times(path: Path, times: dict[int, float]) -> Path:
    """Dump of one atom with steps and times."""
    lines = []
    for step, time_ps in times.items():
        lines += ["ITEM: TIMESTEP", str(step), "ITEM: TIME", f"{time_ps:.12g}"]
        lines += ["ITEM: NUMBER OF ATOMS", "1", "ITEM: BOX BOUNDS pp pp pp", *["0 5"] * 3]
        lines += ["ITEM: ATOMS id element xu yu zu", f"1 Ar {step} 0 0"]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_span_from_a_time_on(tmp_path):
    """Displacements need even times: an interval is whole frames, wherever they begin to count."""
    path = write_times(tmp_path / "a.dump", {100 * k: 0.05 * k for k in range(2001)})
    for start_ps, first in ((59.2, 1184), (93.15, 1863), (37.01, 741)):
        span = Span.of(TrajectoryFile(path), start_ps)
        assert (span.frames, span.length_ps) == (2001 - first, pytest.approx(100 - 0.05 * first))
        assert span.whole_frames_ps(0.5) == pytest.approx(0.5)


def test_times_of_a_file_count(tmp_path):
    """A deck writes them, right where the timestep changed on the way; steps alone say less."""
    times = {0: 0.0, 100: 0.1, 200: 0.15, 300: 0.2}
    path = write_times(tmp_path / "a.dump", times)
    file = TrajectoryFile(path, timestep_fs=1.0)
    assert [frame.time_ps for frame in file] == list(times.values())
    assert Span.of(file, 0.12).length_ps == pytest.approx(0.05)
    with pytest.raises(InputError, match="have times; leave --timestep-fs out"):
        run_analysis(AnalysisSettings(path, ("density",), timestep_fs=1.0))
    path.write_text("")
    with pytest.raises(InputError, match="holds no complete frame"):
        run_analysis(AnalysisSettings(path, ("density",), timestep_fs=1.0))


def write_run(path: Path, n: int, spacing_ps: float = 0.1) -> Path:
    """Trajectory of a cyanide framework with times."""
    for k, atoms in enumerate(shaken(cyanide(), n)):
        atoms.info = {"step": k, "time": k * spacing_ps}
        atoms.write(path, append=True)
    return path


@pytest.fixture(scope="module")
def short_run(tmp_path_factory) -> Path:
    return write_run(tmp_path_factory.mktemp("run") / "run.extxyz", 201)


def test_how_many_frames_were_measured_is_said(short_run):
    found = run_analysis(AnalysisSettings(short_run, timestep_fs=100, workers=2))
    used = {
        r.name: (r.settings["frames_measured"], r.settings["frames_analysed"])
        for r in found.results
    }
    assert used["pores"] == (34, 201)
    assert used["rings"] == (51, 201)
    assert used["density"] == used["rdf Zn-N"] == (201, 201)
    by_name = {result.name: result for result in found.results}
    assert by_name["pores"].settings["interval_ps"] == pytest.approx(0.6)
    assert by_name["pores"].sampling.frames == 34
    notes = notes_of(found.results)
    assert any(
        note.startswith("pores: Measured in 34 of 201 frames, one each 0.6 ps") for note in notes
    )
    assert not any(note.startswith("density: Measured") for note in notes)
    # a simple cubic net: three squares and four skew hexagons a node, linkers counted too
    sizes = by_name["rings"].tables["sizes"].columns
    per_node = dict(zip(sizes["size"].values, sizes["rings per node"].values, strict=True))
    assert {size: n for size, n in per_node.items() if n} == {8: 3, 12: 4}


def command(*words: str) -> str:
    done = CliRunner().invoke(app, ["analyse", *words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.output


def results(folder: Path) -> dict:
    document = json.loads((folder / "results.json").read_text())
    return {result["name"]: result for result in document["results"]}


def test_intervals_of_the_command_line(short_run, tmp_path):
    base = [str(short_run), "--observables", "density,coordination", "--timestep-fs", "100"]
    command(*base, "-o", str(tmp_path / "a"), "--interval", "2")
    found = results(tmp_path / "a")
    assert {name: r["settings"]["frames_measured"] for name, r in found.items()} == {
        "density": 11,
        "coordination Zn-C": 11,
        "coordination Zn-N": 11,
    }
    text = command(*base, "-o", str(tmp_path / "b"), "--interval", "2", "--interval", "density=0")
    found = results(tmp_path / "b")
    assert found["density"]["settings"]["frames_measured"] == 201
    assert found["coordination Zn-N"]["settings"]["frames_measured"] == 11
    assert "coordination Zn-C, coordination Zn-N: Measured in 11 of 201 frames" in text


def test_options_of_the_command_line(tmp_path):
    atoms = cyanide("Ce", edge_A=6.0)
    atoms.write(tmp_path / "a.extxyz")
    command(
        str(tmp_path / "a.extxyz"),
        *("-o", str(tmp_path / "out")),
        *("--observables", "rdf,angles,coordination,pores,rings"),
        *("--set", "pores.radii_A=Ce:1.3,C:1.5"),
        *("--set", "pores.surface=no"),
        *("--set", "rdf.pairs=C-N"),
        *("--set", "rdf.r_max_A=2.5"),
        *("--set", "angles.triples=C-Ce-N"),
        *("--set", "coordination.cutoff_A=Ce-N:2.7"),
        *("--set", "rings.depth=10"),
    )
    found = results(tmp_path / "out")
    radii = found["pores"]["settings"]["radii_A"]
    assert radii == {"C": 1.5, "Ce": 1.3, "N": 1.55}
    assert "accessible surface" not in found["pores"]["scalars"]
    assert [name for name in found if name.startswith("rdf")] == ["rdf C-N"]
    assert found["rdf C-N"]["settings"]["r_max_A"] == 2.5
    assert found["angles C-Ce-N"]["scalars"]["mean angle"]["value"] == pytest.approx(120)
    assert found["coordination Ce-N"]["settings"]["cutoff_A"] == 2.7
    assert found["coordination Ce-C"]["settings"]["cutoff_A"] == longest_bond_A("Ce", "C")
    assert found["rings"]["settings"]["depth"] == 10


def test_g_of_a_small_cell_goes_on_where_it_is_asked_to(tmp_path):
    cyanide().write(tmp_path / "a.extxyz")
    short = run_analysis(AnalysisSettings(tmp_path / "a.extxyz", ("rdf",)))
    assert short.results[0].settings["r_max_A"] == pytest.approx(2.65)
    assert "--set rdf.beyond_half_cell=yes" in short.results[0].notes[0]
    options = read_options(["rdf.beyond_half_cell=yes", "rdf.pairs=Zn-Zn"])
    (long,) = run_analysis(
        AnalysisSettings(tmp_path / "a.extxyz", ("rdf",), options=options)
    ).results
    assert long.settings["r_max_A"] == 10
    assert not any("half the cell" in note for note in long.notes)
    # six neighbours at the edge of a simple cubic lattice, twelve across its faces
    g, r = (long.tables["g"].columns[name].values for name in ("g", "r"))
    shells = 4 / 3 * np.pi * ((r + 0.025) ** 3 - (r - 0.025) ** 3) / CYANIDE_EDGE_A**3
    numbers = {round(float(x), 3): round(float(n)) for x, n in zip(r, g * shells, strict=True) if n}
    assert list(numbers.values())[:3] == [6, 12, 8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("pores", "expected OBSERVABLE.OPTION=VALUE"),
        ("pore.surface=no", "'pore' is unknown; did you mean pores. There are rdf, angles"),
        ("pores.radius=2", "pores has no option 'radius'.*here are probe_radius_A, spacing_A"),
        ("density.x=2", "density has no option 'x'; there are none"),
        ("pores.radii_A=Ce", "'Ce', expected a name and a number, such as Ce:2.0"),
        ("pores.radii_A=Ce:x", "'x' is no number"),
        ("pores.surface=maybe", "'maybe', expected yes or no"),
        ("rings.depth=3.5", "'3.5' is no whole number"),
        ("rdf.pairs=Zn", "'Zn', expected 2 elements, such as Zn-N"),
        ("angles.triples=N-Zn", "'N-Zn', expected 3 elements, such as N-Zn-N"),
        ("msd.elements=Zn,,N", "expected values with commas between them"),
        ("msd.fit=0.1", "expected two numbers, such as 0.1:0.5"),
        ("coordination.pairs=zn-N", "'zn' is no element; did you mean Zn"),
        ("angles.triples=N-zn-N", "'zn' is no element"),
        ("pores.radii_A=zn:3", "'zn' is no element"),
        ("rings.metal_cutoffs_A=Zn-M:2", "'M' is no element"),
        ("rdf.r_max_A=nan", "'nan', expected a finite number"),
        ("scattering.q_max_per_A=inf", "'inf', expected a finite number"),
    ],
)
def test_options_that_are_refused(text, message):
    with pytest.raises(InputError, match=message):
        read_options([text])


def test_cutoffs_of_pairs_in_either_order():
    frame = Frame.from_ase(zif4())
    for name in ("rings", "steinhardt"):
        for pair in ("Zn-N", "N-Zn"):  # no bond is so short
            options = read_options([f"{name}.metal_cutoffs_A={pair}:1.5"])
            (made,) = make_observables([name], Subject(frame, options=options))
            with pytest.raises(InputError, match=r"no node|no linker"):
                made.check(frame)
        options = read_options([f"{name}.metal_cutoffs_A=C-N:1.5"])
        with pytest.raises(InputError, match="C-N is no metal with a donor"):
            make_observables([name], Subject(frame, options=options))


def test_a_range_of_nothing_is_refused():
    for name in ("rdf", "scattering"):
        options = read_options([f"{name}.r_max_A=0"])
        with pytest.raises(InputError, match="r_max_A: 0"):
            make_observables([name], Subject(Frame.from_ase(zif4()), options=options))


def test_intervals_that_are_refused():
    assert read_intervals(["0.5", "rings=1"]) == {"": 0.5, "rings": 1.0}
    for text, message in (
        ("ring=1", "'ring' is unknown"),
        ("rings=x", "'x' is no number"),
        ("-1", "expected a time in ps"),
    ):
        with pytest.raises(InputError, match=message):
            read_intervals([text])
    frame = Frame.from_ase(cyanide())
    with pytest.raises(InputError, match="the frames have no times; give the timestep"):
        make_observables(["density"], Subject(frame, intervals_ps={"": 1.0}))
    with pytest.raises(InputError, match="pores: has an interval or options, but is not among"):
        make_observables(["density"], Subject(frame, options={"pores": {}}))


def test_every_option_reaches_its_observable():
    """What --set names is a setting of what the catalogue makes."""
    texts = {
        "depth": "12", "metal_cutoffs_A": "Zn-N:2.4", "pairs": "Zn-N", "triples": "N-Zn-N",
        "cutoff_A": "2.4", "r_max_A": "2.5", "bin_width_A": "0.1", "bin_width_deg": "2",
        "beyond_half_cell": "yes", "broken_factor": "1.5", "elements": "Zn", "fit": "0.2:0.6",
        "memory_max_GB": "1", "probe_radius_A": "1.0", "spacing_A": "0.3", "radii_A": "Zn:1.5",
        "surface": "no", "q_max_per_A": "20", "lag_max_ps": "1", "of": "nodes", "face_share": "0.1",
        "bin_width": "0.5", "degrees": "8", "sigma_A": "0.7", "level": "0.1",
    }  # fmt: skip
    frame = Frame.from_ase(cyanide())
    for name, entry in known_observables().items():
        plain = make_observables([name], Subject(frame, 300.0))
        for option in entry.options:
            chosen = read_options([f"{name}.{option}={texts[option]}"])
            made = make_observables([name], Subject(frame, 300.0, options=chosen))
            assert list(map(vars, made)) != list(map(vars, plain)), (name, option)


# --- what does not suit is left out, and the rest is given


def rod() -> Atoms:
    """Aluminium bridged by oxygen along c, with a linker across."""
    symbols, positions = [], []
    for k in range(3):
        symbols += ["Al", "O"]
        positions += [(0, 6, 3.6 * k), (0, 6, 3.6 * k + 1.8)]
    symbols += ["O", "C", "C", "O"]
    positions += [(x, 6, 0) for x in (2.0, 3.3, 4.7, 6.0)]
    return Atoms(symbols, positions, cell=[8, 12, 10.8], pbc=True)


def one_nitrogen() -> Atoms:
    """Zinc with one nitrogen and three oxygen atoms."""
    ligands = np.array([[1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]) / np.sqrt(3)
    positions = [(6, 6, 6), *(6 + 2.0 * ligands), 6 + 3.3 * ligands[0]]
    return Atoms("ZnNO3C", positions, cell=[12] * 3, pbc=True)


@pytest.mark.parametrize(
    ("make", "name", "reason"),
    [
        (rod, "rings", "node 0 is bonded to its own image (a rod or layer)"),
        (one_nitrogen, "angles N-Zn-N", "no two bonds below 2.5 Å at any Zn"),
    ],
)
def test_what_does_not_suit_is_left_out(make, name, reason, tmp_path):
    make().write(tmp_path / "a.extxyz")
    text = command(str(tmp_path / "a.extxyz"), "-o", str(tmp_path / "out")).replace("\n", "")
    assert f"{name}: left out:" in text
    assert reason in text
    found = results(tmp_path / "out")
    assert name not in found
    assert {"density", "pores", "integrity"} < set(found)
    about = json.loads((tmp_path / "out" / "results.json").read_text())["about"]
    assert reason in about["left_out"]["a.extxyz"][name]


def test_no_metal_leaves_out_what_needs_one(tmp_path):
    atoms = read_structure("zif-8")
    del atoms[[atom.symbol == "Zn" for atom in atoms]]
    atoms.write(tmp_path / "a.extxyz")
    found = run_analysis(AnalysisSettings(tmp_path / "a.extxyz"))
    assert [result.name for result in found.results] == ["density", "integrity", "pores"]
    notes = left_out(found)
    assert notes[0].startswith("rdf, angles, coordination: left out: no metal is bonded to a donor")
    assert "--set rdf.pairs=C-C" in notes[0]
    chosen = AnalysisSettings(
        tmp_path / "a.extxyz", ("rdf",), options=read_options(["rdf.pairs=C-C"])
    )
    assert run_analysis(chosen).results[0].name == "rdf C-C"
    # alone it is an error
    with pytest.raises(InputError, match="no metal is bonded to a donor"):
        run_analysis(AnalysisSettings(tmp_path / "a.extxyz", ("coordination",)))


def test_one_frame_that_does_not_suit_ends_one_observable_alone():
    frames = shaken(cyanide(), 6)
    frames[3].positions[frames[3].symbols == "N"] *= 0.8  # too far from any zinc
    told = {}
    found = analyse(
        trajectory_of(*frames),
        [BondAngles("N", "Zn", "N"), Density(), CoordinationNumber("Zn", "N")],
        refused=lambda name, error: told.update({name: str(error)}),
        workers=2,
    )
    assert [result.name for result in found] == ["density", "coordination Zn-N"]
    assert found[0].sampling.frames == 6
    assert "at step 30" in told["angles N-Zn-N"]
    with pytest.raises(InputError, match="no two bonds"):
        analyse(trajectory_of(*frames), [BondAngles("N", "Zn", "N"), Density()])


def test_a_single_frame_is_called_that(tmp_path):
    zif4().write(tmp_path / "a.extxyz")
    found = run_analysis(AnalysisSettings(tmp_path / "a.extxyz"))
    notes = " ".join(notes_of(found.results))
    assert "A single frame: values without errors." in notes
    assert "Run longer" not in notes
    for result in found.results:
        for scalar in result.scalars.values():
            assert "±" not in str(scalar)
        for table in result.tables.values():
            for column in table.columns.values():
                assert column.standard_error is None or np.isnan(column.standard_error).all()


# --- observables and results are nobody's but their own


def fields_of(observable: Observable) -> dict[str, object]:
    """Settings of an observable."""
    return {field.name: getattr(observable, field.name) for field in fields(observable)}


def test_an_observable_used_twice_does_not_mix_two_trajectories():
    observables = [
        Density(),
        CoordinationNumber(),
        Rdf("Zn", "N", None),
        Msd(),
        BondAngles(interval_ps=0.1),
    ]
    settings = [fields_of(observable) for observable in observables]
    first = Trajectory.from_ase(shaken(zif4(), 4), interval_ps=0.1)
    large = [atoms.copy() for atoms in shaken(zif4(), 6)]
    for atoms in large:
        atoms.set_cell(1.02 * atoms.cell[:], scale_atoms=True)
    second = Trajectory.from_ase(large, interval_ps=0.1)
    analyse(first, observables, start_ps=0.05)
    again = [result.as_dict() for result in analyse(second, observables)]
    alone = [result.as_dict() for result in analyse(second, [o.fresh() for o in observables])]
    assert json.dumps(again) == json.dumps(alone)
    assert again[0]["sampling"]["frames"] == 6
    assert again[0]["scalars"]["a"]["value"] == pytest.approx(1.02 * zif4().cell[0, 0])
    # nothing of the caller's was written to
    assert [fields_of(observable) for observable in observables] == settings


def test_arrays_of_the_caller_stay_writable():
    positions, cell = np.zeros((1, 3)), 9 * np.eye(3)
    frame = Frame(0, Frame.from_ase(Atoms("C", cell=[9] * 3)).species, positions, cell)
    with pytest.raises(ValueError, match="read-only"):
        frame.positions[0, 0] = 1.0
    positions[0, 0] = 2.0
    cells, steps, many = np.array([cell]), np.arange(1), np.zeros((1, 1, 3))
    Trajectory(frame.species, steps, many, cells)
    steps[0], cells[0, 0, 0], many[0, 0, 0] = 3, 8.0, 1.0


# --- metals and donors of any framework


def pairs_of(atoms: Atoms) -> dict[str, float]:
    """Bonds of each metal-donor pair, per atom of the metal."""
    found = metal_donors(Frame.from_ase(atoms))
    return {f"{p.metal}-{p.donor}": p.bonds / (atoms.symbols == p.metal).sum() for p in found}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("UiO-66", {"Zr-O": 8}),
        ("HKUST1", {"Cu-O": 4}),  # paddlewheels, desolvated
        ("MOF-5", {"Zn-O": 4}),
        ("MOF-74", {"Zn-O": 5}),  # square pyramids, desolvated
        ("MIL-53", {"Al-O": 6}),
        ("MIL-125", {"Ti-O": 6}),
        ("qmof-1269b58", {"Zn-N": 4, "Zn-F": 2}),  # pillars of SiF6: no bond to silicon
        ("qmof-5b5489b", {"Ce-O": 10}),  # chelating carboxylates: no bond to their carbon
    ],
)
def test_metals_and_donors_of_frameworks(name, expected):
    assert pairs_of(read_structure(reference_path(f"mofs/curated127/{name}.cif"))) == expected


def test_carbon_of_cyanide_is_a_donor():
    assert pairs_of(cyanide("Zn")) == {"Zn-C": 3, "Zn-N": 3}
    assert pairs_of(zif4()) == {"Zn-N": 4}
    assert cyanide().cell[0, 0] == CYANIDE_EDGE_A


def test_what_stands_behind_a_donor_is_none():
    """A phosphate and a nitrate on cerium: bonds to oxygen, not to phosphorus or nitrogen."""
    phosphate = [(2.4, 0, 0), (3.0, 1.4, 0), (2.4, 2.8, 0), (4.0, 1.4, 1.2), (4.0, 1.4, -1.2)]
    atoms = Atoms("CeOPO3", [(0, 0, 0), *phosphate], cell=[15] * 3, pbc=True)
    assert pairs_of(atoms) == {"Ce-O": 1}
    nitrate = [(2.2, 1.08, 0), (2.2, -1.08, 0), (2.85, 0, 0), (4.07, 0, 0)]
    atoms = Atoms("CeO2NO", [(0, 0, 0), *nitrate], cell=[15] * 3, pbc=True)
    assert pairs_of(atoms) == {"Ce-O": 2}
    # both nitrogen atoms of a pyrazolate that are equally near stay donors
    pair = [(2.3, 0.69, 0), (2.3, -0.69, 0)]
    assert pairs_of(Atoms("CeN2", [(0, 0, 0), *pair], cell=[15] * 3, pbc=True)) == {"Ce-N": 2}


def test_longest_bonds():
    assert longest_bond_A("Zn", "N") == longest_bond_A("N", "Zn") == 2.5
    assert longest_bond_A("Zr", "O") == pytest.approx(1.25 * (1.75 + 0.66))


# --- real frameworks that were hard

HARD = {
    # rods: without rings; primitive cells thinner than 7 Å
    "MIL-53": {"rings"},
    "NOTT-300": {"rings"},
    "qmof-de28178": {"rings"},
    "qmof-15fda22": {"rings", "angles N-Zn-N"},
    "qmof-00f0897": {"angles N-Zn-N"},
    "qmof-4304595": {"angles S-Sn-S"},
    "qmof-e8a0478": set(),
    "qmof-9d582e8": set(),
    "JUK-8cp": set(),
    "MOF-74": set(),
    "qmof-555ceef": {"angles Cl-Zn-Cl"},
}


@pytest.mark.parametrize("name", HARD)
def test_the_default_analysis_of_hard_frameworks(name, tmp_path):
    atoms = read_structure(reference_path(f"mofs/curated127/{name}.cif"))
    bare = Atoms(atoms.symbols, atoms.positions, cell=atoms.cell, pbc=True)
    bare.write(tmp_path / "a.extxyz")
    found = run_analysis(AnalysisSettings(tmp_path / "a.extxyz"))
    assert set(found.members[0].left_out) == HARD[name]
    kinds = {result.name.split()[0] for result in found.results}
    assert kinds == set(default_observables()) - HARD[name]
