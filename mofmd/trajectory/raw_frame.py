"""Frames of files before they are parsed, and what all frames of a file share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mofmd.errors import InputError
from mofmd.trajectory.frame import Frame, Species

NAMES_MAX = 128


@dataclass(frozen=True)
class First:
    """The first frame of a file, which all others must share their atoms with.

    Parameters
    ----------
    species
        Elements of its atoms.
    labels
        (atoms,) what the file names them by: types, or packed names of elements.
    """

    species: Species
    labels: np.ndarray


@dataclass(frozen=True)
class ParsedFrame:
    """A frame that needs no parsing."""

    frame: Frame

    @property
    def step(self) -> int:
        """Step of the frame."""
        return self.frame.step

    @property
    def time_ps(self) -> float | None:
        """Time of the frame [ps]."""
        return self.frame.time_ps

    def decode(self) -> Frame:
        """Give the frame."""
        return self.frame


class FileFrame(ABC):
    """A frame as it stands in a file; ``decode`` is the work, and may run in any thread."""

    @property
    @abstractmethod
    def step(self) -> int:
        """Step of the frame."""

    @property
    @abstractmethod
    def time_ps(self) -> float | None:
        """Time of the frame [ps]; None where the file does not say it."""

    @abstractmethod
    def build(self) -> tuple[Frame, np.ndarray]:
        """Parse it; the frame and the labels of its atoms."""

    def decode(self) -> Frame:
        """Parse it."""
        return self.build()[0]

    def begin(self) -> tuple[ParsedFrame, First]:
        """Parse it as the first frame of its file."""
        frame, labels = self.build()
        return ParsedFrame(frame), First(frame.species, labels)


def whole_number(text: str, name: str, where: str) -> int:
    """Read a whole number, which some programs write with a point: 10.0.

    Parameters
    ----------
    text
        What is written.
    name, where
        Name it in errors.
    """
    try:
        value = float(text)
        if value == int(value):
            return int(value)
    except (ValueError, OverflowError):
        pass
    raise InputError(f"{where}: {name} is {text.strip()!r}, expected a whole number")


def species_of(
    labels: np.ndarray, first: First | None, name_of: Callable[[int], str], where: str
) -> Species:
    """Elements of the atoms of a frame, which must be those of the first.

    Parameters
    ----------
    labels
        (atoms,) what the file names them by.
    first
        The first frame; None for that itself.
    name_of
        Element of a label.
    where
        Names the frame in errors.
    """
    if first is not None and np.array_equal(labels, first.labels):
        return first.species
    different, codes = np.unique(labels, return_inverse=True)
    if len(different) > NAMES_MAX:
        raise InputError(
            f"{where}: more than {NAMES_MAX} different elements; is that the right column?"
        )
    species = Species.from_codes([name_of(int(label)) for label in different], codes)
    if first is not None and species != first.species:
        raise InputError(
            f"{where}: atoms or elements are not those of the first frame; one file must hold one "
            "system"
        )
    return species
