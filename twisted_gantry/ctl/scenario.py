"""`gantryctl scenario`: let something happen in the twin, and see whether the gantry reports it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from signal import SIGTERM, default_int_handler, signal
from threading import Event
from typing import Any, TypeVar
from urllib.parse import quote

import click
import msgspec
from rich.console import Group as Lines
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from twisted_gantry.ctl import shapes
from twisted_gantry.ctl.client import Answer, Api, ApiError
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.helptext import Command, Group
from twisted_gantry.ctl.render import NOTHING, Column, plain, scalar, table
from twisted_gantry.ctl.scenario_judge import (
    SCENARIO,
    Get,
    Json,
    Judge,
    Query,
    Run,
    Shown,
    Verdict,
    describe,
)
from twisted_gantry.ctl.session import Session, json_option, pass_session

# Seconds from one look at the gantry to the next.
LOOK_EVERY = 0.25

_LIBRARY = f"{SCENARIO}/library"
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
_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")


class _Summary(msgspec.Struct, frozen=True):
    """A scenario of the twin's."""

    name: str
    en: str = ""
    zh: str = ""
    length: float = 0.0
    fastest: float | None = None
    steps: list[dict[str, Any]] = []


class _Library(msgspec.Struct, frozen=True):
    scenarios: list[_Summary]


def follow(
    judge: Judge,
    pause: Callable[[float], object],
    show: Callable[[Judge], None] = lambda judge: None,
) -> None:
    """Look at the gantry until all that is expected is decided; `show` it after each look."""
    while True:
        judge.look()
        show(judge)
        if judge.over:
            return
        pause(LOOK_EVERY)


def _twin_option(function: _F) -> _F:
    return click.option(
        "--twin",
        "twin_url",
        envvar="GANTRY_TWIN_URL",
        default="http://127.0.0.1:8081",
        metavar="URL",
        help="The control API of the twin, else GANTRY_TWIN_URL, else http://127.0.0.1:8081."
        " · 模拟器控制接口地址。",
    )(function)


def _twin(session: Session, url: str) -> Api:
    # The gantry's password is none of the twin's business.
    return Api(url, timeout=session.timeout)


def _fit(api: Api, answer: Answer, shape: Callable[[], _T]) -> _T:
    """Return what `shape` makes of an answer. Raises ApiError when it is none of the twin's."""
    try:
        return shape()
    except (msgspec.ValidationError, RecursionError) as error:
        raise ApiError(
            "odd-answer", status=answer.status, where=api.url, detail=str(error)[:200]
        ) from None


@click.group(
    cls=Group,
    short_help="Let something happen in the twin, and judge what is reported. · 模拟场景与判定",
)
def scenario() -> None:
    """Run scenarios of the twin (`twistd gantry-twin`) against a gantry that watches it.

    在模拟器（`twistd gantry-twin`）上运行场景，并判定门架程序的上报。
    """


@scenario.command("run", cls=Command, short_help="Run one, and judge the gantry. · 运行场景并判定")
@click.argument("name")
@click.option(
    "--speed",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Simulated seconds a second until the end, else the twin's own speed."
    " · 场景运行期间的倍速，默认为模拟器自身倍速。",
)
@_twin_option
@json_option
@pass_session
def run_command(session: Session, name: str, speed: float | None, twin_url: str) -> int:
    """Run the scenario NAME in the twin, and show what the gantry makes of it. Ctrl-C stops it.

    在模拟器中运行场景 NAME，并逐项判定门架程序的反应。Ctrl-C 停止场景。

    \b
    Exit code · 退出码
      0  all as expected      · 全部符合期望
      1  something is not     · 有不符合的项
      2  gantry or twin is not reached · 无法连接门架程序或模拟器
    """
    gantry, twin = session.api(), _twin(session, twin_url)
    gantry.get("/api/v1/site")  # a gantry that is not there is no fault of the scenario
    wish: dict[str, object] = {"name": name} if speed is None else {"name": name, "speed": speed}
    answer = twin.post(SCENARIO, wish)
    judge = _fit(twin, answer, lambda: Judge(answer.document, _patient(gantry), _getter(twin)))
    with _stopped_with_us(twin), _live(session) as show:
        _fit(twin, answer, lambda: follow(judge, Event().wait, show))
    if session.json:
        session.show_json(_document(judge))
    else:
        session.show(_table(session, judge), *_summary_lines(session, judge))
    return Exit.FINE if judge.kept else Exit.WRONG


def _getter(api: Api) -> Get:
    return lambda path, query: api.get(path, query).document


def _patient(api: Api) -> Get:
    """Return a getter for a gantry that may be away for a while: that, too, is to be judged."""

    def get(path: str, query: Query) -> Json | None:
        try:
            return api.get(path, query).document
        except ApiError as error:
            if error.status is None:
                return None
            raise

    return get


