"""How long a deck of a universal model will run, said before somebody waits for it."""

from __future__ import annotations

import math
from typing import get_args

from mofmd.geometry.neighbours import find_pairs
from mofmd.models.files.deployed import find_manifest
from mofmd.models.files.model_file import Family
from mofmd.models.universal import MODELS, VARIANTS
from mofmd.simulation.deck.deck import Deck
from mofmd.structures.read import read_structure

LONG_S = 6 * 3600.0
"""Of shorter runs nothing is said."""
FIRST_PS = 5.0
"""Of a first run."""


def duration_hint(deck: Deck) -> str | None:
    """Say how long a deck takes on one core, and what makes a short first run of it.

    Parameters
    ----------
    deck
        Written already.

    Returns
    -------
    str or None
        None where it is no universal model, whose cost is known, or the run is short.
    """
    potential = deck.manifest["potential"]
    if potential["pair_style"] not in get_args(Family):  # LAMMPS's own
        return None
    manifest = find_manifest(deck.directory / potential["model"])
    name = str((manifest or {}).get("name"))
    universal = VARIANTS[name].model if name in VARIANTS else MODELS.get(name)
    if manifest is None or universal is None:
        return None
    atoms = read_structure(deck.directory / "structure.data")
    edges = len(find_pairs(atoms.positions, atoms.cell.array, float(manifest["r_max"])).first)
    step_s = 1e-6 * universal.us_per_edge * edges
    protocol = deck.manifest["protocol"]
    whole_s = step_s * deck.manifest["total_steps"]
    if whole_s < LONG_S:
        return None
    text = (
        f"on one core this takes about {_time(whole_s)} ({deck.manifest['total_steps']} steps of "
        f"{step_s:.2g} s, as {name} was measured on a server's processor)"
    )
    words, first_s = [], whole_s
    if math.prod(protocol["supercell"]) > 1:
        words.append("--supercell 1x1x1")
        first_s /= math.prod(protocol["supercell"])
    if protocol.get("time_ps", 0.0) > FIRST_PS:
        words.append(f"--set time_ps={FIRST_PS:g}")
        first_s *= FIRST_PS / protocol["time_ps"]
    if not words:
        return text
    return f"{text}; for a first run: {' '.join(words)}, about {_time(first_s)}"


def _time(seconds: float) -> str:
    """Round a time to two digits of the unit that suits it.

    Examples
    --------
    >>> _time(90.0), _time(9000.0), _time(1.3e6)
    ('1.5 min', '2.5 h', '15 days')
    """
    for unit, size, least in (("days", 86400.0, 2.0), ("h", 3600.0, 2.0)):
        if seconds >= least * size:
            value = seconds / size
            return f"{value:.0f} {unit}" if value >= 10 else f"{value:.2g} {unit}"
    return f"{seconds / 60.0:.2g} min"
