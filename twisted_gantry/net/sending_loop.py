"""The loop of a sender: one report after the other, with pauses that a wake-up ends."""

from collections.abc import Awaitable, Callable
from functools import partial

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.net.timers import Timer

_log = Logger()


class SendingLoop:
    """Calls `send_one` until it is stopped. `send_one` returns the pause in seconds: None for none,
    0 until woken. `failed` is called with the failure of a `send_one`, and returns a pause, too.
    """

    def __init__(
        self,
        clock: IReactorTime,
        send_one: Callable[[], Awaitable[float | None]],
        failed: Callable[[Failure], float],
    ) -> None:
        self._send_one, self._failed = send_one, failed
        self._pause = Timer(clock, partial(self.wake, now=True))
        self._running: Deferred[None] | None = None
        self._nap: Deferred[None] | None = None
        self._pausing = self._woken = self._hurry = False

    @property
    def stopped(self) -> bool:
        """Whether the loop is not running: an outcome after that must not count."""
        return self._running is None

    def start(self) -> None:
        # Not stopped while the first call, which may end at once, is under way.
        self._running = Deferred()
        self._running = ensureDeferred(self._run())
        self._running.addErrback(_ended)

    def stop(self) -> None:
        """End at once, and cancel the sending under way."""
        running, self._running = self._running, None
        if running is not None:
            running.cancel()

    def wake(self, now: bool = False) -> None:
        """End a pause: there is a report to send; `now` ends a pause after a failure, too."""
        self._woken = True
        self._hurry = self._hurry or now
        nap = self._nap
        if nap is not None and (now or not self._pausing):
            self._nap = None
            nap.callback(None)

    async def _run(self) -> None:
        while not self.stopped:
            self._woken = self._hurry = False
            try:
                pause = await self._send_one()
            except CancelledError:
                raise
            except Exception:
                pause = self._failed(Failure())
            if pause is not None:
                await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        """Wait until woken; after a failure (`seconds` > 0) no longer than that."""
        if self._hurry or (self._woken and not seconds):
            return
        nap: Deferred[None] = Deferred()
        self._nap, self._pausing = nap, seconds > 0
        if seconds:
            self._pause.start(seconds)
        try:
            await nap
        finally:
            self._nap, self._pausing = None, False
            self._pause.cancel()


def _ended(failure: Failure) -> None:
    if not failure.check(CancelledError):
        _log.failure("a sender ended", failure=failure)
