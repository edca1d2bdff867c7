"""Tables of the report against numbers calculated by hand."""

import re
from dataclasses import replace

import numpy as np
import pytest

from mofmd.analysis.mechanics.elastic_tensor import ElasticTensor
from mofmd.report.tables import numbers_table, tensor_tables
from tests.report.test_verdict import analysis

C11, C12, C44 = 165.7, 63.9, 79.6  # silicon [GPa]


def silicon() -> np.ndarray:
    stiffness = np.diag([C11] * 3 + [C44] * 3)
    stiffness[:3, :3] += C12 * (1 - np.eye(3))
    return stiffness


def rows_of(html: str) -> list[list[str]]:
    """Text of the cells of each row."""
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row) for row in rows]


def test_tensor_tables() -> None:
    html = tensor_tables(ElasticTensor(silicon()))
    rows = rows_of(html)
    matrix = np.array([[float(cell) for cell in row] for row in rows[:6]])
    assert (matrix == silicon()).all()
    # eigenvalues of a cubic solid: C11 − C12 twice, C44 three times, C11 + 2 C12
    eigenvalues = re.search(r"eigenvalues ([\d., ]+) GPa", html)
    assert eigenvalues is not None
    assert [float(word) for word in eigenvalues[1].split(", ")] == pytest.approx(
        [C44] * 3 + [C11 - C12] * 2 + [C11 + 2 * C12]
    )
    bulk = (C11 + 2 * C12) / 3
    voigt = (C11 - C12 + 3 * C44) / 5
    reuss = 5 * (C11 - C12) * C44 / (4 * C44 + 3 * (C11 - C12))
    for name, shear in (("Voigt", voigt), ("Reuss", reuss), ("Hill", (voigt + reuss) / 2)):
        (row,) = (row for row in rows if row and row[0] == name)
        young = 9 * bulk * shear / (3 * bulk + shear)
        expected = [bulk, young, shear, young / (2 * shear) - 1]
        assert [float(cell) for cell in row[1:]] == pytest.approx(expected, abs=5e-4)
    found = {row[0]: row[1:] for row in rows if len(row) == 5 and row[0] != "extremes"}
    # softest and stiffest along the cube's edges and body diagonals
    s11 = (C11 + C12) / ((C11 - C12) * (C11 + 2 * C12))
    s12 = -C12 / ((C11 - C12) * (C11 + 2 * C12))
    low, along_low, high, along_high = found["Young's modulus (GPa)"]
    assert float(low) == pytest.approx(1 / s11, abs=1e-3)
    assert float(high) == pytest.approx(3 / (s11 + 2 * s12 + 1 / C44), abs=1e-3)
    assert sorted(abs(float(x)) for x in along_low.strip("()").split()) == [0, 0, 1]
    assert sorted(abs(float(x)) for x in along_high.strip("()").split()) == [0.58] * 3
    low, _, high, along = found["shear modulus (GPa)"]
    assert (float(low), float(high)) == pytest.approx(((C11 - C12) / 2, C44), abs=1e-3)
    assert along.count("(") == 2  # the normal and the direction of the shear
    low, _, high, _ = found["linear compressibility (1/TPa)"]
    assert float(low) == float(high) == pytest.approx(1e3 / (C11 + 2 * C12), abs=1e-3)


def test_a_tensor_that_is_not_stable_has_no_moduli() -> None:
    stiffness = silicon()
    stiffness[3, 3] = -1.0
    html = tensor_tables(ElasticTensor(stiffness))
    assert "Not stable: moduli go to infinity" in html
    assert "Voigt</td>" not in html


def test_members_that_gave_nothing_have_a_row() -> None:
    found = replace(analysis("NVT"), about={"members_left_out": {"002": "stopped: asked to stop"}})
    assert '<td>002</td><td colspan="1">left out: stopped: asked' in numbers_table(found)
