import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from mofmd.analysis.base.statistics import Estimate, Sampling
from mofmd.analysis.mechanics.elastic_tensor import VOIGT, ElasticTensor
from mofmd.analysis.mechanics.equation_of_state import (
    fit_energy_volume,
    fit_pressure_volume,
    largest_pressure,
)
from mofmd.analysis.mechanics.forms import birch_murnaghan_energy, birch_murnaghan_pressure
from mofmd.analysis.mechanics.strain_fluctuation import (
    StrainFluctuation,
    bulk_modulus_of_volumes,
    elastic_constants_GPa,
    strains,
)
from mofmd.analysis.one_pass import analyse
from mofmd.errors import InputError
from mofmd.trajectory.frame import Species
from mofmd.trajectory.in_memory import Trajectory
from mofmd.units import BAR_TO_GPA, BOLTZMANN_EV_PER_K, EV_PER_A3_TO_GPA
from tests.reference import reference_path

CASES = ("Si", "MIL-53", "NSI")
# stiffness of a framework-like triclinic solid [GPa], positive definite
SOFT = np.array(
    [
        [3.1, 1.2, 0.9, 0.1, 0.0, 0.2],
        [1.2, 2.6, 1.1, 0.0, -0.2, 0.0],
        [0.9, 1.1, 2.2, 0.1, 0.0, 0.0],
        [0.1, 0.0, 0.1, 1.1, 0.0, 0.1],
        [0.0, -0.2, 0.0, 0.0, 0.9, 0.0],
        [0.2, 0.0, 0.0, 0.1, 0.0, 1.3],
    ]
)


def elate(name: str) -> dict:
    return json.loads(reference_path("reference/elate.json").read_text())[name]


@pytest.mark.parametrize("name", CASES)
def test_averages_and_eigenvalues_are_those_of_elate(name):
    reference = elate(name)
    tensor = ElasticTensor(np.array(reference["C_GPa"]))
    for scheme in ("Voigt", "Reuss", "Hill"):
        found = getattr(tensor, scheme.lower())
        peer = reference["averages"][scheme]
        assert [found.bulk_GPa, found.young_GPa, found.shear_GPa, found.poisson] == pytest.approx(
            [peer["K"], peer["E"], peer["G"], peer["nu"]], rel=1e-9
        )
    assert tensor.eigenvalues_GPa == pytest.approx(reference["eigenvalues_GPa"], rel=1e-9)
    assert tensor.is_stable


@pytest.mark.parametrize("name", CASES)
def test_extremes_are_those_of_dense_minimisation(name):
    # where ELATE itself stops in a local optimum, the check_ values count
    reference = elate(name)
    tensor = ElasticTensor(np.array(reference["C_GPa"]))
    ranges = {
        "Young": tensor.young_range(),
        "LC": tensor.linear_compressibility_range(),
        "Shear": tensor.shear_range(),
        "Poisson": tensor.poisson_range(),
    }
    for key, (low, high) in ranges.items():
        peer = reference[key]
        # the stored optimum has been reached to 1e-6 only
        assert low.value == pytest.approx(peer["check_min"], rel=2e-6, abs=1e-8), key
        assert high.value == pytest.approx(peer["check_max"], rel=2e-6, abs=1e-8), key


def rotated(stiffness: np.ndarray, rotation: np.ndarray) -> np.ndarray:
    full = np.empty((3, 3, 3, 3))
    for p, (i, j) in enumerate(VOIGT):
        for q, (k, m) in enumerate(VOIGT):
            for a, b in ((i, j), (j, i)):
                full[a, b, k, m] = full[a, b, m, k] = stiffness[p, q]
    turned = np.einsum("ai,bj,ck,dl,ijkl->abcd", *[rotation] * 4, full)
    return np.array([[turned[(*p, *q)] for q in VOIGT] for p in VOIGT])


@settings(max_examples=2, deadline=None)
@given(st.integers(0, 10**6))
def test_nothing_depends_on_the_axes(seed):
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    one, two = ElasticTensor(SOFT), ElasticTensor(rotated(SOFT, rotation))
    for scheme in ("voigt", "reuss", "hill"):
        assert vars(getattr(two, scheme)) == pytest.approx(vars(getattr(one, scheme)))
    for name in ("young_range", "linear_compressibility_range", "shear_range", "poisson_range"):
        for a, b in zip(getattr(one, name)(), getattr(two, name)(), strict=True):
            assert b.value == pytest.approx(a.value, rel=1e-6), name


