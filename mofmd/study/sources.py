"""The runs that a source of an analysis holds: decks, logs, stages, and how they ended."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from mofmd.engine.lammps_log import MINIMISE, LogParser, ThermoTable, parse_log
from mofmd.errors import InputError, MissingFileError, did_you_mean, in_command
from mofmd.simulation.deck.deck import INTEGRITY, MANIFEST
from mofmd.simulation.deck.novelty_watch import NOVELTY_TABLE, read_novelty
from mofmd.simulation.deck.potential import POTENTIAL_SCRIPT
from mofmd.simulation.ensemble.ensemble import MEMBERS, RECORD
from mofmd.simulation.run.run import join_parts
from mofmd.simulation.run.status import GOING_ON, STATUS, read_status, run_state
from mofmd.structures.read import BUILDERS, is_structure, split_choice
from mofmd.study.run_results import POINTS
from mofmd.trajectory.trajectory import TrajectoryFile

DUMP = "trajectory.dump"
SUFFIXES = ("", ".gz", ".zst")
# fields of a protocol that leave the physics as it is
ASIDE = ("seed", "frame_interval_fs", "frame_data", "thermo_interval_fs", "restart_interval_ps")
MAIN_TRAITS = ("deck", "protocol", "composition", "potential")
STILL_RUNNING = "still running"
NO_POTENTIAL = (INTEGRITY, "in.lammps", "structure.data")


@dataclass(frozen=True)
class Window:
    """Steps of a trajectory that are analysed.

    Parameters
    ----------
    stage
        Name of the stage; empty if all stages are.
    after, last
        From the step after this one to that.
    temperature_K
        Mean temperature of the stage by its log; None if all stages are analysed.
    """

    stage: str = ""
    after: float = -math.inf
    last: float = math.inf
    temperature_K: float | None = None


@dataclass(frozen=True)
class Run:
    """A run, or a bare file.

    What it says of a run that is going on is of one moment, that of its first look: all files up
    to the last step that each of them has.

    Parameters
    ----------
    name
        Name of its directory or file.
    path
        Its trajectory; of a run without dynamics its minimum, or the structure that it starts from.
    is_lone
        Whether it is a structure that was named itself: what lies in its folder is not of it.
    """

    name: str
    path: Path
    is_lone: bool = False

    @property
    def has_frames(self) -> bool:
        """Whether it has left any."""
        return self.is_lone or split_choice(self.path)[0].is_file()

    @property
    def directory(self) -> Path:
        """Its deck."""
        return self.path.parent

    @cached_property
    def manifest(self) -> Mapping[str, Any]:
        """Manifest of its deck, whose files are not checked: results may outlive the model."""
        return {} if self.is_lone else _read_manifest(self.directory)

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Protocol of its deck; empty without one."""
        return dict(self.manifest.get("protocol", {}))

    @cached_property
    def thermo(self) -> tuple[ThermoTable, ...]:
        """Thermo output of its log, one table a stage, however many parts that was run in."""
        last = self.last_step  # the log is read with it
        tables = () if self._log is None else join_parts(self._log.close())
        if not self.is_going_on:
            return tables
        return tuple(t if t.stage == MINIMISE else _up_to(t, last) for t in tables)

    @property
    def stages(self) -> list[ThermoTable]:
        """Stages of its dynamics."""
        return [t for t in self.thermo if _is_dynamics(t)]

    @cached_property
    def state(self) -> str:
        """State of its run (see `run_state`) at the first look; empty where no status tells."""
        has_status = not self.is_lone and (self.directory / STATUS).is_file()
        return run_state(self.directory) if has_status else ""

    @property
    def is_going_on(self) -> bool:
        """Whether its files grow while they are read."""
        return self.state in GOING_ON

    @cached_property
    def last_step(self) -> float:
        """Last step that counts: of a run that is going on the last that all its files have."""
        if not self.is_going_on:
            return math.inf
        # the log first: LAMMPS writes a step into it after the frames and looks of that step
        tables = [] if self._log is None else self._log.close()
        ends = [float(t.columns["Step"][-1]) for t in tables if _is_dynamics(t)][-1:]
        if (self.directory / NOVELTY_TABLE).is_file():
            with suppress(InputError):  # a damaged table is told of where it is shown
                ends += [float(look.step) for look in read_novelty(self.directory)][-1:]
        if self.has_frames and not is_structure(self.path):
            try:
                with closing(TrajectoryFile(self.path).raw_frames()) as frames:
                    ends.append(float(max(raw.step for raw in frames)))
            except InputError:  # no frame is whole yet, as who reads them will say
                return -math.inf
        return min(ends, default=math.inf)

    @property
    def unfinished(self) -> str:
        """Why it did not come to its end; empty if it did, or nothing tells.

        A run that broke has whole frames only, as it is stopped at once: its numbers alone look
        well.
        """
        state = self.state or ("" if self.has_frames else "waiting")
        if state == "finished":
            return ""
        if self.is_going_on and math.isfinite(self.last_step):
            return f"{STILL_RUNNING}: up to step {self.last_step:.0f}"
        if state:
            reason = read_status(self.directory).get("error")
            return f"{state}: {reason}" if reason else state
        if self._log is not None and not self._log.finished:
            return "interrupted: its log has no end"  # run by hand
        return ""

    @property
    def whole(self) -> Window:
        """All of its steps."""
        return Window(last=self.last_step)

    def window(self, stage: str | None) -> Window:
        """Find the steps of a stage.

        Parameters
        ----------
        stage
            Its name; None takes the last of several, by which a glass is made.

        Raises
        ------
        InputError
            If there is no such stage.
        """
        stages = self.stages
        if stage is None:
            return self._window(len(stages) - 1) if len(stages) > 1 else self.whole
        names = [table.stage for table in stages]
        if stage not in names:
            raise InputError(
                f"{self.name}: has no stage {stage!r}; its log holds {', '.join(names) or 'none'}"
            )
        return self._window(names.index(stage))

    def has_completed(self, stage: str) -> bool:
        """Whether a stage came to its end: a later one has begun, or the run has ended."""
        names = [table.stage for table in self.stages]
        return not self.unfinished or stage in names[:-1]

    @cached_property
    def traits(self) -> dict[str, str]:
        """What runs must share for a mean over them to mean anything, as text."""
        if not self.manifest:
            return {"deck": "none"}
        protocol = {k: v for k, v in self.protocol.items() if k not in ASIDE}
        return {
            "protocol": str(protocol.pop("name", "")),
            "composition": str(self.manifest.get("structure", {}).get("formula", "")),
            "potential": self._potential,
            **{name: json.dumps(value).strip('"') for name, value in protocol.items()},
        }

    @cached_property
    def _log(self) -> LogParser | None:
        path = self.directory / "log.lammps"
        if not self.manifest or not path.is_file():
            return None
        with path.open(encoding="utf-8", errors="replace") as lines:
            return parse_log(lines)

    @property
    def _potential(self) -> str:
        """Name of the model, and what its files hash to."""
        files = self.manifest.get("files", {})
        names = [
            name
            for name in sorted(files)
            if name == POTENTIAL_SCRIPT or (not name.endswith(".in") and name not in NO_POTENTIAL)
        ]
        text = "\n".join(f"{name} {files[name]}" for name in names)
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{self.manifest.get('potential', {}).get('model', '')} {digest}"

    def _window(self, index: int) -> Window:
        table = self.stages[index]
        steps = table.columns["Step"]
        is_last = index == len(self.stages) - 1
        temperatures = table.columns.get("Temp")
        return Window(
            table.stage,
            float(steps[0]),
            self.last_step if is_last else float(steps[-1]),
            None if temperatures is None else float(temperatures.mean()),
        )


