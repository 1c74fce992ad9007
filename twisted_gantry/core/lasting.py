"""Work that goes on when whoever asked for it goes away."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

_T = TypeVar("_T")
_log = Logger()


def lasting(work: Coroutine[Any, Any, _T]) -> Deferred[_T]:
    """Start `work`, and return what it ends with; cancelling the Deferred does not cancel it.

    klein cancels a handler when its client goes away; a command that was begun must still come to
    its entry in the audit.
    """
    waiter: Deferred[_T] = Deferred(lambda _: None)

    def done(result: _T) -> None:
        if not waiter.called:
            waiter.callback(result)

    def failed(failure: Failure) -> None:
        if waiter.called:
            _log.failure("failed after whoever asked had gone", failure=failure)
        else:
            waiter.errback(failure)

    ensureDeferred(work).addCallbacks(done, failed)
    return waiter
