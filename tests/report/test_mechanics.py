"""E(V) and P(V) of structures on one page, from runs of a crystal of exactly known elasticity."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mofmd.analysis.base.statistics import Estimate
from mofmd.analysis.mechanics.forms import energy_of
from mofmd.cli.main import app
from mofmd.errors import InputError, MissingFileError
from mofmd.simulation.protocols import EnergyVolume, PressureGrid, VolumeGrid
from mofmd.simulation.run.run import run_deck
from mofmd.simulation.run.status import write_status
from mofmd.simulation.statics.conduct import fitted
from mofmd.study.mechanics.table import alike, lines_of, shown
from mofmd.study.mechanics.variants import read_published, read_variants, static_curve
from mofmd.units import EV_PER_A3_TO_GPA
from tests.lennard_jones import EDGE_A, K_GPa, argon_deck

COLD = {
    "temperature_K": 1.0, "timestep_fs": 4, "supercell": (3, 3, 3), "thermo_interval_fs": 20,
    "frame_interval_fs": 10000, "restart_interval_ps": 100, "minimise_steps_max": 0,
    "equilibration_ps": 2, "sampling_ps": 4,
}  # fmt: skip
VOLUME_A3 = (3 * EDGE_A) ** 3


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Argon by constant pressure, by constant volume and at rest."""
    folder = tmp_path_factory.mktemp("argon")
    protocols = {
        "pressures": PressureGrid(pressures_bar=(0.0, 300.0, 600.0), coupling="iso", **COLD),
        "volumes": VolumeGrid(volume_ratios=(1.01, 0.995, 0.98, 0.97), shape_damping_fs=400,
                              shear_modulus_guess_GPa=2.3, **COLD),
        "static": EnergyVolume(supercell=(3, 3, 3), shape="fixed",
                               volume_ratios=(0.98, 0.985, 0.99, 0.995, 1.0, 1.005, 1.01)),
    }  # fmt: skip
    for name, protocol in protocols.items():
        run_deck(argon_deck(protocol, folder / name, EDGE_A).directory)
    return folder


def test_runs_of_one_structure_make_one_curve(runs: Path, tmp_path: Path) -> None:
    table = tmp_path / "paper.csv"
    table.write_text("# of nowhere\nstructure,method,K_GPa,source\nargon,PV,2.9-3.1,exact\n")
    words = [f"argon={runs / name / 'deck'}" for name in ("pressures", "volumes", "static")]
    done = CliRunner().invoke(
        app, ["mechanics", *words, "-o", str(tmp_path / "out"), "--published", str(table)],
        catch_exceptions=False,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    with (tmp_path / "out" / "mechanics.csv").open() as file:
        static, dynamic = csv.DictReader(file)
    assert (static["method"], dynamic["method"]) == ("EV", "PV")
    assert (static["temperature_K"], dynamic["temperature_K"]) == ("0.0", "1.0")
    for row, tolerance in ((static, 0.01), (dynamic, 0.05)):
        for name in ("K_GPa", "K_vinet_GPa"):
            assert float(row[name]) == pytest.approx(K_GPa, rel=tolerance)
        assert float(row["K_prime"]) > 1.0
        assert row["K_prime_error"]
        assert float(row["V0_A3"]) == pytest.approx(VOLUME_A3, rel=tolerance / 10)
        assert row["Pmax_is_bound"] == "True"
    assert float(dynamic["K_error_GPa"]) > 0
    manifest = json.loads((runs / "static" / "deck" / "manifest.json").read_text())
    sha256 = manifest["files"]["potential.in"]
    for row, shape in ((static, "fixed"), (dynamic, "fixed and free")):
        assert row["shape"] == shape
        assert (row["model"], row["model_sha256"]) == ("potential.in", sha256)
        assert row["added_dispersion"] == "as potential.in says"
    alike = f"model: potential.in (sha256 {sha256[:12]}); D3 added: as potential.in says"
    page = (tmp_path / "out" / "report.html").read_text()
    assert f"<p>In all lines: {alike}.</p>" in page
    assert f"in all: {alike}\n" in done.output
    assert "temperature: at rest (0 K); shape of the cell: fixed\n" in done.output
    for cell in ("at rest (0 K)", "1 K", "fixed", "fixed and free"):
        assert f'<td class="number">{cell}</td>' in page
    # no error: three digits
    largest = f"&gt; {float(static['Pmax_GPa']):.3g}"
    assert f'<td class="number">{largest}</td>' in page
    assert "2.9-3.1" in page
    assert page.count("<svg") == 2
    assert "differ by" not in page  # both ensembles agree
    (variant,), left_out = read_variants(words)
    assert left_out == []
    assert variant.curve is not None
    assert len(variant.curve.points) == 7
    assert {point.ensemble for point in variant.points} == {"pressure", "volume"}


def test_what_gives_nothing_is_named(runs: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match=r"empty: .* holds no run that gives E\(V\) or P\(V\)"):
        read_variants([str(empty)])
    with pytest.raises(MissingFileError, match="nowhere"):
        read_variants([str(tmp_path / "nowhere")])
    write_status(empty, state="failed", error="it broke")
    (variant,), left_out = read_variants([str(empty), f"argon={runs / 'static' / 'deck'}"])
    assert (variant.name, variant.points) == ("argon", ())
    assert left_out == [f"empty: {empty}: is not finished (failed)"]
    (tmp_path / "t.csv").write_text("name,K\nx,1\n")
    with pytest.raises(InputError, match="columns name, K; expected structure and any of method"):
        read_published(tmp_path / "t.csv")


def test_what_is_left_out_is_not_in_the_curve(runs: Path, tmp_path: Path) -> None:
    """A task of another version, and one whose results are damaged."""
    expected, _ = read_variants([f"argon={runs / 'static' / 'deck'}"])
    for name, task, results in (
        (
            "old",
            {"schema": "mofmd-static-0"},
            '{"volumes_A3": [1, 2, 3], "energies_eV": [0, 1, 0]}',
        ),
        ("torn", {"schema": "mofmd-static-1"}, '{"volumes_A3": [1, 2'),
        ("bare", {"schema": "mofmd-static-1"}, '{"volumes_A3": [1, 2], "energies_eV": [0, 1]}'),
    ):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "task.json").write_text(json.dumps(task))
        (folder / "results.json").write_text(results)
        write_status(folder, state="finished")
        words = [f"argon={runs / 'static' / 'deck'}", f"argon={folder}"]
        (variant,), left_out = read_variants(words)
        assert len(left_out) == 1
        assert left_out[0].startswith(f"argon: {folder}")
        assert variant.energies is not None
        assert expected[0].energies is not None
        np.testing.assert_array_equal(variant.energies.volumes_A3, expected[0].energies.volumes_A3)


