"""What the tests of the web room share."""

from collections.abc import Iterator

import pytest

from tests.http_client import Client
from tests.web.small_site import SmallSite, small_site


@pytest.fixture
def small() -> Iterator[SmallSite]:
    small = small_site()
    yield small
    small.db.close()


@pytest.fixture
def client(small: SmallSite) -> Client:
    """Return a client of the site, of which no password is asked."""
    return small.client()
