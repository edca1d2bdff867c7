import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read
from scipy.integrate import quad

from mofmd.analysis.one_pass import analyse
from mofmd.analysis.structure.rdf import Rdf
from mofmd.analysis.structure.scattering import (
    Scattering,
    partial_structure_factors,
    scattering_factors,
)
from mofmd.errors import InputError
from tests.reference import reference_path
from tests.trajectories import trajectory_of


def test_transform_is_the_integral():
    def excess(r):
        return 0.7 * np.exp(-(((r - 4) / 0.5) ** 2))

    width, r_max, density = 0.01, 12.0, 0.05
    r = np.arange(width / 2, r_max, width)
    q = np.array([0.5, 1.7, 6.0, 15.0])
    found = partial_structure_factors(r, 1 + excess(r)[None], density, q)[0]
    for one, value in zip(q, found, strict=True):
        exact, _ = quad(
            lambda x, k=one: (
                4 * np.pi * density * x * excess(x) * np.sin(k * x) / k * np.sinc(x / r_max)
            ),
            0,
            r_max,
            limit=500,
        )
        assert value == pytest.approx(exact, abs=1e-4)


def test_form_factors_begin_at_the_number_of_electrons():
    factors = scattering_factors(("C", "H", "Zn"), "xray", np.array([1e-6, 10.0]))
    assert factors[:, 0] == pytest.approx([6, 1, 30], rel=2e-3)
    assert (factors[:, 1] < factors[:, 0]).all()
    # coherent lengths of NIST's table [fm]
    lengths = scattering_factors(("C", "H", "Zn"), "neutron", np.array([1.0]))[:, 0]
    assert lengths == pytest.approx([6.646, -3.739, 5.680], abs=2e-3)


def test_an_ideal_gas_scatters_like_its_atoms():
    rng = np.random.default_rng(2)
    gas = [Atoms("C500", rng.random((500, 3)) * 20, cell=[20] * 3, pbc=True) for _ in range(20)]
    (found,) = analyse(trajectory_of(*gas), [Scattering(bin_width_A=0.05, q_max_per_A=10)])
    s = found.tables["structure factor"].columns
    assert abs(s["S neutron"].values[s["Q"].values > 2] - 1).max() < 0.05


def test_d_of_one_element_is_four_pi_rho_r_times_g_minus_one():
    frames = []
    for seed in range(10):
        atoms = bulk("Cu", "fcc", a=3.6, cubic=True).repeat(5)
        atoms.rattle(0.25, seed=seed)
        frames.append(atoms)
    (found,) = analyse(trajectory_of(*frames), [Scattering(q_max_per_A=40)])
    columns = found.tables["pair function"].columns
    r, d = columns["r"].values, columns["D neutron"].values
    # a broadened shell: 12 atoms at 2.546 Å with a spread of 0.25·√2
    first = (r > 1.6) & (r < 3.05)
    peak = r[first][d[first].argmax()]
    assert peak == pytest.approx(2.55, abs=0.1)
    density = 4 / 3.6**3
    g = 1 + columns["G neutron"].values
    neighbours = np.trapezoid(4 * np.pi * density * r[first] ** 2 * g[first], r[first])
    # cut at the minimum before the second shell at 3.6 Å
    assert neighbours == pytest.approx(12, abs=1.5)


def test_zif4_glass_has_the_peaks_of_the_experiment():
    experiment = np.loadtxt(reference_path("zif4/exp/ZIF4glassa_31.dofr"))
    functions = []
    for k in range(1, 11):
        file = reference_path(f"zif4/glass_ai/ZIF4_15glass{k:02}.lmp")
        atoms = read(file, format="lammps-data", atom_style="charge", units="metal")
        (found,) = analyse(trajectory_of(atoms), [Scattering()])
        columns = found.tables["pair function"].columns
        functions.append(columns["D xray"].values)
    r, ours = columns["r"].values, np.mean(functions, axis=0)
    theirs = np.interp(r, experiment[:, 0], experiment[:, 1])
    # C-C and C-N, Zn-N, next neighbours in the ring, Zn-C, Zn-Zn: PBE bonds are 2 % longer
    for low, high in ((1.1, 1.7), (1.8, 2.4), (2.7, 3.5), (3.8, 4.6), (5.5, 6.5)):
        part = (r > low) & (r < high)
        assert r[part][ours[part].argmax()] == pytest.approx(
            r[part][theirs[part].argmax()], abs=0.13
        )
    part = (r > 1) & (r < 7)
    assert np.corrcoef(ours[part], theirs[part])[0, 1] > 0.75


def test_refusals():
    with pytest.raises(InputError, match=r"q_max_per_A: 0\.5"):
        Scattering(q_max_per_A=0.5)
    with pytest.raises(InputError, match=r"r_max_A: 9 exceeds 1\.8"):
        analyse(trajectory_of(bulk("Cu", cubic=True)), [Scattering(r_max_A=9.0)])
    with pytest.raises(InputError, match="no neutron scattering length of Po"):
        scattering_factors(("Po",), "neutron", np.array([1.0]))


def test_d_is_not_damped_towards_the_end_of_g():
    frames = []
    for seed in range(4):
        atoms = bulk("Cu", "fcc", a=3.6, cubic=True).repeat(5)
        atoms.rattle(0.25, seed=seed)
        frames.append(atoms)
    trajectory = trajectory_of(*frames)
    found, rdf = analyse(trajectory, [Scattering(q_max_per_A=40), Rdf("Cu", "Cu", 8.9)])
    r, g = (rdf.tables["g"].columns[name].values for name in ("r", "g"))
    columns = found.tables["pair function"].columns
    ours = np.interp(r, columns["r"].values, columns["G neutron"].values + 1)
    # in the second half of the range, where Lorch's window of 9 Å would leave a tenth
    far = (r > 5) & (r < 8.5)
    assert np.corrcoef(ours[far], g[far])[0, 1] > 0.99
    assert np.ptp(ours[far]) == pytest.approx(np.ptp(g[far]), rel=0.1)
