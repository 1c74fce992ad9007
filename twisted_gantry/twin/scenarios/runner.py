"""Runs a scenario in the world's own time, which passes through the runner."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from attrs import define, field
from twisted.logger import Logger

from twisted_gantry.twin import times
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faults.settings import Faults, FaultSettings
from twisted_gantry.twin.scenarios.script import FaultStep, RampStep, Scenario, Step, settable
from twisted_gantry.twin.world.model import World, WorldError

_log = Logger()

FASTEST = 3600.0  # the highest speed, in simulated seconds a second

LONGEST_RAMP_STEP_S = 5.0  # of the world, during a ramp
_ROUNDING_S = 1e-6  # a moment closer than this is due
_LONGEST_ERROR = 500


class CannotStart(Exception):
    """A scenario cannot run now; `code` is the reason for programs."""

    def __init__(self, code: str, why: str) -> None:
        super().__init__(why)
        self.code = code


@dataclass(frozen=True)
class _Slope:
    began_s: float
    ends_s: float
    from_: float
    to: float

    def at(self, moment_s: float) -> float:
        done = min((moment_s - self.began_s) / (self.ends_s - self.began_s), 1.0)
        return self.to if done >= 1.0 else self.from_ + (self.to - self.from_) * done


@define(eq=False)
class _Run:
    """One run of a scenario; times are seconds of the world from its start."""

    number: int
    scenario: Scenario
    speed: float
    started_at: float
    elapsed_s: float = 0.0
    done: int = 0
    state: str = "running"
    error: str | None = None
    since: list[float] = field(factory=list)  # when each step was done, Unix seconds
    slopes: dict[str, _Slope] = field(factory=dict)
    # The settings of the run for each face, and their end.
    faults: dict[str, tuple[FaultSettings, float | None]] = field(factory=dict)


@define(eq=False)
class Runner:
    """Runs one scenario at a time in `world`. `now` returns Unix seconds.

    `speed` is the default speed of the world, in simulated seconds a second. Call the `step` of the
    runner, not that of the world.
    """

    _world: World
    _faults: Faults
    _platform: Platform
    _now: Callable[[], float]
    _speed: float
    _run: _Run | None = field(init=False, default=None)

    @property
    def speed(self) -> float:
        run = self._run
        return run.speed if run is not None and run.state == "running" else self._speed

    def start(self, scenario: Scenario, speed: float | None = None) -> None:
        """Start a run. Raises CannotStart during another, or for a speed that it cannot bear."""
        last = self._run
        if last is not None and last.state == "running":
            raise CannotStart("scenario-running", f"{last.scenario.name or 'another'} is running")
        speed = self._speed if speed is None else speed
        most = min(scenario.fastest, FASTEST)
        if not 0 < speed <= most:
            why = f"it is made for a speed above 0 and at most {most:g}, not for {speed:g}"
            raise CannotStart("too-fast", why)
        number = 1 if last is None else last.number + 1
        run = self._run = _Run(number, scenario, speed, self._now())
        _log.info("the scenario {name} begins", name=scenario.name or "without a name")
        self._follow(run)

    def stop(self) -> None:
        if self._run is not None and self._run.state == "running":
            self._end(self._run, "stopped")

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass. Raises ValueError unless `dt` is finite and at least 0."""
        run, left = self._run, dt
        while run is not None and run.state == "running" and left > 0:
            piece = min(left, min(self._moments(run)) - run.elapsed_s)
            self._world.step(piece)
            run.elapsed_s += piece
            left -= piece
            self._follow(run)
        if left > 0 or not dt > 0:
            self._world.step(left)

    def shown(self) -> dict[str, Any] | None:
        """Return the present or the last run; None without any.

        `elapsed`, `length` and `at` are seconds of the world; `since` (the time of the step),
        `due`, `startedAt` and `now` are RFC 3339.
        """
        run = self._run
        if run is None:
            return None
        scenario = run.scenario
        return {
            "run": run.number,
            "name": scenario.name,
            "en": scenario.en,
            "zh": scenario.zh,
            "state": run.state,
            "error": run.error,
            "speed": run.speed,
            "startedAt": _time(run.started_at),
            "now": _time(self._now()),
            "elapsed": round(run.elapsed_s, 3),
            "length": scenario.length_s,
            "stepsDone": run.done,
            "steps": len(scenario.steps),
            "expectations": list(_expectations(run)),
        }

    def _moments(self, run: _Run) -> Iterator[float]:
        if run.done < len(run.scenario.steps):
            yield run.scenario.steps[run.done].at_s
        for slope in run.slopes.values():
            yield min(slope.ends_s, run.elapsed_s + LONGEST_RAMP_STEP_S)
        yield from (ends_s for _, ends_s in run.faults.values() if ends_s is not None)

    def _follow(self, run: _Run) -> None:
        try:
            self._move_slopes(run)
            for face, (_, ends_s) in list(run.faults.items()):
                if ends_s is not None and ends_s <= run.elapsed_s + _ROUNDING_S:
                    self._clear_fault(run, face)
            while run.done < len(run.scenario.steps):
                step = run.scenario.steps[run.done]
                if step.at_s > run.elapsed_s + _ROUNDING_S:
                    break
                self._do(run, step)
                run.done += 1
        except WorldError as error:
            # A change by someone else meanwhile may have made this one impossible.
            run.error = f"step {run.done + 1}: {error}"[:_LONGEST_ERROR]
            self._end(run, "failed")
            return
        if not any(True for _ in self._moments(run)):
            self._end(run, "done")

    def _do(self, run: _Run, step: Step) -> None:
        if step.values:
            for name in step.values:
                for each in settable(self._world, name):
                    run.slopes.pop(each, None)
            self._world.change(step.values)
        if step.ramp is not None:
            self._begin(run, step.ramp)
        for fault in step.faults:
            self._set_fault(run, fault)
        if step.cards is not None:
            self._platform.cards = step.cards
        run.since.append(self._now())

    def _begin(self, run: _Run, ramp: RampStep) -> None:
        shown = self._world.snapshot()
        for name, to in ramp.values.items():
            for each in settable(self._world, name):
                ends_s = run.elapsed_s + ramp.over_s
                run.slopes[each] = _Slope(run.elapsed_s, ends_s, float(shown[each]), float(to))

    def _move_slopes(self, run: _Run) -> None:
        if run.slopes:
            moment_s = run.elapsed_s
            self._world.change({name: slope.at(moment_s) for name, slope in run.slopes.items()})
            due_s = moment_s + _ROUNDING_S
            run.slopes = {name: each for name, each in run.slopes.items() if each.ends_s > due_s}

    def _set_fault(self, run: _Run, fault: FaultStep) -> None:
        if not fault.settings:
            self._faults.clear(fault.face)
            run.faults.pop(fault.face, None)
            return
        ends_s = None if fault.lasting_s is None else run.elapsed_s + fault.lasting_s
        run.faults[fault.face] = (self._faults.put(fault.face, fault.settings), ends_s)

    def _clear_fault(self, run: _Run, face: str) -> None:
        """End the faults of the run at a face, unless someone else has replaced them."""
        settings, _ = run.faults.pop(face)
        if self._faults.of(face) is settings:
            self._faults.clear(face)

    def _end(self, run: _Run, state: str) -> None:
        run.state = state
        run.slopes.clear()
        for face in list(run.faults):
            self._clear_fault(run, face)
        name = run.scenario.name or "without a name"
        _log.info("the scenario {name} is {state}", name=name, state=run.error or state)


def _expectations(run: _Run) -> Iterator[dict[str, Any]]:
    for at, step in enumerate(run.scenario.steps):
        since = run.since[at] if at < len(run.since) else None
        for each in step.expect:
            yield {
                "step": at + 1,
                "at": step.at_s,
                **each.given,
                "since": _time(since),
                "due": None if since is None else _time(since + each.within_s),
            }


def _time(at: float | None) -> str | None:
    return None if at is None else times.shown(at)
