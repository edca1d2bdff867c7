"""Curves of pressure against volume: their stable branch, its ends, forms of equations of state."""

import numpy as np
import pytest

from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.branches import Point, convex_part, disagreement, join
from mofmd.analysis.mechanics.equation_of_state import fit_energy_volume, fit_pressure_volume
from mofmd.analysis.mechanics.forms import (
    birch_murnaghan_pressure,
    energy_of,
    pressure_of,
    vinet_energy,
)
from mofmd.errors import InputError
from mofmd.units import BAR_TO_GPA, EV_PER_A3_TO_GPA

K_GPa, V0_A3 = 35.0, 9200.0
FORMS = ("birch-murnaghan", "vinet")


def point(volume: float, pressure: float, error: float, ensemble: str) -> Point:
    return Point(
        Estimate(volume, 0.0, 50.0, "Å³"), Estimate(pressure, error, 50.0, "GPa"), ensemble
    )


def softening(volumes: np.ndarray) -> np.ndarray:
    """P(V) that rises to 1.1 GPa and falls again: a framework that collapses."""
    strain = 1.0 - volumes / V0_A3
    return np.asarray(K_GPa * strain * (1.0 - strain / 0.12))


@pytest.mark.parametrize("form", FORMS)
def test_energy_and_pressure_of_a_form_are_one_equation(form: str) -> None:
    volumes = np.linspace(0.9, 1.1, 21) * V0_A3  # V₀ among them, where Vinet's series stands
    for derivative in (-12.0, 1.0, 4.0, 9.0):
        step = 0.05
        slope = (
            energy_of(form, volumes + step, 0.0, 0.2, V0_A3, derivative)
            - energy_of(form, volumes - step, 0.0, 0.2, V0_A3, derivative)
        ) / (2 * step)
        expected = pressure_of(form, volumes, 0.2, V0_A3, derivative)
        np.testing.assert_allclose(-slope, expected, atol=1e-7)


@pytest.mark.parametrize("form", FORMS)
def test_a_form_is_recovered(form: str) -> None:
    volumes = np.linspace(0.95, 1.04, 9) * V0_A3
    energies = energy_of(form, volumes, -850.0, K_GPa / EV_PER_A3_TO_GPA, V0_A3, 5.5)
    pressures = pressure_of(form, volumes, K_GPa, V0_A3, 5.5) / BAR_TO_GPA
    estimates = [Estimate(float(p), 0.0, 9.0, "bar") for p in pressures]
    of_energies = fit_energy_volume(volumes.tolist(), energies.tolist(), 3, form)
    of_pressures = fit_pressure_volume(volumes.tolist(), estimates, 3, form)
    for found in (of_energies, of_pressures):
        assert found.form == form
        assert found.bulk_modulus.value == pytest.approx(K_GPa, rel=1e-4)
        assert found.volume.value == pytest.approx(V0_A3, rel=1e-6)
        assert found.derivative.value == pytest.approx(5.5, rel=1e-3)
        np.testing.assert_allclose(
            found.pressure_GPa(volumes), pressures * BAR_TO_GPA, atol=1e-3 * K_GPa
        )
    # the other form is another curve: it bends otherwise far from the minimum
    other = FORMS[1 - FORMS.index(form)]
    far = np.array([0.8 * V0_A3])
    assert pressure_of(other, far, K_GPa, V0_A3, 5.5)[0] != pytest.approx(
        pressure_of(form, far, K_GPa, V0_A3, 5.5)[0], rel=1e-3
    )
    assert vinet_energy(np.array([V0_A3]), -1.0, 0.2, V0_A3, 5.5)[0] == -1.0


