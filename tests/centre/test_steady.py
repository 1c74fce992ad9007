"""The short way of reports that change no alarm does what the rules do."""

from collections.abc import Iterable, Iterator
from random import Random

import pytest

from twisted_gantry.centre.conditions import FOGSLINK, SILENT
from twisted_gantry.centre.fold import GantryFold, GantryMark, Position, Span
from twisted_gantry.centre.model import Received, Told
from twisted_gantry.testing.clock import START
from twisted_gantry.wire.etc.envelope import Method

NONE: frozenset[str] = frozenset()
DAY = 86400.0


class NoPast:
    """Nothing came before."""

    def spans(self, since: float) -> Iterable[Span]:
        return ()

    def after(self, at: Position, subject: str) -> Iterator[tuple[Position, Told]]:
        return iter(())


class LongWay(GantryFold):
    """Takes each report by the rules."""

    def _take_steady(self, report: Received) -> Position | None:
        return None


class Watched(GantryFold):
    """Counts the reports that went the short way."""

    short = 0

    def _take_steady(self, report: Received) -> Position | None:
        at = super()._take_steady(report)
        self.short += at is not None
        return at


def reports(chance: Random, number: int) -> Iterator[tuple[Received, float]]:
    """Yield reports as they come, each with the stamp that it is filed by: one in ten of each kind
    of oddity.
    """
    at, behind, strikes = START, chance.choice((0.0, 0.0, 100 * DAY)), 0

    def odd() -> bool:
        return chance.random() < 0.1

    for serial in range(number):
        at += 2000.0 if odd() else 0.4 if odd() else 300.0
        strikes += odd()
        told = Told(
            FOGSLINK if odd() else "cabinet-1",
            frozenset({"smoke"}) if odd() else NONE,
            battery_minutes=30.0 if odd() else None,
            on_battery=None if odd() else odd(),
            strikes=None if odd() else (strikes, 0),
        )
        late = chance.choice((400.0, -DAY, 20_000 * DAY)) if odd() else 0.0
        pack = told.subject == FOGSLINK
        stamp = None if pack else float(int(at - behind - late))
        filed = at if stamp is None or odd() else stamp
        tells = () if odd() else (told,)
        key = str(serial) if pack else ""
        yield Received("G1", Method.CABINET_STATUS, stamp, at, b"", b"", tells, key), filed


@pytest.mark.parametrize("seed", range(40))
def test_the_short_way_is_the_long_way(seed: int) -> None:
    """What is returned, the marks, the states and the alarms are the same after each report."""
    chance = Random(seed)
    short, long = (kind(GantryMark(), {}, [], NoPast()) for kind in (GantryFold, LongWay))
    for report, filed in reports(chance, 100):
        if chance.random() < 0.1:
            assert short.set_own(SILENT, True, report.received_at - 1) is long.set_own(
                SILENT, True, report.received_at - 1
            )
        if chance.random() < 0.1:  # the alarm of its clock may have ended with the registration
            short.mark.skewed = long.mark.skewed = True
        assert short.take(report, filed) == long.take(report, filed)
        assert short.mark == long.mark
        assert short.states == long.states
        assert short.spans == long.spans


def test_usual_reports_go_the_short_way() -> None:
    """The second clean report of a cabinet, and of a device, changes no alarm."""
    fold = Watched(GantryMark(), {}, [], NoPast())
    for number, stamp in enumerate((START, START + 300)):
        clean = (Told("cabinet-1", NONE, on_battery=False, strikes=(0, 0)),)
        report = Received("G1", Method.CABINET_STATUS, stamp, stamp + 1, b"", b"", clean)
        fold.take(report, stamp)
        pack = (Told(FOGSLINK, NONE, ended=frozenset({"1"})),)
        fold.take(Received("G1", "req200", None, stamp + 1, b"", b"", pack, f"{number}"), stamp + 1)
    assert fold.short == 2
