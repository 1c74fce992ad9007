"""One target: its plan, its outbox, and the loop that sends.

At most one message of a target is in the outbox: what happens while it waits is gathered by the
plan. A receiver that was away for long gets the message that waited, and then one with all that
happened since.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.net.sending_loop import SendingLoop
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.session import Backoff
from twisted_gantry.net.timers import Timer
from twisted_gantry.notify.interfaces import (
    Gantry,
    ISender,
    NotSent,
    Outbox,
    State,
    Troubles,
    Waiting,
)
from twisted_gantry.notify.notice import AlarmTold, Message, Notice, consequences_of
from twisted_gantry.notify.plan import PACE, Draft, Now, Plan, PlanState, Policy

_log = Logger()

FAILING_AFTER = 300.0  # seconds without success after which a target has an alarm
REFUSED_TRIES = 3  # tries of a message that the receiver refuses
FIRST_PAUSE, LONGEST_PAUSE = 2.0, 60.0  # seconds between tries
KEPT_AT_MOST_EVERY = 0.5  # seconds between two changes of the state on the disk


class Target(NamedService):
    """Tells one receiver. `now` returns Unix seconds; `new_id` a new id of a message; `escalate` is
    called with the alarms that nobody acknowledged in time. `active` returns the raised alarms.
    `reached` is given each message, encoded, that the receiver has taken.
    """

    def __init__(
        self,
        name: str,
        policy: Policy,
        sender: ISender,
        outbox: Outbox,
        gantry: Gantry,
        state: State,
        troubles: Troubles,
        clock: IReactorTime,
        now: Callable[[], float],
        spread: Callable[[], float],
        new_id: Callable[[], str],
        active: Callable[[], Mapping[str, Notice]],
        escalate: Callable[[Sequence[Notice]], object] = lambda notices: None,
        reached: Callable[[bytes], object] = lambda body: None,
    ) -> None:
        super().__init__(f"notify {name}")
        self.counts: Counter[str] = Counter(delivered=0, failed=0, refused=0)
        self.last_delivered: float | None = None
        self._policy, self._sender, self._outbox = policy, sender, outbox
        self._gantry, self._state, self._troubles = gantry, state, troubles
        self._clock, self._wall, self._new_id = clock, now, new_id
        self._active, self._escalate, self._reached = active, escalate, reached
        self._plan: Plan | None = None
        self._early: list[Sequence[Notice]] = []  # escalated before the state was read
        self._waiting: Waiting | None = None
        self._unread = True  # the outbox may have a message that is not known here
        self._failing_since: float | None = None
        self._tried_at = -PACE
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE, spread)
        self._timer = Timer(clock, self._look)
        self._keeping: Deferred[Any] | None = None
        self._kept_at = -KEPT_AT_MOST_EVERY
        self._loading: Deferred[Any] | None = None
        self._loop = SendingLoop(clock, self._send_one, self._could_not)

    # -- the service

    def startService(self) -> None:
        super().startService()
        self._loading = ensureDeferred(self._begin())
        self._loading.addErrback(self._log_failure)

    async def _begin(self) -> None:
        try:
            state = await self._outbox.load()
        except CancelledError:
            raise
        except Exception:  # alarms are told twice rather than never
            _log.failure("the state of {target} cannot be read", target=self.name)
            state = PlanState()
        self._plan = Plan(self._policy, state, self._now())
        for notices in self._early:
            self._plan.escalated(notices, self._now())
        self._plan.observe(self._active(), self._now())
        self._loop.start()
        self._look()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        if self._loading is not None:
            self._loading.cancel()
        self._timer.cancel()
        self._loop.stop()
        if self._plan is not None and self._plan.changed:
            self._keep()
        self._plan = None
        return self._sender.close()

    # -- what happens

    def observe(self) -> None:
        """Look at the alarms: some have changed."""
        if self._plan is not None:
            self._plan.observe(self._active(), self._now())
            self._look()

    def escalated(self, notices: Sequence[Notice]) -> None:
        """Take alarms that another target did not get acknowledged."""
        if self._plan is None:
            self._early.append(notices)
            return
        self._plan.escalated(notices, self._now())
        self._look()

    def retry(self) -> None:
        """Try at once: a person asked for it, and may have queued a message again."""
        self._unread = True
        self._loop.wake(now=True)

    def test(self, body: bytes) -> Deferred[None]:
        """Send a message beside the outbox; the state shows its outcome. Fails with NotSent."""

        def failed(failure: Failure) -> Failure:
            if isinstance(failure.value, NotSent):
                self._state.offline(failure.value.outage)
            return failure

        sending = self._sender.send(body)
        sending.addCallbacks(lambda _: self._tested(), failed)
        return sending

    def _tested(self) -> None:
        self._works()
        self._loop.wake(now=True)

    def message(self, draft: Draft) -> Message:
        """Return the message of a draft."""
        active, time = self._active(), self._gantry.time
        told = [
            AlarmTold(
                *(n.name, n.severity, n.en, n.zh, time(n.raised_at)),
                *(None if e.cleared_at is None else time(e.cleared_at), n.value),
                consequences_of(n, active),
            )
            for e in draft.entries
            for n in (e.notice,)
        ]
        at = time(self._wall())
        return Message(self._new_id(), draft.event.value, self._gantry.id, at, told)

    def _now(self) -> Now:
        return Now(float(self._clock.seconds()), self._wall())

    def _look(self) -> None:
        """Let time pass, escalate, and let the loop send what is due."""
        plan = self._plan
        if plan is None:
            return
        now = self._now()
        plan.advance(now)
        found = plan.to_escalate(now)
        if found:
            self._escalate(found)
        urgent, ready = plan.has_urgent(now), self._tried_at + PACE - now.mono
        hurries = urgent and ready <= 0
        if hurries or self._waiting is not None or self._unread or plan.next(now) is not None:
            self._loop.wake(now=hurries)
        if plan.changed:
            self._keep_soon(now)
        wait = plan.wait(now, blocked=self._waiting is not None)
        if plan.changed:
            wait = min(wait or KEPT_AT_MOST_EVERY, KEPT_AT_MOST_EVERY)
        if urgent and ready > 0:
            wait = min(wait or ready, ready)
        if wait is None:
            self._timer.cancel()
        else:
            self._timer.start(wait)

    # -- the state on the disk

    def _keep_soon(self, now: Now) -> None:
        if self._keeping is None and now.mono - self._kept_at >= KEPT_AT_MOST_EVERY:
            self._kept_at = now.mono
            self._keep()

    def _keep(self) -> None:
        assert self._plan is not None
        keeping = self._outbox.keep(self._plan.state(self._now()))
        self._keeping = keeping

        def done(result: Any) -> Any:
            self._keeping = None
            return result

        keeping.addBoth(done).addErrback(self._log_failure)

    # -- the loop

    def _could_not(self, failure: Failure) -> float:
        _log.failure("{target} could not send", failure=failure, target=self.name)
        self._unread = True
        return self._backoff.next()

    async def _send_one(self) -> float | None:
        """Send the next message; returns the pause in seconds, None for none, 0 until woken."""
        waiting = await self._next()
        if waiting is None:
            return 0.0
        self._tried_at = float(self._clock.seconds())
        try:
            await self._sender.send(waiting.body)
        except NotSent as error:
            return await self._not_sent(waiting, error)
        self.counts["delivered"] += 1
        self.last_delivered = self._wall()
        self._works()
        self._waiting = None
        self._reached(waiting.body)
        if self._plan is not None:
            self._plan.delivered(self._now())
        await self._outbox.delivered(waiting.number)
        self._look()
        return None

    async def _next(self) -> Waiting | None:
        """Return the message to send: the one that waits, or a new one that is kept first."""
        if self._waiting is None and self._unread:
            self._waiting = await self._outbox.waiting()
            self._unread = False
        plan, now = self._plan, self._now()
        if self._waiting is not None or plan is None:
            return self._waiting
        draft = plan.next(now)
        if draft is None:
            return None
        message, before = self.message(draft), plan.state(now)
        plan.told(draft, now)
        body = message.encode()
        try:
            number = await self._outbox.add(message.event, message.id, body, plan.state(now))
        except Exception:  # neither disk nor memory has the message: it is to be told
            self._plan = Plan(self._policy, before, now)
            self._plan.observe(self._active(), now)
            raise
        self._waiting = Waiting(number, body)
        self._look()
        return self._waiting

    async def _not_sent(self, waiting: Waiting, error: NotSent) -> float | None:
        reason, tries = str(error), waiting.tries + 1
        self._waiting = Waiting(waiting.number, waiting.body, tries)
        if error.refused and tries >= REFUSED_TRIES:
            self.counts["refused"] += 1
            self._works()
            _log.error("{target} refuses a message: {reason}", target=self.name, reason=reason)
            self._troubles.set_aside(error.outage)
            self._waiting = None
            await self._outbox.set_aside(waiting.number, reason)
            return None
        self.counts["failed"] += 1
        self._state.offline(error.outage)
        now = float(self._clock.seconds())
        if self._failing_since is None:
            self._failing_since = now
        if now - self._failing_since >= FAILING_AFTER:
            self._troubles.failing(error.outage)
        await self._outbox.tried(waiting.number, reason)
        return self._backoff.next()

    def _works(self) -> None:
        self._failing_since = None
        self._backoff.reset()
        self._state.online()
        self._troubles.failing(None)

    def _log_failure(self, failure: Failure) -> None:
        if not failure.check(CancelledError):
            _log.failure("{target} failed", failure=failure, target=self.name)
