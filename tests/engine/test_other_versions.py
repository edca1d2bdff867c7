"""A plugin that was compiled for another LAMMPS or torch says so itself (minutes: compiles two)."""

import json
from pathlib import Path

import pytest

from mofmd.engine.build import find_lammps_headers, find_torch, run_cmake
from mofmd.engine.plugin_path import (
    LIBRARY_NAME,
    RECORD_NAME,
    SOURCE_DIRECTORY,
    installed_versions,
)
from mofmd.models.files.embedded import embedded_model
from tests.engine.lammps import run_lammps, write_structure
from tests.engine.systems import SPECIES, crystal

pytestmark = pytest.mark.long


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"MOFMD_LAMMPS_VERSION": 20240829},
            "mofmd's plugin was built for LAMMPS 20240829, this is LAMMPS 20250722",
        ),
        (
            {"MOFMD_TORCH_VERSION": "2.4.1"},
            "mofmd's plugin was built for torch 2.4.1, the torch that is loaded is ",
        ),
    ],
)
def test_plugin_for_another_version(
    changed: dict[str, object], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch = find_torch()
    headers, mpi_headers, version = find_lammps_headers()
    definitions: dict[str, object] = {
        "MOFMD_TORCH_DIR": torch.directory,
        "MOFMD_TORCH_VERSION": torch.release,
        "MOFMD_LAMMPS_INCLUDE_DIR": headers,
        "MOFMD_MPI_INCLUDE_DIR": mpi_headers,
        "MOFMD_LAMMPS_VERSION": version,
        **changed,
    }
    plugin = tmp_path / "plugin"
    run_cmake(SOURCE_DIRECTORY, plugin, definitions)
    assert (plugin / LIBRARY_NAME).exists()
    # a record that fits, so that nothing but the library's own check is in the way
    record = {"built_for": installed_versions(), "sanitize": False}
    (plugin / RECORD_NAME).write_text(json.dumps(record))
    monkeypatch.delenv("MOFMD_TEST_SANITIZED_PLUGIN", raising=False)
    monkeypatch.setenv("MOFMD_PLUGIN_DIR", str(plugin))
    write_structure(crystal(), tmp_path / "0.data")
    script = f"""units metal
atom_style atomic
read_data 0.data
pair_style allegro
pair_coeff * * {embedded_model("zif4-allegro-s")} {" ".join(SPECIES)}
run 0"""
    for ranks in (1, 2):
        process = run_lammps(script, tmp_path, ranks)
        assert process.returncode != 0
        output = process.stdout + process.stderr
        assert message in output
        assert "run `mofmd build`" in output
