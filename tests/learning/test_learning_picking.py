"""Pickers, features, distortions and metrics, against numbers worked out by hand."""

import math

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels
from mofmd.learning.data.distort import Distortion, distort, distort_frames
from mofmd.learning.evaluate.figures import front
from mofmd.learning.evaluate.metrics import (
    committee_disagreement,
    compare,
    force_errors_per_element,
    mae_above_percentile,
)
from mofmd.learning.select.descriptor import Descriptor
from mofmd.learning.select.features import ModelFeatures, descriptor_features
from mofmd.learning.select.picking import (
    nearest_distances,
    pick_farthest,
    pick_flat,
    pick_random,
    standardised,
)
from mofmd.learning.select.selection import Selection, novelty, select_frames
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4
from mofmd.topology.building_units import find_linkers


def test_flat_histogram_takes_one_frame_of_each_bin() -> None:
    # bins of 1 eV: seven frames in the first, one in the third, one in the last
    energies = np.array([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 2.5, 4.0])
    picked = pick_flat(energies, 4, seed=1)
    assert len(picked) == 3  # the second bin is empty: fewer than asked for, as in the paper
    assert picked[0] < 7
    assert picked[1:] == [7, 8]
    drawn = {pick_flat(energies, 4, seed=seed)[0] for seed in range(40)}
    assert drawn == set(range(7))  # at random within a bin


def test_flat_histogram_is_flatter_than_random_picks() -> None:
    energies = np.random.default_rng(0).normal(size=5000)
    edges = np.linspace(energies.min(), energies.max(), 11)
    flat = np.histogram(energies[pick_flat(energies, 100)], edges)[0]
    at_random = np.histogram(energies[pick_random(5000, 100)], edges)[0]
    assert flat.std() < 0.5 * at_random.std()


def test_flat_histogram_of_one_energy_and_of_bad_ones() -> None:
    assert len(pick_flat(np.full(5, -3.0), 3)) == 1
    with pytest.raises(InputError, match="not all are numbers"):
        pick_flat(np.array([1.0, np.nan]), 1)


def test_random_picks_are_distinct_and_reproducible() -> None:
    picked = pick_random(20, 20)
    assert picked == list(range(20))
    assert pick_random(100, 5, seed=4) == pick_random(100, 5, seed=4) != pick_random(100, 5, seed=5)


@pytest.mark.parametrize("wanted", [0, 4])
def test_number_of_frames_wanted(wanted: int) -> None:
    for pick in (pick_random, lambda n, k: pick_flat(np.arange(n, dtype=float), k)):
        with pytest.raises(InputError, match=f"{wanted} frames wanted, there are 3"):
            pick(3, wanted)


def points(*rows: float) -> list[dict[str, np.ndarray]]:
    """Frames of one atom with one feature."""
    return [{"C": np.array([[x]])} for x in rows]


def test_farthest_points_on_a_line() -> None:
    # known 0; farthest 10, then the middle of the gap (5 from both), then 2.5 and 7.5 tie
    pool = points(1.0, 2.5, 5.0, 7.5, 10.0)
    assert pick_farthest(pool, 3, points(0.0)) == [4, 2, 1]


def test_farthest_points_judge_the_most_unusual_atom_of_its_element() -> None:
    known = [{"C": np.array([[0.0], [1.0]]), "H": np.array([[5.0]])}]
    pool = [
        {"C": np.array([[0.0], [1.0]]), "H": np.array([[5.5]])},  # 0.5 away, by H
        {"C": np.array([[0.1], [3.0]]), "H": np.array([[5.0]])},  # 2.0 away, by one C
        {"C": np.array([[5.0], [1.0]]), "H": np.array([[5.0]])},  # 4.0: no C has been at 5
    ]
    # the third leaves the C of the second 2.0 from 1.0 and from 5.0
    assert pick_farthest(pool, 3, known) == [2, 1, 0]


def test_an_element_that_is_not_known_is_infinitely_far() -> None:
    known = [{"C": np.array([[0.0]])}]
    pool = [{"C": np.array([[100.0]])}, {"C": np.array([[0.0]]), "Zn": np.array([[0.0]])}]
    assert pick_farthest(pool, 1, known) == [1]


