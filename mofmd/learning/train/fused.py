"""Where a framework's trainer finds mofmd's fused convolution."""

from pathlib import Path

from mofmd.engine.operators_library import operators_for
from mofmd.models.environments import Framework

EXTENSION = Path(__file__).parent / "extension"
"""Holds the package ``mofmd_training``, which runs in the frameworks' environments."""


def fused_environment(framework: Framework, python: Path) -> dict[str, str]:
    """Return the variables with which a Python of a framework's environment finds both parts.

    Raises
    ------
    BuildError
        If the operators are not built for the torch there.
    """
    return {
        "PYTHONPATH": str(EXTENSION),
        "MOFMD_OPERATORS": str(operators_for(python, framework).resolve()),
    }
