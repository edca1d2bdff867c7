"""How many frames a trajectory has, and how far they are apart, before they are analysed."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass

from mofmd.errors import InputError
from mofmd.structures.frame import Frame
from mofmd.trajectory.file import FrameSource, RawFrame


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
        """Count the frames of a source: they are read, but only the first and the last are parsed.

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
        last: RawFrame | None = None
        with closing(source.raw_frames()) as frames:
            first = next(frames, None)
            if first is None:
                raise InputError("trajectory: no frames to average over")
            parsed = first.decode()
            steps = [first.step]
            for last in frames:
                steps.append(last.step)
        end = parsed if last is None else last.decode()
        if parsed.time_ps is None or end.time_ps is None:
            return cls(parsed, len(steps), None)
        length, begin = end.time_ps - parsed.time_ps, 0
        if start_ps is not None and start_ps > parsed.time_ps and length > 0:
            # times between them by their steps
            passed = (start_ps - parsed.time_ps) / length
            step = steps[0] + passed * (steps[-1] - steps[0])
            begin = sum(other < step for other in steps)
            length = max(0.0, end.time_ps - start_ps)
        return cls(parsed, len(steps) - begin, length)

    def whole_frames_ps(self, wanted_ps: float) -> float | None:
        """Time of as many whole frames as fit in one that is wanted; None for every frame.

        Displacements need even times, which other intervals would not give.
        """
        if self.length_ps is None or self.length_ps <= 0 or self.frames < 2:
            return None
        spacing_ps = self.length_ps / (self.frames - 1)
        every = math.floor(wanted_ps / spacing_ps * (1 + 1e-6))
        return every * spacing_ps if every > 1 else None
