"""What pytest collects: tests, and the examples in the docstrings of the package."""

from pathlib import Path

# scripts that run in the environments of the model frameworks, whose packages are not here
collect_ignore = ["mofmd/models/export", "mofmd/learning/train/extension"]


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out modules without examples, so that they are not imported for nothing."""
    if collection_path.suffix != ".py" or collection_path.name.startswith("test_"):
        return None
    return ">>>" not in collection_path.read_text(encoding="utf-8") or None
