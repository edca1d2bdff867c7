"""Who is told while a universal model is made: lines on standard error, or what a program sets."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line imports this before it knows what it is asked for
    from mofmd.models.deploy.audience import Audience

Show = Callable[[], "AbstractContextManager[Audience]"]


def show_lines() -> AbstractContextManager[Audience]:
    """Write lines to standard error."""
    from mofmd.models.deploy.audience import Audience

    return nullcontext(Audience(report=lambda text: print(text, file=sys.stderr)))


_show: Show = show_lines


def set_show(show: Show) -> None:
    """Set who is told.

    Parameters
    ----------
    show
        Makes a context with an ``Audience``, each time a model is made.
    """
    global _show  # noqa: PLW0603 - one program, one screen
    _show = show


def shown() -> AbstractContextManager[Audience]:
    """Return the context with the audience that was set."""
    return _show()
