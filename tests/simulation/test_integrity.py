"""The watch over a run: what it must see, on how many ranks, and what it costs."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.io import read

from mofmd.engine.launch import Resources
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.simulation.deck.deck import Deck, PotentialScript, write_deck
from mofmd.simulation.deck.limits import (
    LocalAtoms,
    find_limits,
    find_violation,
    read_limits,
    render_limits,
)
from mofmd.simulation.protocols import NVE, NVT
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.carboxylate import uio66
from mofmd.structures.crystals.zif import zif4

TYPES = ("C", "H", "N", "Zn")


def local(atoms: Atoms, types: tuple[str, ...] = TYPES) -> LocalAtoms:
    """One rank without ghosts: pairs across the boundary are found by rounding."""
    return LocalAtoms(
        n_own=len(atoms),
        ids=np.arange(1, len(atoms) + 1),
        types=np.array([types.index(symbol) + 1 for symbol in atoms.symbols]),
        positions=atoms.positions.copy(),
        cell=atoms.cell.array,
    )


def stretch(atoms: Atoms, length_A: float) -> tuple[int, int]:
    """Move the first hydrogen away from its carbon; return both ids."""
    hydrogen = int(np.flatnonzero(atoms.symbols == "H")[0])
    carbons = np.flatnonzero(atoms.symbols == "C")
    vectors = atoms.get_distances(hydrogen, carbons, mic=True, vector=True)
    nearest = np.linalg.norm(vectors, axis=1).argmin()
    unit = vectors[nearest] / np.linalg.norm(vectors[nearest])
    atoms.positions[hydrogen] += vectors[nearest] - length_A * unit
    return int(carbons[nearest]) + 1, hydrogen + 1


def test_crystal_is_sound() -> None:
    limits = find_limits(zif4(), TYPES)
    assert len(limits.bonds) == 32 * 8
    assert find_violation(limits, local(zif4()), 272) is None


def test_linkers_come_from_the_bond_graph_of_any_framework() -> None:
    types = ("C", "H", "O", "Zr")
    limits = find_limits(uio66(), types)
    # 24 C8H4O4 of 16 bonds each; the mu3-OH groups hold no carbon
    assert limits.linker_of_bond.max() == 23
    assert len(limits.bonds) == 24 * 16
    assert find_violation(limits, local(uio66(), types), 456) is None


def test_file_holds_the_same_limits(tmp_path: Path) -> None:
    limits = find_limits(zif4(), TYPES)
    file = tmp_path / "integrity.json"
    file.write_text(render_limits(limits))
    again = read_limits(file)
    assert np.array_equal(again.bonds, limits.bonds)
    assert np.array_equal(again.linker_of_bond, limits.linker_of_bond)
    assert again.bond_limits_A == pytest.approx(limits.bond_limits_A)
    assert again.type_names == limits.type_names
    file.write_text(render_limits(find_limits(bulk("Si"), ("Si",))))
    assert len(read_limits(file).bonds) == 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("]]", "]", r"is not JSON \(Expecting"),
        ("-integrity-1", "-integrity-0", "schema 'mofmd-integrity-0', expected"),
        ('"bonds"', '"bindings"', r"is damaged \(KeyError\('bonds'\)\)"),
        ("[[1, 2, 2.5, 0]]", "[[1, 2, 2.5]]", "is damaged .*cannot reshape"),
        ("2.5", "NaN", "bonds holds what is no number"),
        ('"N"', '"Q"', "'Q' is no chemical element"),
    ],
)
def test_damaged_file_of_limits(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = '{"schema": "mofmd-integrity-1", "type_names": ["C", "N"], "bonds": [[1, 2, 2.5, 0]]}'
    file = tmp_path / "integrity.json"
    with pytest.raises(MissingFileError, match=r"integrity\.json: no such file"):
        read_limits(file)
    file.write_text(text)
    assert read_limits(file).bond_limits_A.tolist() == [2.5]
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=rf"integrity\.json: {message}.*; write the deck again"):
        read_limits(file)


@pytest.mark.parametrize(("length_A", "broken"), [(1.55, False), (1.95, True), (3.0, True)])
def test_broken_linker_is_named(length_A: float, broken: bool) -> None:
    atoms = zif4()
    pair = stretch(atoms, length_A)
    found = find_violation(find_limits(zif4(), TYPES), local(atoms), 272)
    if not broken:
        assert found is None
        return
    assert found is not None
    assert found.kind == "linker"
    assert set(found.atoms) == set(pair)
    assert f"H {pair[1]}" in found.message
    assert f"is {length_A:.2f} Å, intact below 1.87 Å" in found.message


def test_bond_out_of_reach_of_the_ghosts_is_broken() -> None:
    limits = find_limits(zif4(), TYPES)
    whole = local(zif4())
    first, second = limits.bonds[0]
    seen = np.ones(272, dtype=bool)
    seen[second - 1] = False
    part = replace(whole, n_own=271, ids=whole.ids[seen], types=whole.types[seen],
                   positions=whole.positions[seen])  # fmt: skip
    found = find_violation(limits, part, 272)
    assert found is not None
    assert "out of reach" in found.message
    assert second in found.atoms
    del first


def test_close_contact_is_named() -> None:
    atoms = zif4()
    one, other = np.flatnonzero(atoms.symbols == "Zn")[:2].tolist()
    atoms.positions[one] = atoms.positions[other] + (0.6, 0, 0)
    limits = replace(find_limits(zif4(), TYPES), bonds=np.zeros((0, 2), dtype=np.int64),
                     bond_limits_A=np.zeros(0), linker_of_bond=np.zeros(0, dtype=int))  # fmt: skip
    found = find_violation(limits, local(atoms), 272)
    assert found is not None
    assert found.kind == "contact"
    assert set(found.atoms) == {one + 1, other + 1}
    assert "0.60 Å apart, at least 1.22 Å is expected" in found.message


def test_not_a_number_is_named() -> None:
    atoms = zif4()
    atoms.positions[17, 1] = np.nan
    found = find_violation(find_limits(zif4(), TYPES), local(atoms), 272)
    assert found is not None
    assert found.kind == "not a number"
    assert found.atoms == (18,)


def test_thin_cell_is_refused() -> None:
    thin = Atoms("CH", positions=[[0, 0, 0], [1.1, 0, 0]], cell=[2.5, 8, 8], pbc=True)
    with pytest.raises(InputError, match=r"the cell is thinner than 3\.75 Å.*use a supercell"):
        find_limits(thin, ("C", "H"))


def deck_of(directory: Path, commands: str, structure: Atoms, **fields: Any) -> Deck:
    script = directory / "my.in"
    script.write_text(commands)
    types = tuple(sorted(set(structure.symbols)))
    protocol = NVE(time_ps=0.1, supercell=(1, 1, 1), minimise_steps_max=0,
                   thermo_interval_fs=50, **fields)  # fmt: skip
    return write_deck(protocol, structure, PotentialScript(script, types), directory / "deck")


@pytest.mark.parametrize("ranks", [1, 2])
def test_run_with_a_breaking_linker_stops(tmp_path: Path, ranks: int) -> None:
    """Without forces every atom flies straight on: the first C-H bond opens within 40 fs."""
    deck = deck_of(tmp_path, "pair_style zero 6.0\npair_coeff * *\n", zif4())
    with pytest.raises(RunError, match=r"linker \d+ is broken: . \d+-. \d+ is .* in stage nve at"):
        run_deck(deck.directory, Resources(ranks))
    status = json.loads((deck.directory / "status.json").read_text())
    assert status["state"] == "failed"
    assert status["violation"] == "linker"
    assert 0 < status["step"] <= 200
    first, second = status["atoms"]
    saved = read(deck.directory / "failed.data", format="lammps-data", atom_style="atomic")
    order = np.argsort(saved.arrays["id"])
    length = saved[order].get_distance(first - 1, second - 1, mic=True)
    assert length > 1.87
    assert (deck.directory / "restart.failed").is_file()
    assert not (deck.directory / "final.data").exists()


def test_run_that_heats_up_stops(tmp_path: Path) -> None:
    """Neighbours far too close to each other release many eV."""
    commands = "pair_style lj/cut 6.0\npair_coeff * * 1.0 2.6\n"
    crystal = bulk("Cu", cubic=True, a=3.0).repeat((3, 3, 3))
    crystal.rattle(0.08, seed=3)
    deck = deck_of(tmp_path, commands, crystal)
    with pytest.raises(RunError, match=r"the (temperature|potential energy) is .* in stage nve"):
        run_deck(deck.directory)
    status = json.loads((deck.directory / "status.json").read_text())
    assert status["violation"] in ("temperature", "energy")


@pytest.mark.long  # it takes a machine that does nothing else
@pytest.mark.parametrize("ranks", [1, 2])
def test_costs_at_most_one_percent(tmp_path: Path, ranks: int) -> None:
    from mofmd.engine.plugin_path import mismatches, read_record
    from mofmd.models.files.embedded import embedded_model
    from mofmd.simulation.deck.potential import model_potential

    record = read_record()
    if record is None or mismatches(record):
        pytest.skip("the plugin is not built or stale: mofmd build")
    protocol = NVT(time_ps=0.1, supercell=(1, 1, 1), minimise_steps_max=0)
    potential = model_potential(embedded_model("zif4-nequip-s"), TYPES)
    deck = write_deck(protocol, zif4(), potential, tmp_path / "deck")
    run_deck(deck.directory, Resources(ranks))
    status = json.loads((deck.directory / "status.json").read_text())
    assert status["state"] == "finished"
    assert 0 < status["watch_share"] < 0.01
