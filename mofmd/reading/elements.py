"""Chemical elements from what files call their atoms: type symbols, labels, types, masses."""

from __future__ import annotations

import re

import numpy as np
from ase.data import atomic_masses, atomic_numbers, chemical_symbols

DEUTERIUM = "D"
# Elements whose labels go on in capitals without being another element: OW, HC, NT.
CONTINUED = frozenset("BCFHINOPS")
MASS_TOLERANCE = 1e-3  # relative; tables of several decades differ by 5e-4 for Zn
DEUTERIUM_MASS = 2.014  # g/mol
# Force fields round masses: 1.0 for H, 12.0 for C. Beside a label that says the element this is
# near enough: neighbouring elements differ by more, but for Co and Ni.
LABELLED_MASS_TOLERANCE = 1e-2


def is_element(name: str) -> bool:
    """Whether a name is the symbol of an element."""
    return bool(atomic_numbers.get(name, 0) > 0)


def element_of_type_symbol(text: str) -> str | None:
    """Element of a type symbol, which names it at its beginning, in any case of letters.

    Returns
    -------
    str or None
        The symbol, ``D`` for deuterium; None if it names no element.

    Examples
    --------
    >>> [element_of_type_symbol(word) for word in ("ZN", "Zn2+", "O1-", "C_R", "Wat", "Du")]
    ['Zn', 'Zn', 'O', 'C', None, None]
    """
    match = re.match(r"([A-Za-z]{1,2})(?![A-Za-z])", text)
    name = match[1].capitalize() if match else ""
    return name if is_element(name) or name == DEUTERIUM else None


def elements_of_label(text: str) -> tuple[str, ...]:
    """Elements that the label of an atom may stand for.

    In capitals a second letter may belong to the symbol or not: CA1 is calcium or the first of the
    carbons that are called A.

    Examples
    --------
    >>> [elements_of_label(word) for word in ("Zn1", "C12A", "CL3", "OW1", "Wat", "Q1")]
    [('Zn',), ('C',), ('Cl', 'C'), ('O',), (), ()]
    """
    match = re.match(r"[A-Za-z]+", text)
    letters = match[0] if match else ""
    if len(letters) == 1:
        name = letters.upper()
        return (name,) if is_element(name) or name == DEUTERIUM else ()
    if not letters or len(letters) > 2:
        return ()
    whole = letters.capitalize()
    names = [whole] if is_element(whole) else []
    if letters[1].isupper() and letters[0] in CONTINUED:
        names.append(letters[0])
    return tuple(names)


def element_of_mass(mass: float) -> str | None:
    """Element of a mass [g/mol], ``D`` for deuterium; None if it is that of no element.

    Examples
    --------
    >>> [element_of_mass(mass) for mass in (65.38, 2.014, 1.0)]
    ['Zn', 'D', None]
    """
    if abs(mass / DEUTERIUM_MASS - 1) <= MASS_TOLERANCE:
        return DEUTERIUM
    nearest = int(np.argmin(np.abs(atomic_masses[1:] - mass))) + 1
    if abs(atomic_masses[nearest] / mass - 1) > MASS_TOLERANCE:
        return None
    return str(chemical_symbols[nearest])


def has_mass(name: str, mass: float) -> bool:
    """Whether a mass [g/mol] may be that of an element, as force fields round it."""
    expected = DEUTERIUM_MASS if name == DEUTERIUM else atomic_masses[atomic_numbers[name]]
    return bool(abs(mass / expected - 1) <= LABELLED_MASS_TOLERANCE)


def deuterium_note(count: int) -> str:
    """Say what becomes of deuterium: potentials know hydrogen, and so do types and masses."""
    return (
        f"{count} atoms are deuterium; they are taken as hydrogen (H, 1.008 g/mol), as models and "
        "analyses know no isotopes: energies and structures are the same, while vibrations are "
        "faster and the density is lower than with D"
    )
