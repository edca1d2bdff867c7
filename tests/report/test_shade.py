"""Colours of atoms by a number."""

import numpy as np
import pytest

from mofmd.report.shade import STEPS, Shade

ELEMENTS = [
    {"name": "C", "colour": [9, 9, 9], "radius": 0.3},
    {"name": "H", "colour": [9, 9, 9], "radius": 0.1},
]


def test_the_bound_is_the_middle_of_the_scale() -> None:
    shade = Shade(np.array([-0.5, 0.0, 0.5, 1.0, 2.0, 4.0, np.inf, np.nan]), "novelty", bound=1.0)
    assert shade.top == 4.0
    np.testing.assert_allclose(shade.shares(), [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0, 1.0])
    below, above = shade.colour(0.49), shade.colour(0.51)
    assert below[2] > below[0]  # blue
    assert above[0] > above[2]  # orange
    # where all are ordinary, the colours above the bound stand in the legend alone
    assert Shade(np.array([0.2, 0.3]), "novelty", bound=1.0).top == 2.0
    assert "<b>1</b>" in shade.legend()
    assert "<b>4</b>" in shade.legend()


def test_a_scale_without_a_bound_and_one_that_is_given() -> None:
    values = np.array([0.0, 50.0, 100.0])
    np.testing.assert_allclose(Shade(values, "error").shares(), [0.0, 0.5, 1.0])
    np.testing.assert_allclose(Shade(values, "error", largest=200.0).shares(), [0.0, 0.25, 0.5])
    assert Shade(np.zeros(3), "error").shares().tolist() == [0.0, 0.0, 0.0]


def test_kinds_of_atoms_keep_their_element() -> None:
    shade = Shade(np.array([0.0, 100.0, 100.0]), "error")
    scene = shade.scene(ELEMENTS, np.array([0, 0, 1]))
    kinds = [scene["elements"][code] for code in scene["codes"]]
    assert [kind["name"] for kind in kinds] == ["C", "C", "H"]
    assert [kind["radius"] for kind in kinds] == [0.3, 0.3, 0.1]
    assert kinds[1]["colour"] == kinds[2]["colour"] == shade.colour(1 - 0.5 / STEPS)
    assert kinds[0]["colour"] != kinds[1]["colour"]
    with pytest.raises(ValueError, match="read-only"):
        shade.values[0] = 1.0
