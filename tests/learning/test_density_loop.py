"""A whole loop that finds new atoms by density, killed at each of its stages and taken up again."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from ase import Atoms
from ase.geometry import get_duplicate_atoms

from mofmd.builders.blocks.blocks import find_blocks
from mofmd.builders.defects.defects import Defects, make_defects
from mofmd.calculator.density.scorer import read_density
from mofmd.learning.data.dataset import Labels, labelled, labels_of, read_frames, write_frames
from mofmd.learning.loops.config import read_distil_config
from mofmd.learning.loops.distil import Distillation
from mofmd.structures.crystals.carboxylate import uio66
from tests.learning.test_learning_training import needs

# Each pair of elements has wells at the distances at which pristine UiO-66 has such pairs, so that
# the crystal and what is cut out of it are near rest and keep their shape in dynamics: wrong
# chemistry, but the same for cells and molecules, and fast.
CALCULATOR = """
from itertools import pairwise

import numpy as np
from ase.calculators.calculator import Calculator, all_changes
from ase.data import covalent_radii
from ase.neighborlist import neighbor_list

from mofmd.structures.crystals.carboxylate import uio66

CUTOFF_A = 3.6
BOND, CONTACT = (2.0, 0.25), (0.4, 0.2)  # depth [eV] and width [A] of a Gaussian well
LONGEST_BOND = 1.25  # times the sum of the covalent radii
WALL_EV_PER_A2 = 20.0  # below the shortest distance
APART_A = 0.15  # distances closer than this share a well


def shells():
    # the distances of each pair of elements in the crystal, ascending [A]
    crystal = uio66()
    i, j, r = neighbor_list("ijd", crystal, CUTOFF_A - 0.3)
    found = {}
    low = np.minimum(crystal.numbers[i], crystal.numbers[j])
    high = np.maximum(crystal.numbers[i], crystal.numbers[j])
    for pair in sorted(set(zip(low, high))):
        distances = np.sort(r[(low == pair[0]) & (high == pair[1])])
        starts = [0, *(np.flatnonzero(np.diff(distances) > APART_A) + 1), len(distances)]
        found[pair] = [distances[a:b].mean() for a, b in pairwise(starts)]
    return found


class Wells(Calculator):
    implemented_properties = ["energy", "forces"]
    places = shells()

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        i, j, r, d = neighbor_list("ijdD", atoms, CUTOFF_A)
        low = np.minimum(atoms.numbers[i], atoms.numbers[j])
        high = np.maximum(atoms.numbers[i], atoms.numbers[j])
        energy, slope = np.zeros(len(r)), np.zeros(len(r))
        for pair, places in self.places.items():
            mine = (low == pair[0]) & (high == pair[1])
            for place in places:
                bonded = place < LONGEST_BOND * covalent_radii[list(pair)].sum()
                depth, width = BOND if bonded else CONTACT
                away = (r[mine] - place) / width
                well = -depth * np.exp(-0.5 * away**2)
                energy[mine] += well
                slope[mine] -= well * away / width
            close = np.maximum(places[0] - r[mine], 0.0)
            energy[mine] += WALL_EV_PER_A2 * close**2
            slope[mine] -= 2 * WALL_EV_PER_A2 * close
        # a factor that ends smoothly at the cutoff
        end = (1 - (r / CUTOFF_A) ** 2) ** 2
        slope_of_end = -4 * (1 - (r / CUTOFF_A) ** 2) * r / CUTOFF_A**2
        total = slope * end + energy * slope_of_end
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, (total / r)[:, None] * d)
        self.results = {"energy": 0.5 * float((energy * end).sum()), "forces": forces}


def wells():
    return Wells()
