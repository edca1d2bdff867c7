"""Reference methods by word: an ASE calculator that a function makes, GFN1-xTB.

A word is ``package.module:factory``, a function without arguments that returns an ASE calculator,
or ``gfn1-xtb``. All other words name models: ``mofmd.models.names``.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from mofmd.calculator.process import CalculatorProcess, load_factory
from mofmd.calculator.xtb import ACCURACY, require_tblite
from mofmd.disk.sources import plain, source_digests, version_of
from mofmd.errors import InputError
from mofmd.models.words import XTB

XTB_FACTORY = "mofmd.calculator.xtb:gfn1_xtb"


@dataclass(frozen=True)
class Reference:
    """A reference method: an ASE calculator that a function makes.

    Parameters
    ----------
    word
        How the user named it.
    factory
        ``package.module:factory``; the current folder is searched too.
    """

    word: str
    factory: str

    @property
    def identity(self) -> str:
        """Changes whenever its results may change.

        Hash of the factory's module and of the own modules that it imports, of the versions of
        installed packages among them and of ASE, and of class and parameters of the calculator that
        the factory makes, in a process of its own; of GFN1-xTB, of the versions of ASE and tblite
        and of the accuracy. Data files that the calculator reads are not seen.

        Raises
        ------
        InputError
            If there is no such function, its source cannot be read, or it refuses.
        RunError
            If it fails.
        """
        factory = load_factory(self.factory)
        parts: list[Any] = [self.factory, version_of("ase")]
        if self.factory == XTB_FACTORY:
            parts += [version_of("tblite"), ACCURACY]
        else:
            parts += _sources(self.factory, factory)
            parts.append(_described(self.factory, self.word, json.dumps(parts), str(Path.cwd())))
        return f"calculator-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}"

    @property
    def facts(self) -> dict[str, Any]:
        """What it is, for the record."""
        found: dict[str, Any] = {"identity": self.identity, "ase": version_of("ase")}
        if self.factory == XTB_FACTORY:
            found |= {"tblite": version_of("tblite"), "accuracy": ACCURACY}
        return found


def find_reference(word: str) -> Reference | None:
    """Find the reference method that a word names; None where it names none.

    Raises
    ------
    InputError
        If a package that it needs is not installed.

    Examples
    --------
    >>> find_reference("ase.calculators.emt:EMT")
    Reference(word='ase.calculators.emt:EMT', factory='ase.calculators.emt:EMT')
    >>> find_reference("zif4-mace-m") is None
    True
    """
    if word == XTB:
        require_tblite()
        return Reference(word, XTB_FACTORY)
    if re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", word):
        return Reference(word, word)
    return None


def _sources(word: str, factory: Any) -> list[Any]:
    """Hash the sources of the word's module and of the function's own; give bound arguments."""
    bound: list[Any] = []
    while isinstance(factory, partial):
        bound.append(plain([factory.args, factory.keywords]))
        factory = factory.func
    module = getattr(factory, "__module__", None)
    names = {word.partition(":")[0], str(module)}
    found = [source_digests(name) for name in sorted(names)]
    if not all(name in digests for name, digests in zip(sorted(names), found, strict=True)):
        raise InputError(
            f"calculator: {word}: the source of {module} cannot be read, so that its results "
            "could not be told from another version's: put a function that returns the calculator "
            "into a module of your own"
        )
    return [bound, found]


@lru_cache(maxsize=64)
def _described(factory: str, word: str, sources: str, folder: str) -> dict[str, Any]:
    """Class and parameters of what the factory makes, asked once of the same sources."""
    del sources, folder  # of the cache alone
    with CalculatorProcess(factory, {}, 1, word) as process:
        return process.describe()
