"""`gantryctl outbox`: the reports that wait or were set aside; show, retry or drop them."""

import json
from typing import Any

import click
from rich.text import Text

from twisted_gantry.ctl import completing
from twisted_gantry.ctl.client import Answer
from twisted_gantry.ctl.errors import Exit, Trouble, WrongUsage
from twisted_gantry.ctl.help import Command, Group
from twisted_gantry.ctl.output import Column, plain, word
from twisted_gantry.ctl.session import Session, json_option
from twisted_gantry.wire import local_api

_UPLINK = click.option(
    "--uplink",
    metavar="U",
    shell_complete=completing.uplinks,
    help="Only this uplink. · 仅该上报通道。",
)
_IDS = click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]…")


@click.group(
    cls=Group,
    invoke_without_command=True,
    short_help="Reports that wait or were set aside. · 待发与搁置的上报，重发或丢弃",
)
@_UPLINK
@click.option(
    "--state", type=click.Choice(["queued", "set-aside"]), help="Only this state. · 仅该状态。"
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many. · 条数。")
@json_option
@click.pass_context
def outbox(context: click.Context, uplink: str | None, state: str | None, limit: int | None) -> int:
    """List the stored reports; `show` prints one with its body and the answer.

    `retry` sends those again that were set aside, `drop` deletes them.

    列出保存的上报；`show` 显示一条的内容与应答，`retry` 重发被搁置的上报，`drop` 将其丢弃。
    """
    session = context.ensure_object(Session)
    if context.invoked_subcommand is not None:
        if state is not None or limit is not None:
            name = context.invoked_subcommand
            raise WrongUsage(session.texts("usage-no-filter", name=name), context)
        context.meta[__name__] = uplink
        return Exit.FINE
    answer = session.get("/api/v1/outbox", {"uplink": uplink, "state": state, "limit": limit})
    reports = answer.fit(local_api.Outbox).reports
    texts = session.texts
    columns = (
        Column("id"),
        Column("uplink", under="id"),
        Column("kind"),
        Column("subject", under="kind"),
        *Column.each("state", "created-at"),
        Column("urgent", under="state"),
        Column("tries", number=True, under="bytes"),
        Column("bytes", number=True),
        Column("reason", prose=True, under="created-at"),
    )
    rows = [
        (
            *(each.id, each.uplink, each.kind, each.subject or None, word(texts, each.state)),
            *(each.created_at, texts("urgent") if each.urgent else None, each.tries, each.bytes),
            each.reason or None,
        )
        for each in reports
    ]
    session.show_rows(answer, columns, rows, texts("no-reports"))
    return Exit.FINE


@outbox.command(cls=Command, short_help="Show one with its body and the answer. · 显示内容与应答")
@click.argument("number", type=click.IntRange(min=1), metavar="ID")
@json_option
@click.pass_context
def show(context: click.Context, number: int) -> int:
    """Show the body of a report, and the answer for which the report was set aside.

    The answer is shortened, and secrets in the answer are masked.

    显示一条上报的内容，以及使其被搁置的应答（已截短，密钥已隐去）。没有该编号时退出码为 1。
    """
    session = context.ensure_object(Session)
    answer = session.get("/api/v1/outbox", {"id": number, "bodies": 1})
    found = answer.fit(local_api.Outbox).reports
    texts = session.texts
    if session.json:
        session.show_json(answer.document["reports"][0] if found else None)
    elif not found:
        session.show(texts("no-report", number=number))
    else:
        [report] = found
        state = word(texts, report.state).plain
        lines = [
            f"{report.id}  {report.uplink}  {report.kind}  {state}",
            texts("report-reason", reason=report.reason or "–"),
            texts("report-answer", answer=report.answer or "–"),
            texts("report-body"),
            *_indented(report.body or "").splitlines(),
        ]
        session.show(*(Text(plain(line)) for line in lines))
    return Exit.FINE if found else Exit.WRONG


def _indented(body: str) -> str:
    try:
        return json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except ValueError:
        return body


@outbox.command(cls=Command, short_help="Send again what was set aside. · 重发被搁置的上报")
@_UPLINK
@_IDS
@json_option
@click.pass_context
def retry(context: click.Context, uplink: str | None, ids: tuple[int, ...]) -> int:
    """Queue reports again that were set aside: those with the IDs, or all.

    重新排队被搁置的上报：给出编号的，或全部。有编号未重发时退出码为 1。
    """
    session = context.ensure_object(Session)
    wanted = _wanted(context, uplink, ids)
    answer = _ask(session, "/api/v1/outbox/retry", wanted)
    count = answer.fit(local_api.Retried).retried
    return _tell(session, answer, count, ids, "retried", "retried-less")


@outbox.command(cls=Command, short_help="Delete what was set aside. · 丢弃被搁置的上报")
@_UPLINK
@_IDS
@click.option("--all-set-aside", is_flag=True, help="All that are set aside. · 全部被搁置的上报。")
@click.option("--yes", is_flag=True, help="Do not ask. · 不再确认。")
@json_option
@click.pass_context
def drop(
    context: click.Context, uplink: str | None, ids: tuple[int, ...], all_set_aside: bool, yes: bool
) -> int:
    """Delete reports that were set aside, for good: those with the IDs, or all. Asks first.

    They are never sent, and are counted as dropped. A queued report is not dropped.

    永久丢弃被搁置的上报：给出编号的，或全部；先要求确认。丢弃的上报不再发送，计入“已丢弃”。
    """
    session = context.ensure_object(Session)
    if bool(ids) is all_set_aside:
        raise WrongUsage(session.texts("usage-drop"), context)
    wanted = _wanted(context, uplink, ids)
    if all_set_aside:
        wanted["allSetAside"] = True
    if not yes:
        _confirm(session, wanted.get("uplink"), ids)
    answer = _ask(session, "/api/v1/outbox/drop", {**wanted, "confirm": True})
    count = answer.fit(local_api.Dropped).dropped
    return _tell(session, answer, count, ids, "dropped-now", "dropped-less")


def _confirm(session: Session, uplink: str | None, ids: tuple[int, ...]) -> None:
    """Ask a person. Raises Trouble without a yes."""
    texts = session.texts
    if not session.can_ask():
        raise Trouble("needs-yes-to-drop")
    if ids:
        what = texts("reports-by-id", ids=", ".join(map(str, dict.fromkeys(ids))))
    else:
        what = texts("reports-set-aside", uplink=uplink or texts("every-uplink"))
    if not session.confirm(texts("confirm-drop", what=what)):
        raise Trouble("not-confirmed")


def _wanted(context: click.Context, uplink: str | None, ids: tuple[int, ...]) -> dict[str, Any]:
    uplink = uplink or context.meta.get(__name__)
    wanted: dict[str, Any] = {}
    if uplink is not None:
        wanted["uplink"] = uplink
    if ids:
        wanted["ids"] = ids
    return wanted


def _ask(session: Session, path: str, wanted: dict[str, Any]) -> Answer:
    with session.asking():
        return session.api.post(path, wanted)


def _tell(
    session: Session, answer: Answer, count: int, ids: tuple[int, ...], done: str, less: str
) -> int:
    """Show the count; fewer than the named reports is an error."""
    wanted = len(set(ids))
    if session.json:
        session.show_json(answer.document)
    elif count < wanted:
        session.show(session.texts(less, count=count, wanted=wanted))
    else:
        session.show(session.texts(done, count=count))
    return Exit.WRONG if count < wanted else Exit.FINE
