"""SevenNet: its checkpoints deployed, against its own calculator; what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mofmd.errors import MissingFileError, MofmdError
from mofmd.models.deploy import exporting
from mofmd.models.deploy.audience import Audience
from mofmd.models.deploy.deploy import deploy
from mofmd.models.deploy.options import Options
from mofmd.models.files.deployed import read_deployed
from mofmd.models.universal import MODELS
from mofmd.structures.crystals.crystal_data import build_crystal
from tests.engine.conftest import DeployedModels, References
from tests.engine.conservation import assert_energy_is_conserved
from tests.engine.lammps import (
    Result,
    checked,
    evaluate,
    pair_lines,
    run_lammps,
    write_structure,
)
from tests.engine.systems import SPECIES, SYSTEMS, crystal
from tests.engine.test_ranks import same

pytestmark = pytest.mark.frameworks

PERIODIC = ["tilted", "very_tilted", "thin", "one_atom", "far_apart"]
OPEN = ["slab", "cluster"]
VARIANTS = [
    ("sevennet-universal", {"dtype": "float64"}),
    *(
        pytest.param(name, options, marks=pytest.mark.long)
        for name, options in (
            ("sevennet-l3", {"dtype": "float32"}),
            ("sevennet-modal", {"dtype": "float64", "modality": "PBE"}),
            ("sevennet-universal", {"dtype": "float32"}),
            ("sevennet-universal", {"dtype": "float64", "accelerate": "none"}),
            ("sevennet-l3", {"dtype": "float64"}),
            ("sevennet-defaults", {"dtype": "float64"}),
        )
    ),
]


def compare(found: Result, expected: Result, relative: float) -> None:
    for name in ("energy", "energies", "forces", "stress"):
        a, b = np.asarray(getattr(found, name)), np.asarray(getattr(expected, name))
        if name == "stress" and np.isnan(b).any():
            continue  # not periodic: the calculator gives none
        scale = max(1.0, float(np.abs(b).max()))
        np.testing.assert_allclose(a, b, rtol=0, atol=relative * scale, err_msg=name)


@pytest.mark.parametrize(("name", "options"), VARIANTS)
def test_its_own_calculator_agrees(
    name: str,
    options: dict[str, Any],
    deployed: DeployedModels,
    references: References,
    tmp_path: Path,
) -> None:
    model = deployed(name, **options)
    assert read_deployed(model).manifest["accelerate"] == options.get("accelerate", "fused")
    is_exact = options["dtype"] == "float64"
    systems = [*PERIODIC, *OPEN] if is_exact else ["tilted", "thin"]
    results = evaluate([SYSTEMS[each]() for each in systems], tmp_path, pair_lines(model))
    for found, system in zip(results, systems, strict=True):
        compare(found, references("sevennet", f"{name}.pth", system), 1e-8 if is_exact else 1e-5)


def test_chunks_of_layers(deployed: DeployedModels, tmp_path: Path) -> None:
    pair = pair_lines(deployed("sevennet-universal"))
    (expected,) = evaluate([crystal()], tmp_path / "whole", pair)
    for ranks in (1, 2):
        chunked = pair.replace("\n", " chunk 17\n", 1)
        found = evaluate([crystal()], tmp_path / f"chunks{ranks}", chunked, ranks=ranks)
        same(found, [expected], force_tolerance=1e-9)


def test_per_atom_virials_add_up(deployed: DeployedModels, tmp_path: Path) -> None:
    write_structure(SYSTEMS["tilted"](), tmp_path / "0.data")
    script = f"""
