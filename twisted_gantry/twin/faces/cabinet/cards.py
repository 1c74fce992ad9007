"""A cabinet's white list: the ETC document, section 4; `docs/protocols/etc-gantry.md`."""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import NO_VERSION, CardList

BUILT = datetime(2019, 11, 30, tzinfo=UTC).timestamp()
"""The day of the document's last revision: a clock that shows less is wrong."""


class WhiteList:
    """The list, and its cards that are in force. `now` is the cabinet's clock, Unix seconds.

    Dates apply while the clock is `trusted` and past BUILT. Otherwise the last cards in force stay,
    so that a dead clock battery locks no crew out; before any date could apply, all cards are in
    force.
    """

    def __init__(self, now: Callable[[], float], trusted: Callable[[], bool], zone: tzinfo) -> None:
        self.version = NO_VERSION
        self._now, self._trusted, self._zone = now, trusted, zone
        self._days: dict[str, list[tuple[float, float]]] = {}
        self._in_force: frozenset[str] | None = None

    def admits(self, card_id: str) -> bool:
        self.refresh()
        return card_id in (self._days if self._in_force is None else self._in_force)

    def refresh(self) -> None:
        now = self._now()
        if not (self._trusted() and now > BUILT and self._days):
            return
        spans = ((card, any(a <= now <= b for a, b in days)) for card, days in self._days.items())
        self._in_force = frozenset(card for card, valid in spans if valid)

    def take(self, offered: CardList | None) -> bool:
        """Take a list that was offered; True if new. Raises BadMessage if older."""
        if offered is None or offered.version == self.version:
            return False
        if offered.version < self.version:
            raise BadMessage("an older white list")
        days: dict[str, list[tuple[float, float]]] = {}
        for card in offered.cards:
            span = (self._seconds(card.valid_time), self._seconds(card.invalid_time))
            days.setdefault(card.card_id, []).append(span)
        self.version, self._days = offered.version, days
        self.refresh()
        return True

    def _seconds(self, day: str) -> float:
        moment = datetime.strptime(day, "%Y-%m-%d %H:%M:%S").replace(tzinfo=self._zone)
        return moment.timestamp()
