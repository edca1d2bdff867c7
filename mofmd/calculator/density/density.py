"""The density of a model: a mixture for each element, and its text in the model file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

import numpy as np

from mofmd.arrays import freeze
from mofmd.calculator.density.mixture import Mixture
from mofmd.errors import InputError

VERSION = 1
AGAIN = "fit it again (mofmd learn density fit)"


def one_in(quantile: float) -> int:
    """Return of how many atoms that a model knows one has a novelty above 1.

    Examples
    --------
    >>> one_in(0.999)
    1000
    """
    return round(1.0 / (1.0 - quantile))


@dataclass(frozen=True)
class Density:
    """How new the surroundings of atoms are to one model.

    The score of an atom is (−ln p − median) / (limit − median), p the density of the features of
    its element's training atoms; median and limit are the median and the quantile of −ln p over
    held-out atoms of the element. So 0 is ordinary and 1 as rare as one in a thousand (for a
    quantile of 0.999), for every element and model. An element never seen is infinitely new.

    Parameters
    ----------
    model_sha256
        Hash of the model whose features these are (``payload_sha256`` of its manifest).
    quantile
        Whose score is 1.
    width
        Features of an atom that the model gives.
    columns
        Those that do not change under rotation; the density is of them.
    mixtures
        By element.
    """

    model_sha256: str
    quantile: float
    width: int
    columns: np.ndarray
    mixtures: Mapping[str, Mixture] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the array read-only."""
        freeze(self, "columns")

    def scores(self, symbols: Sequence[str] | np.ndarray, features: np.ndarray) -> np.ndarray:
        """(atoms,) scores.

        Parameters
        ----------
        symbols
            Element of each atom.
        features
            (atoms, ``width``) features of the model.
        """
        if features.shape != (len(symbols), self.width):
            raise InputError(
                f"features: of shape {features.shape}, expected ({len(symbols)}, {self.width})"
            )
        elements = np.asarray(symbols)
        found = np.full(len(elements), np.inf)
        for element, mixture in self.mixtures.items():
            mine = elements == element
            if mine.any():
                found[mine] = mixture.scores(features[mine][:, self.columns])
        return found

    def render(self) -> str:
        """Text of the record in a model file; reading it gives the same numbers."""
        lines = [
            f"mofmd_density {VERSION}",
            f"model {self.model_sha256}",
            f"quantile {self.quantile!r}",
            f"width {self.width}",
            f"columns {len(self.columns)} {' '.join(map(str, self.columns.tolist()))}",
        ]
        for element, mixture in sorted(self.mixtures.items()):
            lines += [
                f"element {element}",
                f"median {mixture.median!r}",
                f"limit {mixture.limit!r}",
                f"dimensions {mixture.dimensions}",
                f"rest_axes {len(mixture.rest)}",
                f"components {mixture.components}",
            ]
            for name in ("mean", "axes", "rest", "weights", "means", "factors"):
                values = np.asarray(getattr(mixture, name), dtype=np.float64).ravel()
                lines.append(" ".join([name, *map(repr, values.tolist())]))
        return "\n".join([*lines, ""])

    @classmethod
    def parse(cls, text: str) -> Density:
        """Read what ``render`` wrote.

        Raises
        ------
        InputError
            If it is damaged, or of a later version.
        """
        words = _Words(text)
        words.expect("mofmd_density")
        version = words.word()
        if version != str(VERSION):
            raise InputError(
                "density: is of a kind that this version of mofmd does not know: update mofmd"
            )
        words.expect("model")
        model = words.word()
        quantile = float(words.numbers("quantile", 1)[0])
        width = words.count("width")
        columns = words.numbers("columns", None).astype(np.int64)
        mixtures = {}
        while words.has_more:
            words.expect("element")
            element = words.word()
            median, limit = (float(words.numbers(name, 1)[0]) for name in ("median", "limit"))
            d, others = words.count("dimensions"), words.count("rest_axes", least=0)
            m, axes = words.count("components"), d - (others > 0)
            mixtures[element] = Mixture(
                mean=words.numbers("mean", len(columns)),
                axes=words.numbers("axes", axes * len(columns)).reshape(axes, -1),
                rest=words.numbers("rest", others * len(columns)).reshape(others, len(columns)),
                weights=words.numbers("weights", m),
                means=words.numbers("means", m * d).reshape(m, d),
                factors=words.numbers("factors", m * d * d).reshape(m, d, d),
                median=median,
                limit=limit,
            )
        return cls(model, quantile, width, columns, mixtures)


class _Words:
    """The words of a record: names, each with the numbers that follow it."""

    def __init__(self, text: str) -> None:
        self._words: Iterator[str] = iter(text.split())
        self._next = next(self._words, None)

    @property
    def has_more(self) -> bool:
        return self._next is not None

    def word(self) -> str:
        found, self._next = self._next, next(self._words, None)
        return found if found is not None else _damaged("it ends early")

    def expect(self, name: str) -> None:
        if (found := self.word()) != name:
            _damaged(f"{found!r} in the place of {name!r}")

    def count(self, name: str, least: int = 1) -> int:
        self.expect(name)
        word = self.word()
        return int(word) if word.isdigit() and int(word) >= least else _damaged(f"{name} {word}")

    def numbers(self, name: str, size: int | None) -> np.ndarray:
        """Read numbers; of None as many as the word before them says."""
        self.expect(name)
        if size is None:
            word = self.word()
            size = int(word) if word.isdigit() else _damaged(f"{name} {word}")
        words = [self.word() for _ in range(size)]
        try:
            values = np.array(words, dtype=np.float64)
        except ValueError:
            _damaged(f"{name} are not numbers")
        return values if np.isfinite(values).all() else _damaged(f"{name} are not finite")


def _damaged(how: str) -> NoReturn:
    raise InputError(f"density: is damaged ({how}); {AGAIN}")
