"""What the gantry makes of each dialect: a day against each, compared with a day without any.

`scripts/dialects` runs it and writes the table of `docs/dialects.md`.
"""

import argparse
import itertools
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.simulation.day import Day, live
from twisted_gantry.twin.dialects.dialect import Dialect, Peer
from twisted_gantry.twin.dialects.registry import DIALECTS

PAGE = Path(__file__).parents[2] / "docs" / "dialects.md"
HEAD = "| peer | dialect | what it writes · 写法 | values without a reading | false | missed |"
ENDPOINTS: Mapping[Peer, tuple[str, ...]] = {
    Peer.UPS: ("ups1", "ups2"),
    Peer.CFOS: ("cfos",),
    Peer.EMS: ("bms1",),
    Peer.CABINET: ("cab1",),
    Peer.PLATFORM: ("etc",),
    Peer.CLOUD: ("fogslink",),
}
# The groups of a report that come from each kind of device.
_GROUPS: Mapping[Peer, tuple[str, ...]] = {
    Peer.UPS: ("elec", "ups"),
    Peer.CABINET: ("smokeSensor", "waterloggingSensor", "doors", "airConditioners", "thunderSpd"),
}
# Alarms that are true of a dialect: a time stamp that is none is told.
_SKEW = frozenset({"cab1.clock-skew"})
TRUE: Mapping[tuple[Peer, str], frozenset[str]] = {
    (Peer.CABINET, "ms-timestamps"): _SKEW,
    (Peer.CABINET, "date-timestamps"): _SKEW,
    (Peer.CABINET, "no-timestamp"): _SKEW,
}
# Alarms about what a peer of a dialect does not say, and commands that it does not confirm.
_L2 = frozenset({"ups1.phase-l2-lost", "ups2.phase-l2-lost"})
_CONTACTOR = frozenset({"bms1.contactor-open", "command close-contactor"})
UNSAID: Mapping[tuple[Peer, str], frozenset[str]] = {
    (Peer.UPS, "single-phase-zeros"): _L2,
    (Peer.EMS, "odd-status"): _CONTACTOR,
    (Peer.EMS, "status-null"): _CONTACTOR,
    (Peer.CABINET, "null-groups"): frozenset({"cab1.ups.1.on-battery"}),
}

Round = dict[Peer, Dialect]


def rounds() -> list[Round]:
    """Return days that meet every dialect once; the first is one without any.

    The peers do not know each other, so that a day meets one dialect of each.
    """
    columns = itertools.zip_longest(*DIALECTS.values())
    return [{}] + [
        {peer: each for peer, each in zip(DIALECTS, row, strict=True) if each is not None}
        for row in columns
    ]


def spoken(which: Round) -> dict[str, str]:
    """Return the dialects of a day by endpoint."""
    return {name: each.name for peer, each in which.items() for name in ENDPOINTS[peer]}


@dataclass(frozen=True)
class Verdict:
    """What a dialect cost: points without a good value, false alarms, and what was missed."""

    peer: Peer
    dialect: Dialect
    lost: tuple[str, ...]
    false: tuple[str, ...]
    missed: tuple[str, ...]

    @property
    def row(self) -> str:
        lost = tuple(f"`{each}`" for each in self.lost)
        cells = (
            self.peer.value,
            f"`{self.dialect.name}`",
            f"{self.dialect.en} · {self.dialect.zh}",
            ", ".join(lost) or "–",
            ", ".join(self.false) or "0",
            ", ".join(self.missed) or "0",
        )
        return f"| {' | '.join(cells)} |"