units metal
atom_style atomic
read_data 0.data
{pair_lines(deployed("sevennet-universal"))}
compute w all stress/atom NULL virial
compute sum all reduce sum c_w[*]
variable volume equal vol
thermo_style custom step pxx pyy pzz pxy pxz pyz c_sum[*]
run 0
print "mofmd $(pxx*vol) $(pyy*vol) $(pzz*vol) $(pxy*vol) $(pxz*vol) $(pyz*vol)"
print "mofmd $(-c_sum[1]) $(-c_sum[2]) $(-c_sum[3]) $(-c_sum[4]) $(-c_sum[5]) $(-c_sum[6])"
"""
    for ranks in (1, 2):
        output = checked(run_lammps(script, tmp_path, ranks))
        rows = [line.split()[1:] for line in output.splitlines() if line.startswith("mofmd ")]
        total, summed = np.array(rows, dtype=float)
        np.testing.assert_allclose(summed, total, rtol=0, atol=1e-10 * np.abs(total).max())


def test_energy_is_conserved_without_thermostat(deployed: DeployedModels, tmp_path: Path) -> None:
    """NVE of a hot cell: what is left of the drift is the error of velocity Verlet."""
    assert_energy_is_conserved(pair_lines(deployed("sevennet-universal")), tmp_path)


@pytest.mark.parametrize("name", ["sevennet-universal", "nequip-f64", "mace-f64", "allegro-f64"])
def test_style_for_any_family(name: str, deployed: DeployedModels, tmp_path: Path) -> None:
    pair = pair_lines(deployed(name))
    structures = [SYSTEMS["tilted"]()]
    expected = evaluate(structures, tmp_path / "own", pair)
    style = pair.split("\n")[0]
    found = evaluate(structures, tmp_path / "any", pair.replace(style, "pair_style mofmd", 1))
    same(found, expected, force_tolerance=0.0)


def refused_by_lammps(pair: str, work: Path) -> str:
    write_structure(SYSTEMS["tilted"](), work / "0.data")
    script = f"units metal\natom_style atomic\nread_data 0.data\n{pair}\nrun 0\n"
    done = run_lammps(script, work)
    assert done.returncode != 0
    return done.stdout + done.stderr


def test_style_for_any_family_takes_deployed_files_only(
    nequip_models: Path, tmp_path: Path
) -> None:
    file = nequip_models / "nequip-f64.nequip.pth"
    told = refused_by_lammps(f"pair_style mofmd\npair_coeff * * {file} C H N Zn", tmp_path)
    assert "was not written by `mofmd deploy`: use pair_style nequip" in told


def test_style_of_another_family(deployed: DeployedModels, tmp_path: Path) -> None:
    pair = pair_lines(deployed("sevennet-universal")).replace("sevennet\n", "mace\n", 1)
    assert "use pair_style sevennet, not pair_style mace" in refused_by_lammps(pair, tmp_path)


def test_element_that_the_model_lacks(deployed: DeployedModels, tmp_path: Path) -> None:
    pair = pair_lines(deployed("sevennet-universal")).replace("C H N Zn", "C H N Zr")
    assert "does not know 'Zr', given for atom type 4" in refused_by_lammps(pair, tmp_path)


class TestRefused:
    """What cannot be deployed says why; nothing is written."""

    @pytest.fixture(autouse=True)
    def _sources(self, sevennet_models: Path, tmp_path: Path) -> None:
        self.models, self.out = sevennet_models, tmp_path / "out.mofmd.pth"

    def refused(self, source: Path, **options: Any) -> str:
        with pytest.raises(MofmdError) as caught:
            deploy(source, self.out, Options(**options), Audience(report=lambda _: None))
        assert list(self.out.parent.iterdir()) == []
        return str(caught.value)

    def test_modalities(self) -> None:
        several = self.models / "sevennet-modal.pth"
        told = self.refused(several)
        assert "has the modalities R2SCAN, PBE: choose one with --modality" in told
        told = self.refused(several, modality="HSE")
        assert "has no modality 'HSE': it has R2SCAN, PBE" in told
        told = self.refused(self.models / "sevennet-l3.pth", modality="PBE")
        assert "the model has no modalities: leave it out" in told

    def test_head(self) -> None:
        told = self.refused(self.models / "sevennet-l3.pth", head="a")
        assert "a SevenNet has modalities (--modality)" in told

    def test_unknown_species(self) -> None:
        told = self.refused(self.models / "sevennet-l3.pth", species=("C", "Zr"))
        assert "does not know Zr: it knows C H N Zn" in told

    def test_structure_with_another_element(self) -> None:
        uio66 = build_crystal("uio-66", primitive=True)
        told = self.refused(self.models / "sevennet-l3.pth", structures=(uio66,))
        assert "the structure has O, Zr, which the model lacks" in told

    @pytest.mark.parametrize(
        ("pins", "found"), [({"sevenn": "99.0"}, "is 0.13.0"), ({"septem": "1.0"}, "is absent")]
    )
    def test_packages_of_another_version(
        self, pins: dict[str, str], found: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(exporting, "package_pins", lambda _: pins)
        told = self.refused(self.models / "sevennet-l3.pth")
        assert found in told
        assert "remove that folder, and `mofmd env sevennet` makes it again" in told

    def test_name_of_no_model(self) -> None:
        with pytest.raises(MissingFileError, match="sevennet-0, sevennet-l3i5, sevennet-mf-0"):
            deploy(Path("sevennet-7"), self.out)


def test_modality_of_another_family(trained_models: Path, tmp_path: Path) -> None:
    options = Options(modality="PBE")
    with pytest.raises(MofmdError, match="--modality is for SevenNet models"):
        deploy(trained_models / "nequip-f64.ckpt", tmp_path / "x.mofmd.pth", options)


@pytest.mark.long
@pytest.mark.parametrize("name", ["sevennet-universal", "sevennet-l3", "sevennet-defaults"])
def test_deploy_passes_its_gate(name: str, sevennet_models: Path, tmp_path: Path) -> None:
    model = deploy(
        sevennet_models / f"{name}.pth", tmp_path / "x.mofmd.pth", Options(dtype="float64")
    )
    assert model.family == "sevennet"
    assert model.type_names == SPECIES
    assert set(model.manifest["verification"]["not_done"]) <= {"NVE drift"}


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "modality"),
    [
        ("sevennet-0", None),
        ("sevennet-l3i5", None),
        ("sevennet-mf-0", "PBE"),
        ("sevennet-mf-0", "R2SCAN"),
    ],
)
def test_universal_models(name: str, modality: str | None, tmp_path: Path) -> None:
    """The gate compares 89 elements with SevenNet's own calculator, on 1, 2 and 4 ranks."""
    model = deploy(Path(name), tmp_path / "x.mofmd.pth", Options(modality=modality))
    manifest = model.manifest
    assert manifest["verification"]["passed"]
    assert manifest["verification"]["not_done"] == {}
    assert len(model.type_names) == 89
    assert manifest["name"] == name
    assert manifest["modality"] == modality
    functional = MODELS[name].functionals[modality or ""]
    assert manifest["level_of_theory"] == {"functional": functional, "dispersion": "none"}
    assert manifest["accelerate"] == "fused"
