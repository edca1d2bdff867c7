"""What a distillation labels by the density of features: frames and clusters with new atoms."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms

from mofmd.calculator.density.scorer import Scorer, read_density
from mofmd.errors import InputError
from mofmd.learning.loops.density_find import (
    ClusterOptions,
    DensityOptions,
    keep_density,
    newest_clusters,
    newest_frames,
    sound_frames,
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
    picked, told = newest_clusters(runs, displaced, options, DensityOptions())
    assert told == {"new_atoms": 3, "cores": 3, "kinds_of_cores": 2}
    assert len({molecule.info["cluster"] for molecule in picked}) == 2
    assert picked[0].symbols.count("Zr") >= 6
    for molecule in picked:
        assert molecule.info["trajectory"] == "t"
        assert molecule.arrays["flagged"].sum() == 1
    (flagged,) = np.flatnonzero(picked[0].arrays["flagged"])
    assert picked[0].arrays["frame_atom"][flagged] == zirconium[0]  # the newest one
    more, _ = newest_clusters(
        runs, displaced, ClusterOptions(per_round=9, allow_images=True), DensityOptions()
    )
    assert len(more) == 3
    none, told = newest_clusters([(CRYSTAL, [quiet])], displaced, options, DensityOptions())
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
        [(CRYSTAL, [moved(Zr=0.25)])],
        displaced,
        ClusterOptions(largest=100),
        DensityOptions(),
        told.append,
    )
    assert picked == []
    assert "more than the largest allowed (100)" in told[0]


def test_frames_that_fell_apart_are_told_and_left_out() -> None:
    torn, whole = moved(Zr=0.15), moved(Zr=0.12)
    torn.positions[_ring_hydrogen()] += 5.0  # the newest of all, and nowhere
    told: list[str] = []
    options = ClusterOptions(per_round=5, allow_images=True)
    picked, _ = newest_clusters(
        [(CRYSTAL, [torn, whole])], displaced, options, DensityOptions(), told.append
    )
    assert len(picked) == 1
    assert len(told) == 1
    assert told[0].startswith("left out, a frame of t: ")
    assert "the framework is broken" in told[0]


def test_frames_with_the_most_new_atoms() -> None:
    frames = [moved(), moved(Zr=0.5), moved(Zr=0.2, C=0.2, O=0.2)]
    picked, told = newest_frames(frames, displaced, 5, DensityOptions())
    assert [int((frame.arrays["novelty"] > 1.0).sum()) for frame in picked] == [3, 1]
    assert told == {"new_atoms": 4, "frames_with_new_atoms": 2}


def test_frames_with_an_atom_that_is_too_new_are_left_out() -> None:
    """Not those with an atom of an element never seen, which is infinitely new."""
    torn, new, quiet = moved(Zr=3.0, C=0.2, O=0.2), moved(Zr=0.5), moved()
    bound = DensityOptions(at_most=20.0)
    told: list[str] = []
    picked, counts = newest_frames([torn, new, quiet], displaced, 5, bound, told.append)
    assert [frame.arrays["novelty"].max() for frame in picked] == [pytest.approx(5.0)]
    assert counts == {"new_atoms": 4, "frames_with_new_atoms": 2}
    assert told == ["frames left out, with an atom newer than 20: 1"]
    assert sound_frames([torn, new, quiet], displaced, bound, told.append) == [new, quiet]
    assert sound_frames([torn, new], displaced, DensityOptions(), told.append) == [torn, new]
    first, _ = newest_frames([torn, new], displaced, 1, DensityOptions(), told.append)
    assert first[0].arrays["novelty"].max() == pytest.approx(30.0)  # without a bound it is first
    assert len(told) == 2

    def unseen(frame: Atoms) -> np.ndarray:
        return np.where(frame.symbols == "Zr", np.inf, displaced(frame))

    assert len(newest_frames([new], unseen, 5, bound).picked) == 1


def test_clusters_with_an_atom_that_is_too_new_are_left_out() -> None:
    """Also where it is the mantle's; other places of the same frame are cut out."""
    zirconium = np.flatnonzero(CRYSTAL.symbols == "Zr")
    frame = moved(Zr=0.25)  # its brick is a core, the ring is in its mantle
    ring = _ring_hydrogen()
    options = ClusterOptions(per_round=50, allow_images=True)
    told: list[str] = []

    def cut(at_most: float | None) -> list[Atoms]:
        density = DensityOptions(at_most=at_most)
        return newest_clusters([(CRYSTAL, [frame])], displaced, options, density, told.append)[0]

    (whole,) = cut(None)
    assert len(cut(2.6)) == 1
    assert cut(2.4) == []
    assert told.pop() == "clusters left out, with an atom newer than 2.4: 1"
    inside = whole.arrays["frame_atom"]
    scores = whole.arrays["novelty"]
    assert scores[inside == zirconium[0]] == pytest.approx(2.5)
    np.testing.assert_array_equal(np.isnan(scores), whole.arrays["role"] == "cap")
    (mantle,) = inside[(whole.arrays["role"] == "mantle") & (whole.symbols == "H")][:1]
    frame.positions[mantle, 2] += 0.6
    assert len(cut(None)) == 2
    assert cut(4.0) == []  # the ring by itself, and the brick with the ring around it
    assert told.pop() == "clusters left out, with an atom newer than 4: 2"
    frame.positions[mantle, 2] -= 0.6
    frame.positions[ring, 2] += 0.2
    assert len(cut(4.0)) == 2


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
    with pytest.raises(InputError, match=r"at_most: 0.5, expected more than above \(1.0\)"):
        DensityOptions(at_most=0.5)
    with pytest.raises(InputError, match="dims: 0, expected 1 or more"):
        DensityOptions(dims=0)
