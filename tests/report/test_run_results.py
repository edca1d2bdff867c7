"""Equations of state and stiffness that stand in a run's own output."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.analysis.base.members import average_results
from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.analysis.mechanics.equation_of_state import fit_pressure_volume
from mofmd.analysis.mechanics.forms import birch_murnaghan_pressure
from mofmd.cli.main import app
from mofmd.engine.lammps_log import ThermoTable
from mofmd.errors import InputError, MissingFileError
from mofmd.report.sections import _figures
from mofmd.simulation.protocols import Elastic, EnergyVolume, Minimise
from mofmd.simulation.run.run import run_deck
from mofmd.study.run_results import CELL_PLACES, RunOutput, run_results
from mofmd.study.settings import AnalysisSettings
from mofmd.study.study import run_analysis
from mofmd.units import BAR_TO_GPA, G_PER_MOL_A3_TO_G_PER_CM3
from tests.analysis.test_elasticity import SOFT, cells_of
from tests.lennard_jones import (
    CUTOFF_A,
    EPSILON_EV,
    SIGMA_A,
    argon_deck,
    equilibrium_edge,
    exact_stiffness,
    shells,
)

K_GPa, V0_A3, MASS = 4.0, 4200.0, 3000.0
EDGE_A = equilibrium_edge()
C11, C12, C44 = exact_stiffness(EDGE_A)


def sampled(volumes: list[float], noise: float = 0.0) -> list[ThermoTable]:
    """Stages of a finite-strain run on a second-order equation of state, each in two parts."""
    rng = np.random.default_rng(1)
    tables = []
    for number, volume in enumerate(volumes, start=1):
        pressure = float(birch_murnaghan_pressure(np.array(volume), K_GPa, V0_A3)) / BAR_TO_GPA
        for stage, first in (("equilibrate", 0), ("sample", 100), ("sample", 200)):
            steps = first + np.arange(101.0)
            values = pressure + noise * rng.normal(size=101)
            if stage == "equilibrate":
                values += 5000
            columns = {"Step": steps, "Press": values, "Volume": np.full(101, volume)}
            tables.append(ThermoTable(f"{stage}_{number}", columns))
    return tables


def output(protocol: dict, tables: list[ThermoTable], directory: Path = Path()) -> RunOutput:
    return RunOutput(directory, protocol, tables, MASS)


def test_finite_strain():
    volumes = [4300.0, 4200.0, 4100.0, 4000.0, 3900.0]
    protocol = {"name": "FiniteStrain", "temperature_K": 300}
    (found,) = run_results(output(protocol, sampled(volumes, noise=300)))
    scalars = found.scalars
    for name, exact in (
        ("bulk modulus K", K_GPa),
        ("volume V₀", V0_A3),
        ("density ρ₀", MASS / V0_A3 * G_PER_MOL_A3_TO_G_PER_CM3),
        ("derivative K′, third order", 4.0),
    ):
        # errors of 200 values each: right within four of them, and not idle
        assert scalars[name].value == pytest.approx(exact, abs=4 * scalars[name].standard_error)
        assert scalars[name].standard_error > 0
    assert scalars["bulk modulus K"].value == pytest.approx(K_GPa, rel=0.03)
    assert "largest pressure P_max" not in scalars
    points = found.tables["points"].columns
    assert points["volume"].values.tolist() == volumes
    assert points["pressure"].standard_error == pytest.approx(
        300 * BAR_TO_GPA / np.sqrt(201), rel=0.5
    )


def test_volume_grid():
    """The same pressures and volumes as finite strain, with a free shape."""
    volumes = [4300.0, 4200.0, 4100.0, 4000.0, 3900.0]
    protocol = {"name": "VolumeGrid", "temperature_K": 300}
    (found,) = run_results(output(protocol, sampled(volumes, noise=300)))
    assert "shape free" in found.definition
    for name, exact in (("bulk modulus K", K_GPa), ("volume V₀", V0_A3)):
        scalar = found.scalars[name]
        assert scalar.value == pytest.approx(exact, abs=4 * scalar.standard_error)
        assert 0 < scalar.standard_error < 0.05 * exact
    assert found.tables["points"].columns["volume"].values.tolist() == volumes
    # without noise to the last digit
    (exact,) = run_results(output(protocol, sampled(volumes)))
    assert exact.scalars["bulk modulus K"].value == pytest.approx(K_GPa, rel=1e-6)
    assert exact.scalars["volume V₀"].value == pytest.approx(V0_A3, rel=1e-6)


def test_strain_fluctuation_of_the_log():
    """Cells of the stage sample of a known solid; those before it do not count."""
    cells = cells_of(SOFT, 300.0, 4000, seed=7)
    tables = []
    for stage, part in (("equilibrate", 2 * cells[:50]), ("sample", cells[:2000]),
                        ("sample", cells[1999:])):  # fmt: skip
        begin = 0 if stage == "equilibrate" else 50 if len(part) == 2000 else 2049
        columns = {"Step": begin + np.arange(float(len(part)))}
        columns["Time"] = 0.1 * columns["Step"]
        columns |= {name: part[:, i, j] for name, (i, j) in CELL_PLACES.items()}
        tables.append(ThermoTable(stage, columns))
    protocol = {"name": "StrainFluctuation", "temperature_K": 300.0}
    (found,) = run_results(output(protocol, tables))
    assert found.name == "elasticity"
    assert found.settings["cells_of_the_log"] == 4000
    (later,) = run_results(replace(output(protocol, tables), start_ps=205.0, temperature_K=600.0))
    assert later.settings["cells_of_the_log"] == 2000
    assert later.settings["temperature_K"] == 600.0
    with pytest.raises(InputError, match="ends before 1000 ps"):
        run_results(replace(output(protocol, tables), start_ps=1000.0))
    stiffness = found.tables["stiffness"].columns["C"].values.reshape(6, 6)
    assert stiffness == pytest.approx(SOFT, abs=0.15)
    bulk = found.scalars["bulk modulus K (Hill)"]
    expected = ElasticTensor(SOFT).hill.bulk_GPa
    assert bulk.value == pytest.approx(expected, abs=5 * bulk.standard_error)
    with pytest.raises(InputError, match="holds no stage sample; the run has not come that far"):
        run_results(output(protocol, tables[:1]))


def test_a_framework_that_collapses_has_a_largest_pressure():
    tables = sampled([4200.0, 4000.0, 3900.0])
    low = dict(tables[-1].columns, Press=np.full(101, 10.0))
    tables[-2:] = [ThermoTable("sample_3", low)]
    (found,) = run_results(output({"name": "FiniteStrain"}, tables))
    top = float(birch_murnaghan_pressure(np.array(4000.0), K_GPa, V0_A3))
    assert found.scalars["largest pressure P_max"].value == pytest.approx(top)


def test_points_beyond_a_collapse_are_no_part_of_the_fit():
    """K of the framework, not of what it collapsed into, and what was left out is said."""
    volumes = [4300.0, 4250.0, 4200.0, 4150.0, 4100.0, 4000.0, 3900.0]
    tables = sampled(volumes, noise=300)
    for table in tables:
        if table.stage in ("sample_6", "sample_7"):
            table.columns["Press"][:] -= 3000
    (found,) = run_results(output({"name": "VolumeGrid", "temperature_K": 300}, tables))
    modulus = found.scalars["bulk modulus K"]
    assert modulus.value == pytest.approx(K_GPa, abs=4 * modulus.standard_error)
    assert "Not fitted, as the pressure turns before them: V = 4000, 3900 Å³." in found.notes


def test_errors_grow_where_the_curve_misses_the_points():
    """A plateau is no equation of state; the fit does not claim to know its modulus."""
    volumes = [4300.0, 4250.0, 4200.0, 4150.0, 4100.0]
    exact = [float(birch_murnaghan_pressure(np.array(v), 2.0, V0_A3)) for v in volumes]
    flat = [*exact[:3], exact[2], exact[2]]

    def error(pressures: list[float]) -> float:
        given = [Estimate(p / BAR_TO_GPA, 0.003 / BAR_TO_GPA, 100, "bar") for p in pressures]
        return fit_pressure_volume(volumes, given).bulk_modulus.standard_error

    assert error(flat) > 3 * error(exact)


def test_members_of_other_volumes_have_a_figure():
    """Their points have no mean; the page shows those of each."""
    made = []
    for larger in (1.0, 1.02):
        tables = sampled([larger * v for v in (4300.0, 4200.0, 4100.0, 4000.0)], noise=300)
        made.append(run_results(output({"name": "FiniteStrain", "temperature_K": 300}, tables)))
    (mean,) = average_results({str(k): own for k, own in enumerate(made)}).results
    assert "points" not in mean.tables
    members = [SimpleNamespace(name=str(k), results=own) for k, own in enumerate(made)]
    ((name, figure, caption),) = _figures(mean, SimpleNamespace(members=members))
    assert (name, len(figure.axes[0].get_legend_handles_labels()[0])) == ("equation of state", 2)
    assert "have no mean" in caption


def test_too_few_volumes_leave_the_points_and_the_reason():
    (found,) = run_results(output({"name": "FiniteStrain"}, sampled([4200.0, 4100.0])))
    assert found.scalars == {}
    assert "fit" not in found.tables
    assert found.notes[0].startswith("No fit: pressures: 2 for 2 volumes")


def test_pressure_grid():
    volumes = [4200.0, 4150.0, 4100.0, 4050.0]
    pressures = birch_murnaghan_pressure(np.array(volumes), K_GPa, V0_A3) / BAR_TO_GPA
    rng = np.random.default_rng(3)
    tables = []
    for number, volume in enumerate(volumes, start=1):
        columns = {
            "Step": np.arange(400.0),
            "Press": rng.normal(scale=1e4, size=400),
            "Volume": volume + rng.normal(scale=20, size=400),
        }
        tables.append(ThermoTable(f"sample_{number}", columns))
    protocol = {"name": "PressureGrid", "pressures_bar": pressures.tolist()}
    (found,) = run_results(output(protocol, tables))
    modulus = found.scalars["bulk modulus K"]
    assert modulus.value == pytest.approx(K_GPa, abs=4 * modulus.standard_error)
    assert modulus.standard_error < 0.1 * K_GPa
    assert found.tables["points"].columns["volume"].standard_error == pytest.approx(1.0, rel=0.5)


def test_runs_that_have_not_come_that_far():
    with pytest.raises(InputError, match="holds no stage sample_1"):
        run_results(output({"name": "FiniteStrain"}, sampled([4200.0])[:1]))
    assert run_results(output({"name": "NVT"}, [])) == []


def test_energy_volume_of_argon(tmp_path: Path):
    ratios = (0.985, 0.99, 0.995, 1.0, 1.005, 1.01, 1.015)
    protocol = EnergyVolume(supercell=(4, 4, 4), volume_ratios=ratios, shape="fixed")
    deck = argon_deck(protocol, tmp_path, EDGE_A)
    run_deck(deck.directory)
    found = run_analysis(AnalysisSettings(deck.directory, ("density",)))
    (state,) = [result for result in found.results if result.name == "equation of state"]
    assert state.scalars["bulk modulus K"].value == pytest.approx((C11 + 2 * C12) / 3, rel=5e-3)
    assert state.scalars["volume V₀"].value == pytest.approx(64 * EDGE_A**3, rel=1e-4)
    points, fit = (state.tables[name].columns for name in ("points", "fit"))
    fitted = np.interp(points["volume"].values, fit["volume"].values, fit["energy"].values)
    assert fitted == pytest.approx(points["energy"].values, abs=1e-3)


def test_minimum_of_argon(tmp_path: Path):
    deck = argon_deck(Minimise(supercell=(3, 3, 3), cell="iso"), tmp_path, 1.01 * EDGE_A)
    with pytest.raises(MissingFileError, match=r"left no frames \(waiting\); run it with `mofmd"):
        run_analysis(AnalysisSettings(deck.directory, ("density",)))
    run_deck(deck.directory)
    found = run_analysis(AnalysisSettings(deck.directory, ("density",)))
    density, minimum = found.results
    assert density.scalars["volume"].value == pytest.approx(27 * EDGE_A**3, rel=1e-5)
    lengths = np.linalg.norm(shells(EDGE_A), axis=1)
    pairs = 4 * EPSILON_EV * ((SIGMA_A / lengths) ** 12 - (SIGMA_A / lengths) ** 6)
    shift = 4 * EPSILON_EV * ((SIGMA_A / CUTOFF_A) ** 12 - (SIGMA_A / CUTOFF_A) ** 6)
    energy = 108 / 2 * float((pairs - shift).sum())
    assert minimum.scalars["energy"].value == pytest.approx(energy, rel=1e-6)
    assert minimum.scalars["norm of all forces"].value < 1e-4
    assert abs(minimum.scalars["pressure"].value) < 1e-3


def test_report_of_an_elastic_run(tmp_path: Path):
    deck = argon_deck(Elastic(supercell=(4, 4, 4), strain=0.002), tmp_path, EDGE_A)
    run_deck(deck.directory)
    done = CliRunner().invoke(
        app,
        ["report", str(deck.directory), "-o", str(tmp_path / "out"), "--observables", "density"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0, done.output
    page = (tmp_path / "out" / "report.html").read_text()
    assert 'data-name="elastic surfaces"' in page
    # Voigt's K stands in the table of averages
    shown = re.search(r'<tr><td>Voigt</td><td class="number">([\d.]+)', page)
    assert shown is not None
    assert float(shown[1]) == pytest.approx((C11 + 2 * C12) / 3, rel=2e-3)
