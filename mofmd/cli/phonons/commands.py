"""``mofmd phonons``: all its commands, in the order of the work."""

from mofmd.cli.phonons import more  # noqa: F401 - adds its commands
from mofmd.cli.phonons.run import app

__all__ = ["app"]
