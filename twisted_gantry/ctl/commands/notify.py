"""`gantryctl notify`: who is called about alarms; list them, or call one as a test."""

import click

from twisted_gantry.ctl import completing
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command, Group
from twisted_gantry.ctl.output import Column, plain, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.texts.phrases import detail_in
from twisted_gantry.wire import local_api

PATIENCE = 60.0  # seconds that a test may take: mail and programs are slow


@click.group(cls=Group, short_help="Who is called about alarms. · 告警通知对象")
def notify() -> None:
    """List the targets of notifications with their ledgers, or send a test message.

    列出告警通知对象及其账目，或发送测试通知。
    """


@notify.command("list", cls=Command, short_help="The targets and their ledgers. · 通知对象与账目")
@json_option
@pass_session
def list_targets(session: Session) -> int:
    """Show each target: its kind, state, ledger and last error.

    显示各通知对象的类型、状态、账目与最近错误。有对象离线时退出码为 1。
    """
    answer = session.get("/api/v1/site")
    targets = answer.fit(local_api.SiteView).notify
    texts = session.texts
    columns = (
        *Column.each("name", "kind", "state"),
        *Column.each("created", "delivered", "queued", "set-aside", "dropped", number=True),
        Column("last-delivered", spare=True),
        Column("last-error", prose=True),
    )
    rows = []
    for each in targets:
        kept = each.ledger
        counts = (
            (None, None, each.queued, each.set_aside, None)
            if kept is None
            else (kept.created, kept.delivered, kept.queued, kept.set_aside, kept.dropped)
        )
        state = word(texts, each.state)
        ends = (each.last_delivered, each.last_error or None)
        rows.append((each.name, each.kind, state, *counts, *ends))
    if session.json:
        session.show_json({"notify": answer.document.get("notify", [])})
    else:
        session.show_rows(answer, columns, rows, texts("no-targets"))
    return Exit.WRONG if any(each.state == "offline" for each in targets) else Exit.FINE


@notify.command(cls=Command, short_help="Send a test message. · 发送测试通知")
@click.argument("name", shell_complete=completing.targets)
@json_option
@pass_session
def test(session: Session, name: str) -> int:
    """Send a test message to the target NAME, and tell its outcome with the reason.

    向通知对象 NAME 发送测试通知，并显示结果与原因。未送达时退出码为 1。
    """
    texts = session.texts
    patience = max(session.timeout, PATIENCE)
    with session.waiting(texts("calling", name=plain(name))), session.asking():
        answer = session.api.post("/api/v1/notify/test", {"name": name}, patience)
    tested = answer.fit(local_api.NotifyTested)
    done = tested.result == "done"
    if session.json:
        session.show_json(answer.document)
    elif done:
        session.show(texts("called", name=plain(name)))
    else:
        session.show(
            texts(
                "not-called",
                name=plain(name),
                reason=plain(detail_in(texts.language, tested.detail or "–")),
            )
        )
    return Exit.FINE if done else Exit.WRONG
