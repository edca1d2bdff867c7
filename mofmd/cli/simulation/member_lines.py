"""Lines that tell how far the members of an ensemble are, where no bar can be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mofmd.simulation.ensemble.ensemble import Member
from mofmd.simulation.run.status import run_stage


class MemberLines:
    """A line as a member begins, and as it comes to another stage: the next volume, a ramp.

    Parameters
    ----------
    tell
        Gets each line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._stages: dict[str, str] = {}

    def look(self, running: Iterable[Member]) -> None:
        """Tell what is new of the members that run.

        Parameters
        ----------
        running
            Members whose state is ``running``.
        """
        for member in running:
            stage = run_stage(member.directory)
            if member.name not in self._stages:
                self._tell(f"{member.label}: begins")
            if stage and stage != self._stages.get(member.name):
                self._tell(f"{member.label}: {member.progress}")
            self._stages[member.name] = stage or self._stages.get(member.name, "")
