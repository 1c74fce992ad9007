"""What a peer sent, as an error may show it: short, printable, without secrets."""

import re
from collections.abc import Iterable

# Characters of a peer's text in an error.
MOST_QUOTED = 120
MASK = "***"

# The values of members that hold a password: a card echoes a command that it refuses.
_SECRET = re.compile(r"""(["']?\b\w*pass\w*["']?\s*:\s*)("(?:\\.|[^"\\])*"?|'[^']*'?|[^,}\s]+)""")


def quote(data: bytes | str, hidden: Iterable[str | None] = (), most: int = MOST_QUOTED) -> str:
    """Return the beginning of what came as one printable line of at most `most` characters; the
    texts in `hidden`, and the value of each member with `pass` in its name, are masked.
    """
    text = data.decode("utf-8", "replace") if isinstance(data, bytes) else data
    for each in sorted(filter(None, hidden), key=len, reverse=True):
        text = text.replace(each, MASK)
    text = _SECRET.sub(rf'\1"{MASK}"', text)
    line = " ".join(text.split())
    shown = "".join(letter if letter.isprintable() else "\ufffd" for letter in line[:most])
    return shown if len(line) <= most else shown[: most - 1] + "…"
