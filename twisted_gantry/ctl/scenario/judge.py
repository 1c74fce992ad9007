"""Judges the expectations of a scenario by the gantry's API and by what the twin received.

The twin gives the time from which an expectation counts and the time when it is due. Alarms,
readings, reports and records carry their own times, so the clocks of twin and gantry must agree.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from twisted_gantry.wire.twin_api import Expectation, ScenarioRun, ShownRun

SCENARIO = "/twin/v1/scenario"
_REQUESTS, _RECORDS = "/twin/v1/etc/requests", "/twin/v1/fogslink/records"
_ALARMS, _SITE, _POINTS = "/api/v1/alarms", "/api/v1/site", "/api/v1/points"
_LIMIT = 200  # alarms, requests and records that are asked for, the newest first
_METHODS = {"cabinetStatus": "cabinetStatusUpdate", "computerStatus": "computerStatusUpdate"}
_TESTS = ("is", "above", "below", "state")
_KINDS = ("alarm", "cleared", "no_alarm", "device", "uplink", "queue", "point", "report", "record")

_PATHS = dict.fromkeys(("device", "uplink", "queue"), _SITE)
_PATHS |= {"point": _POINTS, "report": _REQUESTS, "record": _RECORDS}

Json = Mapping[str, Any]
Query = Mapping[str, object]
Get = Callable[[str, Query], Json | None]
"""Returns the JSON object at a path, None if no answer came."""


class Verdict(StrEnum):
    WAITING = "waiting"
    PENDING = "pending"
    MET = "met"
    MISSED = "missed"
    NOT_JUDGED = "not-judged"

    @property
    def final(self) -> bool:
        """Whether the verdict can no longer change."""
        return self not in {Verdict.WAITING, Verdict.PENDING}


class Expected(msgspec.Struct):
    """One expectation: `at` in simulated seconds, `after` in real seconds until it was met."""

    step: int
    at: float
    what: str = msgspec.field(name="expectation")
    within: float
    verdict: Verdict = Verdict.WAITING
    after: float | None = None


@dataclass(frozen=True)
class _Window:
    """The time that counts; `now` is the twin's time before the gantry was asked."""

    since: datetime
    due: datetime
    now: datetime

    def has(self, text: object) -> datetime | None:
        at = _time(text)
        return at if at is not None and self.since <= at <= self.due else None

    def began(self, text: object) -> bool:
        """Tell whether a time is in this one or before: a later one is not judged here."""
        at = _time(text)
        return at is not None and at <= self.due

    @property
    def over(self) -> bool:
        return self.now > self.due


