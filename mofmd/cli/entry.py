"""Where the command ``mofmd`` begins: quick to import, so that Ctrl-C is heard from the start."""

from __future__ import annotations

import sys

from mofmd.errors import INTERRUPTED_STATUS
from mofmd.processes.signals import interrupt_after_imports


def main() -> None:
    """Run the command line; Ctrl-C ends it with status 130, without a traceback."""
    try:
        interrupt_after_imports()
        from mofmd.cli.main import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED_STATUS)
