"""Decks that look how new atoms are to the model: table, frames, stop, resumption."""

import csv
import io
import json
import re
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console
from typer.testing import CliRunner

from mofmd.calculator.density.scorer import Scorer, read_density
from mofmd.cli.main import app
from mofmd.engine.launch import Resources, environment, lammps_command
from mofmd.errors import InputError, MissingFileError, RunError
from mofmd.models.files.embedded import embedded_model
from mofmd.report.page import write_page
from mofmd.report.shade import STEPS, Shade
from mofmd.simulation.deck.deck import Deck, write_deck
from mofmd.simulation.deck.novelty_watch import Look, NoveltyWatch, parse_watch, read_novelty
from mofmd.simulation.deck.potential import PotentialScript, model_potential
from mofmd.simulation.deck.protocol_file import file_watch, read_protocol
from mofmd.simulation.deck.request import Request, generate_deck
from mofmd.simulation.ensemble.ensemble import new_ensemble
from mofmd.simulation.ensemble.ensemble_run import Workers, run_ensemble
from mofmd.simulation.ensemble.table import collect
from mofmd.simulation.protocols import NVT
from mofmd.simulation.run.cut_dump import cut_table
from mofmd.simulation.run.run import Run, run_deck
from mofmd.structures.crystals.zif import zif4
from mofmd.study.novelty import read_watched
from mofmd.study.settings import AnalysisSettings
from mofmd.study.sources import find_runs
from mofmd.study.study import run_analysis, write_analysis
from mofmd.trajectory.in_memory import read_dump
from tests.known_models import write_known

NAMES = ("C", "H", "N", "Zn")
# 24 steps, in parts of 10; hot enough to leave what a rattled crystal knows
PROTOCOL = NVT(
    temperature_K=1500, time_ps=0.012, supercell=(1, 1, 1), minimise_steps_max=0,
    frame_interval_fs=1, thermo_interval_fs=1, restart_interval_ps=0.005,
)  # fmt: skip


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_known("zif4-allegro-s", tmp_path_factory.mktemp("known") / "known.mofmd.pth")


def deck(known: Path, folder: Path, watch: NoveltyWatch | None) -> Deck:
    return write_deck(PROTOCOL, zif4(), model_potential(known, NAMES), folder, watch=watch)


def by_hand(made: Deck) -> subprocess.CompletedProcess[str]:
    command = lammps_command("in.lammps", Resources())
    return subprocess.run(
        command, cwd=made.directory, env=environment(Resources()), capture_output=True, text=True,
        check=False,
    )  # fmt: skip


@dataclass(frozen=True)
class Done:
    """A run that was watched, with what it told, its looks and the newest of them."""

    run: Run
    told: str
    looks: list[Look]

    @property
    def directory(self) -> Path:
        return self.run.deck.directory

    @property
    def newest(self) -> Look:
        return max(self.looks, key=lambda look: look.largest)

    @property
    def name(self) -> str:
        """Element and number of the newest atom."""
        return f"{zif4().get_chemical_symbols()[self.newest.atom - 1]} {self.newest.atom}"


@pytest.fixture(scope="module")
def done(known: Path, tmp_path_factory: pytest.TempPathFactory) -> Done:
    folder = tmp_path_factory.mktemp("watched") / "deck"
    made = deck(known, folder, NoveltyWatch(every=4, keep_above=2.0))
    told = io.StringIO()
    run = run_deck(made.directory, Resources(ranks=2), Console(file=told, width=300))
    return Done(run, told.getvalue(), read_novelty(folder))


def test_table_and_frames_are_of_the_same_steps(known: Path, done: Done) -> None:
    looks = done.looks
    assert [look.step for look in looks] == list(range(0, 25, 4))
    frames = read_dump(done.directory / "trajectory.dump")
    trajectory = dict(zip(frames.timesteps.tolist(), frames.to_ase(), strict=True))
    scorer = Scorer(known)
    for look in (looks[1], looks[-1]):
        scores = scorer.of_atoms(trajectory[look.step])
        # positions in the trajectory have six decimals
        assert look.largest == pytest.approx(scores.max(), rel=2e-3)
        assert look.new_atoms == pytest.approx((scores > 2.0).sum(), abs=2)
        assert scores[look.atom - 1] == pytest.approx(scores.max(), rel=2e-3)
    kept = read_dump(done.directory / "novelty.dump")
    expected = [look.step for look in looks if look.largest > 2.0]
    assert 0 < len(expected) < len(looks)
    assert kept.timesteps.tolist() == expected
    np.testing.assert_allclose(
        kept.to_ase()[0].positions, trajectory[expected[0]].positions, atol=1e-5
    )


