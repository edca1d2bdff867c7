import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mofmd.analysis.base.statistics import (
    BlockAverage,
    Estimate,
    Sampling,
    ensemble_mean,
    mean_of_series,
    sample,
    statistical_inefficiency,
)
from mofmd.errors import InputError


def autoregressive(n: int, memory: float, seed: int = 0) -> np.ndarray:
    """Series with C(t) = memory**t, mean 0, variance 1."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=n) * np.sqrt(1 - memory**2)
    values = np.empty(n)
    values[0] = rng.normal()
    for k in range(1, n):
        values[k] = memory * values[k - 1] + noise[k]
    return values


@pytest.mark.parametrize("memory", [0.0, 0.5, 0.9, 0.98])
def test_inefficiency_of_a_known_process(memory):
    # g = 1 + 2 Σ aᵗ = (1 + a)/(1 − a)
    found = np.mean([statistical_inefficiency(autoregressive(20000, memory, s)) for s in range(6)])
    assert found == pytest.approx((1 + memory) / (1 - memory), rel=0.12)


def test_inefficiency_of_little():
    assert statistical_inefficiency(np.full(100, 3.7)) == 1
    assert statistical_inefficiency(np.array([1.0, 2.0])) == 1


def test_standard_error_covers_the_mean_as_often_as_it_should():
    # the true mean is 0: |mean|/error is a standard normal number
    ratios = []
    for seed in range(300):
        series = autoregressive(2000, 0.8, seed)
        estimate = mean_of_series(series, Sampling(2000, 0, False, 9.0))
        ratios.append(estimate.value / estimate.standard_error)
    assert np.mean(np.abs(ratios) < 1) == pytest.approx(0.683, abs=0.08)
    assert np.mean(np.abs(ratios) < 2) == pytest.approx(0.954, abs=0.04)


def test_errors_of_arrays_cover_as_often_as_they_should():
    ratios = []
    for seed in range(40):
        series = np.stack([autoregressive(1500, 0.7, 50 * seed + k) for k in range(8)], axis=1)
        average = BlockAverage()
        for row in series:
            average.add(row)
        mean, error = average.mean(Sampling(1500, 0, False, statistical_inefficiency(series[:, 0])))
        assert mean == pytest.approx(series.mean(axis=0))
        ratios.extend(mean / error)
    assert np.mean(np.abs(ratios) < 1) == pytest.approx(0.683, abs=0.08)


def test_equilibration_is_found():
    series = autoregressive(1000, 0.6, 1)
    series[:200] += np.linspace(30, 0, 200)
    found = sample(series)
    assert found.automatic
    assert 150 <= found.cut <= 300
    # the sampling error of a mean of 800 values with g = 4
    assert mean_of_series(series, found).value == pytest.approx(0, abs=0.3)
    assert sample(autoregressive(1000, 0.6, 2)).cut == 0
    given_cut = sample(series, cut=500)
    assert (given_cut.cut, given_cut.automatic, given_cut.used) == (500, False, 500)


@given(st.integers(1, 400), st.integers(0, 60), st.integers(1, 8))
def test_blocks_hold_the_mean_whatever_their_number(n, cut, half):
    cut = min(cut, n - 1)
    average = BlockAverage(blocks_max=2 * half)
    for k in range(n):
        average.add(np.array([k, 1.0]))
    mean, _ = average.mean(Sampling(n, cut, False, 1.0))
    # whole blocks are dropped, at least as many frames as the cut where frames remain
    dropped = min(-(-cut // average.length), -(-n // average.length) - 1) * average.length
    assert mean == pytest.approx([np.arange(dropped, n).mean(), 1.0])


def test_few_frames_have_no_error_or_an_honest_one():
    average = BlockAverage()
    average.add(np.array([1.0]))
    assert np.isnan(average.mean(Sampling(1, 0, True, 1.0))[1])
    assert np.isnan(mean_of_series(np.array([2.0]), Sampling(1, 0, True, 1.0)).standard_error)
    assert not Estimate(1.0, 0.1, 9.9).reliable


def test_estimates_are_written_with_the_digits_they_deserve():
    assert str(Estimate(3.14159, 0.0123, 50, "GPa")) == "3.142 ± 0.012 GPa"
    assert str(Estimate(1234.5, 67.8, 50)) == "1234 ± 68"
    assert str(Estimate(4.0, 0.0, 50)) == "4"


def test_ensemble():
    found = ensemble_mean([1.0, 2.0, 3.0, 4.0], "GPa")
    assert found.value == 2.5
    assert found.standard_error == pytest.approx(np.sqrt(5 / 3) / 2)
    assert np.isnan(ensemble_mean([1.0]).standard_error)
    with pytest.raises(InputError, match="ensemble: has no members"):
        ensemble_mean([])


def test_refusals():
    with pytest.raises(InputError, match="no frames to average over"):
        sample(np.array([]))
    with pytest.raises(InputError, match="cut of 5 frames leaves none of 5"):
        sample(np.zeros(5), cut=5)
