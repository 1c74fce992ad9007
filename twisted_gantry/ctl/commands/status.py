"""`gantryctl status`: an overview, and whether everything is in order."""

from collections.abc import Sequence

import click
from rich.console import RenderableType
from rich.text import Text

from twisted_gantry.ctl.commands.troubles import trouble
from twisted_gantry.ctl.commands.views import ALARM_COLUMNS, alarm_row, folded
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column, Row, plain, scalar, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.texts.phrases import detail_in
from twisted_gantry.wire import local_api

# The HTTP status of /healthz when something is wrong; the body has the reasons.
_UNHEALTHY = 503


@click.command(
    cls=Command, short_help="Is everything in order? · 总览：设备、上报通道、告警、健康状况"
)
@json_option
@pass_session
def status(session: Session) -> int:
    """Show the gantry, its health, devices, uplinks, reports, bridges, notifications and alarms.

    显示门架、设备、上报通道与上报账目、桥接、告警通知、当前告警和健康状况。

    \b
    Exit code · 退出码
      0  all online, no alarm · 全部在线且没有告警
      1  something is wrong   · 有异常
      2  no answer            · 无法连接门架程序
    """
    api = session.api
    with session.asking():
        answers = (
            api.get("/api/v1/site"),
            api.get("/api/v1/alarms", {"active": 1}),
            api.get("/healthz", also=(_UNHEALTHY,)),
        )
    site = answers[0].fit(local_api.SiteView)
    alarms = answers[1].fit(local_api.AlarmList)
    health = answers[2].fit(local_api.Health)
    states = [each.state for each in site.devices] + [each.state for each in site.uplinks]
    states += [each.state for each in site.bridges]
    online = all(state == "online" for state in states)
    # A target is connecting until there is something to tell.
    online = online and all(each.state != "offline" for each in site.notify)
    fine = online and not alarms.alarms and answers[2].status != _UNHEALTHY
    if session.json:
        session.show_json(
            {
                "ok": fine,
                "site": answers[0].document,
                "alarms": answers[1].document["alarms"],
                "health": answers[2].document,
            }
        )
    else:
        session.show(
            *_head(session, site, health, answers[2].status),
            *_devices(session, site.devices),
            *_uplinks(session, site.uplinks),
            *_bridges(session, site.bridges),
            *_notify(session, site.notify),
            *_alarms(session, alarms.alarms),
        )
    return Exit.FINE if fine else Exit.WRONG


def _head(
    session: Session, site: local_api.SiteView, health: local_api.Health, status: int
) -> list[RenderableType]:
    texts = session.texts
    version, started = plain(site.version), scalar(texts, site.started_at)
    style = "bold red" if status == _UNHEALTHY else "green"
    said = scalar(texts, texts.word(health.status))
    return [
        Text(texts("gantry-line", id=plain(site.gantry_id), name=plain(site.name)), "bold"),
        texts("version-line", version=version, at=started),
        Text(texts("health-line", status=said), style),
        *(Text("  " + texts("health-reason", reason=scalar(texts, r))) for r in health.reasons),
        *(
            Text("  " + texts("health-note", note=scalar(texts, detail_in(texts.language, n))))
            for n in health.notes
        ),
    ]


def _section(
    session: Session, key: str, columns: Sequence[Column], rows: Sequence[Row], none: str
) -> list[RenderableType]:
    body = session.table(columns, rows) if rows else session.texts(none)
    return ["", Text(session.texts(key), "bold underline"), body]


def _devices(session: Session, devices: list[local_api.Device]) -> list[RenderableType]:
    columns = (
        *Column.each("device", "kind", "state", "since"),
        Column("last-error", prose=True, under="since"),
    )
    texts = session.texts
    rows = [
        (each.name, each.kind, word(texts, each.state), each.since, trouble(texts, each))
        for each in devices
    ]
    return _section(session, "devices", columns, rows, "no-devices")


def _uplinks(session: Session, uplinks: list[local_api.Uplink]) -> list[RenderableType]:
    columns = (
        *Column.each("uplink", "state"),
        Column("since", under="last-delivered"),
        Column("last-delivered"),
        Column("last-error", prose=True),
    )
    texts = session.texts
    rows = [
        (up.name, word(texts, up.state), up.since, up.last_delivered, trouble(texts, up))
        for up in uplinks
    ]
    section = _section(session, "uplinks", columns, rows, "no-devices")
    if not uplinks:
        return section
    counted = (
        Column("uplink"),
        Column("created", number=True, under="delivered"),
        *Column.each("delivered", "queued", "set-aside", number=True),
        Column("dropped", number=True, under="set-aside"),
        Column("bytes", number=True, under="queued"),
        Column("oldest"),
    )
    counts = [_counts(each) for each in uplinks]
    return [*section, *_section(session, "ledger", counted, counts, "no-devices")]


def _bridges(session: Session, bridges: list[local_api.Bridge]) -> list[RenderableType]:
    if not bridges:
        return []
    columns = (
        *Column.each("bridge", "state", "since"),
        Column("peers", number=True),
        Column("dropped", number=True),
        Column("last-error", prose=True, under="since"),
    )
    texts = session.texts
    rows = [
        (b.name, word(texts, b.state), b.since, b.peers, b.dropped, trouble(texts, b))
        for b in bridges
    ]
    return _section(session, "bridges", columns, rows, "no-devices")


def _notify(session: Session, targets: list[local_api.NotifyTarget]) -> list[RenderableType]:
    if not targets:
        return []
    columns = (
        *Column.each("name", "kind", "state", "last-delivered"),
        *Column.each("queued", "set-aside", number=True),
        Column("last-error", prose=True, under="last-delivered"),
    )
    texts = session.texts
    rows = [
        (
            *(t.name, t.kind, word(texts, t.state), t.last_delivered),
            *(t.queued, t.set_aside, trouble(texts, t)),
        )
        for t in targets
    ]
    return _section(session, "notify", columns, rows, "no-targets")


def _counts(uplink: local_api.Uplink) -> Row:
    ledger = uplink.ledger
    if ledger is None:  # the store does not answer
        return uplink.name, None, None, uplink.queued, uplink.set_aside, None, None, None
    marked = (Text(str(n), "yellow" if n else "") for n in (ledger.set_aside, ledger.dropped))
    sent = (ledger.created, ledger.delivered, ledger.queued)
    return uplink.name, *sent, *marked, ledger.bytes, ledger.oldest


def _alarms(session: Session, alarms: list[local_api.AlarmView]) -> list[RenderableType]:
    columns = ALARM_COLUMNS[:-1]  # no active alarm is cleared
    rows = [alarm_row(session.texts, each)[:-1] for each in folded(alarms)]
    return _section(session, "alarms", columns, rows, "no-active-alarms")
