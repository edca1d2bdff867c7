"""The operator mofmd::contract: its kernel for CPUs, and what other devices are given."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.engine.test_convolution import run_cases


def make_case(channels: int, atoms: int, dtype: str, orders: int = 4) -> dict[str, Any]:
    """Return polynomials of five components, most products of which do not occur."""
    rng = np.random.default_rng(1)
    products: list[list[int]] = []
    groups, begin, past = [], 0, 5  # of the products of one order less
    for _ in range(orders - 1):
        made = [[first, last] for first in range(begin, past) for last in range(5)]
        chosen = [made[k] for k in sorted(rng.choice(len(made), size=7, replace=False))]
        products += chosen
        groups.append(len(chosen))
        begin, past = past, past + len(chosen)
    terms = [[int(k), int(m)] for k in range(past) for m in range(4) if rng.random() < 0.4]
    return {
        "dtype": dtype,
        "channels": channels,
        "components": 5,
        "elements": 3,
        "width": 4,
        "types": rng.integers(0, 3, size=atoms).tolist(),
        "products": products,
        "orders": groups,
        "terms": terms,
    }


def run(cases: list[dict[str, Any]], folder: Path, threads: int = 1) -> list[dict[str, Any]]:
    """Return what the worker found for each case."""
    return run_cases(cases, folder, threads, "contract_worker")


@pytest.mark.parametrize(("dtype", "allowed"), [("float64", 1e-13), ("float32", 3e-6)])
def test_values_and_derivatives_are_those_of_the_definition(
    dtype: str, allowed: float, tmp_path: Path
) -> None:
    cases = [make_case(channels, 40, dtype) for channels in (1, 7, 8, 16, 21, 40)]
    linear = make_case(8, 9, dtype, orders=1)
    cases += [make_case(8, 1, dtype), linear, {**linear, "orders": [0]}]
    for found in run(cases, tmp_path):
        assert found.pop("threads") == 1
        assert len(found) == 4
        assert max(found.values()) < allowed, found


def test_threads_share_the_work(tmp_path: Path) -> None:
    (found,) = run([make_case(40, 100, "float64")], tmp_path, threads=2)
    assert found.pop("threads") == 2
    assert max(found.values()) < 1e-13


def test_no_atoms(tmp_path: Path) -> None:
    (found,) = run([make_case(8, 0, "float64")], tmp_path)
    assert found == {"threads": 1}  # there is nothing to compare


DAMAGES = {
    "element past the weights": ({"types": [0, 3]}, "an element without weights"),
    "element before the weights": ({"types": [-1]}, "an element without weights"),
    "product of a later one": ({"products": [[26, 0]] * 21}, "what does not come before it"),
    "product of what is not there": ({"products": [[-1, 0]] * 21}, "what does not come before it"),
    "component that is not there": ({"products": [[0, 5]] * 21}, "what does not come before it"),
    "term of what is not there": ({"terms": [[26, 0]]}, "a term leads out of the tables"),
    "term past the result": ({"terms": [[0, 4]]}, "a term leads out of the tables"),
    "term before the result": ({"terms": [[0, -1]]}, "a term leads out of the tables"),
    "orders": ({"orders": [7, 7, 8]}, "orders have other products than there are"),
    "negative orders": ({"orders": [7, 7, -7, 14]}, "orders have other products than there are"),
}


def test_a_damaged_file_cannot_read_outside_of_its_tables(tmp_path: Path) -> None:
    """No implementation goes on: the kernel says why, torch's own operators refuse indices."""
    cases = [
        {**make_case(4, 9, "float64"), "damaged": True, **change} for change, _ in DAMAGES.values()
    ]
    for name, answer in zip(DAMAGES, run(cases, tmp_path), strict=True):
        told = DAMAGES[name][1]
        assert told in answer["kernel"], name
        assert told in answer["kernel, backward"], name
        assert answer["composed"], name
        assert answer["composed, backward"], name
