"""Many structures by processes that stay: order, independence, what fails, and what is left."""

import itertools
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.lj import LennardJones

from mofmd.calculator import DeployedModel
from mofmd.calculator.lanes import Lanes
from mofmd.calculator.reference import find_reference
from mofmd.engine.evaluate import Evaluation
from mofmd.errors import InputError, MissingFileError, RunError
from tests.engine.systems import SYSTEMS
from tests.engine.toy_models import write_springs
from tests.processes import Token

R_MAX = 4.5


def pair(distance: float) -> Atoms:
    return Atoms("CN", positions=[[0, 0, 0], [distance, 0, 0]], cell=[30, 30, 30], pbc=True)


def pairs() -> Iterator[Atoms]:
    return map(pair, np.linspace(2.0, 4.0, 9))


@pytest.fixture(scope="module")
def springs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_springs(tmp_path_factory.mktemp("lanes") / "springs.mofmd.pth", R_MAX, "nan")


def energies(found: list[Evaluation]) -> list[float]:
    return [each.energy_eV for each in found]


def test_order_failures_and_the_end(springs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = Token()
    for name, value in token.environment.items():
        monkeypatch.setenv(name, value)
    expected = [0.5 * (distance - R_MAX) ** 2 for distance in np.linspace(2.0, 4.0, 9)]
    with Lanes(springs, lanes=2) as lanes:
        found = list(lanes.map(pairs()))
        assert energies(found) == pytest.approx(expected, abs=1e-12)
        assert found[0].forces_eV_per_A[0] == pytest.approx([2.0 - R_MAX, 0, 0], abs=1e-12)
        assert found[0].stress_eV_per_A3[0, 0] == pytest.approx(
            2.0 * (2.0 - R_MAX) / 30**3, abs=1e-12
        )

        # left early, of an endless row
        endless = itertools.cycle(pairs())
        assert energies(list(itertools.islice(lanes.map(endless), 3))) == energies(found[:3])

        # one that is refused, one whose result is no number, a molecule: the others go on
        lone = Atoms("Zn", cell=[30, 30, 30], pbc=True)
        free = pair(2.0)
        free.pbc = False
        row = [pair(2.0), Atoms("OCu", cell=[9, 9, 9], pbc=True), lone, free, pair(4.0)]
        first, refused, failed, molecule, last = lanes.outcomes(row)
        assert isinstance(refused, InputError)
        assert "structure 2 (CuO): springs.mofmd.pth: " in str(refused)
        assert "lacks Cu, O" in str(refused)
        assert isinstance(failed, RunError)
        assert "structure 3 (Zn)" in str(failed)
        assert "not a number" in str(failed)
        assert isinstance(molecule, Evaluation)
        assert molecule.energy_eV == pytest.approx(expected[0], abs=1e-12)
        assert np.isnan(molecule.stress_eV_per_A3).all()
        assert [first, last] != [None, None]

        # processes that die cost a structure each, and are replaced
        for pid in token.wait_for("calculator.worker", count=2):
            os.kill(pid, signal.SIGKILL)
        after = list(lanes.outcomes(pairs()))
        dead = [each for each in after if isinstance(each, RunError)]
        assert 1 <= len(dead) <= 2
        assert all("was killed by SIGKILL" in str(each) for each in dead)
        for pid in token.wait_for("calculator.worker", count=2):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(RunError, match=r"structure \d \(CN\): .* was killed by SIGKILL"):
            list(lanes.map(pairs()))
    assert not token.holders("calculator.worker")


CHILD = """
import subprocess, sys
from ase.calculators.lj import LennardJones

class Reader(LennardJones):
    def calculate(self, *arguments, **options):
        subprocess.run([sys.executable, "-c", "import sys; sys.stdin.readline()"], check=True)
        super().calculate(*arguments, **options)

class Odd(LennardJones):
    def get_potential_energy(self, *arguments, **options):
        distance = arguments[0].get_distance(0, 1)
        energy = super().get_potential_energy(*arguments, **options)
        return None if distance > 1.45 else [energy, energy] if distance > 1.35 else energy

class Liar(LennardJones):
    def calculate(self, *arguments, **options):
        print("mofmd calculator 99 done", flush=True)
        super().calculate(*arguments, **options)
"""


def test_a_child_of_the_calculator_takes_no_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that reads its standard input, as mpirun does, would take the next structure."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_child.py").write_text(CHILD)
    row = [pair(distance) for distance in np.linspace(1.0, 1.8, 9)]
    reader = find_reference("own_child:Reader")
    assert reader is not None
    with Lanes(reader, time_limit_s=60) as lanes:
        found = energies(list(lanes.map(row)))
    calculator = LennardJones()
    assert found == [calculator.get_potential_energy(atoms) for atoms in row]
    odd = find_reference("own_child:Odd")
    assert odd is not None
    with Lanes(odd) as lanes:
        right, two, none = lanes.outcomes(pair(distance) for distance in (1.3, 1.4, 1.5))
    assert isinstance(right, Evaluation)
    assert "gave energy of the shape (2,), expected ()" in str(two)
    assert "gave energy that is no number: None" in str(none)
    liar = find_reference("own_child:Liar")
    assert liar is not None
    with (
        Lanes(liar) as lanes,
        pytest.raises(RunError, match="an answer that was not asked for: 99 done"),
    ):
        list(lanes.map(row))


def test_what_nobody_waits_for_is_given_up(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own_slow.py").write_text(
        "import time\nfrom ase.calculators.lj import LennardJones\n"
        "class Slow(LennardJones):\n"
        "    def calculate(self, *arguments, **options):\n"
        "        open('calls', 'a').write('.')\n        time.sleep(0.5)\n"
        "        super().calculate(*arguments, **options)\n"
    )
    slow = find_reference("own_slow:Slow")
    assert slow is not None
    with Lanes(slow) as lanes:
        row = lanes.map(pairs())
        next(row)  # and the generator is kept
    assert len((tmp_path / "calls").read_text()) <= 3
    del row


def test_numbers_of_the_calculator_whatever_came_before() -> None:
    row = [SYSTEMS[name]() for name in ("crystal", "tilted", "thin", "tilted")]
    calculator = DeployedModel("zif4-allegro-s", dispersion="d3bj:pbe", skin_A=0.0, threads=1)
    with Lanes("zif4-allegro-s", dispersion="d3bj:pbe") as lanes:
        found = list(lanes.map(row))
    for atoms, each in zip(row, found, strict=True):
        atoms.calc = calculator
        assert each.energy_eV == atoms.get_potential_energy()
        np.testing.assert_array_equal(each.forces_eV_per_A, atoms.get_forces())
        np.testing.assert_array_equal(each.atomic_energies_eV, atoms.get_potential_energies())
        np.testing.assert_array_equal(each.stress_eV_per_A3, atoms.get_stress(voigt=False))
    np.testing.assert_array_equal(found[1].forces_eV_per_A, found[3].forces_eV_per_A)


def test_time_limit(springs: Path) -> None:
    with (
        Lanes(springs, time_limit_s=1e-6) as lanes,
        pytest.raises(RunError, match=r"structure 1 \(CN\): .*not done within the time limit"),
    ):
        list(lanes.map([pair(3.0)]))


def test_options() -> None:
    with pytest.raises(InputError, match="lanes: 0, expected a whole number of at least 1"):
        Lanes("zif4-allegro-s", lanes=0)
    with pytest.raises(MissingFileError, match=r"did you mean zif4-allegro-s\?"):
        Lanes("zif4-alegro-s")
