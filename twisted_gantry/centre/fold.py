"""What a report changes: pure rules over the timeline of a subject.

The timeline of a gantry's subject is the set of its reports in the order of their positions. A
condition that a report does not tell stays as it was. An alarm is a longest run of reports after
which its condition holds: the history of alarms follows from the set of reports, whatever the order
in which they came.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from twisted_gantry.centre.model import PERIOD, Told

PATIENCE = 2 * PERIOD
"""Seconds without anything newer after which the clock of a gantry that sends fell back."""


class Position(NamedTuple):
    """Where a report stands in the timeline: its effective stamp, then its reception; Unix s."""

    stamp: float
    received: float


_encoder = msgspec.json.Encoder()


def told_text(told: Sequence[Told]) -> str:
    """Return what a report tells as the text of its row: `[[subject, [raised], [unknown]], …]`; a
    fourth member names those that ended, where all others stay (`Told.ended`).
    """
    rows = [
        [e.subject, sorted(e.raised), sorted(e.unknown)]
        + ([] if e.ended is None else [sorted(e.ended)])
        for e in told
    ]
    return _encoder.encode(rows).decode()
