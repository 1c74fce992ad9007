"""Quiet hours: a daily span in the time zone of the site, such as `22:00-07:00`."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY = 86_400


@dataclass(frozen=True)
class Quiet:
    """From `begin` to `end`, minutes after midnight; the span may go over midnight."""

    begin: int
    end: int

    @classmethod
    def parse(cls, text: str) -> "Quiet":
        """Read a span. Raises ValueError."""
        found = _SPAN.fullmatch(text)
        if found is None:
            raise ValueError(f"must be HH:MM-HH:MM, such as 22:00-07:00; it is {text[:40]!r}")
        hours = [int(each) for each in found.groups()]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if begin == end:
            raise ValueError(f"begins when it ends: {text}")
        return cls(begin, end)

    def left(self, wall: float, zone: ZoneInfo) -> float:
        """Return how many seconds are left of the quiet hours at `wall`, 0 outside of them."""
        now = datetime.fromtimestamp(wall, zone)
        minute = now.hour * 60 + now.minute
        if self.begin < self.end:
            within = self.begin <= minute < self.end
        else:
            within = minute >= self.begin or minute < self.end
        if not within:
            return 0.0
        ends = now.replace(hour=self.end // 60, minute=self.end % 60, second=0, microsecond=0)
        if ends <= now:
            ends += timedelta(days=1)
        # As instants: the clocks of the zone may change in between.
        return max(min(ends.timestamp() - wall, float(_DAY)), 1.0)
