import pytest

from mofmd.errors import InputError
from mofmd.models.files.deployed import read_deployed
from mofmd.models.files.embedded import DEFAULT_MODEL, embedded_model, embedded_models

# licence of the models distilled from it, and what their cards must say
TEACHERS = {
    "zif4": ("CC-BY-4.0", ("CC BY 4.0", "10.1039/d3dd00236e")),
    "uio66": (
        "MIT",
        ("MIT", "10.1021/acs.jctc.4c00190", "10.1038/s42256-023-00716-3", "10.1063/1.3382344"),
    ),
}


def test_every_embedded_model_is_small_and_has_a_card() -> None:
    models = embedded_models()
    assert DEFAULT_MODEL in models
    for name, file in models.items():
        assert file.stat().st_size < 2**20
        card = (file.parent / f"{name}.md").read_text()
        for part in (*TEACHERS[name.split("-")[0]][1], "MAE"):
            assert part in card


def test_manifest_says_what_the_file_is() -> None:
    for name, file in embedded_models().items():
        model = read_deployed(file)  # the hash of the payload is checked
        manifest = model.manifest
        assert manifest["name"] == name
        assert manifest["verification"]["passed"] is True
        assert manifest["bytes_per_edge"] > 0
        assert manifest["units"] == {"length": "angstrom", "energy": "eV"}
        assert manifest["strictly_local"] is (manifest["family"] == "allegro")
        assert manifest["strictly_local"] or manifest["exchange_width"] > 0  # runs on any ranks
        assert manifest["dtype"] == "float32"
        licence, cited = TEACHERS[name.split("-")[0]]
        assert manifest["licence"] == licence
        assert all(doi in str(manifest["citations"]) for doi in cited if doi.startswith("10."))


def test_unknown_name() -> None:
    with pytest.raises(
        InputError, match="no embedded model 'zif-9000'; there are uio66-mace-m, zif4-alle"
    ):
        embedded_model("zif-9000")