"""


def primitive() -> Atoms:
    """UiO-66, a quarter of the face-centred cell: 114 atoms."""
    crystal = uio66()
    cell = crystal.cell[0, 0] / 2 * np.array([[0.0, 1, 1], [1, 0, 1], [1, 1, 0]])
    made = Atoms(crystal.numbers, crystal.positions, cell=cell, pbc=True)
    made.wrap()
    get_duplicate_atoms(made, cutoff=0.1, delete=True)
    assert len(made) == 114
    return made


def prepared(folder: Path) -> Path:
    """Files of a loop; returns its configuration."""
    (folder / "uio_calculators.py").write_text(textwrap.dedent(CALCULATOR))
    sys.path.insert(0, str(folder))
    from uio_calculators import wells

    crystal = primitive()
    for name, seeds in {"train": range(6), "val": range(20, 24), "test": range(30, 32)}.items():
        frames = []
        for seed in seeds:
            atoms = crystal.copy()
            atoms.rattle(0.06, seed=seed)
            atoms.info["trajectory"] = f"t{seed}"
            calculator = wells()
            energy = calculator.get_potential_energy(atoms)
            found = Labels(energy, calculator.get_forces(atoms), None)
            frames.append(labelled(atoms, found))
        write_frames(folder / f"{name}.extxyz", frames)
    write_frames(folder / "pristine.extxyz", [crystal])
    lacking = make_defects(crystal, find_blocks(crystal), Defects(linkers=(0,))).atoms
    write_frames(folder / "missing.extxyz", [lacking])
    run = {
        "structure": ["pristine.extxyz", "missing.extxyz"],
        "protocol": "npt",
        "fields": {"time_ps": 0.01, "timestep_fs": 0.25, "frame_interval_fs": 2.5},
        "count": 2,
        "draw": {"temperature_K": [50, 150], "pressure_bar": [-5000, 5000]},
    }
    (folder / "walks.yaml").write_text(yaml.safe_dump({"runs": [run]}))
    values = {
        "labeller": "uio_calculators:wells",
        "train_files": "train.extxyz",
        "val_files": "val.extxyz",
        "test_files": "test.extxyz",
        "conditions": "walks.yaml",
        "training": {"family": "nequip", "size": "xs", "epochs": 12, "settings": ["lr=0.02"]},
        "later_epochs": 3,
        "rounds": 1,
        "stress": False,
        "find": "density",
        "density": {"dims": 4, "quantile": 0.9, "hold_out": 0.25},
        "clusters": {"per_round": 4, "largest": 260, "allow_images": True},
        "sampling": {"every": 2, "before_break": 2},
    }
    (folder / "distil.yaml").write_text(yaml.safe_dump(values))
    return folder / "distil.yaml"


def run_until(folder: Path, words: str) -> list[str]:
    """Run the loop until it says some words, and kill it then; or to its end."""
    command = [sys.executable, "-m", "mofmd", "learn", "distil", "distil.yaml", "-o", "out"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])}
    told: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            told.append(line.rstrip())
            if words in line:
                process.send_signal(signal.SIGKILL)
                break
        else:
            assert process.wait() == 0, "\n".join(told)
            return told
    assert words in told[-1], "\n".join(told)
    end = time.monotonic() + 60.0
    while left := processes_in(folder):
        assert time.monotonic() < end, f"left behind: {left}"
        time.sleep(0.5)
    return told


def processes_in(folder: Path) -> list[str]:
    """Commands of processes that work in a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = (process / "cwd").readlink()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it has ended
            continue
        if where.is_relative_to(folder) and command:
            found.append(command)
    return found


@pytest.mark.long
@pytest.mark.frameworks
def test_a_loop_by_density_survives_being_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Walkers of two structures, new atoms, clusters around them, labels, another training."""
    needs("nequip")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    path = prepared(tmp_path)
    for words in (
        "epoch 2:",  # in the middle of a training
        "r0-01-pristine-walk1:",  # between two walks
        "round 0: find",
        "round 0: label",
        "labelled 1 of",
        "round 1: train",
        "round 1: run",
    ):
        run_until(tmp_path, words)
    run_until(tmp_path, "nothing that it says")
    monkeypatch.chdir(tmp_path)
    work = Distillation(tmp_path / "out", read_distil_config(path), lambda _: None)
    assert (work.state["done"], len(work.state["history"])) == ("rounds", 2)
    first, second = work.state["history"]
    assert first["training_frames"] == 6
    assert first["runs"] == 4
    assert first["new_atoms"] > 0
    assert first["kinds_of_cores"] >= 2
    assert 1 <= first["labelled"] <= first["picked"] <= 4
    found = read_frames(tmp_path / "out/round0/labelled.extxyz")
    held_out = len(work.validation_frames(1)) - 4
    assert second["training_frames"] == 6 + len(found) - held_out
    from uio_calculators import wells

    for molecule in found:
        assert not molecule.pbc.any()
        assert {str(role) for role in molecule.arrays["role"]} == {"core", "mantle", "cap"}
        assert molecule.arrays["flagged"].any()
        assert (molecule.arrays["novelty"][molecule.arrays["flagged"]] > 1.0).all()
        expected = wells().get_potential_energy(molecule)
        assert labels_of(molecule).energy_eV == pytest.approx(expected, abs=1e-5)
    # each round has a density of its own model, and walks of its own
    assert read_density(work.models(0)[0]).model_sha256 != (
        read_density(work.models(1)[0]).model_sha256
    )
    walks = [
        {
            line
            for line in (deck / "in.lammps").read_text().splitlines()
            if "variable pressure " in line
        }
        for number in range(2)
        for deck in sorted((tmp_path / f"out/round{number}/runs").iterdir())
    ]
    assert len(walks) == len({str(each) for each in walks}) == 8
    before = (tmp_path / "out/state.json").read_text()
    work.run()  # nothing left to do
    assert (tmp_path / "out/state.json").read_text() == before
