"""Duties: work that one worker of all does, while it holds the lease of the duty."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, ensureDeferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.centre.interfaces import IReportStore, Job, NotStored, Session
from twisted_gantry.centre.store import leases
from twisted_gantry.centre.store.leases import LEASE, Lease, NotHeld
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import GuardedLoop, Timer

T = TypeVar("T")
_log = Logger()

LONGEST = 120.0
"""Seconds after which an act that has not ended is cancelled."""
GRACE = 5.0
"""Seconds that an act under way has at the stop."""


class Hold:
    """A lease that this worker has, as an act sees it. `lost` is called when a write finds that the
    lease is over.
    """

    def __init__(self, lease: Lease, store: IReportStore, lost: Callable[[], object]) -> None:
        self.lease, self.store = lease, store
        self._lost = lost

    def write(self, job: Job[T]) -> Deferred[T]:
        """Run `job` in a transaction that has first checked the lease. Fails with NotHeld when
        another worker may do the duty; then `job` was not run.
        """

        def fenced(session: Session) -> T:
            leases.hold(session, self.lease)
            return job(session)

        return self.store.write(fenced).addErrback(self._not_held)

    def _not_held(self, failure: Failure) -> Failure:
        if failure.check(NotHeld):
            self._lost()
        return failure

    def read(self, job: Job[T]) -> Deferred[T]:
        return self.store.read(job)


class Duty(NamedService):
    """Calls `act` each `period` seconds while this worker holds the lease of the duty `name`.

    An act that fails is logged and counted, and is called again at its next time; `failing` is told
    its error, and None after an act that did not fail. `ended` is called when the lease is lost or
    handed on, and is awaited before another worker is let in at the stop. `holder` names this
    process and start. A worker that cannot renew in time, by its own clock from the moment before
    it asked, has lost the lease: another worker has it at the earliest then.
    """

    def __init__(
        self,
        name: str,
        holder: str,
        store: IReportStore,
        clock: IReactorTime,
        act: Callable[[Hold], Awaitable[object]],
        period: float,
        *,
        ended: Callable[[], object] = lambda: None,
        lease: float = LEASE,
        longest: float = LONGEST,
        failing: Callable[[Exception | None], object] = lambda error: None,
    ) -> None:
        super().__init__(f"duty {name}")
        self.duty = name
        self.failures = self.acts = 0
        self.last_act: float | None = None
        """When the last act that did not fail has ended, by the clock of the reactor."""
        self._holder, self._store, self._clock = holder, store, clock
        self._act, self._ended, self._period = act, ended, period
        self._lease, self._longest, self._failing = lease, longest, failing
        self._hold: Hold | None = None
        self._acting: Deferred[Any] | None = None
        self._renewing: Deferred[Any] | None = None
        self._ending: Deferred[Any] | None = None
        self._expiry = Timer(clock, self._lost)
        self._renewal = GuardedLoop(clock, self._renew, f"the lease of {name}")
        self._loop = GuardedLoop(clock, self._turn, f"duty {name}", self._done)

    @property
    def held(self) -> bool:
        """Whether this worker has the lease."""
        return self._hold is not None

    # -- the service

    def startService(self) -> None:
        super().startService()
        self._renewal.start(self._lease / 3)

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._renewal.stop()
        self._loop.stop()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        for under_way in (self._renewing, self._acting, self._ending):
            if under_way is not None:
                await _settled(under_way, self._clock)
        hold = self._hold
        self._expiry.cancel()
        self._hold = None
        if hold is None:
            return
        await self._end()
        handing = self._store.write(lambda session: leases.hand_on(session, hold.lease))
        # With a store that fails the lease ends by itself.
        await handing.addErrback(lambda failure: failure.trap(NotStored))

    # -- the lease

    def _renew(self) -> Deferred[None]:
        renewing = self._renewing = ensureDeferred(self._take())
        return renewing.addBoth(self._renewed)

    def _renewed(self, result: Any) -> Any:
        self._renewing = None
        return result

    async def _take(self) -> None:
        asked = float(self._clock.seconds())
        take = partial(leases.take, duty=self.duty, holder=self._holder, seconds=self._lease)
        try:
            lease = await self._store.write(take)
        except NotStored:  # the store tells its trouble; without a renewal the lease runs out
            return
        left = asked + self._lease - float(self._clock.seconds())
        if lease is None or left <= 0:
            self._lost()
            return
        self._expiry.start(left)
        if self._hold is not None and self._hold.lease.fence != lease.fence:
            self._lost()  # another worker had the duty in between
        if self._hold is None and self._ending is None:
            self._hold = Hold(lease, self._store, partial(self._lost_by, lease))
            _log.info("duty {duty} is done here", duty=self.duty)
            if self.running:
                self._loop.start(self._period)

    def _lost_by(self, lease: Lease) -> None:
        if self._hold is not None and self._hold.lease == lease:
            self._lost()

    def _lost(self) -> None:
        hold, self._hold = self._hold, None
        self._expiry.cancel()
        if hold is None:
            return
        _log.warn("duty {duty} is left to another worker", duty=self.duty)
        self._loop.stop()
        if self._acting is not None:
            self._acting.cancel()
        self._end()

    def _end(self) -> Deferred[None]:
        ending = self._ending = maybeDeferred(self._ended).addErrback(self._log_failure)
        return ending.addCallback(self._has_ended)

    def _has_ended(self, _: object) -> None:
        self._ending = None

    # -- the acts

    def _turn(self) -> Deferred[None]:
        hold = self._hold
        assert hold is not None
        acting = ensureDeferred(self._do(hold))
        acting.addTimeout(self._longest, self._clock)
        self._acting = acting
        return acting.addBoth(self._acted)

    async def _do(self, hold: Hold) -> None:
        try:
            await self._act(hold)
        except NotHeld:
            return  # another worker goes on
        except NotStored:  # the store tells its trouble
            self.failures += 1
        else:
            self.last_act = float(self._clock.seconds())

    def _acted(self, result: Any) -> Any:
        self._acting = None
        return result

    def _done(self, error: Exception | None) -> None:
        self.acts += 1
        self.failures += error is not None
        self._failing(error)

    def _log_failure(self, failure: Failure) -> None:
        _log.failure("the end of duty {duty} failed", failure=failure, duty=self.duty)


async def _settled(under_way: Deferred[Any], clock: IReactorTime) -> None:
    """Wait until a Deferred has fired, at most GRACE seconds; then cancel it."""
    done: Deferred[None] = Deferred()

    def fired(result: Any) -> Any:
        timer.cancel()
        if not done.called:
            done.callback(None)
        return result

    timer = Timer(clock, under_way.cancel)
    timer.start(GRACE)
    under_way.addBoth(fired)
    await done
