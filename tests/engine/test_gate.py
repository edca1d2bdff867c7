"""The physics gate: right models pass whatever their energies, wrong ones do not."""

import json
import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from ase import Atoms
from ase.build import bulk
from ase.io import write
from typer.testing import CliRunner

from mofmd.cli.main import app
from mofmd.engine.evaluate import Evaluation
from mofmd.models.export.structures import awry, choose_structures, is_physical, packing
from mofmd.models.files.deployed import (
    VERDICT,
    DeployedModel,
    payload_sha256,
    read_deployed,
    read_manifest,
    write_with_manifest,
)
from mofmd.models.files.embedded import embedded_model
from mofmd.models.gate.engine import GateEngine
from mofmd.models.gate.gate import Check, Reference, Subject, check_physics, summary
from mofmd.models.gate.work import NODES, SLOPE, Noise
from mofmd.structures.crystals.crystal_data import build_crystal
from tests.engine.systems import tilted
from tests.engine.toy_models import Bumps, write_deployed

DERIVATIVES = ("forces = -dE/dr", "stress = dE/d(strain)/V")


def findings(
    model: DeployedModel, subject: Subject | None = None, ranks: tuple[int, ...] = (1,)
) -> dict[str, Check]:
    subject = subject or Subject([awry(tilted())], "packing")
    return {check.name: check for check in check_physics(GateEngine(model), subject, ranks)}


def failed(checks: dict[str, Check]) -> list[str]:
    return [name for name, check in checks.items() if check.passed is False]


@pytest.mark.parametrize("constant", [0.0, -5e4])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_right_forces_pass(dtype: str, constant: float, tmp_path: Path) -> None:
    """Also beside energies of all electrons, and where the forces are weak."""
    for depth in (2.0, 1e-3):
        module = Bumps(depth, constant)
        checks = findings(write_deployed(module, tmp_path / "toy.mofmd.pth", dtype))
        assert not failed(checks), checks
        for name in DERIVATIVES:
            assert checks[name].passed


@pytest.mark.parametrize("constant", [0.0, -5e4])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("scaled", set(DERIVATIVES)),
        ("crowded", {*DERIVATIVES, "force Jacobian symmetric"}),
        ("hydrogen", set(DERIVATIVES)),
    ],
)
def test_wrong_forces_do_not(
    fault: str, expected: set[str], dtype: str, constant: float, tmp_path: Path
) -> None:
    module = Bumps(2.0, constant, fault)
    checks = findings(write_deployed(module, tmp_path / "toy.mofmd.pth", dtype))
    assert set(failed(checks)) == expected


