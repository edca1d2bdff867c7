"""Reference methods by word: an ASE calculator that a function makes, GFN1-xTB.

A word is ``package.module:factory``, a function without arguments that returns an ASE calculator,
or ``gfn1-xtb``. All other words name models: ``mofmd.models.names``.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import re
import sys
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from mofmd.calculator.process import load_factory
from mofmd.calculator.xtb import ACCURACY, require_tblite
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

        Hash of the factory's module, with the versions of its package and of ASE; of GFN1-xTB, of
        the versions of ASE and tblite and of the accuracy.

        Raises
        ------
        InputError
            If there is no such function, or its source cannot be read.
        """
        module = load_factory(self.factory).__module__
        parts: list[Any] = [self.factory, _version("ase")]
        if self.factory == XTB_FACTORY:
            parts += [_version("tblite"), ACCURACY]
        else:
            parts += [_version(module.partition(".")[0]), _source(self.factory, module)]
        return f"calculator-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]}"

    @property
    def facts(self) -> dict[str, Any]:
        """What it is, for the record."""
        found: dict[str, Any] = {"identity": self.identity, "ase": _version("ase")}
        if self.factory == XTB_FACTORY:
            found |= {"tblite": _version("tblite"), "accuracy": ACCURACY}
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


def _source(factory: str, module: str) -> str:
    try:
        return inspect.getsource(sys.modules[module])
    except (OSError, TypeError) as error:
        raise InputError(
            f"calculator: {factory}: the source of {module} cannot be read, so that its results "
            "could not be told from another version's: put a function that returns the calculator "
            "into a module of your own"
        ) from error


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