def test_duplicates_are_not_picked() -> None:
    assert sorted(pick_farthest(points(1.0, 1.0, 4.0), 3)) in ([0, 2], [1, 2])
    assert pick_farthest(points(0.0, 0.0), 2, points(0.0)) == []


def test_nearest_distances_against_a_direct_sum() -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(50, 4)), rng.normal(size=(30, 4))
    b[3] = a[7]
    b[4] = a[8] + 1e-9
    direct = np.linalg.norm(a[:, None] - b[None], axis=2).min(axis=1)
    np.testing.assert_allclose(nearest_distances(a, b), direct, rtol=1e-6, atol=1e-12)
    assert nearest_distances(a, b)[7] == 0.0


def test_standardised_features() -> None:
    pool, known = standardised(
        [{"C": np.array([[0.0, 7.0], [2.0, 7.0]])}], [{"C": np.array([[4.0, 7.0], [6.0, 7.0]])}]
    )
    spread = math.sqrt(5.0)  # of 0, 2, 4, 6
    np.testing.assert_allclose(pool[0]["C"], [[0.0, 7.0], [2.0 / spread, 7.0]])
    np.testing.assert_allclose(known[0]["C"][:, 0], [4.0 / spread, 6.0 / spread])


def rotated(atoms: Atoms) -> Atoms:
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    out = atoms.copy()
    out.set_cell(atoms.cell.array @ turn)
    out.positions = atoms.positions @ turn
    return out


def test_descriptor_of_a_dimer() -> None:
    atoms = Atoms("CH", positions=[[5, 5, 5], [5, 5, 6.2]], cell=[20, 20, 20], pbc=True)
    descriptor = Descriptor(("C", "H"), r_max_A=5.0, radial=8)
    table = descriptor.of_atoms(atoms)
    grid = np.linspace(0.8, 5.0, 8)
    smooth = 0.5 * (1 + math.cos(math.pi * 1.2 / 5.0))
    phi = smooth * np.exp(-0.5 * ((1.2 - grid) / (grid[1] - grid[0])) ** 2)
    # one neighbour: |T_1| = 1, |T_2|² = 3/2 (1 − 2/3 + 1/3) = 1
    np.testing.assert_allclose(table[0], np.concatenate([np.zeros(24), phi, phi, phi]), atol=1e-12)
    assert table.shape == (2, descriptor.width)


def test_descriptor_features_over_the_elements_of_all_frames() -> None:
    """Of each element a table, a column for each element that occurs in any frame."""
    dimer = Atoms("CH", positions=[[5, 5, 5], [5, 5, 6.2]], cell=[20, 20, 20], pbc=True)
    other = Atoms("N2", positions=[[5, 5, 5], [6.1, 5, 5]], cell=[20, 20, 20], pbc=True)
    first, second = descriptor_features([dimer, other], r_max_A=4.0)
    grid = np.linspace(0.8, 4.0, 8)

    def neighbour(distance: float) -> np.ndarray:
        """One neighbour: the channels of l = 0, 1, 2 are the same."""
        smooth = 0.5 * (1 + math.cos(math.pi * distance / 4.0))
        return np.tile(smooth * np.exp(-0.5 * ((distance - grid) / (grid[1] - grid[0])) ** 2), 3)

    none = np.zeros(24)
    expected = {
        "C": [none, neighbour(1.2), none],  # carbon, hydrogen, nitrogen around it
        "H": [neighbour(1.2), none, none],
    }
    assert set(first) == {"C", "H"}
    for element, parts in expected.items():
        np.testing.assert_allclose(first[element], [np.concatenate(parts)], atol=1e-12)
    assert set(second) == {"N"}
    np.testing.assert_allclose(
        second["N"], [np.concatenate([none, none, neighbour(1.1)])] * 2, atol=1e-12
    )


