import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.rdf import Rdf, bin_edges, find_gap, pair_counts
from mofmd.analysis.structure.scattering import Scattering
from mofmd.errors import InputError
from mofmd.geometry.neighbours import cell_heights
from mofmd.structures.crystals.zif import zif4
from mofmd.structures.frame import Frame
from tests.reference import reference_path
from tests.trajectories import trajectory_of

FILES = {"crystal": ("zif4/crystal.lmp", "atomic")} | {
    f"glass{k:02}": (f"zif4/glass_ai/ZIF4_15glass{k:02}.lmp", "charge") for k in range(1, 6)
}
PAIRS = ("Zn-N", "Zn-Zn", "N-N", "C-N")


def g_of(trajectory, pair, r_max_A: float, bin_width_A: float) -> np.ndarray:
    """Compute g(r) over all frames, also beyond half the cell."""
    settings = {"bin_width_A": bin_width_A, "beyond_half_cell": True, "cut": 0}
    (found,) = analyse(trajectory, [Rdf(*pair, r_max_A, **settings)])
    return found.tables["g"].columns["g"].values


def counts_of(atoms: Atoms, pair, r_max_A: float, bin_width_A: float) -> np.ndarray:
    return pair_counts(Frame.from_ase(atoms), pair, bin_edges(r_max_A, bin_width_A))


def test_simple_cubic_shells():
    # shells of a simple cubic lattice: 6 at a, 12 at √2·a, 8 at √3·a; beyond half the cell
    atoms = bulk("Po", "sc", a=3.0).repeat(2)
    counts = counts_of(atoms, ("Po", "Po"), 5.4, 0.2)
    shells = {round(0.2 * k + 0.1, 1): n for k, n in enumerate(counts) if n}
    assert shells == {3.1: 6 * 8, 4.3: 12 * 8, 5.1: 8 * 8}
    volume = 4 / 3 * np.pi * (4.4**3 - 4.2**3)
    g = g_of(trajectory_of(atoms), ("Po", "Po"), 5.4, 0.2)
    assert g[np.argmax(counts)] == pytest.approx(12 * 27 / volume)


def test_ideal_gas_is_one_everywhere():
    rng = np.random.default_rng(3)
    cell = np.array([[20.0, 0, 0], [6.0, 18.0, 0], [-4.0, 5.0, 21.0]])
    gas = [Atoms("C400N400", rng.random((800, 3)) @ cell, cell=cell, pbc=True) for _ in range(3)]
    counts = sum(counts_of(atoms, ("C", "N"), 8.0, 1.0) for atoms in gas)
    assert (abs(g_of(trajectory_of(*gas), ("C", "N"), 8.0, 1.0) - 1) < 4 / np.sqrt(counts)).all()


def test_average_over_frames_of_different_volume():
    small, large = (Atoms("CN", [[0, 0, 0], [1.5, 0, 0]], cell=[a] * 3, pbc=True) for a in (9, 12))
    shell = 4 / 3 * np.pi * (8 - 1)
    g = g_of(trajectory_of(small, large), ("C", "N"), 2.0, 1.0)
    assert g == pytest.approx([0, (9**3 + 12**3) / 2 / shell])
    assert [counts_of(each, ("C", "N"), 2.0, 1.0).tolist() for each in (small, large)] == [
        [0, 1]
    ] * 2


@pytest.mark.parametrize("name", FILES)
def test_exact_pair_counts_of_real_structures(name):
    file, style = FILES[name]
    atoms = read(reference_path(file), format="lammps-data", atom_style=style, units="metal")
    reference = np.load(reference_path(f"reference/{name}.npz"))
    for pair in PAIRS:
        for width, key in ((0.05, f"pair_counts_{pair}"), (0.01, f"paircounts001_{pair}")):
            r_max = round(len(reference[key]) * width, 2)
            counts = counts_of(atoms, tuple(pair.split("-")), r_max, width)
            assert (counts == reference[key]).all(), key


def test_gap_between_two_shells():
    g = np.array([0, 0, 3, 9, 1.2, 0.9, 1.1, 0.7, 0.2, 0.4, 0.8, 1.3, 0.9])
    assert find_gap(g) == slice(7, 11)
    assert find_gap(g[:11]) is None  # the second shell is out of range
    assert find_gap(np.array([0, 2, 0.9, 0.6, 1.1])) is None  # never as low as 1/2
    assert find_gap(np.array([0, 0.3, 0.8])) is None


def test_barrier_of_the_potential_of_mean_force():
    # Zn-N at 2.05, 3.05 and 4.05 Å in 100, 2 and 50 frames of 152
    frames = [
        Atoms("ZnN", [[0, 0, 0], [x, 0, 0]], cell=[12] * 3, pbc=True)
        for x, n in ((2.025, 100), (3.025, 2), (4.025, 50))
        for _ in range(n)
    ]
    rdf = Rdf("Zn", "N", 5.0, bin_width_A=1.0, temperature_K=300, cut=0)
    (found,) = analyse(trajectory_of(*frames), [rdf])
    shells = [100 / (27 - 8), 2 / (64 - 27)]
    height = 8.314462618e-3 * 300 * np.log(shells[0] / shells[1])
    assert found.scalars["PMF barrier"].value == pytest.approx(height, rel=1e-9)
    assert found.scalars["highest peak"].value == 2.5
    fine = Rdf("Zn", "N", 5.0, bin_width_A=0.05, temperature_K=300, cut=0)
    (found,) = analyse(trajectory_of(*frames), [fine])
    assert "PMF barrier" not in found.scalars
    assert any("no pair was seen at 2.0" in note and "to 2.9" in note for note in found.notes)


def test_refusals():
    trajectory = trajectory_of(bulk("Cu", cubic=True))
    with pytest.raises(InputError, match="no N in the structure, whose elements are Cu"):
        analyse(trajectory, [Rdf("Cu", "N")])
    with pytest.raises(InputError, match=r"r_max_A: 8.01 is not a multiple of bin_width_A 0.05"):
        Rdf("Cu", "Cu", r_max_A=8.01)
    with pytest.raises(InputError, match=r"bin_width_A: 0, expected a positive width"):
        Rdf("Cu", "Cu", bin_width_A=0)
    with pytest.raises(InputError, match=r"trajectory: no frames"):
        analyse(trajectory.select(np.array([], dtype=int)), [Rdf("Cu", "Cu")])


def test_a_cell_that_breathes_leaves_what_fits_in_every_frame():
    frames = [zif4() for _ in range(3)]
    frames[1].set_cell(frames[1].cell * 0.95, scale_atoms=True)
    trajectory = trajectory_of(*frames)
    half = cell_heights(frames[1].cell.array).min() / 2
    (found,) = analyse(trajectory, [Rdf("Zn", "N", 7.5, shrink=True)])
    r = found.tables["g"].columns["r"].values
    assert half - 0.05 < r[-1] + 0.025 <= half
    assert found.settings["r_max_A"] == pytest.approx(r[-1] + 0.025)
    assert np.isfinite(found.tables["g"].columns["g"].values).all()
    # what is left is the mean of the frames
    alone = [analyse(trajectory_of(f), [Rdf("Zn", "N", 7.0)])[0] for f in frames]
    means = np.mean([a.tables["g"].columns["g"].values for a in alone], axis=0)
    assert found.tables["g"].columns["g"].values[:140] == pytest.approx(means)
    with pytest.raises(InputError, match="exceeds 7"):
        analyse(trajectory, [Rdf("Zn", "N", 7.5)])
    (scattered,) = analyse(trajectory, [Scattering()])
    assert scattered.settings["r_max_A"] <= half
