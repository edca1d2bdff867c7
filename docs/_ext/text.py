"""Text of generated pages: Markdown tables, and what NumPy docstrings say of parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence

# units that names of fields and options end with, longest first
UNITS = {
    "_eV_per_A": "eV/Å",
    "_K_per_ps": "K/ps",
    "_meV_per_A": "meV/Å",
    "_per_A": "1/Å",
    "_GPa": "GPa",
    "_bar": "bar",
    "_deg": "degrees",
    "_fs": "fs",
    "_ps": "ps",
    "_GB": "GB",
    "_A": "Å",
    "_K": "K",
    "_s": "s",
}


def unit_of(name: str) -> str:
    """Give the unit at the end of a name; empty where there is none."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(each) for each in line) + " |" for line in lines)


def code(text: object) -> str:
    """Text as code; empty text stays empty."""
    return f"`{text}`" if str(text) else ""


def summary(thing: object) -> str:
    """First paragraph of a docstring, as Markdown."""
    return markdown((inspect.getdoc(thing) or "").split("\n\n")[0])


def prose(thing: object) -> str:
    """Paragraphs of a docstring before its first section, as Markdown."""
    text = inspect.getdoc(thing) or ""
    return markdown(re.split(r"\n\w+(?: \w+)?\n-{3,}\n", text)[0].strip())


def parameters(kind: type) -> dict[str, str]:
    """Meaning of each parameter, from the sections Parameters of a class and its bases."""
    found: dict[str, str] = {}
    for base in reversed(kind.__mro__):
        found.update(_own_parameters(inspect.cleandoc(base.__dict__.get("__doc__") or "")))
    return found


def headings(source: str) -> list[str]:
    """Anchors of the headings of a Markdown file, as GitHub makes them."""
    blocks = re.sub(r"```.*?```", "", source, flags=re.DOTALL)
    found = re.findall(r"^#+ (.+)$", blocks, flags=re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", each.lower()).strip().replace(" ", "-") for each in found]


def markdown(text: str) -> str:
    """Turn the little markup of docstrings into Markdown."""
    return text.replace("``", "`")


def _own_parameters(text: str) -> dict[str, str]:
    section = re.search(r"(?:^|\n)Parameters\n-+\n(.*?)(?=\n\n?\w+\n-{3,}|\Z)", text, re.DOTALL)
    found = {}
    for entry in re.split(r"\n(?=\S)", section.group(1)) if section else ():
        names, _, meaning = entry.partition("\n")
        for name in names.partition(" : ")[0].split(","):
            found[name.strip()] = markdown(" ".join(meaning.split()))
    return found


def _cell(text: str) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")