def test_descriptor_sees_angles_and_no_rotation() -> None:
    def bent(degrees: float) -> Atoms:
        angle = math.radians(degrees)
        positions = [[0, 0, 0], [1.5, 0, 0], [1.5 * math.cos(angle), 1.5 * math.sin(angle), 0]]
        return Atoms("C3", positions=positions, cell=[20, 20, 20], pbc=True)

    descriptor = Descriptor(("C",))
    a, b = (descriptor.of_atoms(bent(angle))[0] for angle in (90.0, 120.0))
    np.testing.assert_allclose(a[:8], b[:8])  # the same distances
    assert np.abs(a[8:] - b[8:]).max() > 0.1
    crystal = zif4()
    crystal.rattle(0.05, seed=2)
    whole = Descriptor(("C", "H", "N", "Zn"))
    np.testing.assert_allclose(
        whole.of_atoms(crystal), whole.of_atoms(rotated(crystal)), atol=1e-10
    )


def test_features_of_a_strictly_local_model() -> None:
    crystal = zif4()
    crystal.rattle(0.05, seed=2)
    features = ModelFeatures(embedded_model("zif4-allegro-s"))
    one, turned = features.of_frames([crystal, rotated(crystal)])
    assert {element: len(table) for element, table in one.items()} == {
        "C": 96, "H": 96, "N": 64, "Zn": 16,
    }  # fmt: skip
    for element, table in one.items():
        np.testing.assert_allclose(table, turned[element], atol=1e-4)
    with pytest.raises(InputError, match="lacks Cu: it knows"):
        features.of_frames([bulk("Cu", cubic=True) * 3])


@pytest.mark.parametrize(("name", "width"), [("zif4-nequip-s", 32), ("zif4-mace-s", 16)])
def test_features_of_message_passing_with_fused_convolutions(name: str, width: int) -> None:
    crystal = zif4()
    crystal.rattle(0.05, seed=2)
    one, turned = ModelFeatures(embedded_model(name)).of_frames([crystal, rotated(crystal)])
    for element, table in one.items():
        assert table.shape == (np.count_nonzero(crystal.symbols == element), width)
        np.testing.assert_allclose(table, turned[element], atol=2e-3 * np.abs(table).max())


def test_selection_finds_the_frame_with_the_stretched_bond() -> None:
    crystal = zif4()
    cool = [crystal.copy() for _ in range(4)]
    for seed, atoms in enumerate(cool):
        atoms.rattle(0.02, seed=seed)
    odd = cool[3]
    hydrogen = int(np.flatnonzero(odd.numbers == 1)[0])
    odd.positions[hydrogen] += [0.3, 0.3, 0.3]
    assert select_frames(cool, Selection("fps", 1), [crystal])[0] is odd
    assert int(np.argmax(novelty(cool, [crystal], None))) == 3
    with pytest.raises(InputError, match="flat: frames without energy"):
        select_frames(cool, Selection("flat", 1))


def test_distorted_frames() -> None:
    crystal = zif4()
    linkers = find_linkers(crystal)
    made = distort(crystal, np.random.default_rng(3))
    again = distort(crystal, np.random.default_rng(3), linkers=linkers)
    np.testing.assert_array_equal(made.positions, again.positions)
    bonds = linkers.bonds
    lengths = np.array(
        [made.get_distance(i, j, mic=True) for i, j in zip(bonds.first, bonds.second, strict=True)]
    )
    before = np.array(
        [
            crystal.get_distance(i, j, mic=True)
            for i, j in zip(bonds.first, bonds.second, strict=True)
        ]
    )
    with_hydrogen = (crystal.numbers[bonds.first] == 1) | (crystal.numbers[bonds.second] == 1)
    changed = np.abs(lengths - before) > 0.02
    # 5 % of 96 C-H bonds and 10 % of 160 ring bonds, of which some change with their neighbour
    assert 2 <= (changed & with_hydrogen).sum() <= 25
    assert 8 <= (changed & ~with_hydrogen).sum() <= 90
    assert lengths[~with_hydrogen].max() < 1.5 * 1.52 + 0.3
    metals = crystal.symbols == "Zn"
    np.testing.assert_array_equal(made.positions[metals], crystal.positions[metals])


def test_only_contacts_are_pressed() -> None:
    crystal = zif4()
    only = Distortion(
        terminal_share=0.0, bond_share=0.0, contact_share=1.0, contact_range_A=(1.2, 1.2)
    )
    made = distort(crystal, np.random.default_rng(0), only)
    moved = np.flatnonzero(np.abs(made.positions - crystal.positions).max(axis=1) > 1e-12)
    assert set(made.symbols[moved]) == {"H"}
    distances = made.get_all_distances(mic=True)[np.ix_(moved, moved)]
    np.fill_diagonal(distances, np.inf)
    # each atom moves once: every one has its partner at 1.2 Å
    assert (np.abs(distances - 1.2) < 1e-9).any(axis=1).all()


