"""Scenarios: events in the world over time, and the reports that a gantry then owes.

A scenario is TOML, or the same as JSON, with a list `steps` in the order of their times:

- `at`: the time, in seconds of the world since the start, or "HH:MM:SS".
- `set`: variables of the world and their values.
- `ramp`: variables and the values that they reach evenly within `over`, a time of the world. A
  name that sets several (`mains.voltage`) moves each from its own value.
- `fault`: one or several tables with a `face` and its fault settings (`faults/settings`). `for` is
  a time of the world here; without it a later step must end the fault, by a `face` alone. `delay`
  is in real seconds.
- `cards`: the new white list of the platform: `{"version", "cards": [{"cardId", "validTime",
  "invalidTime"}]}`.
- `expect`: one or several tables: what a gantry must report `within` so many real seconds after the
  step, of the gantry's time. One of:
  `alarm` (raised), `cleared` (cleared), `no_alarm` (not raised in all that time); `device` or
  `uplink`, with its `state`; `queue` (the waiting reports of an uplink), `point`, and `report` (a
  path into what the platform accepted), with `is`, `above` or `below`; `record` (a channel at the
  Fogslink cloud), which may have one of these.

`en` and `zh` are the title. `fastest` is the speed of the world up to which the expectations hold.
"""

import math
import random
import re
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any

from twisted_gantry.twin.faces.etc.cards import BadCards, read_cards
from twisted_gantry.twin.faults.settings import FaultError, Faults, UnknownFace
from twisted_gantry.twin.scenarios.expectation import Expectation, is_number, read_expectation
from twisted_gantry.twin.world.model import World, WorldError
from twisted_gantry.wire.etc.envelope import CardList

MOST_STEPS = 1000
MOST_ITEMS = 100  # faults, or expectations, of one step
LONGEST_S = 31 * 86_400.0
_COMPLAINTS, _COMPLAINT = 50, 300  # in one error, and the characters of one
_TITLE = 200

_CLOCK = re.compile(r"([0-9]{2,3}):([0-5][0-9]):([0-5][0-9])")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,59}")
_KEYS = frozenset({"name", "en", "zh", "fastest", "steps"})
_STEP_KEYS = frozenset({"at", "set", "ramp", "fault", "cards", "expect"})


class ScenarioError(ValueError):
    """A scenario with errors; the text names each, with its step."""


class UnknownScenario(LookupError):
    """An unknown scenario; the text names the known ones."""


@dataclass(frozen=True)
class FaultStep:
    """Fault settings for a face, empty for no faults; `lasting_s` is in seconds of the world."""

    face: str
    settings: Mapping[str, Any]
    lasting_s: float | None = None


@dataclass(frozen=True)
class RampStep:
    """The values after `over_s` seconds of the world."""

    values: Mapping[str, float]
    over_s: float


@dataclass(frozen=True)
class Step:
    """The events at one time, `at_s` seconds of the world after the start."""

    at_s: float
    values: Mapping[str, Any] = field(default_factory=dict)
    ramp: RampStep | None = None
    faults: tuple[FaultStep, ...] = ()
    cards: CardList | None = None
    expect: tuple[Expectation, ...] = ()

    @property
    def end_s(self) -> float:
        lasting = (fault.lasting_s or 0.0 for fault in self.faults)
        return self.at_s + max(self.ramp.over_s if self.ramp else 0.0, *lasting, 0.0)


@dataclass(frozen=True)
class Scenario:
    """A checked scenario. `given` is its document."""

    name: str
    en: str
    zh: str
    fastest: float
    steps: tuple[Step, ...]
    given: Mapping[str, Any]

    @property
    def length_s(self) -> float:
        return max(step.end_s for step in self.steps)


def settable(world: World, name: str) -> list[str]:
    """Return the names of the numbers that `name` sets: its own, or each of several."""
    shown = world.snapshot()
    names = [name] if name in shown else [each for each in shown if each.startswith(f"{name}_")]
    return [each for each in names if is_number(shown[each])]


def _seconds(value: object) -> float | None:
    if isinstance(value, str) and (match := _CLOCK.fullmatch(value)):
        hours, minutes, seconds = (int(part) for part in match.groups())
        value = hours * 3600 + minutes * 60 + seconds
    if isinstance(value, int | float) and is_number(value) and 0 <= value <= LONGEST_S:
        return float(value)
    return None


def _cut(value: object) -> str:
    return repr(value)[:60]


