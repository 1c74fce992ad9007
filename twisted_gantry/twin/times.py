"""The time of the simulated site, for every face alike."""

from datetime import datetime, timedelta, timezone

# China has had no summer time since 1991, and a small machine may have no zone database.
CHINA = timezone(timedelta(hours=8))


def shown(at: float) -> str:
    """Return Unix seconds as the control API shows times: RFC 3339, in milliseconds."""
    return datetime.fromtimestamp(at, CHINA).isoformat(timespec="milliseconds")