class Judge:
    """Judges one run; `begun` is the twin's answer to its start.

    `gantry` and `twin` ask their APIs. Raises msgspec.ValidationError for a malformed answer of
    the twin, also in `look`.
    """

    def __init__(self, begun: Json, gantry: Get, twin: Get) -> None:
        run = msgspec.convert(begun, ShownRun).scenario
        if run is None:
            raise msgspec.ValidationError("no scenario was begun")
        self.run = run
        self.expected = [
            Expected(timing.step, timing.at, describe(given), timing.within)
            for given, timing in _timed(run)
        ]
        self._gantry, self._twin = gantry, twin
        self._asked: dict[tuple[str, str], Json] = {}

    @property
    def over(self) -> bool:
        """Whether every verdict is final, and the scenario has ended."""
        decided = all(each.verdict.final for each in self.expected)
        return decided and self.run.state != "running"

    @property
    def kept(self) -> bool:
        """Whether the scenario is done, and all expectations were met."""
        met = all(each.verdict is Verdict.MET for each in self.expected)
        return met and self.run.state == "done"

    def look(self) -> None:
        """Ask twin and gantry for their state, and judge the expectations that can be decided."""
        answer = self._twin(SCENARIO, {})
        if answer is None:
            return
        run = msgspec.convert(answer, ShownRun).scenario
        if run is None or run.run != self.run.run or len(run.expectations) != len(self.expected):
            self.give_up()
            return
        self.run = run
        self._asked = {}
        for expected, (given, timing) in zip(self.expected, _timed(run), strict=True):
            if not expected.verdict.final and timing.since is not None and timing.due is not None:
                self._judge(expected, given, _Window(timing.since, timing.due, run.now))
        if run.state in {"stopped", "failed"}:
            self.give_up()

    def give_up(self) -> None:
        """Mark undecided expectations as not judged."""
        if self.run.state == "running":
            self.run = msgspec.structs.replace(self.run, state="stopped")
        for each in self.expected:
            if not each.verdict.final:
                each.verdict = Verdict.NOT_JUDGED

    def _judge(self, expected: Expected, given: Json, window: _Window) -> None:
        expected.verdict = Verdict.PENDING
        kind = _kind(given)
        if kind == "no_alarm":
            self._judge_silence(expected, given[kind], window)
            return
        met = min(self._met(kind, given, window), default=None)
        if met is not None:
            expected.verdict = Verdict.MET
            expected.after = (met - window.since).total_seconds()
        elif window.over and self._answered(kind):
            expected.verdict = Verdict.MISSED

    def _judge_silence(self, expected: Expected, name: str, window: _Window) -> None:
        alarms = self._alarms(name)
        seen = [each for each in alarms if window.began(each.get("raisedAt"))]
        if any(window.has(each["raisedAt"]) or not each.get("clearedAt") for each in seen):
            expected.verdict = Verdict.MISSED
        elif window.over and self._answered("no_alarm"):
            expected.verdict = Verdict.MET

    def _met(self, kind: str, given: Json, window: _Window) -> Iterator[datetime]:
        finders: Mapping[str, Callable[[Json, _Window], Iterable[object]]] = {
            "alarm": lambda g, w: (a.get("raisedAt") for a in self._alarms(g["alarm"])),
            "cleared": lambda g, w: (a.get("clearedAt") for a in self._alarms(g["cleared"])),
            "point": self._readings,
            "report": self._reports,
            "record": self._records,
        }
        find = finders.get(kind, self._states)
        moments = (window.has(text) for text in find(given, window))
        yield from (moment for moment in moments if moment is not None)

    def _alarms(self, name: str) -> list[Json]:
        found = self._rows(_ALARMS, "alarms", {"limit": _LIMIT})
        return [each for each in found if each.get("alarm") == name]

    def _readings(self, given: Json, _: _Window) -> Iterator[object]:
        for each in self._rows(_POINTS, "points", {"prefix": given["point"]}):
            good = each.get("quality") == "good" and holds(given, each.get("value"))
            if each.get("point") == given["point"] and good:
                yield each.get("at")

    def _reports(self, given: Json, _: _Window) -> Iterator[object]:
        path = given["report"]
        query = {"method": _METHODS.get(re.split(r"[.[]", path)[0], ""), "limit": 50}
        for each in self._rows(_REQUESTS, "requests", query, twin=True):
            accepted = value_at(each, "answer.code") == "1000"
            if accepted and holds(given, value_at(each.get("body"), path)):
                yield each.get("at")

    def _records(self, given: Json, _: _Window) -> Iterator[object]:
        for each in self._rows(_RECORDS, "records", {"limit": _LIMIT}, twin=True):
            if each.get("eChan") == given["record"] and holds(given, each.get("eVal")):
                yield each.get("at")

    def _states(self, given: Json, window: _Window) -> Iterator[object]:
        kind = _kind(given)
        for each in self._rows(_SITE, "devices" if kind == "device" else "uplinks", {}):
            if each.get("name") != given.get(kind):
                continue
            if kind == "queue":  # the API gives no time for it, so a late answer is no proof
                if holds(given, each.get("queued")):
                    yield window.now.isoformat()
            elif holds(given, each.get("state")):
                since = _time(each.get("since")) or window.now
                yield max(since, window.since).isoformat()

    def _answered(self, kind: str) -> bool:
        path = _PATHS.get(kind, _ALARMS)
        return any(bool(answer) for (asked, _), answer in self._asked.items() if asked == path)

    def _rows(self, path: str, key: str, query: Query, *, twin: bool = False) -> list[Json]:
        """Return the rows of an answer, which is asked for once in a round."""
        known = path, repr(sorted(query.items()))
        if known not in self._asked:
            self._asked[known] = (self._twin if twin else self._gantry)(path, query) or {}
        rows = self._asked[known].get(key)
        return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _timed(run: ScenarioRun) -> list[tuple[Json, Expectation]]:
    return [(given, msgspec.convert(given, Expectation)) for given in run.expectations]


def describe(given: Json) -> str:
    """Return an expectation as a line: `point ups1.state is battery`."""
    kind = _kind(given)
    tests = [f"{test} {_word(given[test])}" for test in _TESTS if test in given]
    return " ".join([kind.replace("_", " "), str(given.get(kind, "")), *tests])


def _word(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _kind(given: Json) -> str:
    return next((kind for kind in _KINDS if kind in given), "")


def holds(given: Json, value: object) -> bool:
    """Tell whether a value passes the tests of an expectation; without a test, any value does."""
    if "above" in given or "below" in given:
        measured = _number(value)
        if measured is None:
            return False
        above, below = given.get("above"), given.get("below")
        return (above is None or measured > above) and (below is None or measured < below)
    wanted = given.get("is", given.get("state"))
    if wanted is None:
        return True
    if isinstance(wanted, bool) or isinstance(value, bool) or isinstance(wanted, str):
        return wanted == value and isinstance(wanted, bool) is isinstance(value, bool)
    return _number(value) == float(wanted)


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except ValueError:
        return None


def value_at(document: object, path: str) -> object:
    """Return the value at a path like `cabinetStatus.elec[0].status`, None without one."""
    for part in path.split("."):
        name, _, place = part.partition("[")
        document = document.get(name) if isinstance(document, Mapping) else None
        if place:
            at = int(place.rstrip("]"))
            rows = document if isinstance(document, list) else []
            document = rows[at] if at < len(rows) else None
    return document


def _time(text: object) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None
