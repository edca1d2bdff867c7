"""ZIF-4 with a model of the package: commands from crystal to page, killed and resumed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mofmd.phonons.load import load_phonopy

MODEL = "zif4-allegro-s"
RUN = ("phonons", "run", "zif-4", "--model", MODEL, "--supercell", "1x1x1", "--symmetry")
KILLS = 10
MESH = ("--mesh", "1x1x1", "--points", "2", "--fmax", "1e-4")


def command(folder: Path, *more: str) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "mofmd", *RUN, *MESH, "-o", str(folder), *more]
    return subprocess.Popen(line, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zif") / "whole"
    process = command(folder)
    told, _ = process.communicate()
    assert process.returncode == 0, told
    return folder


@pytest.mark.long
def test_zif_4_at_gamma(whole: Path) -> None:
    record = json.loads((whole / "phonons.json").read_text())
    assert record["atoms"] == 272
    assert record["states"] == pytest.approx(816, abs=1e-6)
    assert record["evaluations"] == 205  # symmetry leaves 204 displacements of 1632
    assert record["imaginary"]["share_of_modes"] == 0.0
    assert 0.1 < record["lowest_optical_gamma_THz"] < 0.6
    # C-H stretches: 3100 to 3300 1/cm
    assert 90.0 < record["highest_THz"] < 100.0
    assert max(map(abs, record["acoustic_gamma_THz"])) < 1e-3
    assert record["force_constants"]["drift_eV_per_A2"] < 1e-6
    table = np.genfromtxt(whole / "gamma.csv", delimiter=",", names=True, dtype=None, encoding=None)
    node, linker = table["share_node_Zn"], table["share_linker_C3H3N2"]
    np.testing.assert_allclose(node + linker, 1.0, atol=1e-9)
    # zinc moves below 12 THz alone
    assert node[table["frequency_THz"] > 20.0].max() < 0.05
    assert (whole / "report.html").stat().st_size > 1e6


@pytest.mark.long
def test_killed_calculations_give_the_same_force_constants(whole: Path, tmp_path: Path) -> None:
    """SIGKILL ten times, after every fifteen forces; the relaxation is that of the whole run."""
    shutil.copytree(whole / "relax", tmp_path / "zif" / "relax")
    kills = 0
    while not (tmp_path / "zif" / "phonons.json").exists():
        kept = len(list((tmp_path / "zif" / "forces").glob("*.npz")))
        process = command(tmp_path / "zif", *(("--lanes", "2") if kills == 1 else ()))
        while process.poll() is None:
            here = len(list((tmp_path / "zif" / "forces").glob("*.npz")))
            if kills < KILLS and here >= kept + 15:
                os.kill(process.pid, signal.SIGKILL)
                kills += 1
                break
            time.sleep(0.05)
        told, _ = process.communicate()
        assert process.returncode in (0, -signal.SIGKILL), told
    assert kills == KILLS
    first, second = (
        load_phonopy(folder)[1].values_eV_per_A2 for folder in (whole, tmp_path / "zif")
    )
    np.testing.assert_array_equal(first, second)
