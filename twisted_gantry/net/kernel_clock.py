"""What the kernel knows of time: the seconds since the boot, and whether the clock is set.

Linux alone tells; elsewhere the seconds are those of the monotonic clock, and the rest is unknown.
"""

import ctypes
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

# As `timedatectl` judges: without a time server the error that the kernel assumes grows to this.
_UNKNOWN_ERROR = 16_000_000  # microseconds
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` of adjtimex(2), and room for the rest."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),  # microseconds
        ("rest", ctypes.c_char * 256),
    )


@cache
def _adjtimex() -> Any:
    if not sys.platform.startswith("linux"):
        return None
    try:
        return ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None


def synchronised() -> bool | None:
    """Return whether a time server keeps the clock right, None if the kernel does not tell."""
    adjtimex, asked = _adjtimex(), _Timex()  # modes 0: change nothing
    if adjtimex is None or adjtimex(ctypes.byref(asked)) < 0:
        return None
    known: bool = asked.maxerror < _UNKNOWN_ERROR
    return known


@cache
def boot_id() -> str:
    """Return the name of the present boot of this computer, another after each."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return uuid4().hex  # no two runs can be compared


def boot_seconds() -> float:
    """Return the seconds since the boot, with those of a suspended computer."""
    boot_time = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot_time is None else time.clock_gettime(boot_time)