def test_an_isotropic_solid_is_the_same_in_every_direction():
    k, g = 5.0, 2.0
    c = np.full((3, 3), k - 2 * g / 3) + np.eye(3) * 2 * g
    tensor = ElasticTensor(np.block([[c, np.zeros((3, 3))], [np.zeros((3, 3)), np.eye(3) * g]]))
    young = 9 * k * g / (3 * k + g)
    for low, value in (
        (tensor.young_range(), young),
        (tensor.shear_range(), g),
        (tensor.poisson_range(), young / (2 * g) - 1),
        (tensor.linear_compressibility_range(), 1e3 / (3 * k)),
    ):
        assert [extreme.value for extreme in low] == pytest.approx([value] * 2)


# silicon [GPa], and its compliances by hand
SI_11, SI_12, SI_44 = 165.7, 63.9, 79.6
S_44 = 1 / SI_44
S_11 = (SI_11 + SI_12) / ((SI_11 - SI_12) * (SI_11 + 2 * SI_12))
S_12 = -SI_12 / ((SI_11 - SI_12) * (SI_11 + 2 * SI_12))
ALONG = {
    "100": np.array([1.0, 0, 0]),
    "110": np.array([1.0, 1, 0]) / np.sqrt(2),
    "111": np.array([1.0, 1, 1]) / np.sqrt(3),
}


def silicon() -> ElasticTensor:
    stiffness = np.diag([SI_11] * 3 + [SI_44] * 3)
    stiffness[:3, :3] += SI_12 * (1 - np.eye(3))
    return ElasticTensor(stiffness)


def test_shear_moduli_of_a_cubic_solid():
    """On a cube face C44 either way; on ⟨110⟩ C44 and (C11 − C12)/2; on ⟨111⟩ one value."""
    low, high = silicon().shear_extremes_GPa(np.array(list(ALONG.values())))
    on_111 = 3 / (S_44 + 4 * (S_11 - S_12))
    assert low == pytest.approx([SI_44, (SI_11 - SI_12) / 2, on_111])
    assert high == pytest.approx([SI_44, SI_44, on_111])


def test_poisson_ratios_of_a_cubic_solid():
    low, high = silicon().poisson_extremes(np.array(list(ALONG.values())))
    # along ⟨110⟩ across ⟨1-10⟩ and ⟨001⟩
    young_110 = 4 / (2 * S_11 + 2 * S_12 + S_44)
    young_111 = 3 / (S_11 + 2 * S_12 + S_44)
    on_111 = (young_111 / 6) * (S_44 - 2 * S_11 - 4 * S_12)
    across = [-young_110 * (2 * S_11 + 2 * S_12 - S_44) / 4, -young_110 * S_12]
    assert low == pytest.approx([-S_12 / S_11, min(across), on_111])
    assert high == pytest.approx([-S_12 / S_11, max(across), on_111])
    assert silicon().young_GPa(ALONG["110"]) == pytest.approx(young_110)


