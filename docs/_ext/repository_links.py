"""Sphinx extension: links from pages to files of the repository that are no pages.

Pages name files beside them, such as ``../benchmarks/RESULTS.md#on-a-gpu``, so that the links work
where the pages are read as files. On the site such a link becomes its text and the path, after a
look that the file, and the heading in it, exist.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from text import headings

LINK = re.compile(r"\[([^\]]+)\]\(((?:\.\./)+[^)#]*)(?:#([^)]*))?\)")


def replace_links(app: Sphinx, docname: str, source: list[str]) -> None:
    """Replace the links of a page that lead out of the folder of the pages."""
    folder = Path(app.srcdir).resolve()
    here = (folder / docname).parent

    def replaced(match: re.Match[str]) -> str:
        words, target, heading = match.groups()
        file = (here / target).resolve()
        if file.is_relative_to(folder):
            return match.group(0)
        if not file.exists():
            raise ExtensionError(f"{docname}: {target} does not exist")
        if heading and heading not in headings(file.read_text(encoding="utf-8")):
            raise ExtensionError(f"{docname}: {target} has no heading #{heading}")
        path = file.relative_to(folder.parent)
        return words if str(path) in words else f"{words} (`{path}`)"

    source[0] = LINK.sub(replaced, source[0])


def setup(app: Sphinx) -> dict[str, bool]:
    """Look at each page before it is parsed."""
    app.connect("source-read", replace_links)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
