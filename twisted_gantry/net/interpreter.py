"""How the interpreter works in a process that holds much, receives much, and has threads."""

import gc
import sys

YOUNG = 10_000
"""New objects after which the collector looks for cycles among them. What waits for its answer is
some thousand objects, which the usual 700 had looked at again and again: a tenth of the work.
"""
SWITCH = 0.0005
"""Seconds that a thread at work keeps Python's lock when another one wants it. The reactor gives
the lock back in each system call: with the usual 5 ms a turn of twenty calls took 0.1 s while a
thread wrote a workbook.
"""


def settle() -> None:
    """Hand over between threads soon, keep all that lives now out of collections, and collect more
    seldom; for a process that has started, of which the most stays for ever. A collection of all
    would take 50 ms.
    """
    sys.setswitchinterval(SWITCH)
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