def test_linear_compressibility():
    """How much a line shortens under pressure, from the strain that it makes: ε = −S p."""
    assert silicon().linear_compressibility_per_TPa(np.array(list(ALONG.values()))) == (
        pytest.approx([1e3 * (S_11 + 2 * S_12)] * 3)
    )
    tensor = ElasticTensor(SOFT)
    pressure_GPa = 1e-3
    strain = np.linalg.solve(SOFT, -pressure_GPa * np.array([1, 1, 1, 0, 0, 0]))
    full = np.zeros((3, 3))
    for k, (i, j) in enumerate(VOIGT):
        full[i, j] = full[j, i] = strain[k] / (1 + (i != j))
    directions = np.random.default_rng(3).normal(size=(4, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    shortened = -np.einsum("ni,ij,nj->n", directions, full, directions) / pressure_GPa
    found = tensor.linear_compressibility_per_TPa(directions)
    assert found == pytest.approx(1e3 * shortened)


def test_a_shear_at_its_extreme_is_along_the_vectors_given():
    tensor = ElasticTensor(np.array(elate("NSI")["C_GPa"]))
    for extreme in tensor.shear_range():
        n, m = extreme.direction, extreme.transverse
        assert n @ m == pytest.approx(0, abs=1e-9)
        strain = np.array([n[i] * m[j] + n[j] * m[i] for i, j in VOIGT])
        assert 1 / (strain @ tensor.compliance_per_GPa @ strain) == pytest.approx(extreme.value)


def test_unstable_tensor_says_so():
    unstable = SOFT.copy()
    unstable[3, 3] = -0.5
    assert not ElasticTensor(unstable).is_stable


def cells_of(stiffness, temperature_K: float, n: int, seed: int = 0, volume_edge=15.0):
    """Cells of an elastic solid: strains are normal numbers of covariance kT/V C⁻¹."""
    rng = np.random.default_rng(seed)
    reference = np.array([[volume_edge, 0, 0], [2.0, 14.0, 0], [-1.0, 1.5, 16.0]])
    thermal = BOLTZMANN_EV_PER_K * temperature_K * EV_PER_A3_TO_GPA
    covariance = thermal / np.linalg.det(reference) * np.linalg.inv(stiffness)
    drawn = rng.multivariate_normal(np.zeros(6), covariance, n)
    cells = []
    for strain in drawn:
        tensor = np.zeros((3, 3))
        for k, (i, j) in enumerate(VOIGT):
            tensor[i, j] = tensor[j, i] = strain[k] / (1 + (i != j))
        stretch = np.real(sqrtm(np.eye(3) + 2 * tensor))
        # LAMMPS turns the cell so that it is triangular
        cells.append(np.linalg.cholesky(reference @ stretch @ stretch @ reference.T))
    return np.array(cells)


def test_elastic_constants_of_a_known_solid():
    cells = cells_of(SOFT, 300.0, 6000)
    found = elastic_constants_GPa(cells, 300.0)
    # a variance of n values is good to √(2/n) = 1.8 %
    assert found == pytest.approx(SOFT, abs=0.12)
    volumes = np.linalg.det(cells)
    bulk = bulk_modulus_of_volumes(volumes, 300.0, Sampling(6000, 0, False, 1.0))
    assert bulk.value == pytest.approx(
        ElasticTensor(SOFT).reuss.bulk_GPa, abs=4 * bulk.standard_error
    )


def test_strain_of_a_stretched_and_turned_cell():
    reference = np.diag([10.0, 11.0, 12.0])
    cell = reference @ np.diag([1.01, 1.0, 1.0])
    rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))
    for one in (cell, cell @ rotation):
        assert strains(one[None], reference)[0] == pytest.approx(
            [(1.01**2 - 1) / 2, 0, 0, 0, 0, 0], abs=1e-12
        )


def test_strain_fluctuation_in_one_pass():
    cells = cells_of(SOFT, 300.0, 3000, seed=4)
    n = len(cells)
    trajectory = Trajectory(
        Species(["C"]), np.arange(n), np.zeros((n, 1, 3)), cells, times_ps=1.0 * np.arange(n)
    )
    (found,) = analyse(trajectory, [StrainFluctuation(temperature_K=300.0)])
    hill = ElasticTensor(SOFT).hill
    for name, value in (
        ("bulk modulus K (Hill)", hill.bulk_GPa),
        ("Young's modulus E (Hill)", hill.young_GPa),
        ("shear modulus G (Hill)", hill.shear_GPa),
        ("Poisson's ratio (Hill)", hill.poisson),
    ):
        estimate = found.scalars[name]
        assert estimate.value == pytest.approx(value, abs=5 * estimate.standard_error), name
        assert estimate.standard_error < 0.1 * value
    stiffness = found.tables["stiffness"].columns["C"]
    assert (stiffness.standard_error > 0).all()
    assert not found.notes


def estimates(values, error=0.0):
    return [Estimate(float(v), error, 50, "bar") for v in values]


@pytest.mark.parametrize(("order", "derivative"), [(2, 4.0), (3, 6.5)])
def test_birch_murnaghan_is_recovered(order, derivative):
    volumes = np.linspace(3900, 4700, 9)
    pressures = birch_murnaghan_pressure(volumes, 1.7, 4400.0, derivative) / BAR_TO_GPA
    found = fit_pressure_volume(volumes, estimates(pressures), order)
    assert found.bulk_modulus.value == pytest.approx(1.7, rel=1e-6)
    assert found.volume.value == pytest.approx(4400, rel=1e-8)
    assert found.derivative.value == pytest.approx(derivative, rel=1e-5)
    assert abs(found.residuals_GPa).max() < 1e-8
    assert found.pressure_GPa(volumes) == pytest.approx(pressures * BAR_TO_GPA)
    # 272 atoms of ZIF-4: 3190.9 g/mol in 4400 Å3
    assert found.density(3190.9).value == pytest.approx(3190.9 / 4400 / 0.602214076)


