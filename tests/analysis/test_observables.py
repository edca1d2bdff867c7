import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read, write
from hypothesis import given, settings
from hypothesis import strategies as st

from mofmd.analysis.base.result import Result, write_results
from mofmd.analysis.base.statistics import Estimate, Sampling
from mofmd.analysis.dynamics.msd import Msd, mean_square_displacement
from mofmd.analysis.dynamics.vacf import Vacf
from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.angles import BondAngles, bond_angles
from mofmd.analysis.structure.coordination import CoordinationNumber
from mofmd.analysis.structure.density import Density, cell_parameters, thermal_expansion
from mofmd.analysis.structure.rdf import Rdf
from mofmd.errors import InputError
from mofmd.structures.crystals.zif import zif4
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analysis
from mofmd.trajectory.frame import Frame, Species
from mofmd.trajectory.in_memory import Trajectory
from mofmd.trajectory.trajectory import Unwrapped
from mofmd.units import BOLTZMANN_EV_PER_K, EV_TO_KJ_PER_MOL
from tests.analysis.test_rdf import FILES
from tests.reference import reference_path
from tests.trajectories import trajectory_of


def structure(name: str) -> Atoms:
    file, style = FILES[name]
    return read(reference_path(file), format="lammps-data", atom_style=style, units="metal")


def shaken(n: int, amplitude: float = 0.05) -> list[Atoms]:
    frames = [zif4() for _ in range(n)]
    for k, frame in enumerate(frames):
        frame.rattle(amplitude, seed=k)
    return frames


@pytest.mark.parametrize("name", FILES)
def test_angles_of_real_structures(name):
    reference = np.load(reference_path(f"reference/{name}.npz"))["amof_angles_NZnN_sorted_deg"]
    found = np.sort(bond_angles(Frame.from_ase(structure(name)), ("N", "Zn", "N"), 2.5))
    # the peer stores positions to 1e-6 Å or so
    assert found == pytest.approx(reference, abs=1e-4)


