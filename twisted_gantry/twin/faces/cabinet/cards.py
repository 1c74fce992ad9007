"""The white list of a cabinet: which cards its readers admit.

Source: the ETC document, section 4; decisions: `docs/protocols/etc-gantry.md`, "White list".
"""

from collections.abc import Callable
from datetime import UTC, datetime, tzinfo

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import NO_VERSION, CardList, decode_cards

# No clock that is right shows less: the day of the document's last revision.
BUILT = datetime(2019, 11, 30, tzinfo=UTC).timestamp()


class WhiteList:
    """The list, and the cards of it that are in force. `now` is the cabinet's clock, Unix seconds.

    Days are applied while `trusted()` and the clock is past BUILT, and else the cards that were
    last in force stay: a clock whose battery is dead must not lock crews out. Where no day could
    ever be applied, the whole list is in force.
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
        """Find which cards are in force, if the clock can tell."""
        now = self._now()
        if not (self._trusted() and now > BUILT and self._days):
            return
        self._in_force = frozenset(
            card_id
            for card_id, spans in self._days.items()
            if any(first <= now <= last for first, last in spans)
        )

    def take(self, data: object) -> bool:
        """Take the `data` of an answer to `queryAndGetCardInfo`; True if the list was replaced.

        A list replaces the one before it whole. Raises BadMessage for what is none, for an empty
        one, and for one that is older.
        """
        offered = decode_cards(data)
        if offered is None or offered.version == self.version:
            return False
        if offered.version < self.version:
            raise BadMessage("an older white list")
        self._replace(offered)
        return True

    def _replace(self, offered: CardList) -> None:
        days: dict[str, list[tuple[float, float]]] = {}
        for card in offered.cards:
            span = (self._seconds(card.valid_time), self._seconds(card.invalid_time))
            days.setdefault(card.card_id.strip(), []).append(span)
        self.version, self._days = offered.version, days
        self.refresh()

    def _seconds(self, day: str) -> float:
        moment = datetime.strptime(day.strip(), "%Y-%m-%d %H:%M:%S").replace(tzinfo=self._zone)
        return moment.timestamp()
