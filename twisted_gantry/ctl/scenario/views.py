"""The output of `gantryctl scenario`: the table of a run, and the steps of a scenario."""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from rich.console import RenderableType
from rich.text import Text

from twisted_gantry.ctl.output import NOTHING, Column, plain
from twisted_gantry.ctl.scenario.judge import Judge, Verdict, describe
from twisted_gantry.ctl.session import Session
from twisted_gantry.wire.twin_api import ScenarioRun, ScenarioSummary

# The text and the style of each verdict, and the text of each state of a run.
_VERDICTS = {
    Verdict.WAITING: ("verdict-waiting", ""),
    Verdict.PENDING: ("verdict-pending", "yellow"),
    Verdict.MET: ("verdict-met", "green"),
    Verdict.MISSED: ("verdict-missed", "bold red"),
    Verdict.NOT_JUDGED: ("verdict-not-judged", "bold yellow"),
}
_STATES = {
    "running": "run-running",
    "done": "run-done",
    "stopped": "run-stopped",
    "failed": "run-failed",
}


def run_table(session: Session, judge: Judge) -> RenderableType:
    columns = (
        *Column.each("step", "at-simulated", number=True),
        Column("expectation", prose=True),
        Column("within", number=True),
        Column("verdict"),
        Column("after", number=True),
    )
    rows = [
        (
            str(each.step),
            f"{each.at:g}",
            each.what,
            f"{each.within:g}",
            _verdict(session, each.verdict),
            None if each.after is None else f"{each.after:.1f}",
        )
        for each in judge.expected
    ]
    return session.table(columns, rows)


def _verdict(session: Session, verdict: Verdict) -> Text:
    key, style = _VERDICTS[verdict]
    return Text(session.texts(key), style)


def run_line(session: Session, run: ScenarioRun) -> Text:
    texts = session.texts
    state = texts(_STATES[run.state]) if run.state in _STATES else plain(run.state)
    return Text(
        texts(
            "run-line",
            name=plain(run.name) or NOTHING,
            state=state,
            elapsed=f"{run.elapsed:.0f}",
            length=f"{run.length:g}",
            speed=f"{run.speed:g}",
            done=run.steps_done,
            steps=run.steps,
        ),
        "bold",
    )


def verdict_lines(session: Session, judge: Judge) -> Iterator[Text]:
    texts, count = session.texts, len(judge.expected)
    met = sum(each.verdict is Verdict.MET for each in judge.expected)
    yield Text("")
    yield run_line(session, judge.run)
    if judge.run.error:
        yield Text(texts("run-error", error=plain(judge.run.error)), "bold red")
    if judge.kept:
        yield Text(texts("run-kept", count=count), "bold green")
    else:
        yield Text(texts("run-not-kept", count=count, met=met), "bold red")


def speed_text(fastest: float | None) -> str:
    """Return the highest speed, `NOTHING` if it has no bound."""
    return NOTHING if fastest is None else f"{fastest:g}"


def show_run(session: Session, run: ScenarioRun | None) -> None:
    if run is None:
        session.show(session.texts("run-none"))
        return
    columns = (Column("step", number=True), Column("expectation", prose=True), Column("since"))
    rows = [(e.get("step"), describe(e), str(e.get("since") or "")) for e in run.expectations]
    error = [session.texts("run-error", error=plain(run.error))] if run.error else []
    session.show(run_line(session, run), *error, "", session.table(columns, rows))


def show_steps(session: Session, found: ScenarioSummary) -> None:
    texts = session.texts
    head = texts(
        "scenario-line",
        name=plain(found.name),
        title=plain(texts.pick(found.en, found.zh)),
        length=f"{found.length:g}",
        fastest=speed_text(found.fastest),
    )
    columns = (
        Column("at-simulated", number=True),
        *Column.each("happens", "expectation", prose=True),
    )
    rows = [
        (
            step.get("at"),
            Text("\n".join(_happens(step)) or NOTHING),
            Text("\n".join(_expected(step)) or NOTHING),
        )
        for step in found.steps or []
    ]
    session.show(Text(head, "bold"), "", session.table(columns, rows))


def _happens(step: Mapping[str, Any]) -> Iterator[str]:
    for key in ("set", "ramp", "fault", "cards"):
        for each in _several(step.get(key)):
            values = (f"{name} = {msgspec.json.encode(v).decode()}" for name, v in each.items())
            yield plain(f"{key} {', '.join(values)}")


def _expected(step: Mapping[str, Any]) -> Iterator[str]:
    for each in _several(step.get("expect")):
        yield plain(f"{describe(each)} ({each.get('within')} s)")


def _several(value: object) -> list[dict[str, Any]]:
    rows = value if isinstance(value, list) else [value]
    return [row for row in rows if isinstance(row, dict)]
