"""What a distillation labels by the density of features: frames and clusters with new atoms."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.errors import InputError
from mofmd.learning.density.model_density import Scorer, read_density
from mofmd.learning.loops.density_find import (
    ClusterOptions,
    DensityOptions,
    keep_density,
    newest_clusters,
    newest_frames,
)
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.carboxylate import uio66
from tests.known_models import rattled, write_known

CRYSTAL = uio66()


def displaced(frame: Atoms) -> np.ndarray:
    """Tenths of an angstrom by which each atom has left the crystal."""
    return np.asarray(10.0 * np.linalg.norm(frame.positions - CRYSTAL.positions, axis=1))


def moved(**elements: float) -> Atoms:
    """UiO-66 with the first atom of some elements displaced [Å]."""
    frame = CRYSTAL.copy()
    for element, distance in elements.items():
        frame.positions[np.flatnonzero(frame.symbols == element)[0], 0] += distance
    frame.info["trajectory"] = "t"
    return frame


def test_clusters_of_each_kind_of_core_come_first() -> None:
    brick, spacer = moved(), moved()
    zirconium = np.flatnonzero(CRYSTAL.symbols == "Zr")
    brick.positions[zirconium[0], 0] += 0.25
    brick.positions[zirconium[-1], 0] += 0.15  # another brick
    ring = _ring_hydrogen()
    spacer.positions[ring, 2] += 0.2
    quiet = moved()
    options = ClusterOptions(per_round=2, allow_images=True)
    runs = [(CRYSTAL, [quiet, brick, spacer])]
    picked, told = newest_clusters(runs, displaced, options, above=1.0)
    assert told == {"new_atoms": 3, "cores": 3, "kinds_of_cores": 2}
    assert len({molecule.info["cluster"] for molecule in picked}) == 2
    assert picked[0].symbols.count("Zr") >= 6
    for molecule in picked:
        assert molecule.info["trajectory"] == "t"
        assert molecule.arrays["flagged"].sum() == 1
    (flagged,) = np.flatnonzero(picked[0].arrays["flagged"])
    assert picked[0].arrays["frame_atom"][flagged] == zirconium[0]  # the newest one
    more, _ = newest_clusters(
        runs, displaced, ClusterOptions(per_round=9, allow_images=True), above=1.0
    )
    assert len(more) == 3
    none, told = newest_clusters([(CRYSTAL, [quiet])], displaced, options, above=1.0)
    assert (none, told["new_atoms"]) == ([], 0)


def _ring_hydrogen() -> int:
    """Return a hydrogen atom that is nearest to a carbon atom."""
    for k in np.flatnonzero(CRYSTAL.symbols == "H"):
        distances = CRYSTAL.get_distances(int(k), range(len(CRYSTAL)), mic=True)
        if CRYSTAL.symbols[int(np.argsort(distances)[1])] == "C":
            return int(k)
    raise AssertionError("no hydrogen at a ring")


def test_refusals_are_told() -> None:
    told: list[str] = []
    picked, _ = newest_clusters(
        [(CRYSTAL, [moved(Zr=0.25)])], displaced, ClusterOptions(largest=100), 1.0, told.append
    )
    assert picked == []
    assert "more than the largest allowed (100)" in told[0]


def test_frames_that_fell_apart_are_told_and_left_out() -> None:
    torn, whole = moved(Zr=0.15), moved(Zr=0.12)
    torn.positions[_ring_hydrogen()] += 5.0  # the newest of all, and nowhere
    told: list[str] = []
    options = ClusterOptions(per_round=5, allow_images=True)
    picked, _ = newest_clusters([(CRYSTAL, [torn, whole])], displaced, options, 1.0, told.append)
    assert len(picked) == 1
    assert len(told) == 1
    assert told[0].startswith("left out, a frame of t: ")
    assert "the framework is broken" in told[0]


def test_frames_with_the_most_new_atoms() -> None:
    frames = [moved(), moved(Zr=0.5), moved(Zr=0.2, C=0.2, O=0.2)]
    picked, told = newest_frames(frames, displaced, 5, above=1.0)
    assert [int((frame.arrays["novelty"] > 1.0).sum()) for frame in picked] == [3, 1]
    assert told == {"new_atoms": 4, "frames_with_new_atoms": 2}


def test_a_model_file_gets_its_density_once(tmp_path: Path) -> None:
    model = write_known("zif4-allegro-s", tmp_path / "m.mofmd.pth")
    before = model.read_bytes()
    keep_density(model, rattled(2), rattled(1), DensityOptions(quantile=0.9).fit(0))
    assert model.read_bytes() == before  # it has one
    assert read_density(model).quantile == 0.9
    assert np.isfinite(Scorer(model).of_atoms(rattled(1)[0])).all()


def test_elements_with_too_few_atoms_count_as_never_seen(tmp_path: Path) -> None:
    model, other = tmp_path / "m.mofmd.pth", tmp_path / "n.mofmd.pth"
    for path in (model, other):
        shutil.copy(embedded_model("zif4-allegro-s"), path)
    told: list[str] = []
    # two frames of ZIF-4 hold out 32 zinc atoms, too few for a quantile of 0.99
    keep_density(model, rattled(2), rattled(2), DensityOptions(quantile=0.99).fit(0), told.append)
    assert [text.split(":")[0] for text in told] == ["Zn"]
    frame = rattled(1)[0]
    scores = Scorer(model).of_atoms(frame)
    zinc = np.array(frame.get_chemical_symbols()) == "Zn"
    assert np.isinf(scores[zinc]).all()
    assert np.isfinite(scores[~zinc]).all()
    with pytest.raises(InputError, match=r"density: C: .* held-out atoms cannot tell"):
        keep_density(other, rattled(2), rattled(1), DensityOptions(quantile=0.9999).fit(0))


def test_options_that_mean_nothing() -> None:
    with pytest.raises(InputError, match="hold_out: 1, expected 0 to below 1"):
        DensityOptions(hold_out=1)
    with pytest.raises(InputError, match="dims: 0, expected 1 or more"):
        DensityOptions(dims=0)
