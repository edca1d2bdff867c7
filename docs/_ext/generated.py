"""Sphinx extension: writes the pages and parts of pages that come from the code.

They go to ``_generated`` (included by pages) and ``reference/api`` (pages), both of which git
ignores; a file whose text did not change is left alone, so that a second build is quick.
"""

from __future__ import annotations

from pathlib import Path

import api
import commands
import errors_page
import keys
import observables
from sphinx.application import Sphinx


def write_all(app: Sphinx) -> None:
    """Write everything that the code says of itself."""
    parts = {
        "command_line.md": commands.page(),
        "protocols.md": keys.protocols_page(),
        "sampling.md": keys.sampling_page(),
        "distil.md": keys.distil_page(),
        "observables.md": observables.page(),
        "errors.md": errors_page.page(),
    }
    folder = Path(app.srcdir)
    for name, text in parts.items():
        _write(folder / "_generated" / name, text)
    pages = api.pages()
    for old in (folder / "reference" / "api").glob("*.rst"):
        if old.stem not in pages:
            old.unlink()
    for name, text in pages.items():
        _write(folder / "reference" / "api" / f"{name}.rst", text)


def setup(app: Sphinx) -> dict[str, bool]:
    """Write before the pages are read."""
    app.connect("builder-inited", write_all)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
