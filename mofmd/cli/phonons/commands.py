"""``mofmd phonons``: all its commands, in the order of the work."""

from mofmd.cli.phonons import effective, elastic, more  # noqa: F401 - add their commands
from mofmd.cli.phonons.run import app

__all__ = ["app"]
