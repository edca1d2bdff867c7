"""Thermal expansion: equations of state, a solid known in closed form, what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.cli.phonons.options import temperatures_of
from mofmd.errors import InputError, InputWarning
from mofmd.phonons.calculation.evaluators import InProcess
from mofmd.phonons.run import ForceOptions, Model
from mofmd.phonons.spectrum.thermal import constants, oscillators
from mofmd.phonons.temperature.equations import birch_murnaghan, fit_equation, vinet
from mofmd.phonons.temperature.expansion import (
    ExpansionOptions,
    check_one_minimum,
    expand,
    other_choices,
)
from mofmd.phonons.temperature.output import write_expansion
from mofmd.phonons.temperature.qha import quasi_harmonic
from mofmd.units import EV_PER_A3_TO_GPA
from tests.phonons.crystals import DoubleWell, argon, fcc, pair

ENERGY_EV, VOLUME_A3, MODULUS, DERIVATIVE = -10.0, 200.0, 0.12, 5.0  # modulus in eV/Å³
GAMMA, NU_THZ, MODES = 1.7, 4.0, 30


def einstein(volumes: np.ndarray, temperatures: np.ndarray) -> np.ndarray:
    """(volumes, temperatures) free energy of oscillators whose frequency is V^−γ."""
    nu = NU_THZ * (volumes / VOLUME_A3) ** -GAMMA
    return MODES * oscillators(nu, temperatures)[0].T


def exact_volume(temperature: float) -> float:
    def slope(volume: float) -> float:
        h = 1e-3
        v = np.array([volume - h, volume + h])
        total = birch_murnaghan(v, ENERGY_EV, VOLUME_A3, MODULUS, DERIVATIVE)
        total = total + einstein(v, np.array([temperature]))[:, 0]
        return float(total[1] - total[0]) / (2 * h)

    return float(brentq(slope, 0.9 * VOLUME_A3, 1.2 * VOLUME_A3, xtol=1e-10))


@pytest.mark.parametrize(
    ("equation", "strain", "points"), [("birch-murnaghan", 0.04, 7), ("vinet", 0.06, 11)]
)
def test_einstein_grueneisen_solid(equation: str, strain: float, points: int) -> None:
    """Whatever the choice of volumes: V(T), and α_V = γ C/(K V) from the Grüneisen relation."""
    temperatures = np.arange(0.0, 401.0, 20.0)
    volumes = VOLUME_A3 * np.linspace(1 - 0.5 * strain, 1 + 2.5 * strain, points)
    static = birch_murnaghan(volumes, ENERGY_EV, VOLUME_A3, MODULUS, DERIVATIVE)
    found = quasi_harmonic(
        volumes,
        static,
        einstein(volumes, temperatures),
        temperatures,
        equation=equation,  # type: ignore[arg-type]
    )
    exact = np.array([exact_volume(t) for t in temperatures])
    np.testing.assert_allclose(found.volumes_A3, exact, rtol=1e-4)
    heat = MODES * oscillators(NU_THZ * (exact / VOLUME_A3) ** -GAMMA, temperatures)[2]
    alpha = GAMMA * np.diagonal(heat) / (found.bulk_moduli_GPa / EV_PER_A3_TO_GPA * exact)
    np.testing.assert_allclose(found.alpha_V_per_K[6:-3], alpha[6:-3], rtol=0.02)
    np.testing.assert_allclose(found.mean_alpha_L_per_K, found.alpha_V_per_K / 3)
    # edges of a cube, from the volumes
    np.testing.assert_allclose(
        found.alpha_L_per_K[2:-2, 0], found.mean_alpha_L_per_K[2:-2], rtol=0.02, atol=2e-8
    )
    assert found.static.bulk_modulus_GPa == pytest.approx(MODULUS * EV_PER_A3_TO_GPA, rel=0.01)


def test_noise_of_energies_is_in_the_errors() -> None:
    temperatures = np.arange(0.0, 401.0, 50.0)
    volumes = VOLUME_A3 * np.linspace(0.97, 1.12, 9)
    static = birch_murnaghan(volumes, ENERGY_EV, VOLUME_A3, MODULUS, DERIVATIVE)
    free = einstein(volumes, temperatures)
    quiet = quasi_harmonic(volumes, static, free, temperatures)
    noise = 2e-3 * np.random.default_rng(0).normal(size=len(volumes))
    noisy = quasi_harmonic(volumes, static + noise, free, temperatures)
    assert (noisy.volume_errors_A3 > 20 * quiet.volume_errors_A3).all()
    off = np.abs(noisy.volumes_A3 - quiet.volumes_A3)
    assert (off < 5 * noisy.volume_errors_A3).all()


@pytest.mark.parametrize("form", [birch_murnaghan, vinet])
def test_equations_return_what_they_were_made_of(form: object) -> None:
    volumes = np.linspace(180.0, 220.0, 9)
    energies = form(volumes, ENERGY_EV, 203.0, MODULUS, 6.0)  # type: ignore[operator]
    name = "vinet" if form is vinet else "birch-murnaghan"
    found = fit_equation(volumes, energies, name)  # type: ignore[arg-type]
    assert found.volume_A3 == pytest.approx(203.0, rel=1e-7)
    assert found.bulk_modulus_GPa == pytest.approx(MODULUS * EV_PER_A3_TO_GPA, rel=1e-5)
    assert found.derivative == pytest.approx(6.0, rel=1e-4)


# ZIF-4 by a model with two phases: energies that no iteration from a parabola fits
TWO_PHASES_EV = np.array([6.533, 0.0, 5.519, 19.674, 39.656, 58.259, 63.475, 59.445, 51.943]) * 1e-3
TWO_PHASES_A3 = np.linspace(4140.6, 4475.2, 9)


def test_energies_of_two_phases_are_fitted_and_told() -> None:
    found = fit_equation(TWO_PHASES_A3, TWO_PHASES_EV)
    x = TWO_PHASES_A3 ** (-2.0 / 3.0)
    columns = np.stack([(x / x.mean()) ** n for n in range(4)], axis=1)
    (_, squares, _, _) = np.linalg.lstsq(columns, TWO_PHASES_EV, rcond=None)
    # the least that the form allows
    assert found.residual_eV == pytest.approx(np.sqrt(squares[0] / 9), rel=1e-4)
    with pytest.warns(InputWarning, match=r"more than once .* turn at 4182\.4, 4391\.6"):
        check_one_minimum(TWO_PHASES_A3, TWO_PHASES_EV)


def test_volumes_that_say_nothing() -> None:
    volumes = np.linspace(205.0, 230.0, 8)
    energies = birch_murnaghan(volumes, ENERGY_EV, VOLUME_A3, MODULUS, DERIVATIVE)
    with pytest.raises(InputError, match=r"below all of them.*one-sided"):
        fit_equation(volumes, energies)
    with pytest.raises(InputError, match="too few"):
        fit_equation(volumes[:4], energies[:4])
    with pytest.raises(InputError, match="one-sided"):
        ExpansionOptions(strain=(0.01, 0.05))
    with pytest.raises(InputError, match="too few"):
        ExpansionOptions(points=4)


@pytest.mark.long
def test_expansion_of_argon(tmp_path: Path) -> None:
    """The whole way; bonds soften when stretched, so that the crystal expands."""
    options = ExpansionOptions(
        points=8,
        strain=(-0.04, 0.08),
        mesh=(4, 4, 4),
        temperatures_K=(0.0, 10.0, 20.0, 30.0, 40.0),
        fmax_eV_per_A=1e-6,
        keep_symmetry=True,
    )
    found = expand(
        fcc(),
        argon(),
        InProcess(argon()),
        Model("argon"),
        tmp_path,
        options,
        ForceOptions(supercell=(3, 3, 3)),
    )
    record = json.loads((tmp_path / "volume-00/relax/relaxed.json").read_text())
    assert record["space_group"] == "Fm-3m (225)"
    qha = found.birch_murnaghan
    choices = other_choices(found)
    assert set(choices) == {"without the outermost two", "without the smallest two"}
    for other in choices.values():
        np.testing.assert_allclose(other.volumes_A3[0], qha.volumes_A3[0], rtol=1e-3)
    assert (np.diff(qha.volumes_A3) > 0).all()
    np.testing.assert_allclose(qha.lengths_A[:, 0] ** 3 / 2**0.5, qha.volumes_A3, rtol=1e-4)
    np.testing.assert_allclose(qha.volumes_A3, found.vinet.volumes_A3, rtol=1e-3)
    write_expansion(found, tmp_path, {"structure": "argon", "model": "test", "shape": "free"})
    table = np.genfromtxt(tmp_path / "qha_vinet.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["volume_A3"], found.vinet.volumes_A3)
    assert "birch-murnaghan" in (tmp_path / "report.html").read_text()
    assert (tmp_path / "figures/expansion.svg").exists()
    # the static crystal: K of Born's sum over nearest neighbours, 4k/(3a)
    from tests.phonons.crystals import EDGE_A, STIFFNESS

    exact = 4 * STIFFNESS / (3 * EDGE_A) * EV_PER_A3_TO_GPA
    assert qha.static.bulk_modulus_GPa == pytest.approx(exact, rel=0.03)
    assert constants().boltzmann_eV_per_K == pytest.approx(8.617333e-5, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"points": 4}, "volumes: 4 are too few"),
        ({"temperatures_K": (0.0, 300.0)}, "temperatures: 2 given, expected 3 or more"),
        ({"temperatures_K": (0.0, 300.0, float("nan"))}, "temperatures"),
        ({"strain": (float("nan"), 0.03)}, "strain"),
    ],
)
def test_what_is_refused_before_anything_is_computed(options: Any, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ExpansionOptions(**options)


@pytest.mark.parametrize("text", ["0:inf:10", "0:nan:10", "nan:1:1", "0:100:inf", "0:1000:1e-9"])
def test_temperatures_that_are_none(text: str) -> None:
    with pytest.raises(InputError, match=f"temperatures: '{text}'"):
        temperatures_of(text)


def test_strain_is_refused_before_the_structure_is_read(tmp_path: Path) -> None:
    words = ["phonons", "elastic", "lacks.cif", "--model", "lacks", "--strain", "nan"]
    done = CliRunner().invoke(app, [*words, "-o", str(tmp_path / "out")])
    assert "strain: nan, expected between" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_models_and_crystals_without_free_energy(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no stress"):
        expand(pair(), DoubleWell(), InProcess(DoubleWell()), Model("well"), tmp_path)
