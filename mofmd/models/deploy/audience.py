"""Who is told how a deployment goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mofmd.models.gate.engine import Progress, no_progress
from mofmd.models.gate.gate import Check


@dataclass(frozen=True)
class Audience:
    """Who is told how a deployment goes on.

    Parameters
    ----------
    report
        Is told what is being done.
    on_check
        Is told each finding of the physics gate.
    on_progress
        Is told each evaluation of the gate.
    """

    report: Callable[[str], None] = print
    on_check: Callable[[Check], None] = lambda _: None
    on_progress: Progress = no_progress
