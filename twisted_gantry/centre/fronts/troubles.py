"""What is wrong with a front, for the people who look after the centre."""

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.wire.etc.conditions import CRITICAL, WARNING

REGISTRY, CROWDED = "centre.registry", "centre.crowded"
RECENT_S = 60.0


class Crowding:
    """Remembers that a listener was crowded: connections were refused or closed for others."""

    def __init__(self, what: str, clock: IReactorTime) -> None:
        self._what, self._clock = what, clock
        self._last: tuple[float, str] | None = None

    def came(self, address: str) -> None:
        """Note an address that took more places than it may."""
        self._last = (self._clock.seconds(), address)

    def look(self) -> Found | None:
        if self._last is None or self._clock.seconds() - self._last[0] > RECENT_S:
            return None
        en = f"too many connections to {self._what}, lately from {self._last[1]}"
        zh = f"{self._what}连接过多，最近来自{self._last[1]}"
        return Found(CROWDED, WARNING, en, zh)


def registry_trouble(registry: Registry) -> Found | None:
    """Return why gantries may be refused that should not be, or known that are not any more."""
    why = registry.trouble
    if why is None:
        return None
    severity = WARNING if registry.ready else CRITICAL
    return Found(REGISTRY, severity, f"the registry: {why}", f"门架台账：{why}")
