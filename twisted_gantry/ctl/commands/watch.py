"""`gantryctl watch`: follows devices, points or alarms as they change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from threading import Event
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from twisted_gantry.ctl import completing
from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.commands.troubles import trouble
from twisted_gantry.ctl.commands.views import ALARM_COLUMNS, alarm_row
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column, Row, cell, plain, reading, table, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire import local_api

_CHANGED = "bold reverse"  # the style of a changed value
_MOST_ALARMS = 100  # alarms that are followed, the newest
_FRAME = 6  # lines of the terminal around the rows: title, header, rule, and two for notes


@dataclass(frozen=True)
class Line:
    """A row of the table: its cells, the values whose change counts, and its JSON."""

    cells: Row
    telling: Sequence[object]
    document: Any


Lines = Mapping[object, Line]


@dataclass(frozen=True)
class _View:
    """A view to watch: the key of its title, and its columns; `read` returns rows by a key.

    `marked` are the columns that are highlighted when their cells change.
    """

    title: str
    columns: Sequence[Column]
    marked: frozenset[str]
    read: Callable[[Session, str], Lines]


def _points(session: Session, prefix: str) -> Lines:
    answer = session.api.get("/api/v1/points", {"prefix": prefix or None})
    found = answer.fit(local_api.Points).points
    texts = session.texts
    return {
        each.point: Line(
            (
                each.point,
                reading(texts, each.point, each.value),
                each.unit or "",
                word(texts, each.quality),
                each.at,
                texts.pick(each.label.en, each.label.zh),
            ),
            (each.value, each.quality),
            document,
        )
        for each, document in zip(found, answer.document["points"], strict=True)
    }


_KINDS: Mapping[type, str] = {local_api.Uplink: "uplink", local_api.Bridge: "bridge"}


def _devices(session: Session, prefix: str) -> Lines:
    answer = session.api.get("/api/v1/site")
    site, texts = answer.fit(local_api.SiteView), session.texts
    bridges = answer.document.get("bridges", [])  # an older gantry has none
    given = [*answer.document["devices"], *answer.document["uplinks"], *bridges]
    all_of_them: list[local_api.Device | local_api.Uplink | local_api.Bridge]
    all_of_them = [*site.devices, *site.uplinks, *site.bridges]
    lines: dict[object, Line] = {}
    for each, document in zip(all_of_them, given, strict=True):
        if not each.name.startswith(prefix):
            continue
        kind = each.kind if isinstance(each, local_api.Device) else texts(_KINDS[type(each)])
        state, queued, set_aside = word(texts, each.state), None, None
        error = trouble(texts, each, with_advice=False)
        if isinstance(each, local_api.Uplink):
            queued, set_aside = each.queued, each.set_aside
        lines[type(each), each.name] = Line(
            (each.name, kind, state, each.since, queued, set_aside, error),
            (each.state, each.last_error, queued, set_aside),
            document,
        )
    return lines


def _alarms(session: Session, prefix: str) -> Lines:
    answer = session.api.get("/api/v1/alarms", {"limit": _MOST_ALARMS})
    found = answer.fit(local_api.AlarmList).alarms
    return {
        (each.alarm, each.raised_at): Line(
            alarm_row(session.texts, each), (each.cleared_at,), document
        )
        for each, document in zip(found, answer.document["alarms"], strict=True)
        if each.alarm.startswith(prefix)
    }


_VIEWS: Mapping[str, _View] = {
    "devices": _View(
        "watch-devices",
        (
            *Column.each("device", "kind", "state", "since"),
            *Column.each("queued", "set-aside", number=True),
            Column("last-error", prose=True, under="since"),
        ),
        frozenset({"state", "queued", "set-aside", "last-error"}),
        _devices,
    ),
    "points": _View(
        "watch-points",
        (
            Column("point"),
            Column("value", number=True),
            *Column.each("unit", "quality"),
            Column("at", spare=True),
            Column("label", spare=True),
        ),
        frozenset({"value", "quality"}),
        _points,
    ),
    "alarms": _View("watch-alarms", ALARM_COLUMNS, frozenset({"alarm", "cleared"}), _alarms),
}


def pause(seconds: float) -> None:
    """Wait so many seconds; Ctrl-C interrupts it."""
    Event().wait(seconds)


@click.command(cls=Command, short_help="Follow changes. · 实时查看设备、测点、告警")
@click.argument("what", type=click.Choice(list(_VIEWS)), default="devices")
@click.option(
    "--prefix",
    default="",
    metavar="P",
    shell_complete=completing.points,
    help="Only names that begin with P. · 名称以此开头的。",
)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.2, max=3600),
    default=1.0,
    metavar="S",
    help="Seconds between two readings (1). · 刷新间隔，秒（1）。",
)
@json_option
@pass_session
def watch(session: Session, what: str, prefix: str, interval: float) -> int:
    """Follow devices (with uplinks and bridges), points or alarms until Ctrl-C.

    Changes are highlighted. In a pipe, all rows come once, and then each row that changes; with
    --json each row is an object. While the gantry is away, that is shown, and the gantry is asked
    again.

    持续查看设备（含上报通道与桥接）、测点或告警，按 Ctrl-C 结束；变化的值高亮显示。
    输出到管道时，先输出全部，之后只输出变化的行。门架程序中断时会提示，并继续重试。
    """
    view = _VIEWS[what]
    with session.asking():
        first = view.read(session, prefix)
    with _screen(session) as live:
        shows = _Feed(session) if live is None else _Screen(session, view, live)
        shows.rows(first)
        while True:
            pause(interval)
            try:
                lines = view.read(session, prefix)
            except ApiError as error:
                if error.exit_code != Exit.UNREACHABLE and (error.status or 0) < 500:
                    raise  # a password is needed now, or another program has the port
                shows.away(session.explain(error))
            else:
                shows.rows(lines)


@contextmanager
def _screen(session: Session) -> Iterator[Live | None]:
    if session.json or not session.on_terminal():
        yield None
        return
    with Live(
        console=session.console(), auto_refresh=False, screen=True, vertical_overflow="crop"
    ) as live:
        yield live


@dataclass
class _Feed:
    session: Session
    before: Lines = field(default_factory=dict)
    lost: bool = False

    def rows(self, lines: Lines) -> None:
        session, before = self.session, self.before
        known = {key: line.telling for key, line in before.items()}
        changed = [line for key, line in lines.items() if known.get(key) != line.telling]
        if self.lost:
            self._say("back")
        for line in changed:
            if session.json:
                session.show_json_line(line.document)
            else:
                click.echo("  ".join(cell(session.texts, value).plain for value in line.cells))
        self.before, self.lost = lines, False

    def away(self, message: str) -> None:
        if not self.lost:
            self._say("away", message=message)
        self.lost = True

    def _say(self, key: str, **fields: object) -> None:
        click.echo(plain(self.session.texts(key, **fields)), err=True)


@dataclass
class _Screen:
    session: Session
    view: _View
    live: Live
    before: Lines | None = None
    changed: set[tuple[object, int]] = field(default_factory=set)

    def rows(self, lines: Lines) -> None:
        before = self.before
        self.changed = set()
        if before is not None:
            for key, line in lines.items():
                was = before.get(key)
                for place, value in enumerate(line.cells):
                    if was is None or was.cells[place] != value:
                        self.changed.add((key, place))
        self.before = lines
        self._draw("")

    def away(self, message: str) -> None:
        self.changed = set()
        self._draw(message)

    def _draw(self, message: str) -> None:
        texts, console = self.session.texts, self.live.console
        lines = self.before or {}
        room = max(1, console.height - _FRAME)
        shown = list(lines.items())[:room]
        rows = [
            [self._cell(key, place, value) for place, value in enumerate(line.cells)]
            for key, line in shown
        ]
        now = datetime.now().astimezone().strftime("%H:%M:%S")
        title = texts("watch-line", what=texts(self.view.title), where=self.session.url, at=now)
        parts: list[RenderableType] = [Text(title, "bold")]
        if message:
            parts.append(Text(plain(texts("away", message=message)), "bold red"))
        if len(lines) > len(shown):
            parts.append(Text(texts("more-rows", count=len(lines) - len(shown)), "dim"))
        if rows:
            parts.append(table(texts, console, self.view.columns, rows))
        else:
            parts.append(texts("nothing-here"))
        self.live.update(Group(*parts), refresh=True)

    def _cell(self, key: object, place: int, value: object) -> Text:
        shown = cell(self.session.texts, value).copy()
        if self.view.columns[place].title in self.view.marked and (key, place) in self.changed:
            shown.stylize(_CHANGED)
        return shown
