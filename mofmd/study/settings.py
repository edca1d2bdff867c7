"""What to analyse, and how."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mofmd.analysis.base.registry import Options, default_observables
from mofmd.errors import InputError
from mofmd.study.beside import Beside
from mofmd.study.reference import Reference


@dataclass(frozen=True)
class AnalysisSettings:
    """What to analyse, and how.

    Parameters
    ----------
    source
        Directory of a run, of an ensemble (a directory of runs), or a trajectory or structure; one
        of several in a file as FILE#WHICH.
    observables
        By name; all that are measured by default where none is named.
    temperature_K
        Temperature; None takes the protocol's, where there is one.
    start_ps
        Time from which frames count as in equilibrium; None takes the last stage of a run with
        several, and within it finds where equilibrium begins.
    stride
        Every how many frames to take one.
    timestep_fs
        For dumps without times; None takes the protocol's, where there is one.
    type_names
        Elements of LAMMPS types 1, 2, ..., for dumps without elements.
    unwrap
        Unwrap wrapped positions by continuity.
    workers
        Threads.
    references
        Measured curves to lay over the results.
    beside
        Other analyses, whose numbers and curves stand beside these.
    intervals_ps, options
        Time between measured frames, and settings of observables: as ``Subject`` has them.
    stage
        Stage to analyse of every run; None takes the last of several.

    Raises
    ------
    InputError
        If the temperature is not above zero.
    """

    source: Path
    observables: Sequence[str] = field(default_factory=default_observables)
    temperature_K: float | None = None
    start_ps: float | None = None
    stride: int = 1
    timestep_fs: float | None = None
    type_names: Sequence[str] = ()
    unwrap: bool = False
    workers: int = 1
    references: Sequence[Reference] = ()
    beside: Sequence[Beside] = ()
    intervals_ps: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, Options] = field(default_factory=dict)
    stage: str | None = None

    def __post_init__(self) -> None:
        """Check the temperature."""
        if self.temperature_K is not None and not 0 < self.temperature_K < math.inf:
            raise InputError(f"temperature: {self.temperature_K:g} K, expected more than zero")

    @property
    def name(self) -> str:
        """What the source is called."""
        return self.source.resolve().name
