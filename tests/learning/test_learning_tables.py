"""Tables and figures of models beside each other, on errors that were put in by hand."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from mofmd.engine.bench import processor

from mofmd.engine.launch import Resources
from mofmd.errors import InputError
from mofmd.learning.data.dataset import Labels, labelled
from mofmd.learning.evaluate.evaluation import (
    Evaluated,
    compare_labels,
    group_rows,
    time_model,
    write_evaluation,
)
from mofmd.learning.evaluate.figures import plot_curves, write_figures
from mofmd.learning.select.selection import energies_per_atom
from mofmd.models.files.embedded import embedded_model
from mofmd.structures.crystals.zif import zif4
from mofmd.units import EV_PER_A3_TO_GPA

PHASES = ("crystal", "melt", "crystal")
SHIFTS = (0.01, 0.04, 0.03)  # of every force component [eV/Å]


def frames() -> list[Atoms]:
    """Frames of two, three and four argon atoms with labels of −2, −6 and −12 eV."""
    made = []
    for k, phase in enumerate(PHASES):
        n = k + 2
        atoms = Atoms(f"Ar{n}", 3.0 * np.arange(3 * n).reshape(n, 3), cell=[20] * 3, pbc=True)
        atoms.info = {"phase": phase, "trajectory": f"run{k}"}
        energy = -float(n * (n - 1))
        made.append(labelled(atoms, Labels(energy, np.ones((n, 3)), np.eye(3) * 0.01)))
    return made


def evaluated(name: str, factor: float, ms_per_step: float | None = None) -> Evaluated:
    """A model whose errors are known: forces too large by the shifts, energies by 6 meV/atom."""
    predictions = [
        Labels(
            -float(len(frame) * (len(frame) - 1)) + 0.006 * factor * len(frame),
            np.ones((len(frame), 3)) + factor * shift,
            np.eye(3) * 0.01 + factor * 0.001,
        )
        for frame, shift in zip(frames(), SHIFTS, strict=True)
    ]
    return replace(compare_labels(name, frames(), predictions), ms_per_step=ms_per_step)


def test_rows_of_groups() -> None:
    head, *rows = group_rows([evaluated("one", 1.0), evaluated("two", 2.0)], "phase")
    assert head[:4] == ["model", "phase", "frames", "energy_mae (meV/atom)"]
    table = {(row[0], row[1]): dict(zip(head[2:], row[2:], strict=True)) for row in rows}
    assert list(table) == [
        ("one", "crystal"),
        ("one", "melt"),
        ("two", "crystal"),
        ("two", "melt"),
    ]
    crystal = table["one", "crystal"]
    assert (crystal["frames"], table["one", "melt"]["frames"]) == ("2", "1")
    # over components: 6 of 10 meV/Å and 12 of 30
    assert float(crystal["force_mae (meV/Å)"]) == pytest.approx((6 * 10 + 12 * 30) / 18, rel=1e-3)
    assert float(table["one", "melt"]["force_mae (meV/Å)"]) == pytest.approx(40)
    assert float(table["two", "melt"]["force_mae (meV/Å)"]) == pytest.approx(80)
    assert float(crystal["energy_mae (meV/atom)"]) == pytest.approx(6)
    assert float(crystal["stress_mae (GPa)"]) == pytest.approx(0.001 * EV_PER_A3_TO_GPA, rel=1e-3)
    # of a kind that no frame names there is only the heading
    assert len(group_rows([evaluated("one", 1.0)], "temperature")) == 1


def test_energies_per_atom_of_labels() -> None:
    assert energies_per_atom(frames(), None) == pytest.approx([-1.0, -2.0, -3.0])
    bare = frames()
    bare[1].calc = None
    with pytest.raises(InputError, match="flat: frames without energy; give a model"):
        energies_per_atom(bare, None)


def test_curves_are_drawn_as_they_are() -> None:
    curves = {"a": ([1, 10, 100], [90.0, 50.0, 20.0]), "b": ([1, 10], [80.0, 70.0])}
    (axes,) = plot_curves(curves, "Epoch", "Force MAE (meV/Å)").axes
    for line, (label, (x, y)) in zip(axes.lines, curves.items(), strict=True):
        assert line.get_label() == label
        assert line.get_xydata().T.tolist() == [x, y]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("Epoch", "Force MAE (meV/Å)")
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    (alone,) = plot_curves({"a": curves["a"]}, "Epoch", "MAE").axes
    assert alone.get_legend() is None


def test_time_of_a_step(tmp_path: Path) -> None:
    """Measured in LAMMPS, and told with what it was measured on."""
    began = time.monotonic()
    ms, how = time_model(embedded_model("zif4-allegro-s"), zif4(), Resources(), seconds=0.2)
    assert 0 < ms < 1e3 * (time.monotonic() - began)
    assert how == f"272 atoms, 1 rank(s) of 1 thread(s), {processor()}"
    write_evaluation([replace(evaluated("one", 1.0, ms), timing=how)], tmp_path, "argon")
    page = (tmp_path / "models.md").read_text()
    assert f"| {ms:.4g} |" in page
    assert f"ms/step: {how}." in page
    (tmp_path / "text.pth").write_text("no model")
    with pytest.raises(InputError, match=r"text\.pth"):
        time_model(tmp_path / "text.pth", zif4(), Resources(), seconds=0.2)


@pytest.mark.parametrize("timed", [1, 2])
def test_figures_that_are_written(timed, tmp_path: Path) -> None:
    """A parity plot for each model; the front needs two that were timed."""
    results = [
        evaluated("one", 1.0, 5.0),
        evaluated("two", 2.0, 2.0 if timed == 2 else None),
    ]
    stems = write_figures(results, [len(frame) for frame in frames()], tmp_path / "new" / "out")
    expected = ["parity-one", "parity-two", *(["front"] if timed == 2 else [])]
    assert [stem.name for stem in stems] == expected
    for name in expected:
        assert (tmp_path / f"new/out/{name}.png").read_bytes().startswith(b"\x89PNG")
        text = (tmp_path / f"new/out/{name}.svg").read_text()
        assert ("Time of a step (ms)" in text) == (name == "front")
    assert len(list((tmp_path / "new/out").iterdir())) == 2 * len(expected)
