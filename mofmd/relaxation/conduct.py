"""A relaxation from structure to result, in memory or kept in a folder."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ase import Atoms

from mofmd.calculator import DeployedModel
from mofmd.calculator.density.new_atoms import new_atoms_hint
from mofmd.disk.atomic import write_atomic
from mofmd.disk.lock import lock_folder
from mofmd.disk.output import make_folder
from mofmd.engine.structure_file import write_structure
from mofmd.errors import InputError, InputWarning
from mofmd.relaxation.options import RelaxOptions
from mofmd.relaxation.relaxation import Relaxation, run
from mofmd.relaxation.result import Relaxed, result_of
from mofmd.relaxation.store import RESULT, Store, frame_text, task_digest

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OTHER_FORMATS = (".pdb", ".res", ".xsf", ".mol", ".json")  # of structures elsewhere
BEFORE, AFTER = "before the relaxation", "relaxed"
LIMITS = ("fmax_eV_per_A", "stress_GPa", "calls_max")  # may change when a relaxation goes on


def relax(
    atoms: Atoms,
    calculator: Any,
    options: RelaxOptions | None = None,
    *,
    on_step: Callable[[Relaxation], None] = lambda _: None,
) -> Relaxed:
    """Relax a structure in memory.

    Parameters
    ----------
    atoms
        The structure; it is not changed.
    calculator
        ASE calculator, such as ``mofmd.calculator.DeployedModel(name, dtype="float64")``.
    options
        Limits and freedoms.
    on_step
        Called after each step.

    Raises
    ------
    InputError
        If atoms, calculator and options do not go together.
    RunError
        If no step lowers the energy: forces that do not belong to it, or noise of float32.

    Warns
    -----
    InputWarning
        Before and after, of atoms that are new to a model whose file holds a density.
    """
    relaxation = Relaxation(atoms, calculator, options or RelaxOptions())
    _tell_new(calculator, atoms, BEFORE)
    done = result_of(run(relaxation, on_step))
    _tell_new(calculator, done.atoms, AFTER)
    return done


def relax_in_folder(  # noqa: PLR0913 - three options
    atoms: Atoms,
    calculator: Any,
    options: RelaxOptions,
    folder: Path,
    *,
    overwrite: bool = False,
    on_step: Callable[[Relaxation], None] = lambda _: None,
    tell_new: bool = True,
) -> Relaxed:
    """Relax a structure; a folder keeps the state, the trajectory, a table, a plot and the result.

    Where the folder holds the state of the same task, the relaxation goes on from it, and its
    result is that of one that was never interrupted, to the last bit (on the same machine, with as
    many threads).

    Parameters
    ----------
    atoms, calculator, options, on_step
        As of ``relax``. The limits may be other ones than those that a relaxation began with.
    folder
        ``state.npz``, ``trajectory.extxyz``, ``convergence.csv``, ``convergence.png``,
        ``relaxed.extxyz``, ``relaxed.cif``, ``relaxed.json``.
    overwrite
        Begin anew, whatever is in the folder; what is there is removed once the first force call
        has succeeded.
    tell_new
        Warn of new atoms as ``relax`` does; not of each of many structures that are alike.

    Raises
    ------
    InputError
        As ``relax``; or if the folder is of another task.
    RunError
        As ``relax``; what was reached is kept. Or if another relaxation goes on in the folder.
    """
    task = {name: value for name, value in options.as_dict().items() if name not in LIMITS}
    task["calculator"] = [type(calculator).__name__, dict(calculator.parameters)]
    path = getattr(calculator, "path", None)
    if isinstance(path, Path):
        from mofmd.disk.digest import file_sha256

        task["model_sha256"] = file_sha256(path)
    store = Store(folder, task_digest(atoms, task))

    def keep(now: Relaxation) -> None:
        store.save(now)
        on_step(now)

    with ExitStack() as held:
        first = None
        if not folder.is_dir():
            first = Relaxation(atoms, calculator, options)  # what has no first point leaves none
            make_folder(folder)
        held.enter_context(lock_folder(folder, "relaxation"))
        if overwrite:
            first = first or Relaxation(atoms, calculator, options)
            store.clear()
        if store.has_state:
            relaxation = Relaxation(atoms, calculator, options, store.load(len(atoms)))
        else:
            store.clear()
            relaxation = first or Relaxation(atoms, calculator, options)
            store.save(relaxation)
        if tell_new:
            _tell_new(calculator, atoms, BEFORE)
        on_step(relaxation)
        run(relaxation, keep)
        result = result_of(relaxation)
        _write_result(store, relaxation, result, task)
    if tell_new:
        _tell_new(calculator, result.atoms, AFTER)
    return result


def _tell_new(calculator: Any, atoms: Atoms, what: str) -> None:
    """Warn of atoms that are new to a model, which is loaded and has evaluated such atoms."""
    if isinstance(calculator, DeployedModel):
        hint = new_atoms_hint(calculator.novelty, atoms, what)
        if hint:
            warnings.warn(hint, InputWarning, stacklevel=3)


def _write_result(
    store: Store, relaxation: Relaxation, result: Relaxed, task: dict[str, Any]
) -> None:
    from mofmd.figure_style import save_figure

    folder = store.folder
    store.write_table(relaxation)
    save_figure(plot_convergence(relaxation), folder / "convergence")
    write_atomic(folder / "relaxed.extxyz", frame_text(relaxation))
    if result.volume_A3 is not None:
        write_structure(folder / "relaxed.cif", result.atoms)
    name, parameters = task["calculator"]
    content = {
        **result.as_dict(),
        "asked": relaxation.options.as_dict(),
        "calculator": {"class": name, **parameters},
        "model_sha256": task.get("model_sha256"),
    }
    write_atomic(
        folder / RESULT, json.dumps(content, indent=1, ensure_ascii=False, default=str) + "\n"
    )


def plot_convergence(relaxation: Relaxation) -> Figure:
    """Draw enthalpy above the last one, largest force and largest stress against force calls."""
    import numpy as np

    from mofmd.figure_style import new_figure

    rows = np.array(relaxation.state.rows)
    calls, enthalpy, force, stress = rows[:, 0], rows[:, 2], rows[:, 4], rows[:, 5]
    has_cell = len(relaxation.variables.basis) > 0
    figure, axes = new_figure((4.5, 5.0 if has_cell else 3.5), 3 if has_cell else 2)
    above = 1e3 * (enthalpy - enthalpy[-1]) / relaxation.variables.n_atoms
    curves: list[tuple[np.ndarray, str, float | None]]
    curves = [(above[:-1], "Enthalpy above the last\n(meV/atom)", None)]
    curves.append((force, "Largest force (eV/Å)", relaxation.options.fmax_eV_per_A))
    if has_cell:
        curves.append((stress, "Largest stress (GPa)", relaxation.options.stress_limit_GPa))
    for panel, (values, label, limit) in zip(axes, curves, strict=True):
        shown = np.where(values > 0.0, values, np.nan)
        panel.plot(calls[: len(values)], shown, color="#2171b5")
        panel.set_yscale("log")
        there = np.append(shown[np.isfinite(shown)], [] if limit is None else limit)
        if len(there) and np.ptp(there) == 0.0:  # of a structure that was relaxed before
            panel.set_ylim(there[0] / 10.0, there[0] * 10.0)
        panel.set_ylabel(label)
        if limit is not None:
            panel.axhline(limit, color="#7f7f7f", linewidth=0.7, linestyle="--")
        drawn = [*shown[np.isfinite(shown)], *([] if limit is None else [limit])]
        if len(set(drawn)) == 1:  # of one value matplotlib finds no range, and warns
            panel.set_autoscaley_on(False)
            panel.set_ylim(0.1 * drawn[0], 10.0 * drawn[0])
    axes[-1].set_xlabel("Force calls")
    return figure


def output_paths(output: Path) -> tuple[Path, Path | None]:
    """Folder of a relaxation, and the structure file that was asked for beside it, if any.

    Examples
    --------
    >>> output_paths(Path("zif/relaxed.cif"))
    (PosixPath('zif/relaxed.relax'), PosixPath('zif/relaxed.cif'))
    >>> output_paths(Path("zif/relaxed"))
    (PosixPath('zif/relaxed'), None)
    """
    from mofmd.engine.structure_file import WRITERS, check_writable
    from mofmd.structures.read import FORMATS

    if output.suffix.lower() in WRITERS and not output.is_dir():
        return output.with_suffix(".relax"), output
    if output.exists() and not output.is_dir():
        raise InputError(f"{output}: is a file, and of no format that structures are written in")
    if output.suffix.lower() in (*FORMATS, *OTHER_FORMATS) and not output.is_dir():
        check_writable(output)  # a folder of this name is not what was meant
    return output, None
