"""``mofmd learn``: all its commands, in the order of the work."""

from mofmd.cli.learn import training  # noqa: F401 - adds its commands
from mofmd.cli.learn.cut import cut
from mofmd.cli.learn.learn import app

app.command("cut")(cut)

__all__ = ["app"]