def judge(which: Round, day: Day, plain: Day) -> Iterator[Verdict]:
    """Compare a day with one without dialects."""
    # A platform that takes no reports hides those of all devices.
    silent = bool("etc" in day.offline or day.again or day.queued["etc"] > 1)
    for peer, dialect in which.items():
        names = ENDPOINTS[peer]
        key = peer, dialect.name
        false = _of(names, day.quiet - plain.quiet)
        missed = set(_of(names, (f"{name} online" for name in day.offline - plain.offline)))
        for event, happened in day.events.items():
            then = plain.events[event]
            false |= _of(names, happened.raised - then.raised)
            false |= {f"{each} stays" for each in _of(names, happened.left)}
            missed |= _of(names, then.raised - happened.raised) - UNSAID.get(key, frozenset())
            told = () if silent else _GROUPS.get(peer, ())
            if peer is Peer.PLATFORM and silent:
                told = ("",)
            missed |= {
                f"{event}: report of {path}"
                for path in happened.unreported - then.unreported
                if path.startswith(told)
            }
            if peer is Peer.EMS:
                failed = {f"command {each}" for each in happened.repair_failed}
                missed |= failed - UNSAID.get(key, frozenset())
        missed |= set(_uplink(peer, names, day))
        lost = _of(names, day.unread - plain.unread)
        yield Verdict(
            peer,
            dialect,
            tuple(sorted({each.partition(".")[2] for each in lost})),
            tuple(sorted(false - TRUE.get(key, frozenset()))),
            tuple(sorted(missed)),
        )


def _of(names: Collection[str], things: Collection[str] | Iterator[str]) -> set[str]:
    return {each for each in things if re.split(r"[. ]", each)[0] in names}


def _uplink(peer: Peer, names: Sequence[str], day: Day) -> Iterator[str]:
    """Say what an uplink to a peer lost or sent twice."""
    if peer is Peer.PLATFORM and day.again:
        yield f"{day.again} reports sent again"
    if peer is Peer.CLOUD and day.packs.get("duplicate"):
        yield f"{day.packs['duplicate']} packs sent again"
    if peer in (Peer.PLATFORM, Peer.CLOUD) and day.queued[names[0]] > 1:
        yield f"{day.queued[names[0]]} reports not delivered"


def table(verdicts: Sequence[Verdict]) -> str:
    order = list(DIALECTS)
    rows = sorted(verdicts, key=lambda each: order.index(each.peer))
    return "\n".join([HEAD, "|---|---|---|---|---|---|", *(each.row for each in rows)])


def written(page: str, rows: str) -> str:
    """Return the page with its table replaced."""
    before, _, rest = page.partition(HEAD)
    after = "\n".join(itertools.dropwhile(lambda line: line.startswith("|"), rest.split("\n")[1:]))
    return f"{before}{rows}\n{after}"


def _live(arguments: tuple[dict[str, str], float, float]) -> Day:
    dialects, quiet_s, poll = arguments
    return live(dialects, quiet_s, poll)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="scripts/dialects", description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0, help="quiet hours before the events")
    parser.add_argument("--poll", type=float, default=30.0, help="seconds between two polls")
    parser.add_argument("--jobs", type=int, default=2, help="days at a time")
    parser.add_argument("--only", default="", help="the name of one dialect")
    parser.add_argument("--write", action="store_true", help="write docs/dialects.md")
    options = parser.parse_args(arguments)
    chosen = [
        {peer: each for peer, each in which.items() if options.only in ("", each.name)}
        for which in rounds()
    ]
    chosen = [{}, *(which for which in chosen if which)]
    work = [(spoken(which), options.hours * 3600, options.poll) for which in chosen]
    with ProcessPoolExecutor(options.jobs) as pool:
        plain, *days = pool.map(_live, work)
    verdicts = [
        verdict
        for which, day in zip(chosen[1:], days, strict=True)
        for verdict in judge(which, day, plain)
    ]
    failures = [each for day in (plain, *days) for each in day.failures]
    refused = {re.sub("[0-9]+", "N", each) for day in (plain, *days) for each in day.refused}
    sys.stdout.write(table(verdicts) + "\n")
    told = [*dict.fromkeys(failures), *(f"refused: {each}" for each in sorted(refused))]
    sys.stderr.write("".join(f"{each}\n" for each in told))
    if options.write:
        made = f"Made with {options.hours:g} h of quiet and a poll each {options.poll:g} s."
        page = re.sub("^Made with .*$", made, PAGE.read_text("utf-8"), flags=re.MULTILINE)
        PAGE.write_text(written(page, table(verdicts)), "utf-8")
    return 1 if failures or any(each.false or each.missed for each in verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())
