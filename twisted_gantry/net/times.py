"""Times as texts: RFC 3339 with milliseconds and the offset of a time zone."""

from collections.abc import Callable
from datetime import datetime
from zoneinfo import ZoneInfo

TimeText = Callable[[float | None], str | None]


def times_in(timezone: str) -> TimeText:
    """Return the function from Unix seconds to text. Raises ZoneInfoNotFoundError, ValueError."""
    zone = ZoneInfo(timezone)

    def time(at: float | None) -> str | None:
        if at is None:
            return None
        return datetime.fromtimestamp(at, zone).isoformat(timespec="milliseconds")

    return time
