"""Commands that are ended by a signal at work: within seconds, with all that they have started."""

import itertools
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from mofmd.simulation.protocols import NVT
from mofmd.simulation.run.status import run_state
from tests.lennard_jones import EDGE_A, argon_deck
from tests.processes import MOFMD, Token, wait_until

TEMPORARY = "mofmd-*"
EVALUATION = "-m mofmd.engine.evaluate_worker"
LANE = "-m mofmd.calculator.worker"
RUN = "-m mofmd.simulation.run.rank"
MODEL = "zif4-allegro-s"
SAMPLE = """\
runs:
  - structure: zif-4
    origin: crystal
    phase: hot
    protocol: nvt
    fields: {time_ps: 10}
    vary: {temperature_K: [300, 400]}
"""
LONG = NVT(
    temperature_K=30,
    time_ps=1000,
    timestep_fs=1,
    frame_interval_fs=50,
    thermo_interval_fs=50,
    restart_interval_ps=1,
    supercell=(3, 3, 3),
)
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))


class Told(Token):
    """Commands that carry a mark, and what they tell."""

    def __init__(self) -> None:
        super().__init__()
        self._started: list[subprocess.Popen[str]] = []

    def start(self, words: list[str]) -> subprocess.Popen[str]:
        """Start ``mofmd`` with these arguments."""
        process = subprocess.Popen(
            [MOFMD, *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._started.append(process)
        return process

    def end(self) -> None:
        """End what a test that has failed left."""
        self.kill()
        for process in self._started:
            process.communicate()


@pytest.fixture
def token() -> Iterator[Told]:
    token = Told()
    yield token
    token.end()


def is_clean(token: Token) -> bool:
    """Whether nothing is left of a command: no process, no temporary folder."""
    token.wait_until_gone()
    return not list(Path("temporary").glob(TEMPORARY))


# by name: the command, and the words of what it has started
AT_WORK = {
    "verify": (["verify", MODEL, "--structure", "zif-4"], EVALUATION),
    "bench": (["bench", MODEL, "zif-4"], "lmp -in"),
    "bench on two ranks": (["bench", MODEL, "zif-4", "--ranks", "2"], "mpirun"),
    "evaluate": (
        ["learn", "evaluate", MODEL, "--frames", "frames.extxyz", "-o", "out"],
        LANE,
    ),
    "phonons": (
        ["phonons", "forces", "zif-4", "--model", MODEL, "--supercell", "1x1x1", "-o", "phonons",
         "--lanes", "2", "--force-limit", "10"],
        LANE,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "number"),
    [
        pytest.param(name, number, marks=[] if k == 0 else pytest.mark.long)
        for k, (name, number) in enumerate(itertools.product(AT_WORK, SIGNALS))
    ],
)
def test_commands_at_work(token, name, number) -> None:
    words, at_work = AT_WORK[name]
    if name == "evaluate":
        write_labelled_frames(Path("frames.extxyz"))
    process = token.start(words)
    token.wait_for(at_work)
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 128 + number
    assert "Traceback" not in told
    assert is_clean(token)
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("number", "who"),
    [
        (signal.SIGTERM, "driver"),
        pytest.param(signal.SIGINT, "driver", marks=pytest.mark.long),
        pytest.param(signal.SIGHUP, "driver", marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, "driver", marks=pytest.mark.long),
        pytest.param(signal.SIGKILL, "worker", marks=pytest.mark.long),
    ],
    ids=str,
)
def test_a_sample_goes_on(token, number, who) -> None:
    Path("runs.yaml").write_text(SAMPLE)
    process = token.start(["learn", "sample", "runs.yaml", "--model", MODEL, "-o", "out"])
    token.wait_for(RUN)
    (deck,) = Path("out/runs").iterdir()
    assert wait_until(lambda: run_state(deck) == "running")
    if who == "driver":
        process.send_signal(number)
    else:
        token.signal(RUN, number)
    out, told = process.communicate(timeout=30)
    assert "Traceback" not in told
    token.wait_until_gone()
    assert not Path("out/frames.extxyz").exists()
    if number != signal.SIGKILL:
        assert process.returncode == 75
        assert "stopped as asked; the same command again goes on from there" in out
        assert run_state(deck) == "stopped"
    else:
        assert process.returncode != 0
        assert run_state(deck) == "interrupted"
    assert is_clean(token)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("ranks", ["1", "2"])
@pytest.mark.long
def test_a_run_goes_on(token, ranks, number) -> None:
    deck = argon_deck(LONG, Path(), EDGE_A)
    process = token.start(["run", "deck", "--ranks", ranks])
    assert wait_until((deck.directory / "trajectory.dump").exists)
    process.send_signal(number)
    out, told = process.communicate(timeout=30)
    assert process.returncode == 75
    assert "Traceback" not in told
    assert "continue with `mofmd run deck --resume`" in out
    assert run_state(deck.directory) == "stopped"
    assert not (deck.directory / "stop.request").exists()
    assert is_clean(token)


def write_labelled_frames(path: Path) -> None:
    """Write crystals with labels, enough to be at work for a while."""
    import numpy as np
    from ase.calculators.singlepoint import SinglePointCalculator
    from ase.io import write

    from mofmd.structures.crystals.zif import zif4

    atoms = zif4()
    forces = np.zeros((len(atoms), 3))
    atoms.calc = SinglePointCalculator(atoms, energy=-1.0, forces=forces, stress=np.full(6, 1e-3))
    write(path, [atoms] * 200)
