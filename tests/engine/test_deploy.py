"""Deployment: what is refused, and that nothing is written then."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mofmd.errors import InputError, MissingFileError, MofmdError
from mofmd.models.deploy.audience import Audience
from mofmd.models.deploy.deploy import deploy
from mofmd.models.deploy.options import Options
from mofmd.models.deploy.source_kind import source_kind
from mofmd.models.files.deployed import (
    MANIFEST,
    payload_sha256,
    read_deployed,
    read_manifest,
    write_with_manifest,
)
from mofmd.models.files.embedded import embedded_model


def archive(path: Path, *names: str, content: str = "x") -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("names", "file", "kind"),
    [
        (["m/data.pkl", "m/.data/extern_modules"], "x.nequip.zip", "nequip"),
        (["m/data.pkl", "m/data/0"], "x.ckpt", "nequip"),
        (["m/data.pkl", "m/data/0"], "x.model", "mace"),
        (["m/code/__torch__/a.py", "m/extra/nequip_version"], "x.pth", "legacy_nequip"),
    ],
)
def test_kinds_of_source(names: list[str], file: str, kind: str, tmp_path: Path) -> None:
    assert source_kind(archive(tmp_path / file, *names)) == kind


def test_checkpoint_of_sevennet_is_known_by_its_pickle(tmp_path: Path) -> None:
    checkpoint = archive(tmp_path / "x.pth", "m/data.pkl", "m/data/0", content="model_state_dict")
    assert source_kind(checkpoint) == "sevennet"
    with pytest.raises(InputError, match=r"what is it\? .* sevennet-0"):
        source_kind(archive(tmp_path / "y.pth", "m/data.pkl", "m/data/0"))


@pytest.mark.parametrize(
    ("names", "file", "message"),
    [
        (["m/data.pkl"], "x.pt", "what is it?"),
        (["m/code/__torch__/a.py"], "x.nequip.pth", "runs as it is"),
        (
            ["m/code/__torch__/sevenn/a.py", "m/extra/chemical_symbols_to_index"],
            "x.pt",
            "deployed by SevenNet for its own pair style e3gnn",
        ),
        (["m/data/aotinductor/model/a.so"], "x.nequip.pt2", "is compiled already"),
        (["m/code/a.py", "m/extra/mofmd.json"], "x.pth", "is deployed already"),
    ],
)
def test_no_source(names: list[str], file: str, message: str, tmp_path: Path) -> None:
    source = archive(tmp_path / file, *names)
    with pytest.raises(InputError, match=message):
        deploy(source, tmp_path / "out.mofmd.pth")
    assert not list(tmp_path.glob("*out*"))


def test_missing_and_truncated_source(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="no such model file"):
        source_kind(tmp_path / "absent.ckpt")
    truncated = tmp_path / "x.ckpt"
    whole = archive(tmp_path / "whole.ckpt", "m/data.pkl", content="y" * 1000).read_bytes()
    truncated.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="truncated, corrupt or not a model file"):
        source_kind(truncated)
    damaged = bytearray(whole)
    damaged[100] ^= 1
    truncated.write_bytes(damaged)
    with pytest.raises(InputError, match="damaged inside"):
        source_kind(truncated)


def test_suffix_and_folder(tmp_path: Path) -> None:
    source = archive(tmp_path / "x.ckpt", "m/data.pkl")
    with pytest.raises(InputError, match=r"must end in \.mofmd\.pth"):
        deploy(source, tmp_path / "out.pt2")
    with pytest.raises(InputError, match=r"must end in \.mofmd\.pt2"):
        deploy(source, tmp_path / "out.mofmd.pth", Options(format="aotinductor"))
    with pytest.raises(MissingFileError, match="no such folder"):
        deploy(source, tmp_path / "absent" / "out.mofmd.pth")


def test_no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    source = archive(tmp_path / "x.ckpt", "m/data.pkl")
    with pytest.raises(InputError, match=r"needs a C\+\+ compiler"):
        deploy(source, tmp_path / "out.mofmd.pt2", Options(format="aotinductor"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float16"}, "dtype: 'float16' is not one of float32, float64"),
        ({"device": "tpu"}, "device: 'tpu' is not one of cpu, cuda"),
        ({"accelerate": "magic"}, "accelerate: 'magic' is not one of"),
    ],
)
def test_unknown_choices(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    source = archive(tmp_path / "x.ckpt", "m/data.pkl")
    with pytest.raises(InputError, match=message):
        deploy(source, tmp_path / "out.mofmd.pth", Options(**options))


def test_no_gpu(tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    source = archive(tmp_path / "x.ckpt", "m/data.pkl")
    with pytest.raises(InputError, match="torch sees no GPU"):
        deploy(source, tmp_path / "out.mofmd.pth", Options(device="cuda"))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A copy of the embedded model with a hash of its payload."""
    path = tmp_path / "model.mofmd.pth"
    manifest = {
        **read_manifest(embedded_model("zif4-allegro-s")),
        "payload_sha256": payload_sha256(embedded_model("zif4-allegro-s")),
    }
    write_with_manifest(embedded_model("zif4-allegro-s"), manifest, path)
    return path


