"""Heat capacities of a screening, on crystals of springs whose phonons are known."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_masses
from ase.io import write
from ase.units import _amu, _e, _hplanck, _k

from mofmd.disk.stop_request import STOP_REQUEST, ask_to_stop
from mofmd.errors import InputError, StoppedError
from mofmd.report.screening import write_screening
from mofmd.simulation.deck.request import Request
from mofmd.simulation.ensemble.ensemble import new_ensemble
from mofmd.simulation.ensemble.table import collect
from mofmd.simulation.statics.conduct import run_static
from mofmd.simulation.statics.request import generate_static
from tests.engine.toy_models import Springs, write_deployed

REST_A, REACH_A, STIFFNESS = 3.0, 4.0, 1.0  # of a bond [eV/Å²]: both of its edges have half
ZINC_G_PER_MOL = float(atomic_masses[30])
EDGE_A = REST_A * 2**0.5


@pytest.fixture
def request_for_zinc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    """Springs between neighbours; crystals a little out of rest."""
    monkeypatch.chdir(tmp_path)
    model = write_deployed(Springs(REST_A), tmp_path / "springs.mofmd.pth", r_max=REACH_A)
    write("fcc.cif", bulk("Zn", "fcc", a=1.01 * EDGE_A))
    # at rest its next neighbours pull and its nearest ones push: it buckles
    write("chain.cif", Atoms("Zn", cell=[25.0, 25.0, 1.85], pbc=True))
    return Request("heat_capacity", None, tmp_path / "screen", model=str(model.path))


def exact_heat_capacity(temperature_K: float, points: int) -> float:
    """Of fcc with springs between nearest neighbours, J/K/g, on an even mesh around Γ."""
    cell = bulk("Zn", "fcc", a=EDGE_A).cell.array
    steps = np.array(list(np.ndindex(3, 3, 3))) - 1
    bonds = steps @ cell
    bonds = bonds[np.isclose(np.linalg.norm(bonds, axis=1), REST_A)]
    assert len(bonds) == 12
    units = bonds / REST_A
    fractional = np.array(list(np.ndindex(points, points, points))) / points
    waves = 2.0 * np.pi * fractional @ np.linalg.inv(cell).T
    shares = 1.0 - np.cos(waves @ bonds.T)
    matrices = STIFFNESS * np.einsum("qb,bi,bj->qij", shares, units, units)
    si = _e / 1e-20 / (_amu * ZINC_G_PER_MOL)
    omega = np.sqrt(si * np.linalg.eigvalsh(matrices).clip(0.0))[1:]  # Γ has the translations
    x = _hplanck / (2 * np.pi) * omega / (_k * temperature_K)
    each = x**2 * np.exp(x) / np.expm1(x) ** 2
    return float(_k * each.sum() / points**3 / (1e3 * _amu * ZINC_G_PER_MOL))


def test_heat_capacities_of_a_screening(request_for_zinc: Request) -> None:
    made = new_ensemble(request_for_zinc, [1], {}, ["chain.cif", "fcc.cif"])
    for member in made.members:
        run_static(member.directory)
    collect(made)
    chain, fcc = json.loads((made.directory / "results.json").read_text())
    assert (fcc["state"], fcc["reason"], fcc["imaginary_modes"]) == ("finished", "", "")
    assert fcc["volume_A3"] == pytest.approx(EDGE_A**3 / 4, rel=1e-4)
    points = round(100.0 / (EDGE_A / 3**0.5))
    expected = exact_heat_capacity(300.0, points)
    assert fcc["heat_capacity_J_per_K_g"] == pytest.approx(expected, rel=1e-5)
    assert fcc["heat_capacity_error_J_per_K_g"] == 0.0
    assert "i THz at (0, 0, " in chain["imaginary_modes"]
    assert chain["imaginary_share"] > 0.3
    assert chain["heat_capacity_error_J_per_K_g"] > 1e-3
    page = write_screening(made, "page").read_text()
    for text in ("heat capacity (J/K/g)", "chain: imaginary modes: ", "Heat capacity (J/K/g)"):
        assert text in page
    assert "fcc: imaginary modes" not in page


def test_a_request_made_while_a_task_starts_counts(request_for_zinc: Request) -> None:
    task = generate_static(replace(request_for_zinc, structure="fcc.cif")).directory
    ask_to_stop(task)
    with pytest.raises(StoppedError, match="asked to stop before it began"):
        run_static(task, begun_s_ago=5.0)
    assert not (task / STOP_REQUEST).exists()
    run_static(task)  # an older request would be one to an earlier run
    with pytest.raises(InputError, match=r"holds a run \(finished\)"):
        run_static(task, replaces=False)


def test_stopped_between_displacements_it_goes_on(request_for_zinc: Request) -> None:
    one = replace(request_for_zinc, structure="chain.cif")
    task, whole = (
        generate_static(replace(one, output=Path(name))).directory for name in ("broken", "whole")
    )

    def stop(text: str) -> None:
        if text.startswith("phonons: forces 2/"):
            ask_to_stop(task)

    with pytest.raises(StoppedError):
        run_static(task, tell=stop)
    kept = len(list((task / "phonons" / "forces").glob("*.npz")))
    told: list[str] = []
    found = run_static(task, resume=True, tell=told.append)
    assert kept >= 2
    assert [text for text in told if text.startswith("phonons: forces 1/")] == []
    assert found == run_static(whole)


def test_packages_that_are_absent(
    request_for_zinc: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mofmd.phonons.extra.PACKAGES", ("phonopy", "no_such_package"))
    with pytest.raises(InputError, match=r"no_such_package not installed: pip install"):
        generate_static(replace(request_for_zinc, structure="fcc.cif"))
    assert not (request_for_zinc.output or Path()).exists()
