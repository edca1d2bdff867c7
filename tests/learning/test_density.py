"""Density of atomic features: scikit-learn's numbers, what a score means, and what is refused."""

import re
import zipfile
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from sklearn.decomposition import PCA
from typer.testing import CliRunner

from mofmd.calculator.density.density import Density
from mofmd.calculator.density.mixture import Mixture
from mofmd.calculator.density.scorer import Scorer, read_density
from mofmd.cli.main import app
from mofmd.errors import InputError
from mofmd.learning.data.dataset import read_frames
from mofmd.learning.density.fit import FitOptions, best_mixture, check_counts, fit_mixtures
from mofmd.learning.density.model_density import deal_out, write_density
from mofmd.models.files.deployed import DENSITY, payload_sha256, read_deployed
from mofmd.models.files.embedded import embedded_model
from tests.known_models import rattled, write_known


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_known("zif4-nequip-s", tmp_path_factory.mktemp("known") / "known.mofmd.pth")


def clouds(count: int, seed: int) -> np.ndarray:
    """Points of three kinds in six dimensions, which fill three of them."""
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0, 0], [8.0, 0, 0], [0.0, 6.0, 2.0]])
    points = centres[rng.integers(3, size=count)] + rng.normal(size=(count, 3))
    mixing = np.random.default_rng(7).normal(size=(3, 6))
    return points @ mixing + 5.0


@pytest.mark.parametrize("dimensions", [2, 3, None])
def test_densities_of_scikit_learn(dimensions: int | None) -> None:
    """Principal components and mixtures by scikit-learn alone give the same ln p to 1e-8."""
    points, others = clouds(2000, 1), clouds(1000, 2)
    options = FitOptions(dimensions=dimensions, components=6, quantile=0.99)
    mixture = fit_mixtures({"C": points}, {"C": others}, options)["C"]
    pca = PCA(n_components=len(mixture.axes)).fit(points)
    scale = np.sqrt(pca.explained_variance_[0])
    signs = np.sign((pca.components_ * mixture.axes).sum(axis=1))
    whole = PCA().fit(points)
    floor = 1e-5 * max(whole.explained_variance_[0] ** 0.5, np.abs(points).max())
    deviations = np.maximum(whole.explained_variance_**0.5, floor)  # three of the six are flat

    def coordinates(table: np.ndarray) -> np.ndarray:
        y = signs * pca.transform(table) / scale
        left = (whole.transform(table) / deviations)[:, len(signs) :]
        return np.column_stack([y, np.sqrt(np.square(left).mean(axis=1))])

    reference = best_mixture(coordinates(points), options)
    expected = reference.score_samples(coordinates(others))
    np.testing.assert_allclose(mixture.log_density(others), expected, rtol=0, atol=1e-8)
    # axes, and what they leave over
    assert (len(mixture.axes), len(mixture.rest)) == ((2, 4) if dimensions == 2 else (3, 3))
    assert (
        dimensions == 2 or mixture.components == 3
    )  # the Bayesian information criterion finds the three kinds


def test_a_score_is_in_units_of_held_out_atoms() -> None:
    options = FitOptions(quantile=0.99)
    mixture = fit_mixtures({"C": clouds(3000, 1)}, {"C": clouds(4000, 2)}, options)["C"]
    held_out, fresh = (mixture.scores(clouds(4000, seed)) for seed in (2, 3))
    assert np.median(held_out) == pytest.approx(0.0, abs=1e-12)
    assert (held_out > 1.0).mean() == pytest.approx(0.01, abs=1e-3)
    assert 0.005 < (fresh > 1.0).mean() < 0.02
    assert mixture.scores(clouds(100, 4) + 3.0).min() > 1.0


def test_an_element_never_seen_is_infinitely_new() -> None:
    mixture = fit_mixtures({"C": clouds(500, 1)}, {"C": clouds(500, 2)}, FitOptions(quantile=0.99))[
        "C"
    ]
    density = Density("abc", 0.99, 6, np.arange(6), {"C": mixture})
    scores = density.scores(["C", "Hf", "C"], clouds(3, 5))
    assert np.isposinf(scores).tolist() == [False, True, False]
    with pytest.raises(InputError, match=r"features: of shape \(3, 6\)"):
        density.scores(["C"], clouds(3, 5))


