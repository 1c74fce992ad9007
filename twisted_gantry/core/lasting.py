"""Work that goes on after its caller has gone."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_T = TypeVar("_T")
_log = Logger()


def lasting(work: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """Start `work`, and return its result; cancelling the Deferred does not cancel the work.

    klein cancels a handler when its client disconnects; a command that was begun must still get
    its entry in the audit.
    """
    waiter: Deferred[_T] = Deferred(lambda _: None)

    def done(result: _T) -> None:
        if not waiter.called:
            waiter.callback(result)

    def failed(failure: Failure) -> None:
        if waiter.called:
            _log.failure("failed after its caller had gone", failure=failure)
        else:
            waiter.errback(failure)

    ensureDeferred(work).addCallbacks(done, failed)
    return waiter