class Scaled(torch.nn.Module):
    """A model with forces that are a little too large."""

    def __init__(self, model: torch.jit.ScriptModule, factor: float) -> None:
        super().__init__()
        self.model, self.factor = model, factor

    def forward(self, data: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        out = self.model(data)
        out["edge_gradients"] = self.factor * out["edge_gradients"]
        return out


@pytest.mark.parametrize(("factor", "wrong"), [(1.0, []), (1.001, list(DERIVATIVES))])
def test_a_trained_model_in_float32(factor: float, wrong: list[str], tmp_path: Path) -> None:
    """A thousandth of the forces stands above what float32 rounds."""
    file = embedded_model("zif4-allegro-s")
    extra = dict.fromkeys(
        ("model_dtype", "num_types", "type_names", "r_max", "per_edge_type_cutoff"), ""
    )
    extra |= dict.fromkeys(("mofmd_family", "mofmd_form", "mofmd_exchange_width"), "")
    extra |= dict.fromkeys(("mofmd_layers", "mofmd_torch_version"), "")
    inner = torch.jit.load(str(file), _extra_files=extra)
    raw = tmp_path / "raw.pth"
    torch.jit.save(torch.jit.script(Scaled(inner, factor)), str(raw), _extra_files=extra)
    manifest = {**read_manifest(file), "payload_sha256": payload_sha256(raw)}
    write_with_manifest(raw, manifest, tmp_path / "model.mofmd.pth")
    subject = Subject([awry(build_crystal("zif-4"))], "packing")
    assert failed(findings(read_deployed(tmp_path / "model.mofmd.pth"), subject)) == wrong


def test_an_energy_that_depends_on_the_orientation(tmp_path: Path) -> None:
    """LAMMPS turns what is rotated back into its own axes: rotations must reach the model."""
    checks = findings(write_deployed(Bumps(fault="turned"), tmp_path / "toy.mofmd.pth"))
    assert "forces invariant" in failed(checks)


def test_rounding_that_hides_the_forces_is_told(tmp_path: Path) -> None:
    module = Bumps(1e-13, -5e4)
    checks = findings(write_deployed(module, tmp_path / "toy.mofmd.pth"))
    for name in DERIVATIVES:
        assert checks[name].state == "not done"
        assert "the rounding of float64" in checks[name].detail
        assert "--structure" in checks[name].detail


@pytest.mark.parametrize(
    ("origin", "state", "reason"),
    [
        ("packing", "not done", "no physical structure of these elements .* --structure"),
        ("crystal", "not done", "does not hold the crystal .* which it may not have been made for"),
        ("loop", "not done", "does not hold .* together yet .*, which ends no loop"),
        ("example", "failed", "does not hold together"),
        ("given", "failed", "does not hold together"),
    ],
)
def test_a_model_in_which_atoms_fall_into_each_other(
    origin: str, state: str, reason: str, tmp_path: Path
) -> None:
    """It is refused for a structure that somebody chose, not for one of mofmd's own."""
    model = write_deployed(Bumps(depth=-40.0), tmp_path / "toy.mofmd.pth")
    subject = Subject([awry(tilted())], origin)  # type: ignore[arg-type]
    checks = findings(model, subject)
    assert failed(checks) == (["NVE drift"] if state == "failed" else [])
    drift = checks["NVE drift"]
    assert (drift.state, drift.value) == (state, None)
    assert re.search(reason, drift.detail)
    found = summary(list(checks.values()), subject, "cpu")
    assert found["passed"] is (state != "failed")
    assert ("NVE drift" in found["not_done"]) is (state == "not done")


def test_conservation_is_measured_where_there_is_a_structure(tmp_path: Path) -> None:
    model = write_deployed(Bumps(), tmp_path / "toy.mofmd.pth")
    drift = findings(model, Subject([awry(tilted())], "given"))["NVE drift"]
    assert drift.passed
    assert drift.value is not None
    assert drift.value < 0.1


def test_a_crystal_in_which_forces_vanish_is_no_reason_to_refuse(tmp_path: Path) -> None:
    """Its forces, zero but for rounding, are held against those of the structure that is awry."""
    model = write_deployed(Bumps(), tmp_path / "toy.mofmd.pth")
    crystal = bulk("Zn", "fcc", a=3.9, cubic=True)
    structures = [awry(crystal), crystal]
    results = GateEngine(model).evaluate("reference", structures)
    shaken = np.random.default_rng(1).normal(scale=1e-16, size=(4, 3))
    reference = Reference(
        [found.energy_eV for found in results],
        [results[0].forces_eV_per_A, results[1].forces_eV_per_A + shaken],
        [found.stress_eV_per_A3 for found in results],
    )
    checks = findings(model, Subject(structures, "given", reference), (1, 2))
    assert not failed(checks)
    assert checks["forces = source"].passed


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    engine = GateEngine(
        write_deployed(Bumps(), tmp_path / "toy.mofmd.pth"),
        progress=lambda *words: told.append(words),
    )
    list(check_physics(engine, Subject([awry(tilted())], "packing"), (1, 2)))
    whats = list(dict.fromkeys(what for what, _, _ in told))
    assert "forces and stress against energies" in whats
    assert "2 ranks" in whats
    assert [(done, total) for what, done, total in told if what == "other orientations"] == [
        (0, 3),
        (1, 3),
        (2, 3),
        (3, 3),
    ]


def test_verify_tells_each_check_with_its_time(tmp_path: Path) -> None:
    model = write_deployed(Bumps(), tmp_path / "toy.mofmd.pth")
    write(tmp_path / "structure.extxyz", tilted())
    structure = ["--structure", str(tmp_path / "structure.extxyz"), "--ranks", "1"]
    told = CliRunner().invoke(app, ["verify", str(model.path), *structure])
    assert told.exit_code == 0, told.output
    assert re.search(r"ok +forces = -dE/dr: .* allowed 1e-06; work along .* \(\d+ s\)", told.output)
    assert re.search(r"ok +NVE drift: .*\(\d+ s\)", told.output)


def test_verify_records_what_was_not_done(tmp_path: Path) -> None:
    """It says why; such a file is no failed one, and models show tells it."""
    model = write_deployed(Bumps(), tmp_path / "toy.mofmd.pth")
    atoms = awry(tilted())
    (found,) = GateEngine(model).evaluate("reference", [atoms])
    reference = {
        "origin": "packing",
        "symbols": atoms.get_chemical_symbols(),
        "positions_A": atoms.positions.tolist(),
        "cell_A": atoms.cell.array.tolist(),
        "energy_eV": found.energy_eV,
        "forces_eV_per_A": found.forces_eV_per_A.tolist(),
        "stress_eV_per_A3": found.stress_eV_per_A3.tolist(),
    }
    write_with_manifest(model.path, {**model.manifest, "reference": reference}, model.path)
    words = ["verify", str(model.path), "--ranks", "1", "--json", "--record"]
    told = CliRunner().invoke(app, words)
    assert told.exit_code == 0
    recorded = read_manifest(model.path)["verification"]
    assert recorded == json.loads(told.stdout)
    assert recorded["passed"] is True
    assert "give one with --structure" in recorded["not_done"]["NVE drift"]
    with zipfile.ZipFile(model.path) as archive:
        (name,) = [each for each in archive.namelist() if each.endswith(VERDICT)]
        assert archive.read(name) == b"passed"
    shown = CliRunner().invoke(app, ["models", "show", str(model.path)]).output
    assert "not done" in shown


def test_weights_of_the_paths() -> None:
    """Exact for polynomials: the derivative to the fourth degree, the work to the seventh."""
    polynomial = np.polynomial.Polynomial([0.3, -1.2, 0.7, 2.0, -0.4])
    assert SLOPE @ polynomial(NODES) == pytest.approx(polynomial.deriv()(0.0), abs=1e-14)


def crystals() -> list[Atoms]:
    return [build_crystal(name, primitive=True) for name in ("zif-4", "zif-8", "mof-5", "uio-66")]


def test_structures_of_models() -> None:
    """A crystal of the very elements, or the smallest that is known; packings of the others."""
    structures, origin = choose_structures(["C", "H", "N", "Zn"], [], None, crystals())
    assert (origin, [len(atoms) for atoms in structures]) == ("crystal", [272])
    structures, origin = choose_structures(["C", "H", "N", "O", "Zn", "Au"], [], None, crystals())
    assert (origin, [len(atoms) for atoms in structures]) == ("crystal", [106, 24])
    assert set(structures[1].symbols) == {"N", "Au"}
    structures, origin = choose_structures(["Si", "O"], [], None, crystals())
    assert (origin, [len(atoms) for atoms in structures]) == ("packing", [24])
    example = bulk("Si", cubic=True)
    structures, origin = choose_structures(["Si", "O"], [], example, crystals())
    assert (origin, [len(atoms) for atoms in structures]) == ("example", [8, 24])
    structures, origin = choose_structures(["Si"], [example, example * 2], example, crystals())
    assert (origin, [len(atoms) for atoms in structures]) == ("given", [8, 8, 64])
    assert structures[1] == example


@pytest.mark.parametrize("elements", [["H", "He"], ["C", "H", "N", "Zn"], ["Cs", "F", "U", "Li"]])
def test_atoms_of_packings_are_at_sane_distances(elements: list[str]) -> None:
    atoms = packing(elements)
    distances = atoms.get_all_distances(mic=True)[np.triu_indices(len(atoms), 1)]
    assert distances.min() > 1.0
    assert is_physical(atoms)
    atoms.positions[1] = atoms.positions[0] + 0.1
    assert not is_physical(atoms)


def test_energies_on_a_grid() -> None:
    """Orientations that are rounded alike say nothing; other structures show float32's steps."""
    rng = np.random.default_rng(1)
    inner = np.float32(0.7) + np.float32(1e-5) * rng.normal(size=(40, 3)).astype(np.float32)
    quiet = Noise(1e-15, 0.0, 0.0)

    def noise(energies: np.ndarray) -> float:
        forces, stress = np.zeros((3, 3)), np.zeros((3, 3))
        return quiet.with_grid([Evaluation(0.0, e, forces, stress) for e in energies]).energy_eV

    step = 2.0**-24  # between 0.5 and 1 in float32
    rounded = np.sqrt(3.0 / 12.0) * step
    assert noise(inner.astype(float) - 4.0834747) == pytest.approx(rounded)
    assert noise(0.7 + 1e-5 * rng.normal(size=(40, 3))) == 1e-15  # float64 has no such steps
    assert noise(np.full((40, 3), -4.0)) == 1e-15
