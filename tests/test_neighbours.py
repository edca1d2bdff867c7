import numpy as np
import pytest
from ase.neighborlist import primitive_neighbor_list

from mofmd.analysis.neighbours import cell_heights, count_pairs, find_pairs
from mofmd.errors import InputError

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
    found = find_pairs(positions[:8], positions, cell, r_max)
    i, j, d = primitive_neighbor_list("ijd", [True] * 3, cell, positions, r_max)
    expected = sorted(zip(i[i < 8], j[i < 8], d[i < 8].round(9), strict=True))
    actual = sorted(zip(found.first, found.second, found.distances.round(9), strict=True))
    assert np.array(actual) == pytest.approx(np.array(expected), abs=2e-9)


def test_an_atom_pairs_with_its_own_images_only():
    found = find_pairs(np.zeros((1, 3)), np.zeros((1, 3)), np.eye(3) * 4, 4.1)
    assert found.distances == pytest.approx([4.0] * 6)


def test_heights_of_a_tilted_cell():
    assert cell_heights(np.diag([2.0, 3.0, 4.0])) == pytest.approx([2, 3, 4])
    # a rhombus with an angle of 60°: heights are a·sin 60°
    rhombus = np.array([[2.0, 0, 0], [1.0, np.sqrt(3), 0], [0, 0, 5.0]])
    assert cell_heights(rhombus) == pytest.approx([np.sqrt(3), np.sqrt(3), 5])


def test_refusals():
    with pytest.raises(InputError, match=r"r_max: 0 Å, expected a positive distance"):
        find_pairs(np.zeros((1, 3)), np.zeros((1, 3)), np.eye(3), 0)
    with pytest.raises(InputError, match=r"not right-handed; swap two"):
        find_pairs(np.zeros((1, 3)), np.zeros((1, 3)), np.diag([1.0, 1.0, -1.0]), 0.1)


@pytest.mark.parametrize("name", CELLS)
def test_vectors_and_images_belong_together(name):
    cell = CELLS[name]
    positions = np.random.default_rng(2).uniform(-9, 9, (20, 3))
    found = find_pairs(positions, positions, cell, 4.0)
    vectors = positions[found.second] + found.images @ cell - positions[found.first]
    assert found.vectors == pytest.approx(vectors, abs=1e-12)
    assert (np.diff(found.first) >= 0).all()


@pytest.mark.parametrize("r_max", [2.0, 8.0])
def test_histogram_is_that_of_the_pairs(r_max):
    cell = CELLS["tilted"]
    positions = np.random.default_rng(3).uniform(-9, 9, (30, 3))
    listed = find_pairs(positions[:9], positions, cell, r_max).distances
    counts, _ = np.histogram(listed, bins=40, range=(0, r_max))
    assert count_pairs(positions[:9], positions, cell, r_max, 40).tolist() == counts.tolist()


def test_agrees_with_freud():
    import freud

    # freud wants the cell lower triangular
    cell = np.array([[17.0, 0, 0], [3.0, 16.0, 0], [-2.0, 4.0, 18.0]])
    positions = np.random.default_rng(4).random((300, 3)) @ cell
    box = freud.box.Box.from_matrix(cell.T)
    centred = box.wrap(positions - cell.sum(axis=0) / 2)
    query = freud.locality.AABBQuery(box, centred)
    theirs = query.query(centred, {"r_max": 5.0, "exclude_ii": True}).toNeighborList()
    found = find_pairs(positions, positions, cell, 5.0)
    assert len(found.first) == len(theirs)
    assert np.sort(found.distances) == pytest.approx(np.sort(theirs.distances), abs=1e-4)
