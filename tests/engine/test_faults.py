"""Processes killed in the middle: the others end, the message is true, nothing is half-written."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from ase import Atoms
from ase.io import write

from mofmd.engine.evaluate import Patience, evaluate
from mofmd.engine.launch import Resources
from mofmd.errors import RunError
from tests.engine.systems import tilted
from tests.engine.toy_models import write_springs
from tests.processes import Token, command_line

WORKER = "-m mofmd.engine.evaluate_worker"
NAMES = ["C", "H", "N", "Zn"]
# atoms of two ranks: the second has the lone Zn that the toy models stumble over
LONE = Atoms("CHZn", [[1, 1, 1], [2, 1, 1], [15, 15, 15]], cell=[20, 20, 20], pbc=True)


def springs(folder: Path, fault: str = "") -> list[str]:
    model = write_springs(folder / "toy.pth", 4.0, fault)
    return ["pair_style allegro", f"pair_coeff * * {model} C H N Zn"]


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ("throws", r"a toy model met a lone Zn$"),
        ("nan", r"rank 1: the model gives an energy or force that is not a number at atom 3"),
    ],
)
def test_one_rank_of_two_fails(fault: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(RunError, match=told):
        evaluate([LONE], springs(tmp_path, fault), NAMES, Resources(ranks=2))


def test_an_evaluation_that_takes_too_long(tmp_path: Path) -> None:
    many = [tilted() * 6] * 50
    with pytest.raises(RunError, match=r"no result of structure \d+ within 0\.01 s"):
        evaluate(many, springs(tmp_path), NAMES, patience=Patience(limit_s=0.01))


EVALUATION = """
import sys
from mofmd.engine.evaluate import evaluate
from mofmd.engine.launch import Resources
from mofmd.errors import RunError
from tests.engine.systems import tilted
try:
    evaluate([tilted() * 4] * 3000, sys.argv[1:], ["C", "H", "N", "Zn"], Resources(ranks=2))
except RunError as error:
    sys.exit(f"told: {error}")
"""


def ranks_of(token: Token) -> list[int]:
    """The ranks themselves, without mpirun and its proxy, whose command lines name them too."""
    python = [pid for pid in token.holders(WORKER) if "mpirun" not in command_line(pid)]
    return [pid for pid in python if "hydra" not in command_line(pid)]


@pytest.mark.parametrize("victim", ["driver", "rank", "mpirun", "hydra_pmi_proxy"])
def test_evaluation_on_ranks(victim: str, tmp_path: Path) -> None:
    token = Token()
    driver = subprocess.Popen(
        [sys.executable, "-c", EVALUATION, *springs(tmp_path)],
        env=token.environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    token.wait_for(WORKER, count=3)  # mpirun and two ranks
    if victim == "rank":
        os.kill(ranks_of(token)[-1], signal.SIGKILL)
    elif victim == "driver":
        driver.kill()
    else:
        os.kill(token.holders(victim)[0], signal.SIGKILL)
    _, told = driver.communicate(timeout=30)
    token.wait_until_gone()
    if victim != "driver":
        assert driver.returncode == 1
        assert "told: LAMMPS could not evaluate the structures: " in told
    if victim == "rank":
        assert "a rank was killed by SIGKILL (out of memory?)" in told
    if victim == "mpirun":
        assert "was killed by SIGKILL" in told


# what a deployment is at, by the command lines of what it has started
STAGES = {
    "export": "export/export.py",
    "derivatives": WORKER,
    "ranks": "mpirun",
    "dynamics": "-in in.lammps",
}


@pytest.mark.frameworks
@pytest.mark.parametrize("victim", ["driver killed", "driver terminated", "child killed"])
@pytest.mark.parametrize(
    "stage",
    [
        "export",
        *(pytest.param(s, marks=pytest.mark.long) for s in ("derivatives", "ranks", "dynamics")),
    ],
)
def test_deployment(stage: str, victim: str, mace_models: Path, tmp_path: Path) -> None:
    write(tmp_path / "structure.extxyz", tilted())
    source, output = mace_models / "mace-f64.model", tmp_path / "out" / "x.mofmd.pth"
    output.parent.mkdir()
    token = Token()
    words = ["deploy", str(source), "-o", str(output), "--structure", "structure.extxyz"]
    driver = subprocess.Popen(
        [sys.executable, "-m", "mofmd", *words],
        cwd=tmp_path,
        env={**token.environment, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    (child, *_) = token.wait_for(STAGES[stage])
    if victim == "child killed":
        os.kill(child, signal.SIGKILL)
    else:
        driver.send_signal(signal.SIGKILL if victim == "driver killed" else signal.SIGTERM)
    _, told = driver.communicate(timeout=60)
    token.wait_until_gone()
    assert list(output.parent.iterdir()) == []
    if victim != "driver killed":
        assert not list(tmp_path.glob("mofmd-*"))  # temporary folders
    if victim == "driver terminated":
        assert driver.returncode == 128 + signal.SIGTERM
    if victim == "child killed":
        assert driver.returncode == 1
        assert "SIGKILL" in told
