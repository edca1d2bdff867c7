"""``mofmd learn``: all its commands, in the order of the work."""

from mofmd.cli.learn import density, frames, training  # noqa: F401 - two add their commands
from mofmd.cli.learn.cut import cut
from mofmd.cli.learn.learn import app
from mofmd.cli.learn.match import match

app.command("cut")(cut)
app.command("match")(match)
app.add_typer(density.app, name="density")

__all__ = ["app"]
