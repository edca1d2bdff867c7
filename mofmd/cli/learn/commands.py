"""``mofmd learn``: all its commands."""

from mofmd.cli.learn.cut import cut
from mofmd.cli.learn.learn import app

app.command("cut")(cut)

__all__ = ["app"]
