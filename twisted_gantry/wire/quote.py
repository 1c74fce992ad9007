"""What a peer sent, as an error may show it: short, printable, without secrets."""

import re
from collections.abc import Iterable

# Characters of a peer's text in an error.
MOST_QUOTED = 120
MASK = "***"
_MOST_SEARCHED = 4000

# The values of members that hold a secret: a card echoes a command that it refuses.
_SECRET = re.compile(
    r"""(["']?\b\w*(?i:pass|pwd|key|secret)\w*["']?\s*:\s*)"""
    r"""("(?:\\.|[^"\\])*"?|'[^']*'?|[^,}\s]+)"""
)


def quote(data: bytes | str, hidden: Iterable[str | None] = (), most: int = MOST_QUOTED) -> str:
    """Return the beginning of what came as one printable line of at most `most` characters. The
    texts in `hidden` are masked, and the value of each member with `pass`, `key` or the like in
    its name.
    """
    text = _decoded(data[:_MOST_SEARCHED]) if isinstance(data, bytes) else data[:_MOST_SEARCHED]
    for each in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(each, MASK)
    text = _SECRET.sub(rf'\1"{MASK}"', text)
    line = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in line[:most])
    return shown if len(line) <= most else shown[: most - 1] + "…"


def _decoded(data: bytes) -> str:
    """Read UTF-8 or GB18030, whichever loses less; a letter cut at the end is no loss."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if "unexpected end" in error.reason:
            data = data[: error.start]
    readings = [data.decode(encoding, "replace") for encoding in ("utf-8", "gb18030")]
    return min(readings, key=lambda text: text.count("\ufffd"))
