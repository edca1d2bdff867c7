"""How many frames a trajectory has, and how far they are apart, before they are analysed."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame
from mofmd.trajectory.trajectory import FrameSource


@dataclass(frozen=True)
class Span:
    """The frames of a trajectory that count.

    Parameters
    ----------
    first
        The first frame of all.
    frames
        How many count.
    length_ps
        Time from the first to the last of these; None where frames have no times.
    """

    first: Frame
    frames: int
    length_ps: float | None

    @classmethod
    def of(cls, source: FrameSource, start_ps: float | None = None) -> Span:
        """Count the frames of a source: they are read, but only the first is parsed.

        Parameters
        ----------
        source
            The trajectory.
        start_ps
            Time from which frames count; None takes all.

        Raises
        ------
        InputError
            If it holds no frame.
        """
        with closing(source.raw_frames()) as frames:
            raw = next(frames, None)
            if raw is None:
                raise InputError("trajectory: no frames to average over")
            first = raw.decode()
            times = [raw.time_ps, *(each.time_ps for each in frames)]
        known = [time for time in times if time is not None]
        if len(known) < len(times):
            return cls(first, len(times), None)
        counted = [time for time in known if start_ps is None or time >= start_ps]
        return cls(first, len(counted), counted[-1] - counted[0] if counted else 0.0)

    def whole_frames_ps(self, wanted_ps: float) -> float | None:
        """Time of as many whole frames as fit in one that is wanted; None for every frame.

        Displacements need even times, which other intervals would not give.
        """
        if self.length_ps is None or self.length_ps <= 0 or self.frames < 2:
            return None
        spacing_ps = self.length_ps / (self.frames - 1)
        every = math.floor(wanted_ps / spacing_ps * (1 + 1e-6))
        return every * spacing_ps if every > 1 else None
