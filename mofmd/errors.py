"""Errors that people read: what is wrong, where, and how to mend it."""

from collections.abc import Iterable
from pathlib import Path

ERROR_STATUS = 1
"""Exit status of the command line: an error with a message."""
USAGE_STATUS = 2
"""Exit status: a wrong option or argument, as every program of the shell says it."""
NOT_REACHED_STATUS = 3
"""Exit status: all went well, but what was asked for was not reached, such as limits."""
STOPPED_STATUS = 75
"""Exit status: stopped as asked, can be gone on with (EX_TEMPFAIL of sysexits.h)."""
INTERRUPTED_STATUS = 130
"""Exit status: ended by Ctrl-C, 128 + SIGINT, as shells say it."""


SHORTEST_BEGINNING = 3  # letters that two names have in common


def did_you_mean(word: str, known: Iterable[str], most: int = 1) -> str:
    """Say which known names are near to a word: ``; did you mean rdf?``, or nothing.

    Upper and lower case and hyphens do not matter.

    Parameters
    ----------
    word
        What was given.
    known
        What there is.
    most
        How many names at most.

    Examples
    --------
    >>> did_you_mean("melt-quench", ["melt_quench", "minimise"])
    '; did you mean melt_quench?'
    """
    import difflib  # only where something is wrong

    plain = {name.lower().replace("-", "_"): name for name in known}
    given = word.lower().replace("-", "_")
    close = difflib.get_close_matches(given, plain, n=most)
    if not close and len(given) >= SHORTEST_BEGINNING:  # isotropic for iso, vol for volume
        close = [name for name in plain if name and _begins(given, name)][:most]
    return f"; did you mean {' or '.join(plain[each] for each in close)}?" if close else ""


def _begins(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    return len(short) >= SHORTEST_BEGINNING and long.startswith(short)


def choices(word: str, known: Iterable[str]) -> str:
    """Say what there is in place of a word: ``; did you mean rdf? There are rdf, angles``.

    Parameters
    ----------
    word
        What was given.
    known
        What there is.
    """
    names = list(known)
    hint, there = did_you_mean(word, names), ", ".join(names) or "none"
    return f"{hint} There are {there}" if hint else f"; there are {there}"


def absent(path: str | Path, kind: str = "file") -> str:
    """Say why a file cannot be read that is none: ``no such file``, or it is a folder.

    Parameters
    ----------
    path
        What was given.
    kind
        What was expected.
    """
    return f"is a folder, expected a {kind}" if Path(path).is_dir() else f"no such {kind}"


def counted(number: int, noun: str, several: str | None = None) -> str:
    """Write a number with its noun.

    Examples
    --------
    >>> counted(1, "atom"), counted(2, "atom")
    ('1 atom', '2 atoms')
    """
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def in_command(path: str | Path) -> str:
    """Write a path as a word of a command that people copy: quoted, and never like an option.

    Examples
    --------
    >>> in_command("my glass"), in_command("-o"), in_command("glass")
    ("'my glass'", './-o', 'glass')
    """
    from shlex import quote  # only where a command is shown

    text = str(path)
    return quote(f"./{text}" if text.startswith("-") else text)


def option(name: str) -> str:
    """Name an option in a message as it is given on the command line, and from Python.

    Parameters
    ----------
    name
        Of the argument in Python.

    Examples
    --------
    >>> option("allow_edited")
    '--allow-edited (from Python: allow_edited=True)'
    """
    return f"--{name.replace('_', '-')} (from Python: {name}=True)"


class MofmdError(Exception):
    """Base of every error that mofmd raises on purpose."""


class InputError(MofmdError, ValueError):
    """A value, file or option given by the user cannot be used."""


class InputWarning(UserWarning):
    """Something in the user's input that people should know; it can be used all the same."""


class MissingFileError(MofmdError, FileNotFoundError):
    """A file that is needed does not exist."""


class WriteError(MofmdError, OSError):
    """A file or folder cannot be written: no room, no permission, or something in its place."""


class BuildError(MofmdError, RuntimeError):
    """Compiling the plugin or LAMMPS failed, or what is there does not fit the environment."""


class EnvironmentSetupError(MofmdError, RuntimeError):
    """An isolated model environment cannot be created or used."""


class RunError(MofmdError, RuntimeError):
    """LAMMPS stopped before the run was complete."""


class StoppedError(MofmdError, RuntimeError):
    """A run was asked to stop; its state is saved and it can be resumed."""
