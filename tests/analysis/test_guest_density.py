"""Density of guests: exact sums, freud's for rectangular cells, and guests put into MOF-5."""

import freud
import numpy as np
import pytest
from ase import Atoms

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.guest_density import GuestDensity, gaussian_density
from mofmd.errors import InputError
from mofmd.reading.read import read_structure
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.in_memory import Trajectory

SHAPE = (30, 33, 36)


def centres(cell: np.ndarray) -> np.ndarray:
    """Middle of each voxel."""
    grid = np.stack(np.meshgrid(*[np.arange(n) for n in SHAPE], indexing="ij"), -1)
    return (grid + 0.5) / SHAPE @ cell


@pytest.mark.parametrize(
    "cell", [np.diag([10.0, 11, 12]), np.array([[10.0, 0, 0], [4, 9, 0], [-3, 2, 11]])]
)
def test_against_the_sum_of_gaussians(cell: np.ndarray) -> None:
    # in the middle of voxels, of which the width is then no error
    points = centres(cell)[[3, 17, 29], [0, 20, 32], [5, 35, 18]]
    found = gaussian_density(points + 2 * cell[0] - cell[2], cell, SHAPE, 0.7)
    expected = np.zeros(SHAPE)
    for point in points:
        for image in np.ndindex(5, 5, 5):
            apart = centres(cell) - point + (np.array(image) - 2) @ cell
            expected += np.exp(-(apart**2).sum(axis=-1) / (2 * 0.7**2))
    expected /= (2 * np.pi * 0.7**2) ** 1.5
    assert found == pytest.approx(expected, abs=2e-4 * expected.max())
    assert found.mean() == pytest.approx(3 / np.linalg.det(cell))


def test_against_freud_in_a_rectangular_cell() -> None:
    cell = np.diag([10.0, 11, 12])
    points = centres(cell)[[3, 17, 29], [0, 20, 32], [5, 35, 18]]
    box = freud.box.Box.from_matrix(cell)
    theirs = freud.density.GaussianDensity(SHAPE, 4.5, 0.7).compute(
        (box, points - np.diag(cell) / 2)
    )
    ours = gaussian_density(points, cell, SHAPE, 0.7)
    assert ours == pytest.approx(theirs.density, abs=1e-3 * ours.max())


def with_methane(place: tuple[float, float, float], drift: float = 0.0) -> Atoms:
    """MOF-5 with a methane at a place in its cell, all of it moved along a."""
    corners = np.array([[0, 0, 0], [1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    atoms = read_structure("mof-5")
    both = atoms + Atoms("CH4", 0.63 * corners + place @ atoms.cell[:])
    both.positions += drift * atoms.cell[0]
    return both


def test_guests_where_they_are() -> None:
    # half of the time in one pore, half in another, while the framework drifts
    frames = [with_methane((0.1, 0.05, 0.5 * (k % 2) + 0.01), 0.03 * k) for k in range(20)]
    (found,) = analyse(Trajectory.from_ase(frames), [GuestDensity(cut=0)])
    assert found.scalars["molecules"].value == 1
    assert found.settings["atoms_counted"] == 1  # the carbon
    volume = frames[0].get_volume()
    assert found.scalars["density"].value == pytest.approx(16.043 / volume * 1.66054, rel=1e-3)
    profile = found.tables["profile"].columns
    fraction = profile["fraction"].values
    for name, places in (("along a", [0.1]), ("along b", [0.05]), ("along c", [0.01, 0.51])):
        density = profile[name].values
        assert density.mean() == pytest.approx(1 / volume, rel=0.01)
        for place in places:
            assert density[np.abs(fraction - place).argmin()] > 0.8 * density.max()
    (name,) = (name for name in found.tables if name.startswith("slice"))
    assert 0 <= float(name.split()[2]) < 0.03 or 0.5 <= float(name.split()[2]) < 0.53
    columns = found.tables[name].columns
    top = int(columns["density"].values.argmax())
    assert columns["a"].values[top] == pytest.approx(0.1, abs=0.02)
    assert columns["b"].values[top] == pytest.approx(0.05, abs=0.02)
    # two Gaussians: half of each is within 1.54 σ, in a sphere of 4π/3 (1.54 σ)³
    spheres = 2 * 4 / 3 * np.pi * (1.538 * 0.6) ** 3
    share = found.scalars["share of the cell with half of them"].value
    assert share == pytest.approx(spheres / volume, rel=0.25)
    # within the pore, 7 Å from its walls' surface
    assert 3 < found.scalars["distance from the framework"].value <= 8


def test_refusals() -> None:
    with pytest.raises(InputError, match="guests: no molecules in the pores"):
        analyse(Trajectory.from_ase([zif4()]), [GuestDensity()])
    with pytest.raises(InputError, match=r"sigma_A: 0\.3 is less than 1\.5 steps"):
        GuestDensity(sigma_A=0.3)
    with pytest.raises(InputError, match=r"level: 1\.0, expected a fraction of c"):
        GuestDensity(level=1.0)
