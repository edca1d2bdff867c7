import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list

from mofmd.errors import InputError
from mofmd.geometry.neighbours import cell_heights, count_pairs, find_pairs, refuse_coincident

CELLS = {
    "orthorhombic": np.diag([5.0, 6.0, 7.0]),
    "tilted": np.array([[6.0, 0, 0], [2.5, 5.0, 0], [-2.0, 1.5, 6.0]]),
    "rotated": np.array([[5.0, 0, 1.0], [1.0, 5.0, 0.3], [0.2, 0.5, 7.0]]),
}


@pytest.mark.parametrize("r_max", [1.5, 4.0, 9.0])
@pytest.mark.parametrize("name", CELLS)
def test_agrees_with_ase(name, r_max):
    cell = CELLS[name]
    positions = np.random.default_rng(1).uniform(-9, 9, (20, 3))
    found = find_pairs(positions, cell, r_max, centres=np.arange(8))
    i, j, d = primitive_neighbor_list("ijd", [True] * 3, cell, positions, r_max)
    expected = sorted(zip(i[i < 8], j[i < 8], d[i < 8].round(9), strict=True))
    actual = sorted(zip(found.first, found.second, found.distances.round(9), strict=True))
    assert np.array(actual) == pytest.approx(np.array(expected), abs=2e-9)


def test_an_atom_pairs_with_its_own_images_only():
    found = find_pairs(np.zeros((1, 3)), np.eye(3) * 4, 4.1)
    assert found.distances == pytest.approx([4.0] * 6)


def test_heights_of_a_tilted_cell():
    assert cell_heights(np.diag([2.0, 3.0, 4.0])) == pytest.approx([2, 3, 4])
    # a rhombus with an angle of 60°: heights are a·sin 60°
    rhombus = np.array([[2.0, 0, 0], [1.0, np.sqrt(3), 0], [0, 0, 5.0]])
    assert cell_heights(rhombus) == pytest.approx([np.sqrt(3), np.sqrt(3), 5])


def test_refusals():
    with pytest.raises(InputError, match=r"r_max: 0 Å, expected a positive distance"):
        find_pairs(np.zeros((1, 3)), np.eye(3), 0)
    with pytest.raises(InputError, match=r"not right-handed; swap two"):
        find_pairs(np.zeros((1, 3)), np.diag([1.0, 1.0, -1.0]), 0.1)


@pytest.mark.parametrize("name", CELLS)
def test_vectors_and_images_belong_together(name):
    cell = CELLS[name]
    positions = np.random.default_rng(2).uniform(-9, 9, (20, 3))
    found = find_pairs(positions, cell, 4.0)
    vectors = positions[found.second] + found.images @ cell - positions[found.first]
    assert found.vectors == pytest.approx(vectors, abs=1e-12)
    assert (np.diff(found.first) >= 0).all()


@pytest.mark.parametrize("r_max", [2.0, 8.0])
def test_histogram_is_that_of_the_pairs(r_max):
    cell = CELLS["tilted"]
    positions = np.random.default_rng(3).uniform(-9, 9, (30, 3))
    listed = find_pairs(positions, cell, r_max, centres=np.arange(9)).distances
    counts, _ = np.histogram(listed, bins=40, range=(0, r_max))
    found = count_pairs(positions, cell, r_max, 40, centres=np.arange(9))
    assert found.tolist() == counts.tolist()


def test_agrees_with_freud():
    import freud

    # freud wants the cell lower triangular
    cell = np.array([[17.0, 0, 0], [3.0, 16.0, 0], [-2.0, 4.0, 18.0]])
    positions = np.random.default_rng(4).random((300, 3)) @ cell
    box = freud.box.Box.from_matrix(cell.T)
    centred = box.wrap(positions - cell.sum(axis=0) / 2)
    query = freud.locality.AABBQuery(box, centred)
    theirs = query.query(centred, {"r_max": 5.0, "exclude_ii": True}).toNeighborList()
    found = find_pairs(positions, cell, 5.0)
    assert len(found.first) == len(theirs)
    assert np.sort(found.distances) == pytest.approx(np.sort(theirs.distances), abs=1e-4)


@pytest.mark.parametrize("name", CELLS)
def test_atoms_at_one_place_are_a_pair(name):
    """Also when one is given an image away, and when each stands in one of the lists only."""
    cell = CELLS[name]
    positions = np.random.default_rng(5).uniform(-9, 9, (12, 3))
    positions[7] = positions[3]
    positions[9] = positions[4] + cell[0] - 2 * cell[2]
    found = find_pairs(positions, cell, 0.01)
    pairs = zip(found.first.tolist(), found.second.tolist(), found.images.tolist(), strict=True)
    assert sorted(pairs) == [
        (3, 7, [0, 0, 0]),
        (4, 9, [-1, 0, 2]),
        (7, 3, [0, 0, 0]),
        (9, 4, [1, 0, -2]),
    ]
    assert count_pairs(positions, cell, 1.0, 10)[0] == 4
    apart = find_pairs(positions, cell, 0.01, centres=np.array([9, 3]), others=np.array([4, 7]))
    assert list(zip(apart.first.tolist(), apart.second.tolist(), strict=True)) == [(9, 4), (3, 7)]
    with pytest.raises(InputError, match=r"atoms 3 and 7, counted from zero, are at one place"):
        refuse_coincident(found)


def test_overlapping_lists_leave_out_the_atom_alone():
    """The centre is atom 2 of all and row 1 of the others: one is not taken for the other."""
    cell = np.eye(3) * 8.0
    positions = np.array([[0.0, 0, 0], [1, 0, 0], [3, 0, 0], [3, 1, 0]])
    found = find_pairs(positions, cell, 2.5, centres=np.array([2, 1]), others=np.array([3, 2]))
    pairs = zip(found.first.tolist(), found.second.tolist(), found.distances.tolist(), strict=True)
    assert sorted(pairs) == [(1, 2, 2.0), (1, 3, pytest.approx(5**0.5)), (2, 3, 1.0)]


def test_an_atom_on_a_face_is_not_its_own_neighbour():
    """Rounding may put one and the same position on either side of a face."""
    cell = np.array([[7.3, 0, 0], [2.1, 6.9, 0], [-1.7, 3.1, 8.2]])
    fractions = np.random.default_rng(6).integers(-6, 7, (400, 3)) / 3.0
    positions = fractions @ cell
    for subset in (np.arange(400), np.arange(1, 400, 7), np.array([5])):
        found = find_pairs(positions, cell, 1e-3, centres=subset)
        assert (found.first != found.second).all()
