"""The reference data folder: it is not part of the repository; tests that need it skip without.

Looked for beside the repository as ``../shared/data``, or where MOFMD_SHARED_DATA says.
"""

import os
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


def reference_path(name: str) -> Path:
    folder = Path(os.environ.get("MOFMD_SHARED_DATA", REPOSITORY.parent / "shared" / "data"))
    path = folder / name
    if not path.exists():
        pytest.skip(f"reference data folder lacks {path}; set MOFMD_SHARED_DATA")
    return path
