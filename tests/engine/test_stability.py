"""The embedded model holds the crystal and survives the melt (minutes)."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mofmd.demo.demo import TYPE_NAMES, DemoSettings, run_demo
from mofmd.demo.melt_quench import MeltQuenchResults, analyse_melt_quench
from mofmd.engine.launch import Resources
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.deck import write_deck
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.protocols import MeltQuench
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.zif import zif4

pytestmark = pytest.mark.long


def run(protocol: MeltQuench, directory: Path) -> MeltQuenchResults:
    crystal = zif4()
    potential = model_potential(embedded_model("zif4-nequip-s"), TYPE_NAMES)
    deck = write_deck(protocol, crystal, potential, directory)
    return analyse_melt_quench(run_deck(deck.directory, Resources(ranks=2)), crystal)


def test_crystal_at_room_temperature_for_20_ps(tmp_path: Path) -> None:
    still = replace(
        MeltQuench.fast(),
        temperature_max_K=300.0,
        equilibration_ps=20.0,
        plateau_ps=0.0,
        anneal_ps=0.0,
        frame_interval_fs=100.0,
    )
    results = run(still, tmp_path / "crystal")
    assert results.frame_times_ps[-1] == pytest.approx(20.0)
    assert results.integrity.intact.min() == results.integrity.n_linkers == 32
    assert results.coordination.mean_per_frame.min() == 4.0
    late = results.thermo["Time"] > 2.0
    assert np.mean(results.thermo["Temp"][late]) == pytest.approx(300, abs=10)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_melt_of_the_demonstration(seed: int, tmp_path: Path) -> None:
    done = run_demo(DemoSettings(tmp_path / "demo", resources=Resources(ranks=2), seed=seed))
    assert done.results.integrity.intact[-1] == done.results.integrity.n_linkers
    assert done.results.states["melt"].temperature_K > 1200
    assert 3.5 < done.results.states["glass"].coordination <= 4.1
