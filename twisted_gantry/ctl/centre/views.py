"""`gantryctl centre status|gantries|incidents|ledger`: what stands now."""

from typing import Any

import click
from rich.text import Text

from twisted_gantry.ctl.client import Answer
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import STYLES, Column, plain, scalar, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire.local_api import MAX_LIMIT

_UNHEALTHY = 503
_ROAD = click.option("--road", metavar="ROAD", help="Only this road. · 仅该路线。")
_SECTION = click.option("--section", metavar="NAME", help="Only this section. · 仅该路段。")
_LIMIT = click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="At most so many. · 条数。"
)


def pages(
    session: Session, path: str, key: str, query: dict[str, Any], limit: int | None
) -> Answer:
    """Return the list at `path`, whole or its first `limit` entries, as one answer."""
    found: list[Any] = []
    after: str | None = None
    with session.asking():
        while True:
            size = min(MAX_LIMIT, MAX_LIMIT if limit is None else limit - len(found))
            answer = session.api.get(path, {**query, "limit": size, "after": after})
            found += answer.document.get(key) or []
            after = answer.document.get("after")
            if not after or len(found) == limit:
                return Answer(
                    answer.status, {**answer.document, key: found, "after": after}, answer.where
                )


@click.command(cls=Command, short_help="Is everything in order? · 总览")
@json_option
@pass_session
def status(session: Session) -> int:
    """Show the gantries by state, the incidents, the ledger, and faults of the centre itself.

    显示各状态的门架数、当前事件、上报账目，以及中心自身的故障。

    \b
    Exit code · 退出码
      0  no incident, and the centre is well · 没有事件且中心正常
      1  something is wrong · 有异常
      2  no answer · 无法连接
    """
    with session.asking():
        overview_answer = session.api.get("/api/v1/overview")
        health_answer = session.api.get("/healthz", also=(_UNHEALTHY,))
        incidents_answer = session.api.get("/api/v1/incidents", {"active": 1, "limit": 20})
    overview = overview_answer.fit(api.Overview)
    health = health_answer.fit(api.CentreHealth)
    standing = incidents_answer.fit(api.IncidentList).incidents
    is_fine = health.status == "ok" and not overview.incidents and not overview.troubles
    if session.json:
        session.show_json(
            {
                "ok": is_fine,
                "overview": overview_answer.document,
                "health": health_answer.document,
                "incidents": incidents_answer.document["incidents"],
            }
        )
        return Exit.FINE if is_fine else Exit.WRONG
    texts = session.texts
    said = scalar(texts, texts.word(health.status))
    lines = [
        Text(plain(texts("centre-line", name=overview.name, version=overview.version)), "bold"),
        Text(texts("health-line", status=said), "green" if health.status == "ok" else "bold red"),
        *(Text("  " + texts("health-reason", reason=scalar(texts, r))) for r in health.reasons),
        *(_trouble(session, each) for each in overview.troubles),
        *_counts(session, overview.gantries),
        Text(_ledger_line(session, overview.ledger)),
        Text(texts("alarm-rate", alarms=overview.alarms, rate=overview.alarm_rate)),
    ]
    session.show(*lines)
    if standing:
        session.show("", _incident_table(session, standing))
    return Exit.FINE if is_fine else Exit.WRONG


def _trouble(session: Session, trouble: api.CentreTrouble) -> Text:
    text = session.texts.pick(trouble.message, trouble.message_zh)
    return Text(f"  {plain(trouble.alarm)}: {plain(text)}", STYLES.get(trouble.severity, ""))


def _counts(session: Session, counts: api.GantryCounts) -> list[Text]:
    texts = session.texts
    line = Text(texts("gantries-line", total=counts.total))
    for name in api.GANTRY_STATES:
        number = getattr(counts, name)
        style = STYLES.get(name, "") if number else "dim"
        line.append(f"  {texts.word(name)} {number}", style)
    if not counts.pending:
        return [line]
    return [line, Text(texts("pending-line", number=counts.pending), "yellow")]


def _ledger_line(session: Session, totals: api.LedgerTotals) -> str:
    numbers = {name: getattr(totals, name) for name in totals.__struct_fields__}
    return session.texts(
        "centre-ledger", **{name: numbers[name] for name in api.LedgerTotals.__struct_fields__}
    )