def _is_dynamics(table: ThermoTable) -> bool:
    return table.stage != MINIMISE and len(table.columns["Step"]) > 0


def _up_to(table: ThermoTable, step: float) -> ThermoTable:
    """Leave out the lines of a table after a step."""
    kept = table.columns["Step"] <= step
    columns = {name: values[kept] for name, values in table.columns.items()}
    for values in columns.values():
        values.setflags(write=False)
    return replace(table, columns=columns)


def find_runs(source: Path) -> tuple[Run, ...]:
    """Find the runs of a source: a run, a directory of runs, a trajectory or a structure.

    Of a directory also those that have left no frames.

    Raises
    ------
    MissingFileError
        If none has frames.
    """
    if split_choice(source)[0].is_file():
        return (Run(source.name, source, is_structure(source)),)
    if not source.is_dir():
        if str(source) in BUILDERS:
            return (Run(source.name, source, is_lone=True),)
        raise MissingFileError(
            f"{source}: no such run, ensemble or trajectory, and no built-in crystal"
            f"{did_you_mean(str(source), BUILDERS)}"
        )
    own = _frames_of(source)
    if own is not None:
        return (Run(source.resolve().name, own),)
    root = source / MEMBERS if (source / RECORD).is_file() else source
    folders = [path for path in sorted(root.rglob("*")) if path.is_dir()]
    runs = tuple(
        Run(_name(path, root), _frames_of(path) or path / DUMP)
        for path in folders
        if (path / MANIFEST).is_file() or _frames_of(path)
    )
    if not any(run.has_frames for run in runs):
        raise MissingFileError(_without_frames(source, runs))
    return runs


