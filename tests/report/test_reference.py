from pathlib import Path

import numpy as np
import pytest

from mofmd.analysis.base.result import Column, Result, Table
from mofmd.errors import InputError, MissingFileError
from mofmd.study.reference import Reference, check_observables, compare, read_reference

R = np.linspace(0.05, 9.95, 100)


def result() -> Result:
    table = Table(
        {"r": Column(R.copy(), "Å"), "D xray": Column(np.sin(R), "1/Å²")}, "curve", "pair function"
    )
    curve = Table({"r": Column(R.copy(), "Å"), "g": Column(R**2)}, "curve", "g")
    both = {"pair function": table, "g": curve}
    return Result("rdf Zn-N", "", {}, {}, both)


def test_a_file_as_gudrun_writes_it(tmp_path: Path):
    file = tmp_path / "glass.dofr"
    file.write_text("# title\n#\n  0.0  0.1  0.01\n  0.2E+00  -0.3E+00  0.0\n 0.0 0.0 0.0\n")
    found = read_reference(f"D:glass, 31 °C={file}")
    assert (found.quantity, found.name) == ("D xray", "glass, 31 °C")
    assert found.x.tolist() == [0, 0.2]
    assert found.y.tolist() == [0.1, -0.3]
    file.write_text("1,2\n2,3\n")
    assert read_reference(f"g Zn-N={file}").name == "glass"


def test_the_misfit_of_a_curve_that_is_twice_ours():
    x = np.linspace(1, 20, 400)
    measured = Reference("D xray", "exp", x, 2 * np.interp(x, R, np.sin(R)))
    found = compare([result()], measured)
    assert found.scalars["R_w"].value == pytest.approx(0.5)
    columns = found.tables["curves"].columns
    # only where both are known
    assert columns["r"].values[-1] <= R[-1]
    assert columns["exp"].values == pytest.approx(2 * columns["D xray, simulated"].values)
    assert columns["exp"].unit == "1/Å²"


def test_a_radial_distribution_function_is_named_by_its_pair():
    found = compare([result()], Reference("g Zn-N", "exp", R[2:50].copy(), R[2:50] ** 2))
    assert found.scalars["R_w"].value == pytest.approx(0, abs=1e-12)


def test_f_is_s_less_one():
    q = np.linspace(1, 5, 50)
    table = Table({"Q": Column(q, "1/Å"), "S xray": Column(1 + np.cos(q))}, "curve", "S")
    ours = Result("scattering", "", {}, {}, {"structure factor": table})
    assert compare([ours], Reference("F xray", "exp", q, np.cos(q))).scalars["R_w"].value < 1e-12
    found = compare([ours], Reference("F xray", "exp", q, 0.6 * np.cos(q)))
    assert found.scalars["R_w"].value == pytest.approx(0.4 / 0.6)  # of F, not of S
    curves = found.tables["curves"].columns
    np.testing.assert_allclose(curves["F xray, simulated"].values, np.cos(q), atol=1e-12)


def test_what_is_not_measured_is_refused_at_once():
    with pytest.raises(InputError, match="F xray needs the observable scattering; give --obs"):
        check_observables(Reference("F xray", "exp", R, R), ("rdf",))
    check_observables(Reference("g Zn-N", "exp", R, R), ("rdf",))


def test_refusals(tmp_path: Path):
    with pytest.raises(InputError, match=r"'glass\.dofr', expected QUANTITY=FILE"):
        read_reference("glass.dofr")
    with pytest.raises(MissingFileError, match="no such file"):
        read_reference(f"D={tmp_path / 'none'}")
    file = tmp_path / "a.txt"
    for text, message in (
        ("1 2\nr D\n", "line 2 holds 'r D', expected two numbers"),
        ("1 2\n2 nan\n", "line 2 holds '2 nan', expected two numbers"),
        ("1\n2\n", "expected two columns"),
        ("2 1\n1 1\n", "the first of them rising"),
        ("", "two lines at least"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=message):
            read_reference(f"D={file}")
    with pytest.raises(InputError, match="no curve 'S xray' in the results"):
        compare([result()], Reference("S xray", "exp", R, R))
    with pytest.raises(InputError, match=r"exp spans 50 to 60, but D xray 0\.05 to 9\.95 Å"):
        compare([result()], Reference("D xray", "exp", np.array([50.0, 60]), np.zeros(2)))