def test_a_run_names_the_newest_atom(done: Done) -> None:
    newest, found = done.newest, done.run.newest
    assert found is not None
    assert (found.atom, found.novelty, found.step) == (done.name, newest.largest, newest.step)
    assert (found.bound, found.most_above) == (2.0, max(look.new_atoms for look in done.looks))
    assert f"newest {done.name}: {newest.largest:.3g} at step {newest.step}" in done.told
    said = CliRunner().invoke(app, ["run", str(done.directory), "--resume"])
    assert f"newest atom: {found}; `mofmd report" in said.stdout
    said = CliRunner().invoke(app, ["status", str(done.directory)])
    assert f"newest atom: {found}\n" in said.stdout


def test_the_report_shows_the_newest_frame(known: Path, done: Done, tmp_path: Path) -> None:
    """Its atoms are in the colours of their scores, and a verdict tells of them."""
    newest = done.newest
    (run,) = find_runs(done.directory)
    watched = read_watched(run)
    assert watched is not None
    assert watched.frame is not None
    assert (watched.frame.step, watched.largest) == (newest.step, newest.largest)
    scores = Scorer(known).of_atoms(watched.frame.to_ase())
    np.testing.assert_allclose(watched.scores, scores, rtol=2e-3, atol=2e-3)
    found = run_analysis(AnalysisSettings(done.directory, ("density",)))
    write_analysis(found, tmp_path / "report")
    page = write_page(found, tmp_path / "report").read_text()
    shown = re.search(r"getElementById\('newest'\), (\{.*?\})\);</script>", page)
    assert shown is not None
    scene = json.loads(shown[1])
    shade = Shade(watched.scores, "novelty", 2.0)
    atom = int(np.argmax(scores))
    kind = scene["shade"]["elements"][scene["shade"]["codes"][atom]]
    assert kind["colour"] == shade.colour(1.0 - 0.5 / STEPS)
    assert kind["name"] == watched.frame.species[atom]
    assert f"atom {atom + 1} ({kind['name']})" in page
    assert "<b>2</b>" in page  # the bound, on the scale
    about = json.loads((tmp_path / "report" / "results.json").read_text())["about"]
    verdict = about["verdicts"][-1]
    assert (verdict["question"], verdict["answer"]) == ("Known to the model", "no")
    assert f"{done.name}, has {newest.largest:.3g} at step {newest.step}" in verdict["text"]
    assert f"Known to the model: no</b> {verdict['text']}" in page
    novelty = about["novelty"]["deck"]
    assert (novelty["newest_atom"], novelty["novelty"]) == (done.name, newest.largest)
    assert novelty["looks"] == len(done.looks)


@pytest.mark.long
def test_by_hand_it_is_the_same(known: Path, tmp_path: Path) -> None:
    watch = NoveltyWatch(every=3, keep_above=2.0)
    one, other = (deck(known, tmp_path / name, watch) for name in ("one", "other"))
    run_deck(one.directory)
    assert by_hand(other).returncode == 0
    for name in ("novelty.csv", "novelty.dump"):
        text = (other.directory / name).read_text()
        assert text == (one.directory / name).read_text()
    heads, *lines = (one.directory / "novelty.csv").read_text().splitlines()
    assert heads == "step,time_ps,novelty_largest,atoms_above_keep,newest_atom,newest_type"
    # LAMMPS begins each part with an empty line
    assert all(line[0].isdigit() for line in lines if line)
    plain = deck(known, tmp_path / "plain", None)
    run_deck(plain.directory)
    assert not (plain.directory / "novelty.csv").exists()
    for name in ("trajectory.dump", "final.data"):  # the run does not feel the watch
        assert (plain.directory / name).read_bytes() == (one.directory / name).read_bytes()
    with pytest.raises(MissingFileError, match="written without a watch"):
        read_novelty(plain.directory)