def test_errors_of_the_fit_cover_the_truth():
    rng = np.random.default_rng(1)
    volumes = np.linspace(4100, 4700, 11)
    exact = birch_murnaghan_pressure(volumes, 1.7, 4400.0) / BAR_TO_GPA
    ratios = []
    for _ in range(60):
        noisy = estimates(exact + rng.normal(scale=50, size=11), 50.0)
        found = fit_pressure_volume(volumes, noisy)
        ratios.append((found.bulk_modulus.value - 1.7) / found.bulk_modulus.standard_error)
    assert np.std(ratios) == pytest.approx(1, abs=0.25)


def test_energy_and_pressure_are_one_equation():
    volumes = np.linspace(3900, 4700, 9)
    step = 0.01
    slope = (
        birch_murnaghan_energy(volumes + step, -3.0, 0.01, 4400, 5.5)
        - birch_murnaghan_energy(volumes - step, -3.0, 0.01, 4400, 5.5)
    ) / (2 * step)
    assert -slope == pytest.approx(birch_murnaghan_pressure(volumes, 0.01, 4400, 5.5), rel=1e-6)
    energies = birch_murnaghan_energy(volumes, -60000.0, 1.7 / EV_PER_A3_TO_GPA, 4400, 5.5)
    found = fit_energy_volume(volumes, energies)
    assert found.bulk_modulus.value == pytest.approx(1.7, rel=1e-4)
    assert found.volume.value == pytest.approx(4400, rel=1e-6)
    assert found.derivative.value == pytest.approx(5.5, rel=1e-3)


def test_largest_pressure():
    volumes = [4400.0, 4300, 4200, 4100, 4000]
    pressure, volume = largest_pressure(volumes, estimates([0, 500, 900, 700, 650], 20.0))
    assert (pressure.value, volume) == (pytest.approx(0.09), 4200)
    with pytest.raises(InputError, match="still rise at the smallest volume, 4000"):
        largest_pressure(volumes, estimates([0, 500, 900, 950, 1000]))


def test_refusals():
    with pytest.raises(InputError, match="expected 6 × 6 numbers"):
        ElasticTensor(np.eye(3))
    with pytest.raises(InputError, match=r"not symmetric, C_ij and C_ji differ by 0\.5"):
        ElasticTensor(SOFT + 0.5 * np.eye(6, k=1))
    with pytest.raises(InputError, match="singular"):
        ElasticTensor(np.diag([1.0, 1, 1, 1, 1, 0]))
    with pytest.raises(InputError, match="7 frames, at least 8"):
        elastic_constants_GPa(cells_of(SOFT, 300, 7), 300)
    orthogonal = np.random.default_rng(0).normal(10, 0.1, (20, 3))[:, :, None] * np.eye(3)
    with pytest.raises(InputError, match=r"strain yz xz xy never changes; .* npt tri"):
        elastic_constants_GPa(orthogonal, 300)
    with pytest.raises(InputError, match="the volume never changes"):
        bulk_modulus_of_volumes(np.full(10, 5.0), 300, Sampling(10, 0, False, 1.0))
    with pytest.raises(InputError, match="order 3 needs at least 4 different volumes"):
        fit_pressure_volume([1, 2, 3], estimates([3, 2, 1]), 3)
    with pytest.raises(InputError, match="no sensible fit"):
        fit_pressure_volume([4000, 4200, 4400], estimates([-500, 0, 500]))
    with pytest.raises(InputError, match="no minimum over the volumes"):
        fit_energy_volume([1, 2, 3, 4], [1, 2, 2, 1])


def test_no_extremes_of_an_unstable_tensor():
    unstable = np.diag([10.0, 10, 10, 3, 3, -2])
    tensor = ElasticTensor(unstable)
    assert not tensor.is_stable
    for find in (tensor.young_range, tensor.shear_range, tensor.poisson_range):
        with pytest.raises(InputError, match="not stable, its lowest eigenvalue is -2 GPa"):
            find()
