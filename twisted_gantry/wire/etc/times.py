"""Local times of messages, in one spelling.

Source: the ETC document, sections 1.8, 3.1 and 4: `yyyy-MM-dd hh:mm:ss.zzz`, 24-hour.
"""

import re
from datetime import datetime

_FORM = re.compile(
    r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})[ T]"
    r"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,]([0-9]{1,9}))?"
)


def local_text(text: str) -> str | None:
    """Return a local time as `yyyy-MM-dd hh:mm:ss.zzz`, None for what is no time. A time without
    milliseconds has 0, further digits are cut; `/` and `T` are taken as separators.
    """
    match = _FORM.fullmatch(text.strip())
    if match is None:
        return None
    try:
        moment = datetime(*(int(each) for each in match.groups()[:6]))  # type: ignore[arg-type]  # noqa: DTZ001
    except ValueError:
        return None
    return f"{moment:%Y-%m-%d %H:%M:%S}.{(match[7] or '').ljust(3, '0')[:3]}"