@click.command(cls=Command, short_help="The gantries. · 门架列表")
@click.option(
    "--state",
    type=click.Choice([*api.GANTRY_STATES, "pending"]),
    help="Only this state. · 仅该状态。",
)
@_ROAD
@_SECTION
@click.option("--search", "q", metavar="TEXT", help="Part of an id, name, stake. · 搜索。")
@click.option(
    "--sort", type=click.Choice(api.SORTS), default="id", help="The order (id). · 排序（id）。"
)
@_LIMIT
@json_option
@pass_session
def gantries(
    session: Session,
    state: str | None,
    road: str | None,
    section: str | None,
    q: str | None,
    sort: str,
    limit: int | None,
) -> int:
    """List the gantries that match all options; those without a value come last.

    列出满足全部条件的门架；没有数值的排在最后。
    """
    query = {"state": state, "road": road, "section": section, "q": q, "sort": sort}
    answer = pages(session, "/api/v1/gantries", "gantries", query, limit)
    texts = session.texts
    columns = (
        Column("id"),
        Column("name", under="id"),
        *Column.each("road", "section"),
        Column("stake", under="section"),
        *Column.each("state", "since"),
        Column("last-report", under="since"),
        Column("battery-minutes", number=True),
        Column("alarms", prose=True),
    )
    rows = [
        (
            *(each.id, each.name or None, each.road or None, each.section or None),
            *(each.stake or None, word(texts, "pending" if each.pending else each.state)),
            *(each.since, each.last_report, each.battery_minutes),
            " ".join(each.alarms) or None,
        )
        for each in answer.fit(api.GantryList).gantries
    ]
    session.show_rows(answer, columns, rows, texts("no-gantries"))
    return Exit.FINE


@click.command(cls=Command, short_help="The incidents. · 事件列表")
@click.option("--all", "past", is_flag=True, help="Also those that are over. · 包括已结束的。")
@_ROAD
@_LIMIT
@json_option
@pass_session
def incidents(session: Session, past: bool, road: str | None, limit: int | None) -> int:
    """List the incidents that last, the most urgent first: one line for each cause.

    列出当前事件，最紧急的在前；同一原因为一行。
    """
    query = {"active": None if past else 1, "road": road}
    answer = pages(session, "/api/v1/incidents", "incidents", query, limit)
    found = answer.fit(api.IncidentList).incidents
    if session.json:
        session.show_json(answer.document)
    else:
        none = session.texts("no-incidents")
        session.show(_incident_table(session, found) if found else none)
    return Exit.FINE


def _incident_table(session: Session, found: list[api.IncidentView]) -> Any:
    texts = session.texts
    columns = (
        Column("id"),
        Column("severity"),
        Column("what", prose=True),
        *Column.each("road", "section"),
        Column("gantries", number=True),
        Column("battery-minutes", number=True),
        Column("since"),
        Column("seen-by", under="since"),
    )
    rows = [
        (
            *(each.id, word(texts, each.severity)),
            texts.pick(each.message or each.cause, each.message_zh or each.cause),
            *(each.road or None, each.section or each.gantry, each.gantries),
            *(each.battery_minutes, each.since, each.acked_by),
        )
        for each in found
    ]
    return session.table(columns, rows)


@click.command(cls=Command, short_help="The ledger of reports. · 上报账目")
@click.option("--since", metavar="TIME", help="RFC 3339, or Unix seconds. · 起始时间。")
@json_option
@pass_session
def ledger(session: Session, since: str | None) -> int:
    """Show what became of the reports: received = stored + duplicate + refused.

    显示上报的去向：收到＝入库＋重复＋拒绝。
    """
    answer = session.get("/api/v1/ledger", {"since": since})
    found = answer.fit(api.CentreLedger)
    if session.json:
        session.show_json(answer.document)
        return Exit.FINE
    texts = session.texts
    lines = [Text(_ledger_line(session, found))]
    lines += [
        Text("  " + texts("refused-line", code=plain(code), number=number))
        for code, number in found.refused_by.items()
    ]
    if found.rejected:
        lines.append(Text(texts("rejected-line", number=found.rejected), "yellow"))
    lines.append(Text(texts("waiting-line", number=found.waiting)))
    if found.oldest_backlog is not None:
        lines.append(Text(texts("backlog-line", at=scalar(texts, found.oldest_backlog)), "yellow"))
    session.show(*lines)
    return Exit.FINE
