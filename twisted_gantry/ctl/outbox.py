"""`gantryctl outbox`: the reports that wait or were set aside, and how to send them again."""

from typing import Any

import click

from twisted_gantry.ctl import shapes
from twisted_gantry.ctl.errors import Exit, WrongUsage
from twisted_gantry.ctl.helptext import Command, Group
from twisted_gantry.ctl.render import Column, plain, scalar, table, word
from twisted_gantry.ctl.session import Session, json_option

_UPLINK = click.option("--uplink", metavar="U", help="Of this uplink alone. · 仅该上联。")


@click.group(
    cls=Group,
    invoke_without_command=True,
    short_help="Reports that wait or were set aside; send again. · 待发与搁置的上报，重发",
)
@_UPLINK
@click.option(
    "--state",
    type=click.Choice(["queued", "set-aside"]),
    help="Of this state alone. · 仅该状态。",
)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most so many. · 条数。")
@json_option
@click.pass_context
def outbox(context: click.Context, uplink: str | None, state: str | None, limit: int | None) -> int:
    """List the reports that are kept; `outbox retry` sends again what was set aside.

    列出保存的上报；`outbox retry` 重发被搁置的上报。
    """
    session = context.ensure_object(Session)
    if context.invoked_subcommand is not None:
        if state is not None or limit is not None:
            raise WrongUsage(session.texts("usage-retry"), context)
        context.meta[__name__] = uplink
        return Exit.FINE
    api, texts = session.api(), session.texts
    with session.waiting(texts("asking", where=api.url)):
        answer = api.get("/api/v1/outbox", {"uplink": uplink, "state": state, "limit": limit})
    reports = shapes.read(answer, shapes.Outbox, api.url).reports
    if session.json:
        session.show_json(answer.document)
    elif not reports:
        session.show(texts("no-reports"))
    else:
        _show(session, reports)
    return Exit.FINE


def _show(session: Session, reports: list[shapes.Report]) -> None:
    texts = session.texts
    columns = (
        Column("id"),
        Column("uplink", under="id"),
        Column("kind"),
        Column("subject", under="kind"),
        Column("state"),
        Column("created-at"),
        Column("urgent", under="state"),
        Column("tries", number=True, under="bytes"),
        Column("bytes", number=True),
        Column("reason", prose=True, under="created-at"),
    )
    rows = [
        (
            scalar(texts, each.id),
            plain(each.uplink),
            plain(each.kind),
            scalar(texts, each.subject),
            word(texts, each.state),
            scalar(texts, each.created_at),
            texts("urgent") if each.urgent else scalar(texts, None),
            scalar(texts, each.tries),
            scalar(texts, each.bytes),
            scalar(texts, each.reason),
        )
        for each in reports
    ]
    session.show(table(texts, session.console(), columns, rows))


@outbox.command(cls=Command, short_help="Send again what was set aside. · 重发被搁置的上报")
@_UPLINK
@click.argument("ids", nargs=-1, type=click.IntRange(min=1), metavar="[ID]…")
@json_option
@click.pass_context
def retry(context: click.Context, uplink: str | None, ids: tuple[int, ...]) -> int:
    """Queue reports again that were set aside: those of the IDs, or all.

    重新排队被搁置的上报：给出编号的，或全部。有编号未重发时退出码为 1。
    """
    session = context.ensure_object(Session)
    uplink = uplink or context.meta.get(__name__)
    wanted: dict[str, Any] = {}
    if uplink is not None:
        wanted["uplink"] = uplink
    if ids:
        wanted["ids"] = ids
    api, texts = session.api(), session.texts
    with session.waiting(texts("asking", where=api.url)):
        answer = api.post("/api/v1/outbox/retry", wanted)
    count = shapes.read(answer, shapes.Retried, api.url).retried
    less = count < len(set(ids))
    if session.json:
        session.show_json(answer.document)
    elif less:
        session.show(texts("retried-less", count=count, wanted=len(set(ids))))
    else:
        session.show(texts("retried", count=count))
    return Exit.WRONG if less else Exit.FINE
