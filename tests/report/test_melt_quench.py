import csv
import json
from dataclasses import replace

import numpy as np
import pytest

from mofmd.demo.figure import plot_melt_quench
from mofmd.demo.melt_quench import analyse_melt_quench, write_results
from mofmd.errors import InputError
from mofmd.reading.read import read_structure
from mofmd.simulation.deck.deck import Potential, write_deck
from mofmd.simulation.run.run import Run
from mofmd.structures.crystals.zif import zif4
from tests.melt_quench_runs import MINIMUM_EV, PROTOCOL, STAGES, fill


@pytest.fixture
def run(tmp_path) -> Run:
    model = tmp_path / "model.pth"
    model.write_bytes(b"weights")
    potential = Potential("allegro", model, ("C", "H", "N", "Zn"))
    return fill(write_deck(PROTOCOL, zif4(), potential, tmp_path / "deck"))


def test_states_are_the_second_halves_of_their_stages(run):
    results = analyse_melt_quench(run, zif4())
    assert {name: state.frames for name, state in results.states.items()} == {
        "crystal": 2,
        "melt": 2,
        "glass": 2,
    }
    coordination = {name: state.coordination for name, state in results.states.items()}
    assert coordination == {"crystal": 4.0, "melt": 4 - 4 / 16, "glass": 4.0}
    melt = results.states["melt"]
    assert melt.temperature_K == pytest.approx(2000)
    above = melt.energy_eV_per_atom - results.minimum_energy_eV_per_atom
    assert above == pytest.approx(1.5 * 8.617333e-5 * 2000, abs=1e-7)
    r, g = (results.states["crystal"].rdf.columns[name].values for name in ("r", "g"))
    bond = (r > 1.8) & (r < 2.2)
    shells = 4 / 3 * np.pi * ((r + 0.025) ** 3 - (r - 0.025) ** 3)
    # four neighbours, of 64 N in the cell
    neighbours = (g * shells)[bond].sum() * 64 / zif4().get_volume()
    assert neighbours == pytest.approx(4, abs=1e-6)


def test_course_of_the_run(run):
    results = analyse_melt_quench(run, zif4())
    assert [stage.name for stage in results.stages] == list(STAGES)
    assert [stage.end_step for stage in results.stages] == [40, 80, 120, 160, 200]
    assert results.stages[1].start_ps == pytest.approx(0.02)
    assert results.thermo["Step"].tolist() == list(range(0, 201, 10))
    assert results.frame_times_ps == pytest.approx(np.arange(21) * 0.005)
    assert results.intact.tolist() == [32] * 9 + [31] * 8 + [32] * 4
    assert results.minimum_energy_eV_per_atom == MINIMUM_EV / 272


def test_parts_of_a_stage_are_one(run):
    """A run that was cut at its restarts is the unbroken one."""
    whole = analyse_melt_quench(run, zif4())
    tables = []
    for table in run.tables:
        if table.stage == "minimise":
            tables.append(table)
            continue
        for part in (slice(0, 4), slice(3, None)):
            columns = {name: column[part] for name, column in table.columns.items()}
            tables.append(replace(table, columns=columns))
    parts = analyse_melt_quench(replace(run, tables=tuple(tables)), zif4())
    assert parts.stages == whole.stages
    assert {name: state.frames for name, state in parts.states.items()} == dict.fromkeys(
        ("crystal", "melt", "glass"), 2
    )
    assert parts.states["melt"].coordination == whole.states["melt"].coordination


def test_files(run, tmp_path):
    results = analyse_melt_quench(run, zif4())
    write_results(results, run, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["schema"] == "mofmd-melt-quench-1"
    assert summary["states"]["melt"]["zn_n_coordination"] == 3.75
    assert (summary["linkers"], summary["linkers_intact_fewest"]) == (32, 31)
    assert summary["final"]["temperature_K"] == 300
    assert (summary["steps"], summary["wall_s"], summary["ms_per_step"]) == (200, 2.5, 10.0)
    assert summary["protocol"]["temperature_max_K"] == 2000
    with (tmp_path / "rdf.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["r_A", "g_zn_n_crystal", "g_zn_n_melt", "g_zn_n_glass"]
    assert [float(row["r_A"]) for row in rows[:2]] == [0.025, 0.075]
    peak = max(rows, key=lambda row: float(row["g_zn_n_crystal"]))
    assert 1.9 < float(peak["r_A"]) < 2.1
    with (tmp_path / "timeseries.csv").open() as file:
        series = list(csv.DictReader(file))
    assert len(series) == 21
    assert series[10] == {
        "step": "100",
        "time_ps": "0.05",
        "temperature_K": "2000",
        "energy_eV_per_atom": series[10]["energy_eV_per_atom"],
        "zn_n_coordination": "3.75",
        "linkers_intact": "31",
    }


def test_a_framework_of_another_metal(tmp_path):
    """UiO-66: its metal and donor are found, counted and named."""
    model = tmp_path / "model.pth"
    model.write_bytes(b"weights")
    crystal = read_structure("uio-66")
    potential = Potential("allegro", model, ("C", "H", "O", "Zr"))
    deck = write_deck(PROTOCOL, crystal, potential, tmp_path / "deck")
    run = fill(deck, crystal, "Zr", "O")
    results = analyse_melt_quench(run, crystal)
    assert results.pair == ("Zr", "O")
    assert results.cutoff_A == pytest.approx(1.25 * (1.75 + 0.66))
    # each Zr has four bridging O and four of carboxylates; one that is pushed off may be shared
    assert results.states["crystal"].coordination == 8
    assert 8 - 3 * 4 / 24 <= results.states["melt"].coordination <= 8 - 4 / 24
    write_results(results, run, tmp_path)
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["states"]["crystal"]["zr_o_coordination"] == 8
    assert (tmp_path / "rdf.csv").read_text().startswith("r_A,g_zr_o_crystal,g_zr_o_melt")
    figure = plot_melt_quench(results, "UiO-66")
    assert figure.axes[1].get_ylabel() == "Zr–O coordination number"


def test_frames_without_a_line_of_the_log_leave_blanks(run, tmp_path):
    results = analyse_melt_quench(run, zif4())
    sparse = {name: column[::2] for name, column in results.thermo.items()}
    write_results(replace(results, thermo=sparse), run, tmp_path)
    line = (tmp_path / "timeseries.csv").read_text().splitlines()[2]
    assert line == "10,0.005,,,4,32"


def test_refusals(run):
    with pytest.raises(InputError, match="the log holds no minimisation"):
        analyse_melt_quench(replace(run, tables=run.tables[1:]), zif4())
    dump = run.deck.directory / "trajectory.dump"
    frames = dump.read_text().split("ITEM: TIMESTEP\n")
    dump.write_text("ITEM: TIMESTEP\n".join(frames[:3]))
    with pytest.raises(InputError, match="stage equilibrate: its second half holds no frame"):
        analyse_melt_quench(run, zif4())