def test_text_gives_the_same_numbers() -> None:
    mixtures = fit_mixtures(
        {"C": clouds(500, 1), "O": clouds(300, 3)},
        {"C": clouds(500, 2), "O": clouds(300, 4)},
        FitOptions(quantile=0.99),
    )
    density = Density("abc", 0.99, 8, np.array([0, 1, 2, 4, 5, 7]), mixtures)
    again = Density.parse(density.render())
    assert again.render() == density.render()
    table = np.random.default_rng(0).normal(size=(20, 8))
    symbols = ["C", "O"] * 10
    np.testing.assert_array_equal(again.scores(symbols, table), density.scores(symbols, table))
    text = density.render()
    for damaged, said in (
        (text[: len(text) // 2], "density: is damaged"),
        (text.replace("mofmd_density 1", "mofmd_density 2"), "update mofmd"),
        (text.replace("rest_axes 3", "rest_axes x"), "rest_axes x"),
        (text.replace("median", "mean", 1), "'mean' in the place of 'median'"),
    ):
        with pytest.raises(InputError, match=said):
            Density.parse(damaged)


def test_too_few_atoms_are_told() -> None:
    with pytest.raises(InputError, match="C: 500 held-out atoms cannot tell"):
        fit_mixtures({"C": clouds(500, 1)}, {"C": clouds(500, 2)}, FitOptions())
    with pytest.raises(InputError, match="O: 0 held-out atoms"):
        fit_mixtures({"O": clouds(500, 1)}, {"C": clouds(500, 2)}, FitOptions())
    with pytest.raises(InputError, match="C: 5 training atoms are too few"):
        fit_mixtures({"C": clouds(5, 1)}, {"C": clouds(5000, 2)}, FitOptions())
    with pytest.raises(InputError, match="all the same"):
        fit_mixtures({"C": np.ones((50, 4))}, {"C": np.ones((5000, 4))}, FitOptions())


def test_the_last_frames_of_each_trajectory_are_held_out() -> None:
    frames = [Atoms("H", info={"trajectory": name, "k": k}) for name in "ab" for k in range(4)]
    first, last = deal_out(frames, 0.25)
    assert [frame.info["k"] for frame in last] == [3, 3]
    assert [frame.info["k"] for frame in first] == [0, 1, 2] * 2
    with pytest.raises(InputError, match="trajectory 'a' has 1 of them"):
        deal_out(frames[:1], 0.25)


def test_a_density_travels_with_its_model(known: Path, tmp_path: Path) -> None:
    model = embedded_model("zif4-nequip-s")
    assert payload_sha256(known) == payload_sha256(model)  # nothing of the model has changed
    assert read_deployed(known).manifest == read_deployed(model).manifest
    scorer = Scorer(known)
    fresh = scorer.of_atoms(rattled(1, 9)[0])
    assert (fresh > 1.0).mean() < 0.3  # one in ten is as rare, by the quantile of 0.9
    odd = rattled(1, 9)[0]
    hydrogen = int(np.flatnonzero(odd.symbols == "H")[0])
    odd.positions[hydrogen] += [0.3, 0.3, 0.3]
    scores = scorer.of_atoms(odd)
    assert scores[hydrogen] > max(3.0, 3.0 * fresh[hydrogen])
    assert np.median(scores) < 1.0
    copy = tmp_path / "copy.mofmd.pth"
    with pytest.raises(InputError, match="made for another model"):
        write_density(embedded_model("zif4-mace-s"), read_density(known), copy)
    assert not copy.exists()
    with pytest.raises(InputError, match="holds no density of features; add one"):
        read_density(model)


def test_a_density_moved_by_hand_is_refused(known: Path, tmp_path: Path) -> None:
    model = write_known("zif4-mace-s", tmp_path / "other.mofmd.pth")
    moved = tmp_path / "moved.mofmd.pth"
    with zipfile.ZipFile(model) as old, zipfile.ZipFile(known) as donor:
        name = next(name for name in donor.namelist() if name.endswith(DENSITY))
        with zipfile.ZipFile(moved, "w") as new:
            for info in old.infolist():
                if not info.filename.endswith(DENSITY):
                    new.writestr(info, old.read(info))
            new.writestr(f"{old.namelist()[0].split('/')[0]}/{DENSITY}", donor.read(name))
    with pytest.raises(InputError, match="made for another model"):
        read_density(moved)


def test_commands(tmp_path: Path) -> None:
    from ase.io import write

    write(tmp_path / "md.extxyz", rattled(4))
    run = CliRunner().invoke
    target = tmp_path / "known.mofmd.pth"
    fit = ["learn", "density", "fit", str(tmp_path / "md.extxyz"), "--model", "zif4-nequip-s"]
    done = run(app, [*fit, "-o", str(target), "--quantile", ".9", "--dims", "3"])
    assert done.exit_code == 0, done.output
    assert "Zn: " in done.output
    assert "density of 3 frames, held out 1" in done.output
    scored = tmp_path / "scored.extxyz"
    score = ["learn", "density", "score", str(tmp_path / "md.extxyz"), "--model", str(target)]
    done = run(app, [*score, "-o", str(scored)])
    assert done.exit_code == 0, done.output
    table = read_frames(scored)[3].arrays["novelty"]
    np.testing.assert_allclose(table, Scorer(target).of_atoms(rattled(4)[3]), atol=5e-3)
    refused = run(app, [*fit, "-o", str(target)])
    told = str(refused.exception)
    assert "C: 96 held-out atoms cannot tell which is the 999th of 1000" in told
    smaller = re.findall(r"--quantile (\S+)\)", told)
    check_counts("C", 96, 96, FitOptions(quantile=float(smaller[0])))  # is enough


def test_mixtures_are_read_only() -> None:
    one = np.ones(1)
    mixture = Mixture(one, one[None], one[:0, None], one, one[None], one[None, None], 0.0, 1.0)
    with pytest.raises(ValueError, match="read-only"):
        mixture.mean[0] = 2.0
