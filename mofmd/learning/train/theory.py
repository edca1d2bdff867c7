"""The level of theory of a training: what its frames say, and what is asked for."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ase import Atoms

from mofmd.errors import InputError, InputWarning, counted
from mofmd.models.dispersion.theory import GFN1, KEY, LevelOfTheory, parse_theory, theory_of
from mofmd.models.files.deployed import find_manifest
from mofmd.models.words import XTB


def theory_for(frames: Sequence[Atoms], asked: LevelOfTheory | None) -> LevelOfTheory | None:
    """Settle the level of theory of labelled frames.

    Parameters
    ----------
    frames
        Those of training and validation; what labelled them is in their ``info``.
    asked
        What the user says of it; None takes what the frames say.

    Returns
    -------
    LevelOfTheory or None
        None where nothing tells.

    Raises
    ------
    InputError
        If frames are of different levels, or of another one than is asked for.
    """
    said = Counter(
        (str(frame.info.get(KEY, "")), str(frame.info.get("source", ""))) for frame in frames
    )
    found: Counter[LevelOfTheory] = Counter()
    for (word, source), count in said.items():
        if (theory := _theory_of(word, source)) is not None:
            found[theory] += count
    if len(found) > 1:
        told = ", ".join(sorted(f"{theory} ({count} frames)" for theory, count in found.items()))
        raise InputError(
            f"level_of_theory: frames are labelled at different ones: {told}; a model of both is "
            "of neither: label all by one (mofmd learn label)"
        )
    own = next(iter(found), None)
    if own is not None and (silent := len(frames) - found[own]):
        warnings.warn(
            f"level_of_theory: {counted(silent, 'frame')} of {len(frames)} do not say theirs; "
            f"taken to be {own}, as the others",
            InputWarning,
            stacklevel=2,
        )
    if own is not None and asked not in (None, own):
        raise InputError(
            f"level_of_theory: {asked}, but {found[own]} of {len(frames)} frames are labelled at "
            f"{own}: leave it out, or take frames of {asked}"
        )
    return own or asked


def _theory_of(word: str, source: str) -> LevelOfTheory | None:
    """Read the level of theory that frames of one kind say; None where nothing tells.

    Frames labelled by mofmd say it; those of its earlier versions name the model in their
    ``source``, which says it where the file is still there.
    """
    if word:
        try:
            return parse_theory(word)
        except InputError as error:
            raise InputError(
                f"{KEY} of frames: {word!r} is none that decks can use (pbe, pbe+d3bj:pbe); write "
                "one, or remove the key and say it with --level-of-theory"
            ) from error
    if source == XTB:
        return GFN1
    match = re.fullmatch(r"(.+?)(?:\+(d3[^+/]*))?", source)
    if match is None or not Path(match[1]).is_file():
        return None
    own = theory_of(find_manifest(Path(match[1])))
    return None if own is None else own.with_dispersion(match[2])
