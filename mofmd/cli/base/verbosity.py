"""How much the command line tells: ``-q`` results and errors alone, ``-v`` what is launched too.

Parts of mofmd tell through the logger ``mofmd``: on level INFO what people should know while they
wait, on DEBUG what is launched.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

QUIET = ("-q", "--quiet")
VERBOSE = ("-v", "--verbose")
LEVELS = {-1: logging.ERROR, 0: logging.INFO, 1: logging.DEBUG}
_LOGGER = logging.getLogger("mofmd")
_level = 0


def take(args: list[str]) -> list[str]:
    """Take the options out of a command's arguments, wherever they stand before ``--``.

    Parameters
    ----------
    args
        Words of the command line.
    """
    end = args.index("--") if "--" in args else len(args)
    if any(word in QUIET for word in args[:end]):
        set_level(-1)
    if any(word in VERBOSE for word in args[:end]):
        set_level(1)
    return [word for word in args[:end] if word not in (*QUIET, *VERBOSE)] + args[end:]


def set_level(level: int) -> None:
    """Set it: -1 quiet, 0, 1 verbose.

    Parameters
    ----------
    level
        Which.
    """
    global _level  # noqa: PLW0603 - one command line, one level
    _level = level
    _LOGGER.setLevel(LEVELS[level])


def quiet() -> bool:
    """Whether only results and errors are told."""
    return _level < 0


def verbose() -> bool:
    """Whether what is launched, and where errors come from, is told too."""
    return _level > 0


def progress_console(*, stderr: bool = False) -> Console | None:
    """Console for progress; None where nothing of it is to be told.

    Parameters
    ----------
    stderr
        Where standard output holds results that programs read.
    """
    from rich.console import Console

    return None if quiet() else Console(highlight=False, soft_wrap=True, stderr=stderr)


def tell(text: str, style: str) -> None:
    """Write a line to standard error.

    Parameters
    ----------
    text
        The line.
    style
        Its colour on a terminal.
    """
    from rich.console import Console

    Console(stderr=True, highlight=False, soft_wrap=True).print(text, style=style, markup=False)


class Notes(logging.Handler):
    """Writes what parts of mofmd tell to standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message."""
        word = "note" if record.levelno >= logging.INFO else "run"
        tell(f"mofmd: {word}: {record.getMessage()}", "yellow" if word == "note" else "dim")


def listen() -> None:
    """Write what parts of mofmd tell from now on."""
    _LOGGER.addHandler(Notes())
    _LOGGER.propagate = False
    set_level(_level)
