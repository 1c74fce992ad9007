"""The store alone: what reports change beside their rows is another concern."""

from collections.abc import Sequence

import pytest

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.states import Fresh


def no_fold(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
    """Change nothing."""
    return [Verdict.STORED] * len(fresh)


@pytest.fixture
def filing() -> Filing:
    return Filing("front-1", fold=no_fold)
