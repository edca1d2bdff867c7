"""Labelling frames: in parallel, cached by content, after a check of the labeller itself."""

from __future__ import annotations

import hashlib
import io
import json
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.engine.files import write_atomic
from mofmd.errors import InputError, MofmdError
from mofmd.learning.dataset import Labels, labelled
from mofmd.learning.derivatives import DerivativeCheck, check_derivatives
from mofmd.learning.labellers import Label, Labeller
from mofmd.learning.validation import check_structure_of_frame, frame_name

DIGITS = 8  # of positions and cell [Å] that make up a structure's hash
CHECK_FILE = "check.json"


@dataclass(frozen=True)
class LabelOptions:
    """How to label.

    Parameters
    ----------
    workers
        Labellers at a time, a process each.
    needs_stress
        Refuse a labeller that gives no stress.
    """

    workers: int = 1
    needs_stress: bool = True

    def __post_init__(self) -> None:
        """Refuse numbers of workers below one."""
        if self.workers < 1:
            raise InputError(f"workers: {self.workers}, expected 1 or more")


class LabelCache:
    """Labels on disk: a folder for each labeller, a file for each structure.

    Parameters
    ----------
    folder
        Where the cache is; made when first written to.
    labeller
        Whose labels.
    """

    def __init__(self, folder: Path, labeller: Labeller) -> None:
        self.folder = folder / labeller.identity
        self.labeller = labeller

    def path(self, atoms: Atoms) -> Path:
        """File of a structure."""
        key = structure_hash(atoms)
        return self.folder / key[:2] / f"{key}.npz"

    def get(self, atoms: Atoms) -> Labels | None:
        """Labels of a structure, or None where it was not labelled yet."""
        path = self.path(atoms)
        if not path.exists():
            return None
        with np.load(path) as file:
            stress = file.get("stress", None)
            return Labels(float(file["energy"]), file["forces"], stress)

    def put(self, atoms: Atoms, labels: Labels) -> None:
        """Keep labels."""
        arrays: dict[str, Any] = {"energy": labels.energy_eV, "forces": labels.forces_eV_per_A}
        if labels.stress_eV_per_A3 is not None:
            arrays["stress"] = labels.stress_eV_per_A3
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        path = self.path(atoms)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, buffer.getvalue())

    @property
    def is_checked(self) -> bool:
        """Whether the labeller passed its check."""
        return (self.folder / CHECK_FILE).exists()

    def keep_check(self, check: DerivativeCheck) -> None:
        """Remember that the labeller passed, and with what figures."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = {"labeller": self.labeller.word, **check.as_dict()}
        write_atomic(self.folder / CHECK_FILE, json.dumps(record, indent=1) + "\n")


def structure_hash(atoms: Atoms) -> str:
    """Hash of elements, positions, cell and periodicity, to 1e-8 Å; of nothing else."""
    digest = hashlib.sha256()
    digest.update(np.asarray(atoms.numbers, dtype="<i4").tobytes())
    for values in (atoms.positions, atoms.cell.array):
        digest.update(np.rint(np.asarray(values) * 10**DIGITS).astype("<i8").tobytes())
    digest.update(np.asarray(atoms.pbc, dtype=bool).tobytes())
    return digest.hexdigest()


def label_frames(
    frames: Sequence[Atoms],
    labeller: Labeller,
    cache: Path,
    options: LabelOptions | None = None,
    report: Callable[[str], None] = print,
) -> list[Atoms]:
    """Label frames; those that are in the cache are not computed again.

    Before a labeller is first used its forces and stress are held against its energy. Each label is
    in the cache as soon as it is known: run it again after whatever happened.

    Parameters
    ----------
    frames
        Periodic structures.
    labeller
        The reference method.
    cache
        Folder of the cache.
    options
        Workers, and what is demanded.
    report
        Is told how far it is.

    Returns
    -------
    list of Atoms
        The frames in order, with labels, and the labeller as ``source`` in their info.

    Raises
    ------
    InputError
        If a frame or the labeller is not fit for use.
    RunError
        If the labeller failed; what it had labelled is in the cache.
    """
    options = options or LabelOptions()
    for k, frame in enumerate(frames):
        try:
            check_structure_of_frame(frame)
        except InputError as error:
            raise InputError(f"{frame_name(frames, k)}: {error}") from error
    store = LabelCache(cache, labeller)
    todo = [k for k, frame in enumerate(frames) if store.get(frame) is None]
    report(f"{len(frames)} frames, {len(frames) - len(todo)} labelled already")
    if todo and not store.is_checked:
        _check_labeller(frames[todo[0]], store, options.needs_stress, report)
    _run([frames[k] for k in todo], store, options.workers, report)
    result = []
    for frame in frames:
        labels = store.get(frame)
        assert labels is not None  # all are labelled
        if labels.stress_eV_per_A3 is None and options.needs_stress:
            raise InputError(_no_stress(labeller))
        result.append(labelled(frame, labels))
        result[-1].info["source"] = labeller.word
    return result


def _no_stress(labeller: Labeller) -> str:
    return (
        f"labeller {labeller.word}: gives no stress; take one that does, or allow its lack "
        "(--no-stress), knowing that pressures of the model will be untaught"
    )


def _check_labeller(
    frame: Atoms, store: LabelCache, needs_stress: bool, report: Callable[[str], None]
) -> None:
    labeller = store.labeller
    report(f"checking {labeller.word}: forces and stress against its energy (7 labels)")
    with labeller.session() as label:
        check = check_derivatives(frame, label, labeller.word)
    if np.isnan(check.stress_normal) and needs_stress:
        raise InputError(_no_stress(labeller))
    store.keep_check(check)
    report(
        f"energy differences / labels: force {check.force:.3f}, normal stress "
        f"{check.stress_normal:.3f}, shear {check.stress_shear:.3f}"
    )


def _run(
    frames: Sequence[Atoms], store: LabelCache, workers: int, report: Callable[[str], None]
) -> None:
    """Work through the frames, one thread for each worker process; the first failure stops all."""
    batches: queue.SimpleQueue[Sequence[Atoms]] = queue.SimpleQueue()
    size = max(1, min(store.labeller.batch, -(-len(frames) // workers)))
    pieces = [frames[k : k + size] for k in range(0, len(frames), size)]
    for piece in pieces:
        batches.put(piece)
    stop = threading.Event()
    failures: list[BaseException] = []
    done = 0
    lock = threading.Lock()

    def work_through(label: Label) -> None:
        nonlocal done
        while not stop.is_set():
            try:
                piece = batches.get_nowait()
            except queue.Empty:
                return
            for frame, labels in zip(piece, label(piece), strict=True):
                store.put(frame, labels)
            with lock:
                done += len(piece)
                report(f"labelled {done} of {len(frames)}")

    def work() -> None:
        try:
            with store.labeller.session() as label:
                work_through(label)
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=work) for _ in range(min(workers, len(pieces)))]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    finally:
        stop.set()  # Ctrl-C: what is being labelled now is the last
        for thread in threads:
            thread.join()
    if failures:
        error = failures[0]
        if isinstance(error, MofmdError):
            raise error
        raise RuntimeError(f"labelling failed: {error}") from error