class _Reader:
    """Reads a document and collects its errors, in a world where every card is admitted."""

    def __init__(self) -> None:
        self.wrong: list[str] = []
        self._where = ""
        self._world = World(random.Random(0))  # noqa: S311 - for no secret
        self._world.cabinet.doors.admits = lambda card_id: True
        self._faults = Faults(lambda: 0.0, random.Random(0))  # noqa: S311 - for no secret

    def complain(self, why: str) -> None:
        self.wrong.append(f"{self._where}{why}"[:_COMPLAINT])

    def demand(self, good: bool, why: str) -> None:
        if not good:
            self.complain(why)

    def unknown(self, keys: Mapping[str, Any], known: frozenset[str]) -> None:
        for key in keys:
            self.demand(key in known, f"there is no key {_cut(key)}")

    def steps(self, given: object) -> tuple[Step, ...]:
        if not isinstance(given, list) or not 0 < len(given) <= MOST_STEPS:
            self.complain(f"steps: must be a list of 1 to {MOST_STEPS}")
            return ()
        steps: list[Step] = []
        for number, each in enumerate(given, 1):
            self._where = f"step {number}: "
            if not isinstance(each, dict):
                self.complain("must be a table")
                continue
            step = self._step(each)
            in_order = not steps or step.at_s >= steps[-1].at_s
            self.demand(in_order, "at: steps stand in the order of their times")
            steps.append(step)
        self._where = ""
        self._endless(steps)
        return tuple(steps)

    def _step(self, given: dict[str, Any]) -> Step:
        self.unknown(given, _STEP_KEYS)
        at_s = _seconds(given.get("at"))
        self.demand(at_s is not None, f'at: must be 0 to {LONGEST_S:g} s, or "HH:MM:SS"')
        return Step(
            at_s or 0.0,
            self._set(given.get("set", {})),
            self._ramp(given["ramp"]) if "ramp" in given else None,
            tuple(self._items(given, "fault", self._fault)),
            self._cards(given["cards"]) if "cards" in given else None,
            tuple(self._items(given, "expect", self._expectation)),
        )

    def _items(self, given: dict[str, Any], key: str, read: Any) -> Iterator[Any]:
        items = given.get(key, [])
        items = items if isinstance(items, list) else [items]
        if len(items) > MOST_ITEMS:
            self.complain(f"{key}: at most {MOST_ITEMS}")
            return
        for item in items:
            if not isinstance(item, dict):
                self.complain(f"{key}: must be a table, or a list of them")
            elif (found := read(item)) is not None:
                yield found

    def _set(self, given: object) -> dict[str, Any]:
        if not isinstance(given, dict):
            self.complain("set: must be a table of variables")
            return {}
        try:
            self._world.change(given)
        except WorldError as error:
            self.complain(f"set: {error}")
            for name, value in given.items():  # an error here causes no others in later steps
                with suppress(WorldError):
                    self._world.change({name: value})
        return given

    def _ramp(self, given: object) -> RampStep | None:
        if not isinstance(given, dict):
            self.complain("ramp: must be a table of variables, with over")
            return None
        values = {name: value for name, value in given.items() if name != "over"}
        over_s = _seconds(given.get("over"))
        self.demand(bool(over_s), 'ramp: over: must be a time above 0, in s or "HH:MM:SS"')
        self.demand(bool(values), "ramp: names no variable")
        good = {name: value for name, value in values.items() if is_number(value)}
        for name in values:
            self.demand(name in good, f"ramp: {_cut(name)}: must be a number")
        try:
            self._world.change(good)
        except WorldError as error:
            self.complain(f"ramp: {error}")
        else:
            for name in good:
                shows = bool(settable(self._world, name))
                self.demand(shows, f"ramp: {name}: shows no number to begin from")
        return RampStep(good, over_s or 1.0)

    def _fault(self, given: dict[str, Any]) -> FaultStep | None:
        face = given.get("face")
        settings = {name: value for name, value in given.items() if name not in {"face", "for"}}
        lasting_s = None
        if "for" in given:
            lasting_s = _seconds(given["for"])
            self.demand(bool(lasting_s), 'fault: for: must be a time above 0, in s or "HH:MM:SS"')
            self.demand(bool(settings), "fault: for: there is nothing that lasts")
        try:
            self._faults.put(face if isinstance(face, str) else "", settings)
        except (FaultError, UnknownFace) as error:
            self.complain(f"fault: {error}")
            return None
        return FaultStep(str(face), settings, lasting_s)

    def _cards(self, given: object) -> CardList | None:
        if not isinstance(given, dict):
            self.complain("cards: must be a table with version and cards")
            return None
        try:
            return read_cards(given)
        except BadCards as error:
            self.complain(f"cards: {error}")
            return None

    def _expectation(self, given: dict[str, Any]) -> Expectation | None:
        found, wrong = read_expectation(given)
        for why in wrong:
            self.complain(f"expect: {why}")
        return found

    def _endless(self, steps: list[Step]) -> None:
        endless: dict[str, int] = {}
        for number, step in enumerate(steps, 1):
            for fault in step.faults:
                endless.pop(fault.face, None)
                if fault.settings and fault.lasting_s is None:
                    endless[fault.face] = number
        for face, number in endless.items():
            self.complain(f"step {number}: fault: {face}: give it `for`, or end it in a later step")


def read_scenario(document: Mapping[str, Any], name: str = "") -> Scenario:
    """Check a document. Raises ScenarioError, which names all errors."""
    reader = _Reader()
    reader.unknown(document, _KEYS)
    titles = [document.get(key, "") for key in ("name", "en", "zh")]
    for key, title in zip(("name", "en", "zh"), titles, strict=True):
        if not isinstance(title, str) or len(title) > _TITLE or not title.isprintable():
            reader.complain(f"{key}: must be a text of at most {_TITLE} characters")
    fastest = document.get("fastest", math.inf)
    if "fastest" in document and not (is_number(fastest) and fastest > 0):
        reader.complain("fastest: must be a number above 0")
    steps = reader.steps(document.get("steps"))
    if wrong := reader.wrong:
        more = [f"and {len(wrong) - _COMPLAINTS} more"] if len(wrong) > _COMPLAINTS else []
        prefix = f"{name}: " if name else ""
        raise ScenarioError("\n".join(f"{prefix}{each}" for each in [*wrong[:_COMPLAINTS], *more]))
    own_name, en, zh = titles
    return Scenario(name or own_name, en, zh, float(fastest), steps, dict(document))


def scenario_names() -> list[str]:
    found = (each.name for each in (files(__package__) / "library").iterdir())
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml"))


def load_scenario(name: str) -> Scenario:
    """Return a scenario that comes with the twin. Raises UnknownScenario and ScenarioError."""
    if not _NAME.fullmatch(name) or name not in scenario_names():
        raise UnknownScenario(f"no scenario {name[:40]!r}; there are {', '.join(scenario_names())}")
    text = (files(__package__) / "library" / f"{name}.toml").read_text("utf-8")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: {error}") from None
    return read_scenario(document, name)
