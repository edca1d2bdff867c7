"""How much the command line tells: ``-q`` results and errors alone, ``-v`` what is launched too."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

QUIET = ("-q", "--quiet")
VERBOSE = ("-v", "--verbose")
_level = 0


def take(args: list[str]) -> list[str]:
    """Take the options out of a command's arguments, wherever they stand before ``--``."""
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
    if level > 0:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


def quiet() -> bool:
    """Whether only results and errors are told."""
    return _level < 0


def verbose() -> bool:
    """Whether what is launched, and where errors come from, is told too."""
    return _level > 0


def progress_console() -> Console | None:
    """Console for progress; None where nothing of it is to be told."""
    from rich.console import Console

    return None if quiet() else Console(highlight=False, soft_wrap=True)