@contextmanager
def _stopped_with_us(twin: Api) -> Iterator[None]:
    """Stop the scenario when somebody ends us: by Ctrl-C, or a script by SIGTERM, as `timeout`."""
    before = signal(SIGTERM, default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        twin.delete(SCENARIO)
        raise
    finally:
        signal(SIGTERM, before)


@contextmanager
def _live(session: Session) -> Iterator[Callable[[Judge], None]]:
    """Give what shows the table as it changes, to a person at a terminal alone."""
    if session.json or not session.on_terminal():
        yield lambda judge: None
        return
    with Live(console=session.console(), auto_refresh=False, transient=True) as live:
        yield lambda judge: live.update(
            Lines(_run_line(session, judge.run), _table(session, judge)), refresh=True
        )


def _document(judge: Judge) -> dict[str, Any]:
    return {
        "ok": judge.kept,
        "scenario": judge.run.name,
        "state": judge.run.state,
        "error": judge.run.error,
        "expectations": [each.document() for each in judge.expected],
    }


def _table(session: Session, judge: Judge) -> RenderableType:
    texts = session.texts
    columns = (
        Column("step", number=True),
        Column("at-simulated", number=True),
        Column("expectation", prose=True),
        Column("within", number=True),
        Column("verdict"),
        Column("after", number=True),
    )
    rows = [
        (
            str(each.step),
            f"{each.at:g}",
            plain(each.what),
            f"{each.within:g}",
            _verdict(session, each.verdict),
            NOTHING if each.after is None else f"{each.after:.1f}",
        )
        for each in judge.expected
    ]
    return table(texts, session.console(), columns, rows)


def _verdict(session: Session, verdict: Verdict) -> Text:
    key, style = _VERDICTS[verdict]
    return Text(session.texts(key), style)


def _run_line(session: Session, run: Run) -> Text:
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


def _summary_lines(session: Session, judge: Judge) -> Iterator[Text]:
    texts, count = session.texts, len(judge.expected)
    met = sum(each.verdict is Verdict.MET for each in judge.expected)
    yield Text("")
    yield _run_line(session, judge.run)
    if judge.run.error:
        yield Text(texts("run-error", error=plain(judge.run.error)), "bold red")
    if judge.kept:
        yield Text(texts("run-kept", count=count), "bold green")
    else:
        yield Text(texts("run-not-kept", count=count, met=met), "bold red")


@scenario.command("list", cls=Command, short_help="What scenarios there are. · 列出场景")
@_twin_option
@json_option
@pass_session
def list_command(session: Session, twin_url: str) -> int:
    """List the scenarios that the twin has.

    列出模拟器中的场景。
    """
    texts, api = session.texts, _twin(session, twin_url)
    answer = api.get(_LIBRARY)
    found = shapes.read(answer, _Library, api.url).scenarios
    if session.json:
        session.show_json(answer.document)
        return Exit.FINE
    columns = (
        Column("name"),
        Column("length", number=True),
        Column("fastest", number=True),
        Column("title", prose=True),
    )
    rows = [
        (
            plain(each.name),
            f"{each.length:g}",
            _speed(each.fastest),
            plain(texts.pick(each.en, each.zh)),
        )
        for each in found
    ]
    session.show(table(texts, session.console(), columns, rows))
    return Exit.FINE


def _speed(fastest: float | None) -> str:
    return NOTHING if fastest is None else f"{fastest:g}"


@scenario.command(
    "show", cls=Command, short_help="The steps of one, or how the run stands. · 显示场景或运行状态"
)
@click.argument("name", required=False)
@_twin_option
@json_option
@pass_session
def show_command(session: Session, name: str | None, twin_url: str) -> int:
    """Show the steps of the scenario NAME; without it, how the run stands.

    显示场景 NAME 的步骤；不给 NAME 时显示当前运行状态。
    """
    api = _twin(session, twin_url)
    answer = api.get(SCENARIO if name is None else f"{_LIBRARY}/{quote(name, safe='')}")
    if session.json:
        session.show_json(answer.document)
    elif name is None:
        _show_run(session, shapes.read(answer, Shown, api.url).scenario)
    else:
        _show_steps(session, shapes.read(answer, _Summary, api.url))
    return Exit.FINE


def _show_run(session: Session, run: Run | None) -> None:
    if run is None:
        session.show(session.texts("run-none"))
        return
    columns = (Column("step", number=True), Column("expectation", prose=True), Column("since"))
    rows = [
        (scalar(session.texts, e.get("step")), plain(describe(e)), plain(str(e.get("since") or "")))
        for e in run.expectations
    ]
    error = [session.texts("run-error", error=plain(run.error))] if run.error else []
    session.show(
        _run_line(session, run), *error, "", table(session.texts, session.console(), columns, rows)
    )


def _show_steps(session: Session, found: _Summary) -> None:
    texts = session.texts
    head = texts(
        "scenario-line",
        name=plain(found.name),
        title=plain(texts.pick(found.en, found.zh)),
        length=f"{found.length:g}",
        fastest=_speed(found.fastest),
    )
    columns = (
        Column("at-simulated", number=True),
        Column("happens", prose=True),
        Column("expectation", prose=True),
    )
    rows = [
        (
            scalar(texts, step.get("at")),
            "\n".join(_happens(step)) or NOTHING,
            "\n".join(_expected(step)) or NOTHING,
        )
        for step in found.steps
    ]
    session.show(Text(head, "bold"), "", table(texts, session.console(), columns, rows))


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


@scenario.command("stop", cls=Command, short_help="Stop what runs. · 停止场景")
@_twin_option
@json_option
@pass_session
def stop_command(session: Session, twin_url: str) -> int:
    """Stop the scenario that runs: its faults end, the world stays as it is.

    停止正在运行的场景：其故障结束，模拟世界保持现状。
    """
    api = _twin(session, twin_url)
    answer = api.delete(SCENARIO)
    if session.json:
        session.show_json(answer.document)
    else:
        _show_run(session, shapes.read(answer, Shown, api.url).scenario)
    return Exit.FINE
