"""One transaction that is rolled back: both engines run a statement, and no database is made for
each test.
"""

from tests.support import fired
from twisted_gantry.centre.interfaces import Job, Session
from twisted_gantry.testing.centre_store import InlineStore


class _Enough(Exception):
    pass


class Scratch:
    """Runs jobs over a store that stays empty."""

    def __init__(self, store: InlineStore) -> None:
        self._store = store

    def run(self, job: Job[object]) -> None:
        """Run a job, and take back all that it changed. Raises its exceptions."""

        def and_back(session: Session) -> None:
            job(session)
            raise _Enough

        [failure] = fired(self._store.write(and_back))
        if not failure.check(_Enough):
            failure.raiseException()