@pytest.mark.long
def test_a_run_stops_at_a_bound(known: Path, tmp_path: Path) -> None:
    watch = NoveltyWatch(every=3, keep_above=2.0, stop_above=4.0)
    made = deck(known, tmp_path / "deck", watch)
    with pytest.raises(
        RunError,
        match=r"(?s)is new to the model: novelty .*allowed is 4.*`mofmd report .*` shows them.*"
        r"train it on .*docs/density.md.*higher stop_above",
    ):
        run_deck(made.directory, Resources(ranks=2))
    status = json.loads((made.directory / "status.json").read_text())
    assert (status["state"], status["violation"]) == ("failed", "novelty")
    looks = read_novelty(made.directory)
    assert looks[-1].largest > 4.0 >= looks[-2].largest
    assert f"step {looks[-1].step} " in status["error"]
    (atom,) = status["atoms"]
    assert looks[-1].atom == atom
    kept = read_dump(made.directory / "novelty.dump")
    assert kept.timesteps[-1] == looks[-1].step
    scores = Scorer(known).of_atoms(kept.to_ase()[-1])
    assert int(np.argmax(scores)) == atom - 1
    assert (made.directory / "restart.failed").is_file()
    # plain LAMMPS stops there as well
    other = deck(known, tmp_path / "other", watch)
    done = by_hand(other)
    assert done.returncode != 0
    assert f"mofmd stopped at step {looks[-1].step}" in done.stdout
    again = read_novelty(other.directory)
    assert [look.step for look in again] == [look.step for look in looks]
    np.testing.assert_allclose(  # one rank sums in another order than two
        [look.largest for look in again], [look.largest for look in looks], rtol=1e-3, atol=1e-3
    )
    assert (other.directory / "restart.stopped").is_file()


def test_yaml_and_what_is_refused(known: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("protocol: nvt\ntime_ps: 0.01\nwatch: {every: 5, stop_above: 3}\n")
    assert file_watch(file) == NoveltyWatch(5, stop_above=3)
    assert read_protocol(file) == NVT(time_ps=0.01)
    request = Request(str(file), "zif-4", tmp_path / "deck", model=str(known))
    assert generate_deck(request).manifest["watch"]["every"] == 5
    words = Request("nvt", "zif-4", tmp_path / "d2", str(known), watch=("every=7",))
    assert generate_deck(words).manifest["watch"] == {
        "every": 7, "keep_above": 1.0, "stop_above": None, "quantile": read_density(known).quantile,
    }  # fmt: skip
    for values, said in (
        ({"evry": 5}, "evry: unknown key"),
        ({"every": 0}, "every: 0, expected a number of steps"),
        ({"stop_above": "x"}, "stop_above: 'x', expected a number"),
        (5, "expected keys such as every: 20"),
    ):
        with pytest.raises(InputError, match=said):
            parse_watch(values)
    potential = model_potential(embedded_model("zif4-allegro-s"), NAMES)
    with pytest.raises(InputError, match="holds no density of features"):
        write_deck(PROTOCOL, zif4(), potential, tmp_path / "no", watch=NoveltyWatch())
    assert not (tmp_path / "no").exists()
    script = tmp_path / "p.in"
    script.write_text("pair_style zero 5\npair_coeff * *\n")
    with pytest.raises(InputError, match="watch: goes with --model"):
        NoveltyWatch().check(PotentialScript(script, NAMES))


def test_a_table_is_cut_back(tmp_path: Path) -> None:
    path = tmp_path / "novelty.csv"
    path.write_text("3,0.1,1,0\n6,0.2,1,0\n9,0.3,1")
    cut_table(path, 9)
    assert path.read_text() == "3,0.1,1,0\n6,0.2,1,0\n"
    cut_table(path, 5)
    assert path.read_text() == "3,0.1,1,0\n"
    cut_table(tmp_path / "none.csv", 5)
    path.write_text("step,time_ps\n3,0.1\n6,0.2\n")
    cut_table(path, 3)
    assert path.read_text() == "step,time_ps\n3,0.1\n"
    cut_table(path, -1)  # heads come with the first line
    assert path.read_text() == ""


def test_members_of_an_ensemble_are_watched(known: Path, tmp_path: Path) -> None:
    folder = tmp_path / "ensemble"
    words = ("time_ps=0.005", "supercell=[1, 1, 1]", "minimise_steps_max=0")
    request = Request("nvt", "zif-4", folder, str(known), settings=words, watch=("every=2",))
    made = new_ensemble(request, (1,), {})
    run_ensemble(made, Workers(1), lambda _: None)
    with collect(made).open(encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    looks = read_novelty(made.members[0].directory)
    assert float(row["largest_novelty"]) == pytest.approx(max(look.largest for look in looks))
    assert int(row["most_new_atoms"]) == max(look.new_atoms for look in looks)
    static = replace(request, protocol="relax", output=tmp_path / "no", settings=())
    with pytest.raises(InputError, match="watch: is for decks; relax has no steps in time"):
        new_ensemble(static, (1,), {})