def test_two_models_make_no_one_curve(runs: Path, tmp_path: Path) -> None:
    softer = tmp_path / "softer"
    shutil.copytree(runs / "static" / "deck", softer)
    manifest = json.loads((softer / "manifest.json").read_text())
    (model,) = {manifest["potential"]["model"]} & set(manifest["files"])
    manifest["files"][model] = "0" * 64
    (softer / "manifest.json").write_text(json.dumps(manifest))
    words = [f"argon={runs / 'pressures' / 'deck'}", f"argon={softer}"]
    with pytest.raises(
        InputError, match=r"argon: its runs are of different models: .* and .*NAME="
    ):
        read_variants(words)
    found, left_out = read_variants([words[0], f"softer={softer}"])
    assert [each.name for each in found] == ["argon", "softer"]
    assert left_out == []
    # a cell twice as large
    manifest = json.loads((runs / "static" / "deck" / "manifest.json").read_text())
    manifest["structure"]["formula"] = "Ar216"
    (softer / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(InputError, match=r"argon: its runs are of different cells: Ar.* and Ar216"):
        read_variants([f"argon={runs / 'static' / 'deck'}", f"argon={softer}"])


def test_a_static_curve_beyond_its_inflection() -> None:
    """K and V₀ are of the part that bends upwards; the largest pressure is where it ends."""
    volumes = np.array([8000.0, 8200, 8400, 8600, 8800, 9000, 9100, 9200, 9300, 9400])
    modulus = 35.0 / EV_PER_A3_TO_GPA
    strain = 1.0 - volumes / 9200.0
    energies = modulus * 9200.0 * (strain**2 / 2 - strain**3 / 0.36)
    pressures = 35.0 * (strain - 3 * strain**2 / 0.36)
    found = static_curve(volumes, energies, pressures)
    assert found.curve is not None
    assert not found.curve.is_bound
    assert found.curve.largest.value == pytest.approx(pressures.max())
    fit = found.fits["birch-murnaghan"]
    assert fit.volumes_A3.min() == 8600.0
    assert fit.bulk_modulus.value == pytest.approx(35.0, rel=0.1)
    told = fitted(volumes.tolist(), energies.tolist())
    assert told["points_of_the_fit"] == 7
    assert told["bulk_modulus_GPa"] == pytest.approx(fit.bulk_modulus.value)
    assert static_curve(volumes, energies, np.full(10, np.nan)).curve is None
    one_sided = energy_of("vinet", volumes[-4:], 0.0, modulus, 9900.0, 4.0)
    assert "no_fit" in fitted(volumes[-4:].tolist(), (-one_sided).tolist())
    json.dumps(told, allow_nan=False)


def test_values_are_rounded_to_their_errors() -> None:
    assert shown(Estimate(33.04512, 0.2178, 10, "GPa"), "K", unit=True) == "33.05 ± 0.22 GPa"
    assert shown(Estimate(1.83746, 0.0, np.inf, "GPa"), "Pmax") == "1.84"
    assert shown(Estimate(2345.678, np.nan, 4, "GPa"), "K") == "2346"
    assert shown(Estimate(9234.567, np.nan, 4, "Å³"), "V0") == "9234.6"


def test_a_task_names_its_model_dispersion_and_shape(tmp_path: Path) -> None:
    """With all alike one sentence tells; two models make columns."""
    volumes = [90.0, 95.0, 100.0, 105.0, 110.0]
    results = {"volumes_A3": volumes, "energies_eV": [0.01 * (v - 100) ** 2 for v in volumes]}
    for name, model, dispersion in (("a", "x.pth", None), ("b", "y.pth", "d3bj:pbe")):
        record = {
            "schema": "mofmd-static-1", "model": f"/{model}", "model_sha256": name * 64,
            "dispersion": dispersion, "formula": "X", "settings": {"shape": "free"},
        }  # fmt: skip
        (tmp_path / name).mkdir()
        (tmp_path / name / "task.json").write_text(json.dumps(record))
        (tmp_path / name / "results.json").write_text(json.dumps(results))
        write_status(tmp_path / name, state="finished")
    variants, _ = read_variants([str(tmp_path / name) for name in "ab"])
    lines = lines_of(variants)
    same = {"temperature": "at rest (0 K)", "shape of the cell": "free"}
    assert alike(lines) == same
    assert alike(lines[1:]) == {
        "model": f"y.pth (sha256 {'b' * 12})", "D3 added": "d3bj:pbe", **same
    }  # fmt: skip
    assert lines[0].row()["added_dispersion"] == "none"
