"""The alarm `gantry.crowded`: a listener had to refuse or close connections for others."""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.net.timers import Timer

ALARM = "gantry.crowded"
QUIET_S = 60.0  # seconds without such a connection after which the alarm is over
NAMED = 4  # addresses that the alarm names


class Crowded:
    """Raises and clears the alarm for all listeners."""

    def __init__(self, alarms: Alarms, clock: IReactorTime) -> None:
        self._alarms, self._clock = alarms, clock
        self._seen: dict[tuple[str, str], float] = {}
        self._timer = Timer(clock, self._look)

    def at(self, listener: str) -> Callable[[str], None]:
        """Return what the listener of this name calls with the address of such a connection."""

        def crowded(address: str) -> None:
            place, now = (listener, address), self._clock.seconds()
            known = place in self._seen
            if known or len(self._seen) < NAMED:
                self._seen[place] = now
            if not known and len(self._seen) <= NAMED:
                self._tell()
            if not self._timer.running:
                self._timer.start(QUIET_S)

        return crowded

    def stop(self) -> None:
        self._timer.cancel()

    def _tell(self) -> None:
        places = ", ".join(f"{name}: {address}" for name, address in self._seen)
        self._alarms.set(
            ALARM,
            Severity.WARNING,
            f"a listener is crowded, connections were closed ({places})",
            f"监听端口连接过多，已关闭部分连接（{places}）",
        )

    def _look(self) -> None:
        now = self._clock.seconds()
        self._seen = {each: at for each, at in self._seen.items() if now - at < QUIET_S}
        if self._seen:
            self._timer.start(QUIET_S - (now - max(self._seen.values())))
            self._tell()
        else:
            self._alarms.clear(ALARM)