def test_nothing_is_distorted_when_nothing_shall_be() -> None:
    crystal = zif4()
    nothing = Distortion(terminal_share=0, bond_share=0, contact_share=0)
    np.testing.assert_array_equal(
        distort(crystal, np.random.default_rng(0), nothing).positions, crystal.positions
    )
    (made,) = distort_frames([crystal], nothing, seed=5)
    assert made.info["trajectory"] == "frame~distorted5"
    with pytest.raises(InputError, match="bond_share"):
        Distortion(bond_share=1.2)
    with pytest.raises(InputError, match="terminal_range"):
        Distortion(terminal_range=(2.0, 1.0))


def labels(energy: float, forces: list[list[float]], stress: float | None = None) -> Labels:
    return Labels(energy, np.array(forces), None if stress is None else stress * np.eye(3))


def test_metrics_by_hand() -> None:
    atoms = [Atoms("CH"), Atoms("CH")]
    zero = [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    references = [labels(0.0, zero, 0.0), labels(-2.0, zero, 0.0)]
    predictions = [
        labels(0.002, [[0.001, 0.0, 0.0], [0.0, 0.0, -0.003]], 0.001),
        labels(-1.994, [[0.0, 0.002, 0.0], [0.0, 0.0, 0.0]], -0.001),
    ]
    errors = compare(atoms, references, predictions)
    assert errors.frames == 2
    assert errors.energy_mae == pytest.approx(2.0)  # 1 and 3 meV/atom
    assert errors.energy_rmse == pytest.approx(math.sqrt(5.0))
    assert errors.energy_average == pytest.approx(2.0)
    assert errors.energy_deviation == pytest.approx(1.0)
    assert errors.force_mae == pytest.approx(6.0 / 12)
    assert errors.force_rmse == pytest.approx(math.sqrt(14.0 / 12))
    # sizes 0 (nine times), 1, 2, 3: the 95th percentile lies between 2 and 3
    assert errors.force_mae_p95 == pytest.approx(3.0)
    assert errors.stress_mae == pytest.approx(160.2177e-3 / 3, rel=1e-6)
    per_element = force_errors_per_element(atoms, references, predictions)
    assert per_element["C"]["force_mae"] == pytest.approx(0.5)
    assert per_element["H"]["force_mae"] == pytest.approx(0.5)
    assert per_element["H"]["force_mae_p95"] == pytest.approx(3.0)
    no_stress = compare(atoms[:1], [labels(0.0, zero)], [labels(0.0, zero)])
    assert math.isnan(no_stress.stress_mae)
    assert no_stress.as_dict()["stress_mae"] is None
    with pytest.raises(InputError, match="no frames"):
        compare([], [], [])


def test_percentile_metric_at_its_ends() -> None:
    errors = np.array([1.0, -2.0, 3.0, -4.0])
    assert mae_above_percentile(errors, 0.0) == 2.5
    assert mae_above_percentile(errors, 100.0) == 4.0
    hundred = np.arange(1.0, 101.0)
    assert mae_above_percentile(hundred, 95.0) == 98.0  # mean of 96 to 100


def test_committee_disagreement_by_hand() -> None:
    one = [labels(0.0, [[1.0, 0, 0], [0, 0, 0]]), labels(0.0, [[0, 0, 0], [0, 0, 0]])]
    two = [labels(0.0, [[-1.0, 0, 0], [0, 0.2, 0]]), labels(0.0, [[0, 0, 0], [0, 0, 0]])]
    # two members ±1 eV/Å about their mean: deviation 1
    np.testing.assert_allclose(committee_disagreement([one, two]), [1.0, 0.0])
    with pytest.raises(InputError, match="two models or more"):
        committee_disagreement([one])


def test_front_of_speed_and_accuracy() -> None:
    assert front([(3.0, 4.0), (1.0, 9.0), (2.0, 10.0), (3.0, 5.0), (9.0, 1.0)]) == [1, 0, 4]
