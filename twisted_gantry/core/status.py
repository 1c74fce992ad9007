"""The state of a device or an uplink: connecting, online or offline, since when, and why."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from twisted_gantry.logs import MASKS
from twisted_gantry.net.outage import Outage, Reason, as_outage

_log = Logger(namespace="twisted_gantry.status")


_SAID = "{name} is offline: {reason} [{cause}] {advice}"


def masked(outage: Outage) -> Outage:
    """Return an outage without secrets, which a peer may say back."""
    return replace(outage, en=MASKS.masked(outage.en), zh=MASKS.masked(outage.zh))


class State(StrEnum):
    """The states; `connecting` lasts until the first outcome."""

    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"


class Status:
    """The state of one device or uplink; each transition is logged and told once.

    `since` is Unix seconds. `outage` is what is wrong now, None once a reading was good.
    `last_error`, in both languages, and its time stay after a recovery, for later inspection; no
    text holds a secret.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = name
        self.state = State.CONNECTING
        self.since = now()
        self.outage: Outage | None = None
        self.last_error: str | None = None
        self.last_error_zh: str | None = None
        self.last_error_at: float | None = None
        self.transitions: Counter[State] = Counter()
        self._now = now
        self._subscribers: list[Callable[[Status], None]] = []
        self._watchers: list[Callable[[Status], None]] = []
        self._waiting: list[Deferred[Outage | None]] = []

    def online(self) -> None:
        self.outage = None
        self._become(State.ONLINE)
        self._tell(None)

    def offline(self, reason: Reason) -> None:
        before = self.outage
        now = self._note(reason)
        changed = before is not None and before.cause is not now.cause
        if changed and self.state is State.OFFLINE:
            _log.info(_SAID, **self._said(now))
            for watcher in tuple(self._watchers):
                watcher(self)
        self._become(State.OFFLINE)
        self._tell(now)

    def error(self, reason: Reason) -> None:
        """Note an error that does not change the state."""
        self._tell(self._note(reason))

    def outcome(self) -> Deferred[Outage | None]:
        """Fire at the next good reading with None, or at the next error; it may be cancelled."""
        waiting: Deferred[Outage | None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def _note(self, reason: Reason) -> Outage:
        noted = masked(as_outage(reason))
        self.outage, self.last_error_at = noted, self._now()
        self.last_error, self.last_error_zh = noted.en, noted.zh
        return noted

    def _tell(self, outcome: Outage | None) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(outcome)

    def _said(self, outage: Outage) -> dict[str, str]:
        """Return the fields of `_SAID`."""
        return {
            "name": self.name,
            "cause": outage.cause.value,
            "reason": outage.en,
            "reason_zh": outage.zh,
            "advice": outage.advice,
            "advice_zh": outage.advice_zh,
        }

    def subscribe(self, subscriber: Callable[["Status"], None]) -> Callable[[], None]:
        """Call `subscriber(self)` after each transition; returns the function to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def watch_cause(self, watcher: Callable[["Status"], None]) -> Callable[[], None]:
        """Call `watcher(self)` when the cause changes while offline; returns the end of that."""
        self._watchers.append(watcher)
        return lambda: self._watchers.remove(watcher)

    def _become(self, state: State) -> None:
        if state is self.state:
            return
        self.state, self.since = state, self._now()
        self.transitions[state] += 1
        if state is State.OFFLINE and self.outage is not None:
            _log.warn(_SAID, **self._said(self.outage))
        else:
            _log.info("{name} is {state}", name=self.name, state=state.value)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(self)
            except Exception:
                _log.failure("a subscriber failed on the state of {name}", name=self.name)