def test_two_ensembles_make_one_curve() -> None:
    rng = np.random.default_rng(1)
    stable = np.array([9400.0, 9300.0, 9200.0, 9100.0, 9000.0, 8900.0])
    all_over = np.array([9150.0, 8950.0, 8800.0, 8600.0, 8400.0, 8200.0])
    error = 0.01
    points = [
        point(v, p + error * rng.normal(), error, name)
        for name, volumes in (("pressure", stable), ("volume", all_over))
        for v, p in zip(volumes, softening(volumes), strict=True)
    ]
    curve = join(points)
    assert [each.volume.value for each in curve.points] == sorted({*stable, *all_over})[::-1]
    # K of the slope at V₀, from the part below half of the largest pressure
    for fit in curve.fits.values():
        assert fit.bulk_modulus.value == pytest.approx(
            K_GPa, abs=3 * fit.bulk_modulus.standard_error
        )
        assert fit.bulk_modulus.standard_error < 0.1 * K_GPa
        assert fit.volume.value == pytest.approx(V0_A3, rel=2e-3)
    assert set(curve.fits) == set(FORMS)
    assert not curve.is_bound
    assert curve.largest.value == pytest.approx(K_GPa * 0.03, abs=0.03)
    assert curve.largest.standard_error == error
    last = curve.points[curve.stable.stop - 1]
    assert 8500 < last.volume.value < 8800
    found = disagreement(points)
    assert found is not None
    assert abs(found.value) < 4 * found.standard_error
    apart = [*points, point(9000.0, softening(np.array(9000.0)) + 0.2, error, "pressure")]
    found = disagreement(apart)
    assert found is not None
    assert found.value == pytest.approx(0.2, abs=0.05)
    assert disagreement([each for each in points if each.ensemble == "pressure"]) is None


def test_a_branch_that_does_not_end_is_a_bound() -> None:
    volumes = np.array([9400.0, 9300.0, 9200.0, 9100.0, 9000.0])
    pressures = birch_murnaghan_pressure(volumes, K_GPa, V0_A3)
    curve = join([point(v, p, 0.01, "pressure") for v, p in zip(volumes, pressures, strict=True)])
    assert curve.is_bound
    assert curve.largest.value == pytest.approx(pressures[-1])
    # what falls by less than its error has not turned
    noisy = [*curve.points, point(8950.0, pressures[-1] - 0.02, 0.02, "volume")]
    assert join(noisy).is_bound
    with pytest.raises(InputError, match="2 points make no curve"):
        join(curve.points[:2])


def test_beyond_the_collapse_is_no_part_of_the_branch() -> None:
    """A pressure that rises again, of what has collapsed, is not what the framework bears."""
    volumes = np.array([9300.0, 9200.0, 9100.0, 9000.0, 8600.0, 8200.0, 7800.0])
    pressures = [*softening(volumes[:6]), 5.0]
    curve = join([point(v, p, 0.01, "volume") for v, p in zip(volumes, pressures, strict=True)])
    assert curve.largest.value == pytest.approx(softening(np.array(8600.0)))
    assert not curve.is_bound


def test_the_part_that_bends_upwards() -> None:
    volumes = np.linspace(8000.0, 9600.0, 17)
    strain = 1.0 - volumes / V0_A3
    energies = K_GPa / EV_PER_A3_TO_GPA * V0_A3 * (strain**2 / 2 - strain**3 / 0.36)
    chosen = convex_part(volumes.tolist(), energies.tolist())
    # the inflection is at a strain of 0.06: 8648 Å³
    assert volumes[chosen].min() == pytest.approx(8600.0, abs=100.0)
    assert volumes[chosen].max() == 9600.0
    order = np.random.default_rng(0).permutation(17)
    shuffled = convex_part(volumes[order].tolist(), energies[order].tolist())
    assert sorted(volumes[order][shuffled]) == sorted(volumes[chosen])
    parabola = ((volumes - V0_A3) ** 2).tolist()
    assert convex_part(volumes.tolist(), parabola) == list(range(17))
    fit = fit_energy_volume(volumes[chosen].tolist(), energies[chosen].tolist())
    whole = fit_energy_volume(volumes.tolist(), energies.tolist())
    assert abs(fit.bulk_modulus.value - K_GPa) < abs(whole.bulk_modulus.value - K_GPa)
