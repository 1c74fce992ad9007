"""The state of each gantry and subject, moved by reports within the transaction that stores them.

`fold_reports` is called in the transaction that inserted the reports. Its row in the log needs
`id, gantry, stamp, received_at, told`: `told` is `fold.told_text(report.told)`, by which a late
report finds the ones after it. An index leads with `(gantry, stamp)`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Verdict

TABLES: tuple[str, ...] = (
    """CREATE TABLE gantry_states (
        gantry TEXT PRIMARY KEY, behind_since {real}, skewed {int} NOT NULL,
        worst {int} NOT NULL, since {real}, silent_since {real})""",
    """CREATE TABLE states (
        gantry TEXT NOT NULL, subject TEXT NOT NULL, stamp {real} NOT NULL,
        received {real} NOT NULL, heard {real} NOT NULL, unknown TEXT NOT NULL,
        on_battery {int}, battery_until {real}, PRIMARY KEY (gantry, subject))""",
)


@dataclass(frozen=True, slots=True)
class Fresh:
    """A report that is new in the log: the id of its row, and the stamp by which it is filed: that
    of the gantry, or the reception for one without a stamp that can be used (older than
    `retention_days`, unreadable, a Fogslink pack).
    """

    id: int
    report: Received
    filed: float


def fold_reports(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
    """Fold new reports, given in the order in which they came, into states and alarms; returns
    STORED or LATE for each. Locks the gantries' rows of `gantry_states`, sorted, to the end of the
    transaction, which must see what others commit (READ COMMITTED).
    """
    raise NotImplementedError
