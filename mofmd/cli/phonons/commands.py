"""``mofmd phonons``: all its commands."""

from mofmd.cli.phonons import beside, effective, elastic, more  # noqa: F401 - add their commands
from mofmd.cli.phonons.run import app

__all__ = ["app"]
