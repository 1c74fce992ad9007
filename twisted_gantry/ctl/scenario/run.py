"""`gantryctl scenario`: run a scenario of the twin, and judge what the gantry reports."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from signal import SIG_IGN, SIGTERM, default_int_handler, signal
from threading import Event
from typing import Any, TypeVar
from urllib.parse import quote

import click
import msgspec
from rich.console import Group as Lines
from rich.live import Live

from twisted_gantry.ctl.client import Api, ApiError
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command, Group
from twisted_gantry.ctl.output import NOTHING, Column
from twisted_gantry.ctl.scenario import views
from twisted_gantry.ctl.scenario.judge import SCENARIO, Get, Json, Judge, Query
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire.twin_api import ScenarioLibrary, ScenarioSummary, ShownRun

LOOK_EVERY = 0.25  # seconds between two looks at the gantry

_LIBRARY = f"{SCENARIO}/library"
_F = TypeVar("_F", bound=Callable[..., Any])
_T = TypeVar("_T")


def follow(
    judge: Judge,
    pause: Callable[[float], object],
    show: Callable[[Judge], None] = lambda judge: None,
) -> None:
    """Look at the gantry until every expectation is decided; `show` after each look."""
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
    # Without the password: it is the gantry's.
    return Api(url, timeout=session.timeout, cannot_connect="cannot-connect-twin")


@click.group(cls=Group, short_help="Run scenarios of the twin, judge the reports. · 模拟场景与判定")
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
    """Run the scenario NAME in the twin, and judge what the gantry reports. Ctrl-C stops it.

    在模拟器中运行场景 NAME，并逐项判定门架程序的反应。Ctrl-C 停止场景。

    \b
    Exit code · 退出码
      0  all as expected               · 全部符合期望
      1  something is not as expected  · 有不符合的项
      2  gantry or twin not reached    · 无法连接门架程序或模拟器
    """
    gantry, twin = session.api, _twin(session, twin_url)
    gantry.get("/api/v1/site")  # without a gantry the scenario is not begun
    wish: dict[str, object] = {"name": name} if speed is None else {"name": name, "speed": speed}
    with _stopped_with_us(session, twin):
        answer = twin.post(SCENARIO, wish)
        with answer.checked(), _live(session) as show:
            judge = Judge(answer.document, _patient(gantry), lambda p, q: twin.get(p, q).document)
            follow(judge, Event().wait, show)
    if session.json:
        run, expected = judge.run, msgspec.to_builtins(judge.expected)
        head = {"ok": judge.kept, "scenario": run.name, "state": run.state, "error": run.error}
        session.show_json({**head, "expectations": expected})
    else:
        session.show(views.run_table(session, judge), *views.verdict_lines(session, judge))
    return Exit.FINE if judge.kept else Exit.WRONG


def _patient(api: Api) -> Get:
    """Return a getter for a gantry that may be away for a time, as a scenario may intend."""

    def get(path: str, query: Query) -> Json | None:
        try:
            return api.get(path, query).document
        except ApiError as error:
            if error.status is None:
                return None
            raise

    return get


@contextmanager
def _stopped_with_us(session: Session, twin: Api) -> Iterator[None]:
    """Stop the scenario when the block ends by Ctrl-C or by SIGTERM, as from `timeout`."""
    before = signal(SIGTERM, default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        signal(SIGTERM, SIG_IGN)
        twin.delete(SCENARIO)
        click.echo(session.texts("run-left"), err=True)
        raise
    finally:
        signal(SIGTERM, before)


@contextmanager
def _live(session: Session) -> Iterator[Callable[[Judge], None]]:
    if session.json or not session.on_terminal():
        yield lambda judge: None
        return
    with Live(console=session.console(), auto_refresh=False, transient=True) as live:
        yield lambda judge: live.update(
            Lines(views.run_line(session, judge.run), views.run_table(session, judge)), refresh=True
        )


@scenario.command("list", cls=Command, short_help="The scenarios of the twin. · 列出场景")
@_twin_option
@json_option
@pass_session
def list_command(session: Session, twin_url: str) -> int:
    """List the scenarios of the twin.

    列出模拟器中的场景。
    """
    pick, api = session.texts.pick, _twin(session, twin_url)
    answer = api.get(_LIBRARY)
    found = answer.fit(ScenarioLibrary).scenarios
    columns = (
        Column("name"),
        *Column.each("length", "fastest", number=True),
        Column("title", prose=True),
    )
    rows = [
        (each.name, f"{each.length:g}", views.speed_text(each.fastest), pick(each.en, each.zh))
        for each in found
    ]
    session.show_rows(answer, columns, rows, NOTHING)
    return Exit.FINE


@scenario.command("show", cls=Command, short_help="One scenario, or the run. · 显示场景或运行状态")
@click.argument("name", required=False)
@_twin_option
@json_option
@pass_session
def show_command(session: Session, name: str | None, twin_url: str) -> int:
    """Show the steps of the scenario NAME; without NAME, the state of the run.

    显示场景 NAME 的步骤；不给 NAME 时显示当前运行状态。
    """
    api = _twin(session, twin_url)
    answer = api.get(SCENARIO if name is None else f"{_LIBRARY}/{quote(name, safe='')}")
    if session.json:
        session.show_json(answer.document)
    elif name is None:
        views.show_run(session, answer.fit(ShownRun).scenario)
    else:
        views.show_steps(session, answer.fit(ScenarioSummary))
    return Exit.FINE


@scenario.command("stop", cls=Command, short_help="Stop the run. · 停止场景")
@_twin_option
@json_option
@pass_session
def stop_command(session: Session, twin_url: str) -> int:
    """Stop the running scenario: its faults end, the simulated world stays as it is.

    停止正在运行的场景：其故障结束，模拟世界保持现状。
    """
    api = _twin(session, twin_url)
    answer = api.delete(SCENARIO)
    if session.json:
        session.show_json(answer.document)
    else:
        views.show_run(session, answer.fit(ShownRun).scenario)
    return Exit.FINE
