"""Sets of reports in any order of arrival, and the alarms that they must give."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import md5
from itertools import pairwise

from hypothesis import strategies as st

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Told
from twisted_gantry.testing.clock import START

SUBJECTS = ("cabinet-1", "cabinet-2", "fogslink")
CONDITIONS = ("mains-abnormal", "smoke", "ups-fault")

Alarms = list[tuple[str, float, float | None]]
"""Names, with the seconds after START at which they began and ended."""


@dataclass(frozen=True)
class Sent:
    """A report of one subject: `stamp` and `delay` in seconds. `ended` is None for a report that
    tells of all conditions but the unknown ones.
    """

    stamp: int
    delay: float
    subject: str
    raised: frozenset[str]
    unknown: frozenset[str]
    ended: frozenset[str] | None

    def received(self) -> Received:
        told = Told(self.subject, self.raised, self.unknown, ended=self.ended)
        body = repr(self).encode()
        stamp = START + self.stamp
        at = stamp + self.delay
        return Received("G1", self.subject, stamp, at, body, md5(body).digest(), (told,))


@st.composite
def sent(draw: st.DrawFn) -> Sent:
    some = st.sets(st.sampled_from(CONDITIONS)).map(frozenset)
    raised = draw(some)
    unknown = draw(some) - raised
    subject = draw(st.sampled_from(SUBJECTS[:2]))
    ended = draw(st.none() | some)
    # Few different stamps, so that reports share one; receptions tell them apart.
    stamp, delay = draw(st.integers(0, 12)), draw(st.integers(0, 10_000)) / 100
    ended = None if ended is None else ended - raised
    return Sent(
        stamp * 10, delay, subject, raised, unknown if ended is None else frozenset(), ended
    )


histories = st.lists(sent(), min_size=1, max_size=10, unique_by=lambda e: (e.stamp, e.delay))


def expected(reports: Iterable[Sent]) -> Alarms:
    """Return the alarms of the reports in the order of their stamps."""
    held: dict[str, frozenset[str]] = {}
    begun: dict[str, float] = {}
    alarms: Alarms = []
    for each in sorted(set(reports), key=lambda e: (e.stamp, e.stamp + e.delay)):
        before = held.get(each.subject, frozenset())
        told = each.received().told[0]
        held[each.subject] = after = told.holding(before)
        for which in before - after:
            name = f"{each.subject}.{which}"
            alarms.append((name, begun.pop(name), each.stamp))
        begun |= {f"{each.subject}.{which}": each.stamp for which in after - before}
    return sorted([*alarms, *((name, at, None) for name, at in begun.items())], key=repr)


def batches(reports: Sequence[Sent], cuts: Iterable[int]) -> list[list[Received]]:
    """Cut a sequence into groups."""
    at = [0, *sorted({cut % (len(reports) + 1) for cut in cuts}), len(reports)]
    return [[e.received() for e in reports[a:b]] for a, b in pairwise(at) if a < b]


def stored(session: Session) -> Alarms:
    """Return the alarms in the database."""
    rows = session.rows("SELECT name, began, ended FROM alarms")
    seconds = [(n, b - START, None if e is None else e - START) for n, b, e in rows]
    return sorted(seconds, key=repr)
