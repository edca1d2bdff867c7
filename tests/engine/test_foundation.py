"""Foundation models that users bring: MACE with one and two heads, NequIP with 89 types."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ase.build import bulk

from mofmd.engine.evaluate import evaluate
from mofmd.engine.launch import Resources
from mofmd.errors import InputError
from mofmd.models.deploy.audience import Audience
from mofmd.models.deploy.deploy import deploy
from mofmd.models.deploy.exporting import export
from mofmd.models.deploy.options import Options
from mofmd.models.deploy.source_kind import source_kind
from mofmd.models.files.deployed import DeployedModel

pytestmark = pytest.mark.frameworks
QUIET = Audience(report=lambda _: None)
# small and with edges of many lengths: the gate of a wide model takes hundreds of evaluations
CRYSTAL = bulk("MgO", "rocksalt", a=4.212, cubic=True)


def test_one_head_of_two_in_lammps(mace_models: Path, tmp_path: Path) -> None:
    """All 89 elements on two ranks beside MACE's own calculator, which was asked for that head."""
    options = Options(head="mof", structures=(CRYSTAL,))
    out = tmp_path / "out.mofmd.pth"
    exported = export(mace_models / "others" / "two-head.model", out, options, lambda _: None)
    model, subject = exported.model, exported.subject
    assert (model.manifest["head"], model.manifest["accelerate"]) == ("mof", "fused")
    assert {symbol for atoms in subject.structures for symbol in atoms.symbols} == set(
        model.type_names
    )
    assert len(model.type_names) == 89
    reference = subject.reference
    assert reference is not None
    pair = model.pair_commands()
    results = evaluate(subject.structures, pair, model.type_names, Resources(ranks=2))
    for k, found in enumerate(results):
        energy, forces = reference.energies_eV[k], reference.forces_eV_per_A[k]
        assert found.energy_eV == pytest.approx(energy, rel=1e-10)
        scale = max(1.0, np.abs(forces).max())
        np.testing.assert_allclose(found.forces_eV_per_A, forces, rtol=0, atol=1e-8 * scale)


def wide(source: Path, folder: Path, options: Options, audience: Audience = QUIET) -> DeployedModel:
    """Deploy a model of 89 elements; it passes its gate on ranks 1, 2 and 4."""
    model = deploy(source, folder / "out.mofmd.pth", options, audience)
    verification = model.manifest["verification"]
    assert verification["passed"]
    assert verification["not_done"] == {}
    assert {"forces = source", "forces on any ranks", "NVE drift"} <= {
        check["name"] for check in verification["checks"]
    }
    assert len(model.type_names) == 89
    assert model.manifest["accelerate"] == "fused"
    return model


@pytest.mark.long
@pytest.mark.parametrize(
    ("kind", "options"),
    [("mp-0", {}), ("mp-0b", {}), ("mpa-0", {}), ("two-head", {"head": "mof", "dtype": "float32"})],
)
def test_mace_as_wide_as_published(
    kind: str, options: dict[str, Any], foundation_models: Path, tmp_path: Path
) -> None:
    chosen = Options(structures=(CRYSTAL,), **options)
    wide(foundation_models / f"{kind}.model", tmp_path, chosen)


@pytest.mark.long
@pytest.mark.parametrize("name", ["small", "oam-l"])
def test_nequip_package(name: str, foundation_packages: Path, tmp_path: Path) -> None:
    """Repulsion of nuclei between all 89 types; the large one is as wide as NequIP-OAM-L."""
    package = foundation_packages / f"{name}.nequip.zip"
    assert source_kind(package) == "nequip"
    wide(package, tmp_path, Options(structures=(CRYSTAL,)))


@pytest.mark.long
def test_what_a_foundation_model_has_not(mace_models: Path, tmp_path: Path) -> None:
    source = mace_models / "others" / "two-head.model"
    for options, told in (
        ({}, "has the heads pt_head, mof: choose one with --head"),
        ({"head": "Default"}, "has no head 'Default': it has pt_head, mof"),
        ({"head": "mof", "species": ("C", "Po")}, "does not know Po: it knows H He Li"),
        (
            {"head": "mof", "structures": (bulk("Po", "sc", a=3.36),)},
            "the structure has Po, which the model lacks",
        ),
    ):
        with pytest.raises(InputError, match=told):
            deploy(source, tmp_path / "out.mofmd.pth", Options(**options), QUIET)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