def _without_frames(source: Path, runs: Sequence[Run]) -> str:
    """Say why there is nothing to analyse in a directory."""
    if (source / MANIFEST).is_file():
        run = Run(source.resolve().name, source / DUMP)
        if run.state == "finished" and not run.unfinished:  # to resume would give what is there
            return (
                f"{source}: is finished, but its {DUMP} is missing or empty; run it again with "
                f"`mofmd run {in_command(source)}`"
            )
        return (
            f"{source}: its run has left no frames ({run.unfinished or run.state}); run it with "
            f"`mofmd run {in_command(source)} --resume`"
        )
    if runs:
        reasons = ", ".join(dict.fromkeys(run.unfinished or run.state for run in runs))
        return f"{source}: none of its {len(runs)} runs has left frames ({reasons}); run them first"
    return (
        f"{source}: neither it nor a directory below it holds a {DUMP} or a {POINTS}; a run "
        "writes one"
    )


def is_ensemble(source: Path) -> bool:
    """Whether a source that holds runs is a directory of them."""
    return source.is_dir() and _frames_of(source) is None


def group_runs(runs: Sequence[Run]) -> dict[str, tuple[Run, ...]]:
    """Group runs of one kind: a mean over others is of nothing.

    Returns
    -------
    dict
        Runs of each kind, by what tells it from the others; empty if there is only one.
    """
    kinds: dict[tuple[tuple[str, str], ...], list[Run]] = {}
    for run in runs:
        kinds.setdefault(tuple(run.traits.items()), []).append(run)
    names = dict.fromkeys(name for kind in kinds for name, _ in kind)
    differing = [name for name in names if len({dict(kind).get(name) for kind in kinds}) > 1]
    # fields of other protocols say less than their names
    main = [name for name in MAIN_TRAITS if name in differing]
    is_alike = not {"deck", "protocol"} & set(main)
    for shown in (differing if is_alike else main, differing):
        labels = [_label(dict(kind), shown) for kind in kinds]
        if len(set(labels)) == len(kinds):
            break
    return {label: tuple(of) for label, of in zip(labels, kinds.values(), strict=True)}


def _label(traits: Mapping[str, str], shown: Sequence[str]) -> str:
    return ", ".join(f"{name}={traits[name]}" for name in shown if name in traits)


def _name(directory: Path, root: Path) -> str:
    return str(directory.relative_to(root)).replace("/", "-")


def _frames_of(directory: Path) -> Path | None:
    """Trajectory of a run; of one without dynamics its minimum, or what it starts from."""
    files = [directory / f"{DUMP}{suffix}" for suffix in SUFFIXES]
    if (directory / POINTS).is_file():
        files.append(directory / "structure.data")
    elif (directory / "minimise.in").is_file():
        files.append(directory / "final.data")
    return next((file for file in files if file.is_file()), None)


def _read_manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: is not JSON ({error}); is it a deck's manifest?") from error
    return found if isinstance(found, dict) else {}