def test_angles_of_a_tetrahedron_and_of_unlike_neighbours():
    atoms = Atoms(
        "ZnNNNC",
        [[5, 5, 5], [6, 6, 6], [4, 4, 6], [4, 6, 4], [6, 4, 4]],
        cell=[10, 10, 10],
        pbc=True,
    )
    tetrahedral = np.degrees(np.arccos(-1 / 3))
    frame = Frame.from_ase(atoms)
    assert bond_angles(frame, ("N", "Zn", "N"), 2.0) == pytest.approx([tetrahedral] * 3)
    assert bond_angles(frame, ("N", "Zn", "C"), 2.0) == pytest.approx([tetrahedral] * 3)
    (found,) = analyse(trajectory_of(atoms), [BondAngles("N", "Zn", "N", 2.0, 2.0, 300)])
    density = found.tables["distribution"].columns["P"].values
    assert (density.sum() * 2.0, density.argmax()) == (pytest.approx(1), int(tetrahedral // 2))
    assert found.tables["pmf"].columns["F"].values[density.argmax()] == 0


def test_pmf_is_the_logarithm_of_g():
    (found,) = analyse(trajectory_of(*shaken(4)), [Rdf("Zn", "N", 7.0, 0.1, temperature_K=500.0)])
    g = found.tables["g"].columns["g"].values
    pmf = found.tables["pmf"].columns["F"].values
    thermal = BOLTZMANN_EV_PER_K * EV_TO_KJ_PER_MOL * 500
    some = g > 0
    assert pmf[some] == pytest.approx(-thermal * np.log(g[some] / g.max()))
    assert np.isnan(pmf[~some]).all()
    assert thermal == pytest.approx(4.157231)


def test_ideal_gas_total_is_one_within_its_own_errors():
    rng = np.random.default_rng(4)
    cell = np.array([[20.0, 0, 0], [6, 18, 0], [-4, 5, 21]])
    gas = [Atoms("C300", rng.random((300, 3)) @ cell, cell=cell, pbc=True) for _ in range(100)]
    (found,) = analyse(trajectory_of(*gas), [Rdf("C", "C", None, 0.5)])
    g = found.tables["g"].columns["g"]
    expected = 1 - 1 / 300
    deviation = (g.values[2:] - expected) / g.standard_error[2:]
    assert abs(deviation).max() < 4
    assert np.sqrt(np.mean(deviation**2)) == pytest.approx(1, abs=0.35)
    assert found.sampling.independent > 50
    assert not found.notes


def test_coordination_over_time():
    frames = shaken(6, 0.02)
    frames[3].positions[frames[3].symbols == "Zn"] += 3.0
    (found,) = analyse(trajectory_of(*frames), [CoordinationNumber("Zn", "N", cut=0)])
    series = found.tables["series"].columns["number"].values
    assert series[:3].tolist() == [4, 4, 4]
    assert series[3] < 4
    assert found.scalars["coordination number"].value == pytest.approx(series.mean())
    distribution = found.tables["distribution"].columns
    assert distribution["fraction"].values.sum() == pytest.approx(1)
    assert any("Too few independent samples" in note for note in found.notes)


def test_msd_agrees_with_the_exact_window_average():
    data = np.load(reference_path("reference/traj_A.npz"))
    exact = json.loads(reference_path("reference/traj_A_msd.json").read_text())
    trajectory = Trajectory(
        species=Species(data["symbols"].tolist()),
        timesteps=np.arange(40),
        positions=data["unwrapped_true"],
        cells=data["cells"],
        times_ps=0.5 * np.arange(40),
    )
    (found,) = analyse(trajectory, [Msd()])
    for element in ("C", "H", "N", "Zn"):
        msd = found.tables["msd"].columns[element].values
        expected = exact["exact_msd_com_removed"][element]
        assert msd[exact["lag"]] == pytest.approx(expected, rel=1e-9, abs=1e-12), element
    # wrapped positions, followed by continuity, are the same
    wrapped = replace(trajectory, positions=data["wrapped"], unwrapped=False)
    (again,) = analyse(Unwrapped(wrapped), [Msd()])
    for name, column in found.tables["msd"].columns.items():
        assert again.tables["msd"].columns[name].values == pytest.approx(column.values, abs=1e-9)


def naive_msd(positions: np.ndarray) -> np.ndarray:
    n = len(positions)
    return np.array(
        [((positions[m:] - positions[: n - m]) ** 2).sum(axis=2).mean() for m in range(n)]
    )


@given(st.integers(2, 40), st.integers(1, 5), st.integers(0, 1000))
def test_msd_is_the_direct_sum(n_frames, n_atoms, seed):
    rng = np.random.default_rng(seed)
    # atoms that vibrate by 0.1 Å a thousand Å from the origin: float32 would see nothing
    positions = 1000 + 0.1 * rng.normal(size=(n_frames, n_atoms, 3))
    assert mean_square_displacement(positions) == pytest.approx(naive_msd(positions), abs=1e-9)


def walk(n_frames: int, n_atoms: int, step: float, seed: int = 0) -> Trajectory:
    rng = np.random.default_rng(seed)
    steps = rng.normal(scale=step, size=(n_frames, n_atoms, 3))
    drift = np.array([0.05, -0.02, 0.01]) * np.arange(n_frames)[:, None]
    return Trajectory(
        species=Species(["C"] * n_atoms),
        timesteps=np.arange(n_frames),
        positions=np.cumsum(steps, axis=0) + drift[:, None],
        cells=np.repeat(np.eye(3)[None] * 20, n_frames, axis=0),
        times_ps=0.5 * np.arange(n_frames),
    )


def test_diffusion_of_a_random_walk():
    # ⟨Δr²⟩ = 3 σ² a step of 0.5 ps = 6 D t, so D = σ²; 1 Å²/ps = 1e-8 m²/s
    (found,) = analyse(walk(400, 300, 0.1), [Msd()])
    d = found.scalars["D C"]
    assert d.unit == "m²/s"
    assert d.value == pytest.approx(0.01 * 1e-8, abs=4 * d.standard_error)
    assert d.standard_error < 0.1 * d.value
    assert found.tables["msd"].columns["C"].values[0] == 0


def test_density_of_states_of_oscillators():
    # atoms on circles of 5 THz (C) and 2 THz (Zn): C(t) = cos, one line each
    times = 0.01 * np.arange(2000)
    species = Species(["C"] * 4 + ["Zn"] * 4)
    omega = 2 * np.pi * np.array([5.0] * 4 + [2.0] * 4)
    phase = np.arange(8) * np.pi / 2
    frames = []
    for k, t in enumerate(times):
        angle = omega * t + phase
        velocities = np.stack([-np.sin(angle), np.cos(angle), 0 * angle], axis=1)
        frames.append(Frame(k, species, np.zeros((8, 3)), np.eye(3) * 9, True, t, velocities))
    observable = Vacf(lag_max_ps=5.0)
    observable.check(frames[0])
    for frame in frames:
        observable.update(frame)
    found = observable.result()
    vdos = found.tables["vdos"].columns
    frequency = vdos["frequency"].values
    assert frequency[vdos["C"].values.argmax()] == pytest.approx(5.0, abs=0.1)
    assert frequency[vdos["Zn"].values.argmax()] == pytest.approx(2.0, abs=0.1)
    spacing = frequency[1] - frequency[0]
    assert vdos["total"].values.sum() * spacing == pytest.approx(24)
    vacf = found.tables["vacf"].columns
    assert vacf["C"].values == pytest.approx(np.cos(2 * np.pi * 5 * vacf["lag"].values), abs=1e-6)


def test_density_and_cell():
    (found,) = analyse(trajectory_of(zif4()), [Density()])
    reference = json.loads(reference_path("reference/structures.json").read_text())
    crystal = structure("crystal")
    (other,) = analyse(trajectory_of(crystal), [Density()])
    assert other.scalars["density"].value == pytest.approx(
        reference["crystal"]["density_g_cm3"], rel=1e-5
    )
    assert found.scalars["a"].value == pytest.approx(zif4().cell.lengths()[0])
    assert found.scalars["gamma"].value == pytest.approx(90)


@given(
    st.lists(st.floats(3, 30), min_size=3, max_size=3),
    st.lists(st.floats(65, 115), min_size=3, max_size=3),
    st.integers(0, 1000),
)
def test_cell_parameters(lengths, angles, seed):
    """Those that a cell was made of, however it is turned."""
    alpha, beta, gamma = np.radians(angles)
    c_y = (np.cos(alpha) - np.cos(beta) * np.cos(gamma)) / np.sin(gamma)
    cell = np.array(
        [
            [1, 0, 0],
            [np.cos(gamma), np.sin(gamma), 0],
            [np.cos(beta), c_y, np.sqrt(1 - np.cos(beta) ** 2 - c_y**2)],
        ]
    )
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    found = cell_parameters(np.array(lengths)[:, None] * cell @ rotation)
    assert found == pytest.approx([*lengths, *angles])


def test_thermal_expansion():
    temperatures = [200, 300, 400]
    exact = [Estimate(1000 * (1 - 2e-5 * (t - 300)), 0.01, 50, "Å³") for t in temperatures]
    found = thermal_expansion(temperatures, exact)
    assert found.value == pytest.approx(-2e-5)
    # error of a slope: σ/√Σ(T − T̄)² over V
    assert found.standard_error == pytest.approx(0.01 / np.sqrt(2) / 100 / 1000)
    with pytest.raises(InputError, match="2 temperatures for 2 volumes"):
        thermal_expansion([300, 400], exact[:2])


def everything() -> list:
    return [
        Rdf("Zn", "N", 7.0, 0.1, 300.0),
        BondAngles(),
        CoordinationNumber(),
        Density(),
        Msd(["Zn"]),
    ]


def plain(results) -> str:
    return json.dumps([result.as_dict() for result in results])


@pytest.mark.parametrize("workers", [2, 3])
def test_workers_change_nothing(workers):
    trajectory = Trajectory.from_ase(shaken(7), interval_ps=0.1)
    assert plain(analyse(trajectory, everything(), workers=workers)) == plain(
        analyse(trajectory, everything())
    )


def test_intervals_and_start():
    trajectory = Trajectory.from_ase(shaken(20), interval_ps=0.1)
    seen = []
    observables = [Density(interval_ps=0.5), CoordinationNumber()]
    found = analyse(trajectory, observables, start_ps=0.35, report=seen.append)
    times = found[0].tables["series"].columns["time"].values
    assert times == pytest.approx([0.4, 0.9, 1.4, 1.9])
    assert found[1].sampling.frames == 16
    assert not found[1].sampling.automatic
    assert seen == list(range(1, 17))


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.data())
def test_nothing_depends_on_order_wrapping_or_the_choice_of_cell(seed, data):
    rng = np.random.default_rng(seed)
    atoms = zif4()
    atoms.rattle(0.1, seed=seed)
    other = atoms[rng.permutation(len(atoms))]
    other.positions += rng.integers(-2, 3, (len(atoms), 3)) @ other.cell[:] + rng.normal(size=3)
    # another cell of the same lattice
    a, b = data.draw(st.tuples(st.integers(-1, 1), st.integers(-1, 1)))
    other.set_cell(np.array([[1, 0, 0], [a, 1, 0], [0, b, 1]]) @ atoms.cell[:])
    results = []
    for structure_ in (atoms, other, atoms.repeat((1, 2, 1))):
        found = analyse(
            trajectory_of(structure_),
            [Rdf("Zn", "N", 5.0, 0.1, beyond_half_cell=True), BondAngles(), CoordinationNumber()],
        )
        rdf, angles, number = found
        results.append(
            np.concatenate(
                [
                    rdf.tables["g"].columns["g"].values,
                    angles.tables["distribution"].columns["P"].values,
                    [number.scalars["coordination number"].value],
                ]
            )
        )
    assert results[1] == pytest.approx(results[0], abs=1e-9)
    assert results[2] == pytest.approx(results[0], abs=1e-9)


def test_files(tmp_path):
    found = analyse(Trajectory.from_ase(shaken(5), interval_ps=0.1), everything())
    written = write_results(found, tmp_path / "out", {"source": "a test"})
    document = json.loads((tmp_path / "out" / "results.json").read_text())
    assert document["schema"] == "mofmd-analysis-1"
    assert document["about"] == {"source": "a test"}
    rdf = document["results"][0]
    arrays = np.load(tmp_path / "out" / "results.npz")
    g = found[0].tables["g"].columns["g"]
    assert (arrays["rdf_Zn-N/g/g"] == g.values).all()
    assert rdf["tables"]["g"]["columns"]["g"]["values"] == pytest.approx(g.values)
    assert rdf["tables"]["pmf"]["columns"]["F"]["values"][0] is None
    lines = (tmp_path / "out" / "density_series.csv").read_text().splitlines()
    assert lines[0].startswith("time (ps),density (g/cm³),volume (Å³),a (Å)")
    assert len(lines) == 6
    assert all(path.is_file() for path in written)
    assert not g.values.flags.writeable


@pytest.mark.parametrize(
    ("observable", "message"),
    [
        (Rdf("Zn", "Fe"), "rdf Zn-Fe: no Fe in the structure, whose elements are C, H, N, Zn"),
        (BondAngles("N", "Fe", "N"), "angles N-Fe-N: no Fe in the structure"),
        (Msd(["Fe"]), "msd: no Fe in the structure"),
        (Rdf("Zn", "N", 10.0), r"r_max_A: 10 exceeds 7\.702 Å, half the cell's smallest height"),
        (BondAngles("N", "Zn", "N", 0.5), r"no two bonds below 0\.5 Å at any Zn at step 0"),
        (CoordinationNumber("Zn", "N", 15.0), "fewer than 33 expected: give a smaller cutoff_A"),
        (Vacf(), "no velocities; make the deck with --set frame_data=velocities"),
        (Msd(), "msd: needs at least two frames, found 1"),
        (Density(interval_ps=1.0), "interval_ps is set but the frames have no times"),
    ],
)
def test_refusals(observable, message):
    with pytest.raises(InputError, match=message):
        analyse(trajectory_of(zif4()), [observable])


def test_refusals_of_analyse():
    one = trajectory_of(zif4())
    with pytest.raises(InputError, match="observables: none given"):
        analyse(one, [])
    with pytest.raises(InputError, match="'density' is there twice"):
        analyse(one, [Density(), Density()])
    with pytest.raises(InputError, match="workers: 0, expected 1"):
        analyse(one, [Density()], workers=0)
    with pytest.raises(InputError, match="no frames to average over"):
        analyse(one.select(np.array([], dtype=int)), [Density()])
    with pytest.raises(InputError, match="start_ps: the frames have no times"):
        analyse(one, [Density()], start_ps=1.0)
    timed = Trajectory.from_ase([zif4()] * 3, interval_ps=0.1)
    with pytest.raises(InputError, match="no frames to average over"):
        analyse(timed, [Density()], start_ps=5.0)
    wrapped = Trajectory.from_ase([zif4()] * 3, interval_ps=0.1, unwrapped=False)
    with pytest.raises(InputError, match="msd: positions are wrapped"):
        analyse(wrapped, [Msd()])
    with pytest.raises(InputError, match="fit: "):
        Msd(fit=(0.5, 0.4))
    with pytest.raises(InputError, match="bin_width_deg: 7 does not divide 180"):
        BondAngles(bin_width_deg=7)
    uneven = walk(20, 3, 0.1).select(np.array([0, 1, 5]))
    with pytest.raises(InputError, match=r"msd: frames are 0\.5 to 2 ps apart"):
        analyse(uneven, [Msd()])
    with pytest.raises(InputError, match="take more than 1e-06 GB"):
        analyse(walk(20, 100, 0.1), [Msd(memory_max_GB=1e-6)])
    slab = zif4()
    slab.pbc = [True, True, False]
    frame = Frame.from_ase(slab)

    class Source:
        def raw_frames(self):
            from mofmd.trajectory.trajectory import ParsedFrame

            yield ParsedFrame(frame)

    with pytest.raises(InputError, match="not periodic in all directions"):
        analyse(Source(), [Density()])


def test_fcc_shells():
    atoms = bulk("Cu", "fcc", a=3.97, cubic=True).repeat(3)
    (found,) = analyse(trajectory_of(atoms), [Rdf("Cu", "Cu", 5.5, 0.1)])
    g, r = (found.tables["g"].columns[k].values for k in ("g", "r"))
    shells = 4 / 3 * np.pi * ((r + 0.05) ** 3 - (r - 0.05) ** 3) * 4 / 3.97**3
    numbers = (g * shells).round(9)
    occupied = {round(float(x), 2): n for x, n in zip(r, numbers, strict=True) if n}
    # neighbours at a/√2, a, a√1.5: 12, 6, 24
    assert occupied == {2.85: 12, 3.95: 6, 4.85: 24}


def test_a_note_tells_of_the_number_with_the_fewest_samples() -> None:
    sampling = Sampling(26, 13, automatic=True, inefficiency=13 / 8.8)
    scalars = {"volume": Estimate(1, 0.1, 8.8), "LCD": Estimate(5, 0.1, 3.2)}
    (note,) = Result("pores", "", {}, scalars, {}, sampling).notes
    assert note.startswith("Too few independent samples: 13 frames are worth as few as 3.2")


def test_every_observable_that_is_left_out_says_why(tmp_path: Path) -> None:
    """Also the one that is refused by the first frame, before any is measured."""
    write(tmp_path / "md.extxyz", [zif4(), zif4()])
    asked = AnalysisSettings(tmp_path / "md.extxyz", ("vacf", "elasticity"))
    with pytest.raises(InputError, match=r"vacf: .*velocities") as found:
        run_analysis(asked)
    assert "elasticity: " in str(found.value)
