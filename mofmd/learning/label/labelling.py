"""Labelling frames: in parallel, cached by content, after a check of the labeller itself."""

from __future__ import annotations

import hashlib
import io
import json
import queue
import threading
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from mofmd.disk.atomic import write_atomic
from mofmd.disk.npz import read_arrays
from mofmd.disk.output import make_folder
from mofmd.engine.evaluate import Patience
from mofmd.errors import InputError, InputWarning, MofmdError, RunError
from mofmd.learning.data.dataset import Labels, labelled, unusable
from mofmd.learning.data.validation import check_structure_of_frame, frame_name
from mofmd.learning.label.labeller_check import DerivativeCheck, check_derivatives
from mofmd.learning.label.labellers import Label, Labeller
from mofmd.models.dispersion.theory import KEY as THEORY
from mofmd.processes.signals import SignalHandlers
from mofmd.structures.molecules import is_molecule

DIGITS = 8  # of positions and cell [Å] that make up a structure's hash
CHECK_FILE = "check.json"
FAILURES_FILE = "failures.log"
ROUNDED = 0.01  # of a ratio; what is worth telling
GIVE_UP_AFTER = 5  # failures in a row
TOLD = 3  # failures that a message names


@dataclass(frozen=True)
class LabelOptions:
    """How to label.

    Parameters
    ----------
    workers
        Labellers at a time, a process each.
    needs_stress
        Refuse a labeller that gives no stress.
    leave_out_failed
        Go on without the frames that could not be labelled, instead of ending with an error.
    time_limit_s
        Wall time of a label, past which the frame has failed [s]; None for no limit.
    """

    workers: int = 1
    needs_stress: bool = True
    leave_out_failed: bool = False
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        """Refuse numbers of workers below one, and no time at all."""
        if self.workers < 1:
            raise InputError(f"workers: {self.workers}, expected 1 or more")
        if self.time_limit_s is not None and not self.time_limit_s > 0:
            raise InputError(f"time_limit_s: {self.time_limit_s}, expected seconds above 0")


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
        """Labels of a structure, or None where it has none that can be used.

        A file that is damaged is told of and counts as none, so that the structure is labelled
        again.
        """
        path = self.path(atoms)
        if not path.exists():
            return None
        try:
            file = read_arrays(path)
            labels = Labels(
                float(file["energy"]),
                np.asarray(file["forces"], dtype=np.float64),
                np.asarray(file["stress"], dtype=np.float64) if "stress" in file else None,
            )
        except (InputError, KeyError, TypeError, ValueError) as error:
            told = str(error) if isinstance(error, InputError) else f"{path}: {error!r}"
            warnings.warn(f"{told}; labelling it again", InputWarning, stacklevel=2)
            return None
        return None if unusable(atoms, labels) else labels

    def put(self, atoms: Atoms, labels: Labels) -> None:
        """Keep labels.

        Raises
        ------
        RunError
            If they are of the wrong shape or not numbers.
        """
        reason = unusable(atoms, labels)
        if reason:
            raise RunError(f"labeller {self.labeller.word}: {reason}")
        arrays: dict[str, Any] = {"energy": labels.energy_eV, "forces": labels.forces_eV_per_A}
        if labels.stress_eV_per_A3 is not None:
            arrays["stress"] = labels.stress_eV_per_A3
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        path = self.path(atoms)
        make_folder(path.parent)
        write_atomic(path, buffer.getvalue())

    def note_failure(self, name: str, error: RunError) -> None:
        """Write down that a frame failed, with all that the labeller said of it."""
        make_folder(self.folder)
        with (self.folder / FAILURES_FILE).open("a", encoding="utf-8") as file:
            file.write("\n".join([f"{name}: {error}", *getattr(error, "__notes__", []), "", ""]))

    def is_checked_for(self, frame: Atoms) -> bool:
        """Whether the labeller passed its check, with stresses if the frame is to have one."""
        try:
            record = json.loads((self.folder / CHECK_FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):  # a damaged record says nothing
            return False
        return isinstance(record, dict) and (
            is_molecule(frame) or record.get("volume_A3") is not None
        )

    def keep_check(self, check: DerivativeCheck) -> None:
        """Remember that the labeller passed, and with what figures."""
        make_folder(self.folder)
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
        Periodic structures, or molecules: these have no stress, whatever is demanded.
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
        The frames in order, with labels, and in their info the labeller as ``source`` and, where
        it is known, its ``level_of_theory``; fewer where failed ones are left out.

    Raises
    ------
    InputError
        If a frame or the labeller is not fit for use.
    RunError
        If some frames could not be labelled, naming them; all others are in the cache.
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
    if todo:
        # a molecule has no stress that could be checked
        first = next((frames[k] for k in todo if not is_molecule(frames[k])), frames[todo[0]])
        if not store.is_checked_for(first):
            _check_labeller(first, store, options, report)
    failed = _Labelling(frames, todo, store, report).run(options)
    if failed:
        _tell_failures(frames, failed, options, report, store)
    result = []
    for k, frame in enumerate(frames):
        if k in failed:
            continue
        labels = store.get(frame)
        assert labels is not None  # all others are labelled
        if _lacks_stress(frame, labels.stress_eV_per_A3, options):
            raise InputError(_no_stress(labeller))
        result.append(labelled(frame, labels))
        result[-1].info["source"] = labeller.word
        result[-1].info.pop(THEORY, None)  # of labels that the frame had before
        if labeller.theory is not None:
            result[-1].info[THEORY] = str(labeller.theory)
    return result


def _lacks_stress(frame: Atoms, stress: object, options: LabelOptions) -> bool:
    return stress is None and options.needs_stress and not is_molecule(frame)


def _no_stress(labeller: Labeller) -> str:
    return (
        f"labeller {labeller.word}: gives no stress; take one that does, or allow its lack "
        "(--no-stress), in which case the model's pressures are not trained"
    )


def _check_labeller(
    frame: Atoms, store: LabelCache, options: LabelOptions, report: Callable[[str], None]
) -> None:
    labeller = store.labeller
    what = "forces" if is_molecule(frame) else "forces and stress"
    report(f"checking {labeller.word}: {what} against its energy, on differences")
    with labeller.session(Patience(limit_s=options.time_limit_s)) as label:
        check = check_derivatives(frame, label, labeller.word)
    stress = None if np.isnan(check.stress_normal) else check.stress_normal
    if _lacks_stress(frame, stress, options):
        raise InputError(_no_stress(labeller))
    store.keep_check(check)
    report(
        f"energy differences / labels: force {check.force:.3f}, normal stress "
        f"{check.stress_normal:.3f}, shear {check.stress_shear:.3f}"
        + (f"; +- {check.rounding:.2f} by rounded energies" if check.rounding > ROUNDED else "")
    )


def _tell_failures(
    frames: Sequence[Atoms],
    failed: Mapping[int, str],
    options: LabelOptions,
    report: Callable[[str], None],
    store: LabelCache,
) -> None:
    told = [f"{frame_name(frames, k)}: {failed[k]}" for k in sorted(failed)]
    if not options.leave_out_failed:
        more = f"; and {len(told) - TOLD} more" if len(told) > TOLD else ""
        raise RunError(
            f"{len(failed)} of {len(frames)} frames could not be labelled, the others are in the "
            f"cache: {'; '.join(told[:TOLD])}{more}. Mend that and label again, or leave them out "
            f"(--leave-out-failed). All that was said is in {store.folder / FAILURES_FILE}"
        )
    for line in told:
        report(f"left out, {line}")
    if len(failed) == len(frames):
        raise RunError(f"no frame could be labelled: {told[0]}")


class _Labelling:
    """Frames being labelled, by one thread for each worker process.

    A frame that fails is noted and the others go on, in a new process: the old one may be gone.
    When many fail in a row nothing is to be expected of the rest.
    """

    def __init__(
        self,
        frames: Sequence[Atoms],
        todo: Sequence[int],
        store: LabelCache,
        report: Callable[[str], None],
    ) -> None:
        self.frames, self.todo, self.store, self.report = frames, todo, store, report
        self.failed: dict[int, str] = {}
        self._left: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stop = threading.Event()  # no further frame is begun
        self._end_now = threading.Event()  # those that are being labelled are given up
        self._patience = Patience(stop=self._end_now)
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._done = 0
        self._failed_in_a_row = 0

    def run(self, options: LabelOptions) -> dict[int, str]:
        """Label what is to be labelled; return why frames failed, by number."""
        workers = options.workers
        self._patience = Patience(limit_s=options.time_limit_s, stop=self._end_now)
        for k in self.todo:
            self._left.put(k)
        with SignalHandlers():
            self._run_threads(min(workers, len(self.todo)))
        if isinstance(self._error, MofmdError):
            raise self._error
        if self._error is not None:
            raise RuntimeError(f"labelling failed: {self._error}") from self._error
        return self.failed

    def _run_threads(self, count: int) -> None:
        """Run threads to their end; nothing of them is left, however this is interrupted.

        They are waited for by events: a ``Thread.join`` that a signal has interrupted takes the
        thread for ended (Python up to 3.12, bpo-45274), and the next one returns at once.
        """
        threads: list[tuple[threading.Thread, threading.Event]] = []
        try:
            for _ in range(count):
                ended = threading.Event()
                threads.append((threading.Thread(target=self._work, args=(ended,)), ended))
                threads[-1][0].start()
            _wait_for_all(threads)
        except KeyboardInterrupt:
            self._stop.set()
            self.report("finishing the frames that are being labelled; Ctrl-C again gives them up")
            _wait_for_all(threads)
            raise
        finally:
            self._stop.set()
            self._end_now.set()
            _wait_for_all(threads)

    def _work(self, ended: threading.Event) -> None:
        try:
            while not self._stop.is_set():
                with self.store.labeller.session(self._patience) as label:
                    if not self._work_through(label):
                        return
        except BaseException as error:
            self._error = self._error or error
            self._stop.set()
        finally:
            ended.set()

    def _work_through(self, label: Label) -> bool:
        """Label until nothing is left, or until something fails: then True."""
        while not self._stop.is_set():
            try:
                k = self._left.get_nowait()
            except queue.Empty:
                return False
            try:
                (labels,) = label([self.frames[k]])
                self.store.put(self.frames[k], labels)
            except RunError as error:
                self._note(k, error)
                return True
            with self._lock:
                self._failed_in_a_row = 0
                self._done += 1
                self.report(f"labelled {self._done} of {len(self.todo)}")
        return False

    def _note(self, k: int, error: RunError) -> None:
        with self._lock:
            self.failed[k] = str(error)
            self.store.note_failure(frame_name(self.frames, k), error)
            self._failed_in_a_row += 1
            if self._failed_in_a_row >= GIVE_UP_AFTER:
                raise RunError(
                    f"{GIVE_UP_AFTER} frames in a row could not be labelled, the last one is "
                    f"{frame_name(self.frames, k)}: {error}"
                ) from error


def _wait_for_all(threads: Iterable[tuple[threading.Thread, threading.Event]]) -> None:
    for thread, ended in threads:
        if thread.ident is not None:
            ended.wait()
