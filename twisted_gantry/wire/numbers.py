"""Numbers and flags in every spelling that peers use: `1`, `1.0`, `"1"`, `"01"`, `" 1 "` are one.

Decoded JSON comes in; a value without the meaning that is asked for gives None, never an error.
"""

import math
import re
from typing import Any

# A decimal number as text; `float` alone would take `1_000`, `nan` and letters of other scripts.
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,4})?"
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}")
# Above this, a double no longer holds every whole number.
_EXACT = 2**53
_LONGEST = 1000
_FLAGS = {"true": True, "false": False}


def number(node: Any) -> float | None:
    """Return the finite value of a number or of its decimal text; None for anything else."""
    if isinstance(node, str):
        node = node.strip() if len(node) <= _LONGEST else ""
        if _DECIMAL.fullmatch(node) is None:
            return None
    elif isinstance(node, bool) or not isinstance(node, int | float):
        return None
    try:
        value = float(node)
    except OverflowError:
        return None
    return value if math.isfinite(value) else None


def whole(node: Any) -> int | None:
    """Return the value of a whole number, `2.0` and `"02"` too; None for `2.5` or no number."""
    if isinstance(node, str):
        node = node.strip() if len(node) <= _LONGEST else ""
        if _INTEGER.fullmatch(node) is not None:
            return int(node)
    elif isinstance(node, int) and not isinstance(node, bool):
        return node
    value = number(node)
    if value is None or abs(value) > _EXACT or value != int(value):
        return None
    return int(value)


def flag(node: Any) -> bool | None:
    """Return the truth of 0, 1, true and false in any spelling; None for anything else."""
    if isinstance(node, bool):
        return node
    if isinstance(node, str):
        named = _FLAGS.get(node.strip().lower()) if len(node) <= _LONGEST else None
        if named is not None:
            return named
    value = whole(node)
    return bool(value) if value in (0, 1) else None


def unpadded(node: Any) -> Any:
    """Return text without the NULs behind it, `1` for `"1\\u0000"`: a device may report a whole
    fixed buffer. Anything else as it is.
    """
    return node.rstrip("\0") if isinstance(node, str) else node


def text(node: Any) -> str | None:
    """Return stripped text, or a number as its shortest decimal text (`1001.0` as `1001`); None for
    anything else, also for an integer of thousands of digits.
    """
    if isinstance(node, str):
        return node.strip()
    if isinstance(node, bool) or not isinstance(node, int | float):
        return None
    return decimal(node)


def decimal(value: float) -> str | None:
    """Return the shortest decimal text of a number: `1` for 1.0. None past 4,000 digits."""
    if isinstance(value, float) and abs(value) <= _EXACT and value == int(value):
        return str(int(value))
    try:
        return str(value)
    except ValueError:  # Python writes no integer of so many digits
        return None