def test_manifest_is_read_without_torch(model: Path) -> None:
    program = (
        "import sys; from pathlib import Path\n"
        "from mofmd.models.files.deployed import read_deployed\n"
        f"print(read_deployed(Path({str(model)!r})).family, 'torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["allegro", "False"]


def test_rewriting_keeps_the_payload(model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.mofmd.pth"
    write_with_manifest(model, {**read_manifest(model), "name": "another"}, copy)
    assert (
        payload_sha256(copy)
        == payload_sha256(model)
        == payload_sha256(embedded_model("zif4-allegro-s"))
    )
    assert read_deployed(copy).manifest["name"] == "another"
    assert not list(tmp_path.glob(".*part"))


def replace_record(path: Path, end: str, change: Any) -> None:
    """Rewrite one record of a model file behind the manifest's back."""
    with zipfile.ZipFile(path) as file:
        records = {info.filename: file.read(info) for info in file.infolist()}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in records.items():
            file.writestr(name, change(content) if name.endswith(end) else content)


def test_changed_payload_is_refused(model: Path) -> None:
    replace_record(model, "data.pkl", lambda content: content + b"\0")
    with pytest.raises(InputError, match="not the one that its manifest describes"):
        read_deployed(model)


def test_damaged_manifest_and_later_schema(model: Path) -> None:
    original = model.read_bytes()
    replace_record(model, MANIFEST, lambda content: content[:-5])
    with pytest.raises(InputError, match="its manifest is damaged"):
        read_deployed(model)
    model.write_bytes(original)
    later = json.dumps({**read_manifest(model), "schema": 99}).encode()
    replace_record(model, MANIFEST, lambda _: later)
    with pytest.raises(InputError, match="schema that this version of mofmd does not know"):
        read_deployed(model)


def test_no_manifest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not written by `mofmd deploy`"):
        read_deployed(archive(tmp_path / "x.pth", "m/data.pkl"))
    with pytest.raises(MissingFileError):
        read_deployed(tmp_path / "absent.pth")


@pytest.mark.frameworks
class TestRefusals:
    """What only the framework can find out."""

    @pytest.fixture(autouse=True)
    def sources(self, trained_models: Path, mace_models: Path, tmp_path: Path) -> None:
        self.nequip, self.mace, self.out = trained_models, mace_models, tmp_path / "out.mofmd.pth"

    def refused(self, source: Path, **options: Any) -> str:
        with pytest.raises(MofmdError) as caught:
            deploy(source, self.out, Options(**options), Audience(report=lambda _: None))
        assert [file.name for file in self.out.parent.iterdir()] == []
        return str(caught.value)

    def test_unknown_species(self) -> None:
        told = self.refused(self.nequip / "nequip-f64.ckpt", species=("C", "O"))
        assert "does not know O: it knows C H N Zn" in told

    @pytest.mark.long
    def test_structure_with_another_element(self) -> None:
        from ase.build import bulk

        told = self.refused(self.nequip / "nequip-f64.ckpt", structures=(bulk("Cu"),))
        assert "the structure has Cu, which the model lacks" in told

    def test_heads(self) -> None:
        several = self.mace / "mace-heads.model"
        assert "has the heads pbe, r2scan: choose one with --head" in self.refused(several)
        assert "has no head 'hse'" in self.refused(several, head="hse")
        assert "is for MACE models" in self.refused(self.nequip / "nequip-f64.ckpt", head="pbe")

    def test_mace_without_energies(self) -> None:
        told = self.refused(self.mace / "others/dipoles.model")
        assert "models of the class AtomicDipolesMACE give no energy" in told

    @pytest.mark.long
    def test_mace_that_torchscript_cannot_read(self) -> None:
        name = "RealAgnosticResidualNonLinearInteractionBlock.model"
        told = self.refused(self.mace / "others" / name)
        assert "TorchScript cannot read a part of this model" in told
        assert "use --format aotinductor" in told

    @pytest.mark.long
    def test_package_of_a_newer_nequip(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        package = tmp_path_factory.mktemp("newer") / "x.nequip.zip"
        shutil.copy(next(self.nequip.glob("*.nequip.zip")), package)
        replace_record(
            package,
            "nequip/nn/interaction_block.py",
            lambda content: b"from nequip.later import x\n" + content,
        )
        told = self.refused(package)
        assert "written by a newer version of it, perhaps?" in told
        assert "nequip.later" in told

    def test_absent_accelerator(self) -> None:
        told = self.refused(self.mace / "mace-f64.model", accelerate="cuequivariance")
        assert "absent from the mace environment; install it with" in told

    def test_damaged_checkpoint(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        other = archive(tmp_path_factory.mktemp("x") / "x.ckpt", "m/data.pkl", "m/version")
        assert "could not load or export the model" in self.refused(other)
