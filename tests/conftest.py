"""What every test finds: Ctrl-C is heard."""

import signal
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _interrupts() -> Iterator[None]:
    """Commands hear SIGINT even where whatever started these tests ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
