"""Deployed message-passing models give the same numbers on any number of ranks, in any grid."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mofmd.learning.select.features import ModelFeatures
from mofmd.models.deploy.deploy import deploy
from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import SUFFIXES, Options
from mofmd.models.files.deployed import read_deployed
from mofmd.structures.crystals.zif import zif4
from tests.engine.conftest import DeployedModels, References
from tests.engine.lammps import checked, evaluate, pair_lines, run_lammps, write_structure
from tests.engine.systems import SYSTEMS, crystal
from tests.engine.test_bad_input import damage
from tests.engine.test_ranks import check_grids, same, with_vacuum
from tests.engine.toy_models import write_chain, write_messages
from tests.reference import reference_path

pytestmark = pytest.mark.frameworks

GRIDS = [
    (2, "processors 2 1 1", ""),
    (3, "processors 1 3 1", ""),
    (4, "processors 4 1 1", ""),
    (4, "processors 1 1 4", ""),
    (4, "processors 2 2 1", ""),
    (4, "comm_style tiled", "balance 1.1 rcb"),
]
FEW_GRIDS = [GRIDS[0], GRIDS[5]]
CASES = [
    ("nequip-f64", [GRIDS[0]], "on"),
    ("mace-f64", [GRIDS[5]], "off"),
]
LONG_CASES = [
    ("nequip-f64", FEW_GRIDS, "on"),
    ("mace-f64", FEW_GRIDS, "off"),
    ("nequip-f64", GRIDS, "off"),
    ("nequip-l2-f64", GRIDS, "off"),
    ("mace-f64", GRIDS, "on"),
    ("mace-r8", GRIDS, "on"),
    ("sevennet-universal", GRIDS, "off"),
    ("sevennet-universal", FEW_GRIDS, "on"),
    ("sevennet-defaults", GRIDS, "on"),
    ("allegro-f64", GRIDS, "on"),
]


@pytest.mark.parametrize(
    ("name", "grids", "newton"),
    [*CASES, *(pytest.param(*case, marks=pytest.mark.long) for case in LONG_CASES)],
)
def test_ranks_and_grids(
    name: str,
    grids: list[tuple[int, str, str]],
    newton: str,
    deployed: DeployedModels,
    tmp_path: Path,
) -> None:
    # the crystal in a quarter of its box leaves ranks empty; the slab is open in z
    structures = [with_vacuum(), SYSTEMS["slab"](), SYSTEMS["tilted"]()]
    check_grids(structures, pair_lines(deployed(name)), grids, newton, tmp_path)


ONE_LAYER = ["nequip-l1-f64", "mace-l1-f64", "sevennet-one-layer"]


@pytest.mark.parametrize(
    ("name", "grids"),
    [
        pytest.param(name, [GRIDS[0], GRIDS[4], GRIDS[5]], marks=pytest.mark.long)
        for name in ONE_LAYER
    ],
)
def test_one_layer_is_strictly_local(
    name: str, grids: list[tuple[int, str, str]], deployed: DeployedModels, tmp_path: Path
) -> None:
    """It has nothing to exchange, and runs on any number of ranks and in chunks all the same."""
    manifest = read_deployed(deployed(name)).manifest
    assert manifest["layers"] == 1
    assert manifest["strictly_local"] is True
    assert manifest["exchange_width"] == 0
    assert manifest["interaction_range"] == manifest["r_max"]
    structures = [with_vacuum(), SYSTEMS["slab"](), SYSTEMS["tilted"]()]
    pair = pair_lines(deployed(name))
    check_grids(structures, pair, grids, "on", tmp_path)
    (expected,) = evaluate([crystal()], tmp_path / "whole", pair)
    for ranks in (1, 2):
        found = evaluate(
            [crystal()],
            tmp_path / f"chunks{ranks}",
            pair.replace("\n", " chunk 17\n", 1),
            ranks=ranks,
        )
        same(found, [expected], force_tolerance=1e-10)
    write_structure(crystal(), tmp_path / "structure.data")
    script = MOTION.format(pair=pair).replace("run 500", "run 3")
    assert "exchanged per step" not in checked(run_lammps(script, tmp_path, 2))


@pytest.mark.parametrize("name", ONE_LAYER)
def test_one_layer_has_node_features(name: str, deployed: DeployedModels) -> None:
    (features,) = ModelFeatures(deployed(name)).of_frames([SYSTEMS["tilted"]()])
    assert features["C"].shape[0] == 6
    assert features["C"].shape[1] > 1


def test_one_layer_mace_is_the_framework(
    deployed: DeployedModels, references: References, tmp_path: Path
) -> None:
    structures = [SYSTEMS["crystal"](), SYSTEMS["thin"]()]
    for ranks in (1, 2, 4):
        folder = tmp_path / str(ranks)
        results = evaluate(structures, folder, pair_lines(deployed("mace-l1-f64")), ranks=ranks)
        for found, system in zip(results, ("crystal", "thin"), strict=True):
            same([found], [references("mace", "mace-l1-f64.model", system)], force_tolerance=1e-8)


def test_features_of_the_wrong_number_of_atoms(tmp_path: Path) -> None:
    model = write_messages(tmp_path / "nequip-faulty.pth", is_faulty=True)
    write_structure(crystal(), tmp_path / "structure.data")
    done = run_lammps(MOTION.format(pair=pair_lines(model)), tmp_path, 2)
    assert done.returncode != 0
    assert "mofmd::exchange is called with the wrong number of atoms" in done.stdout


@pytest.mark.parametrize("ranks", [1, 2])
def test_layers_that_a_file_denies(ranks: int, deployed: DeployedModels, tmp_path: Path) -> None:
    """A file of two layers that calls itself strictly local is found out before it runs."""
    record = {"extra/mofmd_exchange_width": b"0"}
    damage(deployed("mace-f64"), tmp_path / "mace-x.pth", record)
    write_structure(crystal(), tmp_path / "structure.data")
    script = MOTION.format(pair=pair_lines(tmp_path / "mace-x.pth"))
    done = run_lammps(script, tmp_path, ranks)
    assert done.returncode != 0
    assert "passes messages between atoms" in done.stdout
    assert "but records that it is strictly local: deploy it again" in done.stdout


@pytest.mark.parametrize("name", [pytest.param("nequip-f32", marks=pytest.mark.long), "mace-f32"])
def test_single_precision(name: str, deployed: DeployedModels, tmp_path: Path) -> None:
    structures = [crystal()]
    pair = pair_lines(deployed(name))
    (expected,) = evaluate(structures, tmp_path / "1", pair)
    (found,) = evaluate(structures, tmp_path / "4", pair, ranks=4)
    scale = max(1.0, float(np.abs(expected.forces).max()))
    assert np.abs(found.forces - expected.forces).max() <= 2e-5 * scale
    assert abs(found.energy - expected.energy) <= 1e-6 * abs(expected.energy)


def test_deployed_mace_is_the_framework(
    deployed: DeployedModels, references: References, tmp_path: Path
) -> None:
    systems = ["crystal", "tilted", "very_tilted", "thin", "one_atom"]
    structures = [SYSTEMS[system]() for system in systems]
    results = evaluate(structures, tmp_path, pair_lines(deployed("mace-f64")))
    for found, system in zip(results, systems, strict=True):
        same([found], [references("mace", "mace-f64.model", system)], force_tolerance=1e-8)


MOTION = """\
units metal
atom_style atomic
atom_modify map array sort 0 0
read_data structure.data
{pair}
velocity all create 3000 5 loop geom
neighbor 0.4 bin
neigh_modify every 1 delay 0 check yes
timestep 0.0002
fix 1 all nve
thermo 100
run 500
write_dump all custom final.dump id x y z fx fy fz modify sort id format float %.17g
"""


@pytest.mark.long
@pytest.mark.parametrize("ranks", [2, 4])
def test_atoms_that_change_ranks(ranks: int, deployed: DeployedModels, tmp_path: Path) -> None:
    """Hot atoms wander between ranks; where they end, one rank alone finds the same forces.

    (Two whole trajectories would part: at this temperature rounding grows by orders of magnitude.)
    """
    atoms = crystal()
    pair = pair_lines(deployed("nequip-f64"))
    write_structure(atoms, tmp_path / "structure.data")
    output = checked(run_lammps(MOTION.format(pair=pair), tmp_path, ranks))
    builds = re.search(r"Neighbor list builds = (\d+)", output)
    assert builds is not None
    assert int(builds[1]) > 5
    table = np.loadtxt(tmp_path / "final.dump", skiprows=9)
    assert np.abs(table[:, 1:4] - atoms.positions).max() > 3.0  # r_max is 4.5
    atoms.positions = table[:, 1:4]
    (expected,) = evaluate([atoms], tmp_path / "static", pair)
    np.testing.assert_allclose(table[:, 4:], expected.forces, rtol=0, atol=1e-8)


def test_no_node_is_evaluated_twice(deployed: DeployedModels, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    script = MOTION.format(pair=pair_lines(deployed("mace-f64"))).replace("run 500", "run 3")
    for ranks in (1, 4):
        output = checked(run_lammps(script, tmp_path, ranks))
        found = re.search(r"node evaluations per layer, all ranks: (\d+);", output)
        assert found is not None
        assert int(found[1]) == 272
        for part in ("graph", "transfer", "model", "exchange", "scatter", "total"):
            assert re.search(rf"^  {part} +\|", output, re.MULTILINE), part
        assert "first call (warm-up, not counted below)" in output


def test_float32_travels_as_float32(deployed: DeployedModels, tmp_path: Path) -> None:
    write_structure(crystal(), tmp_path / "structure.data")
    sent = []
    for name in ("mace-f32", "mace-f64"):
        script = MOTION.format(pair=pair_lines(deployed(name))).replace("run 500", "run 1")
        output = checked(run_lammps(script, tmp_path, 2))
        found = re.search(r"([\d.]+) kB of features and gradients exchanged per step", output)
        assert found is not None
        sent.append(float(found[1]))
    assert sent[0] == pytest.approx(sent[1] / 2, rel=0.02)


def test_hybrid_overlay(deployed: DeployedModels, tmp_path: Path) -> None:
    style, coeff = pair_lines(deployed("nequip-f64")).splitlines()
    pair = (
        f"pair_style hybrid/overlay {style.split()[1]} lj/cut 4.0\n"
        f"{coeff.replace('* *', '* * nequip', 1)}\npair_coeff * * lj/cut 0.01 3.0"
    )
    expected = evaluate([crystal()], tmp_path / "1", pair)
    found = evaluate([crystal()], tmp_path / "2", pair, ranks=4)
    same(found, expected, force_tolerance=1e-8)


def test_failure_on_one_rank_ends_all(tmp_path: Path) -> None:
    write_structure(with_vacuum(), tmp_path / "structure.data")
    model = write_chain(tmp_path / "nequip-chain.mofmd.pth")
    script = "processors 4 1 1\n" + MOTION.format(pair=pair_lines(model))
    done = run_lammps(script, tmp_path, 4, timeout=30.0)  # loading included; a hang would be longer
    assert done.returncode != 0
    assert "a toy model met an empty rank" in done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-8), ("float32", 2e-5)])
def test_teacher_on_ranks(dtype: str, tolerance: float, tmp_path: Path) -> None:
    """The published five-layer NequIP model, deployed anew from its legacy file."""
    folder = reference_path("zif4")
    model = tmp_path / "nequip-teacher.mofmd.pth"
    options = Options(dtype=dtype, structures=(zif4(),))  # type: ignore[arg-type]
    exported = export(folder / "nequip_l2r6stress0.pth", model, options)
    structures, reference = exported.subject.structures[1:], exported.subject.reference
    assert reference is not None
    expected = evaluate(structures, tmp_path / "1", pair_lines(model))
    assert expected[0].energy == pytest.approx(reference.energies_eV[1], abs=0.02)
    difference = expected[0].forces - reference.forces_eV_per_A[1]
    assert np.abs(difference).max() < tolerance
    for ranks in (2, 4):
        found = evaluate(structures, tmp_path / str(ranks), pair_lines(model), ranks=ranks)
        same(found, expected, force_tolerance=tolerance)


@pytest.mark.long
@pytest.mark.parametrize(
    "name", ["nequip-f64", "mace-f64", "allegro-f64", "sevennet-universal", *ONE_LAYER]
)
def test_aotinductor(name: str, deployed: DeployedModels, tmp_path: Path) -> None:
    """Compiled ahead of time, the same numbers as TorchScript, on any number of ranks."""
    structures = [with_vacuum(), SYSTEMS["tilted"](), SYSTEMS["one_atom"]()]
    expected = evaluate(structures, tmp_path / "torchscript", pair_lines(deployed(name)))
    compiled = pair_lines(deployed(name, format="aotinductor"))
    for ranks in (1, 2, 4):
        found = evaluate(structures, tmp_path / str(ranks), compiled, ranks=ranks)
        same(found, expected, force_tolerance=1e-8)


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "options"),
    [
        ("nequip-l2-f64.ckpt", {}),
        ("nequip-f64.nequip.zip", {"species": ("Zn", "N", "C", "H")}),
        ("nequip-f64.ckpt", {"dtype": "float32"}),
        ("nequip-f32.ckpt", {"dtype": "float64"}),
        ("allegro-f64.ckpt", {}),
        ("mace-f64.model", {"dtype": "float32"}),
        ("mace-l1-f64.model", {}),
        ("nequip-l1-f64.ckpt", {}),
        ("mace-heads.model", {"head": "r2scan"}),
        ("others/readout.model", {}),
        ("others/repulsion.model", {}),
        ("others/mp-0.model", {}),
        ("others/mp-0b.model", {}),
        ("others/mpa-0.model", {}),
        ("others/two-head.model", {"head": "mof"}),
        ("others/all-electron.model", {}),
        ("others/RealAgnosticDensityResidualInteractionBlock.model", {}),
        ("others/RealAgnosticResidualNonLinearInteractionBlock.model", {"format": "aotinductor"}),
        ("others/RealAgnosticAttResidualInteractionBlock.model", {"format": "aotinductor"}),
    ],
)
def test_deploy_passes_its_gate(
    source: str,
    options: dict[str, Any],
    trained_models: Path,
    mace_models: Path,
    tmp_path: Path,
) -> None:
    folder = mace_models if source.endswith(".model") else trained_models
    chosen = Options(**options)
    model = deploy(folder / source, tmp_path / f"out{SUFFIXES[chosen.format]}", chosen)
    assert model.manifest["verification"]["passed"]
    # weights that nobody trained need not hold a crystal together
    assert set(model.manifest["verification"]["not_done"]) <= {"NVE drift"}
    assert model.manifest["reference"]["origin"] == ("example" if ".zip" in source else "crystal")
    assert model.manifest["bytes_per_edge"] > 0
    assert model.type_names == options.get("species", model.type_names)
    assert model.manifest["dtype"] == options.get("dtype", model.manifest["source_dtype"])
