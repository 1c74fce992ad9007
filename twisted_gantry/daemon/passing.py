"""An alarm about what strangers do at a listener: raised at once, over after a quiet minute."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.net.timers import Timer

QUIET_S = 60.0  # seconds without an event after which the alarm is over
NAMED = 4  # addresses that the alarm names


class PassingAlarm:
    """Raises and clears the alarm `name` for all listeners; `en` and `zh` are its texts, to which
    the listeners and addresses are added.
    """

    def __init__(self, alarms: Alarms, clock: IReactorTime, name: str, en: str, zh: str) -> None:
        self._alarms, self._clock = alarms, clock
        self._name, self._en, self._zh = name, en, zh
        self._seen: dict[tuple[str, str], float] = {}
        self._timer = Timer(clock, self._look)

    def at(self, listener: str) -> Callable[[str], None]:
        """Return what the listener of this name calls with the address of each event."""

        def happened(address: str) -> None:
            place, now = (listener, address), self._clock.seconds()
            known = place in self._seen
            if known or len(self._seen) < NAMED:
                self._seen[place] = now
            if not known and len(self._seen) <= NAMED:
                self._tell()
            if not self._timer.running:
                self._timer.start(QUIET_S)

        return happened

    def stop(self) -> None:
        self._timer.cancel()

    def _tell(self) -> None:
        places = ", ".join(f"{name}: {address}" for name, address in self._seen)
        en, zh = f"{self._en} ({places})", f"{self._zh}（{places}）"
        self._alarms.set(self._name, Severity.WARNING, en, zh)

    def _look(self) -> None:
        now = self._clock.seconds()
        self._seen = {each: at for each, at in self._seen.items() if now - at < QUIET_S}
        if self._seen:
            self._timer.start(QUIET_S - (now - max(self._seen.values())))
            self._tell()
        else:
            self._alarms.clear(self._name)
