"""Framework and guest atoms of one element as two LAMMPS types."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from scipy.spatial import cKDTree

from mofmd.engine.lammps_data import render_data
from mofmd.engine.plugin_path import mismatches, read_record
from mofmd.errors import InputError
from mofmd.models.files.embedded import embedded_model
from mofmd.simulation.deck.atom_types import framework_and_guest_types
from mofmd.simulation.deck.deck import Deck, write_deck
from mofmd.simulation.deck.final import read_final
from mofmd.simulation.deck.limits import LocalAtoms, find_limits, find_violation
from mofmd.simulation.deck.potential import model_potential
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.simulation.protocols import NVT
from mofmd.simulation.run.run import run_deck
from mofmd.structures.crystals.zif import zif4
from mofmd.trajectory.in_memory import read_dump

NAMES = ("C", "H", "N", "Zn", "C", "H")


def loaded() -> Atoms:
    """ZIF-4 with a methane molecule where there is most room, in front of the framework."""
    framework = zif4()
    grid = np.stack(np.meshgrid(*[np.arange(12) / 12] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    points = grid @ framework.cell.array
    images = framework.repeat((3, 3, 3)).positions - framework.cell.array.sum(axis=0)
    room, _ = cKDTree(images).query(points)
    guest = molecule("CH4")
    guest.positions += points[room.argmax()] - guest.positions[0]
    both = guest + framework
    both.set_cell(framework.cell)
    both.pbc = True
    return both


def test_types_are_those_of_elements_and_of_parts() -> None:
    types = framework_and_guest_types(loaded())
    assert types.names == NAMES
    assert types.guest_types == (5, 6)
    assert types.of_atoms[:5].tolist() == [5, 6, 6, 6, 6]
    assert np.bincount(types.of_atoms).tolist() == [0, 96, 96, 64, 16, 1, 4]
    with pytest.raises(InputError, match="guest_types: the structure holds no molecules"):
        framework_and_guest_types(zif4())
    with pytest.raises(InputError, match="guest_types: most atoms would be taken for guests"):
        framework_and_guest_types(Atoms("HeNeNe", np.eye(3) * 5, cell=[15] * 3, pbc=True))


def test_data_file() -> None:
    atoms = loaded()
    text = render_data(atoms, NAMES, framework_and_guest_types(atoms).of_atoms)
    assert "6 atom types" in text
    masses = text.split("Masses\n\n")[1].split("\n\n")[0].splitlines()
    assert [line.split()[-1] for line in masses] == list(NAMES)
    assert masses[0].split()[1] == masses[4].split()[1]
    rows = text.split("Atoms  # atomic\n\n")[1].splitlines()
    assert [row.split()[1] for row in rows[:6]] == ["5", "6", "6", "6", "6", "4"]
    with pytest.raises(InputError, match="types: atom 1 is C and has type 2"):
        render_data(atoms, NAMES, np.full(len(atoms), 2))
    with pytest.raises(InputError, match="types: 3 for 277 atoms"):
        render_data(atoms, NAMES, [1, 2, 3])


def test_watch_knows_the_guest() -> None:
    """A hydrogen that leaves its guest is named by its element."""
    atoms = loaded()
    types = framework_and_guest_types(atoms)
    limits = find_limits(atoms, types.names)
    atoms.positions[1] += 2.0
    local = LocalAtoms(len(atoms), np.arange(1, len(atoms) + 1), types.of_atoms, atoms.positions,
                       atoms.cell.array)  # fmt: skip
    found = find_violation(limits, local, len(atoms))
    assert found is not None
    assert found.kind == "linker"
    assert "C 1-H 2 is" in found.message


@pytest.fixture(scope="module")
def decks(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deck, Deck]:
    """Two runs of the model in the package: a type for each element, and guests apart."""
    record = read_record()
    if record is None or mismatches(record):
        pytest.skip("the plugin is not built or stale: mofmd build")
    directory = tmp_path_factory.mktemp("decks")
    protocol = NVT(time_ps=0.02, supercell=(1, 1, 1), minimise_steps_max=5, frame_interval_fs=2.5,
                   thermo_interval_fs=2.5, restart_interval_ps=0.01)  # fmt: skip
    made = []
    for name, types in (("plain", None), ("apart", framework_and_guest_types(loaded()))):
        potential = model_potential(
            embedded_model("zif4-nequip-s"), types.names if types else NAMES[:4]
        )
        deck = write_deck(protocol, loaded(), potential, directory / name, types=types)
        run_deck(deck.directory)
        made.append(deck)
    return made[0], made[1]


def test_physics_is_the_same(decks: tuple[Deck, Deck]) -> None:
    plain, apart = (read_dump(deck.directory / "trajectory.dump") for deck in decks)
    assert len(plain) == 9
    assert np.array_equal(plain.positions, apart.positions)
    assert list(plain.species) == list(apart.species) == loaded().get_chemical_symbols()
    one, other = (read_final(deck.directory) for deck in decks)
    assert (one.numbers == other.numbers).all()
    assert np.array_equal(one.positions, other.positions)
    assert "guest_types" not in decks[0].manifest["structure"]
    assert decks[1].manifest["structure"]["guest_types"] == [5, 6]


def test_resumed_run_is_the_same(decks: tuple[Deck, Deck], tmp_path: Path) -> None:
    whole = decks[1].directory
    shutil.copytree(whole, tmp_path / "broken")
    broken = tmp_path / "broken"
    (broken / "restart.previous").replace(broken / "restart.latest")
    (broken / "final.data").unlink()
    status = json.loads((broken / "status.json").read_text())
    (broken / "status.json").write_text(json.dumps({**status, "state": "interrupted"}))
    run_deck(broken, resume=True)
    for name in ("trajectory.dump", "final.data", "restart.latest"):
        assert (broken / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.filterwarnings("ignore:model. zif4-allegro-s was made for")
def test_request(tmp_path: Path) -> None:
    loaded().write(tmp_path / "loaded.extxyz")
    request = Request(
        protocol="nvt",
        structure=str(tmp_path / "loaded.extxyz"),
        output=tmp_path / "deck",
        model="zif4-allegro-s",
        supercell="2x1x1",
        guest_types=True,
    )
    deck = generate_deck(request)
    assert '"C H N Zn C H"' in (deck.directory / "in.lammps").read_text()
    data = (deck.directory / "structure.data").read_text()
    kinds = [int(row.split()[1]) for row in data.split("Atoms  # atomic\n\n")[1].splitlines()]
    assert np.bincount(kinds).tolist() == [0, 192, 192, 128, 32, 2, 8]
