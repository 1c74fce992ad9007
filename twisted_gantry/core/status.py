"""The state of a device or an uplink: connecting, online or offline, since when, and why."""

from collections import Counter
from collections.abc import Callable
from enum import StrEnum

from twisted.logger import Logger

from twisted_gantry.logs import MASKS

_log = Logger(namespace="twisted_gantry.status")


class State(StrEnum):
    """The states; `connecting` lasts until the first outcome."""

    CONNECTING = "connecting"
    ONLINE = "online"
    OFFLINE = "offline"


class Status:
    """The state of one device or uplink; each transition is logged and told once.

    `since` is Unix seconds. `last_error` stays after a recovery, for later inspection; it holds
    no secret.
    """

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = name
        self.state = State.CONNECTING
        self.since = now()
        self.last_error: str | None = None
        self.transitions: Counter[State] = Counter()
        self._now = now
        self._subscribers: list[Callable[[Status], None]] = []

    def online(self) -> None:
        self._become(State.ONLINE)

    def offline(self, reason: str) -> None:
        self.error(reason)
        self._become(State.OFFLINE)

    def error(self, reason: str) -> None:
        """Note an error that does not change the state."""
        self.last_error = MASKS.masked(reason)

    def subscribe(self, subscriber: Callable[["Status"], None]) -> Callable[[], None]:
        """Call `subscriber(self)` after each transition; returns the function to end that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def _become(self, state: State) -> None:
        if state is self.state:
            return
        self.state, self.since = state, self._now()
        self.transitions[state] += 1
        if state is State.OFFLINE:
            _log.warn("{name} is offline: {reason}", name=self.name, reason=self.last_error)
        else:
            _log.info("{name} is {state}", name=self.name, state=state.value)
        for subscriber in tuple(self._subscribers):
            try:
                subscriber(self)
            except Exception:
                _log.failure("a subscriber failed on the state of {name}", name=self.name)
