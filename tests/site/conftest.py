"""What holds for the tests of the site."""

import gc

import pytest


@pytest.fixture(autouse=True, scope="session")
def settled_heap() -> None:
    """Set aside what is there before the first test: every test collects the garbage at its end."""
    gc.collect()
    gc.freeze()
