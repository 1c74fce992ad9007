"""`gantryctl centre command`: one command for many gantries, with its outcome at each."""

import uuid
from threading import Event
from typing import Any

import click
from rich.text import Text

from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.errors import Exit, Trouble, WrongUsage
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import NOTHING, Column, plain, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire import centre_orders as api

_PATH = "/api/v1/commands"
LOOK = 1.0  # seconds between two questions for the outcomes
LATE = 60.0  # seconds after the expiry in which the last answer has come
_UNSURE = ("unknown",)


def _pause(seconds: float) -> None:
    Event().wait(seconds)


@click.command(
    cls=Command,
    short_help="Send a command to many gantries. · 向多个门架下命令",
    options_metavar="[OPTIONS]",
)
@click.argument("words", nargs=-1, metavar="[COMMAND [FIELD=VALUE]…]")
@click.option("--gantry", "ids", multiple=True, metavar="ID", help="This gantry. · 门架编号。")
@click.option("--road", metavar="ROAD", help="All gantries of a road. · 该路线的全部门架。")
@click.option("--section", metavar="NAME", help="Of a section of it. · 该路段。")
@click.option("--all", "everything", is_flag=True, help="All gantries. · 全部门架。")
@click.option("--yes", is_flag=True, help="Do not ask before one that can hurt. · 不再确认。")
@click.option(
    "--expires",
    type=click.FloatRange(min=0, min_open=True, max=86_400),
    default=300.0,
    metavar="S",
    help="Seconds to be sent in (300). · 有效期，秒（300）。",
)
@click.option("--no-wait", is_flag=True, help="Do not wait for outcomes. · 不等待结果。")
@json_option
@pass_session
def command(
    session: Session,
    words: tuple[str, ...],
    ids: tuple[str, ...],
    road: str | None,
    section: str | None,
    everything: bool,
    yes: bool,
    expires: float,
    no_wait: bool,
) -> int:
    """Send COMMAND to the gantries, show what it would do, and wait for the outcome at each.

    向门架下达 COMMAND：先显示影响范围，可能造成危害的要求确认，然后等待每个门架的结果。
    不带参数时列出所有可用命令。

    \b
      gantryctl centre command                     list the commands · 列出命令
      gantryctl centre command update-now --road G2
      gantryctl centre command unlock-door unlockDoorId=1 --gantry G000211001002110010

    A command is never sent twice; the outcome of one without an answer is unknown.

    命令不会重复发送；没有应答的命令，结果为未知。

    \b
    Exit code · 退出码
      0  done everywhere · 全部完成
      1  failed or refused somewhere · 有失败或被拒绝的
      2  no connection; nothing was sent · 无法连接，未发送
      3  unknown somewhere · 有结果未知的
    """
    methods = session.get(f"{_PATH}/methods")
    known = methods.fit(api.MethodList).methods
    if not words:
        return _list(session, methods.document, known)
    method = next((each for each in known if each.name == words[0]), None)
    if method is None:
        names = ", ".join(each.name for each in known)
        raise Trouble("no-order", command=words[0], known=names)
    wish = {
        "gantries": _choice(session, ids, road, section, everything=everything),
        "method": method.method,
        "args": {**method.given, **_fields(session, words[1:])},
        "expires": expires,
        "id": uuid.uuid4().hex,
    }
    preview = _preview(session, wish)
    if preview.endangers:
        wish["confirm"] = yes or _confirmed(session, method, preview)
    number = _submitted(session, wish)
    if no_wait:
        return _told(session, number)
    try:
        return _follow(session, number, expires + LATE)
    except ApiError as error:  # the command is on its way all the same
        message = session.explain(error)
        raise Trouble(
            "order-unseen", Exit.UNKNOWN, error.code, id=number, message=message
        ) from None


def _choice(
    session: Session,
    ids: tuple[str, ...],
    road: str | None,
    section: str | None,
    *,
    everything: bool,
) -> Any:
    if [bool(ids), bool(road), everything].count(True) != 1 or (section and not road):
        raise WrongUsage(session.texts("usage-gantries"))
    if ids:
        return list(ids)
    return {"all": True} if everything else {"road": road, "section": section or ""}


def _fields(session: Session, words: tuple[str, ...]) -> dict[str, str]:
    fields = {}
    for each in words:
        name, equals, value = each.partition("=")
        if not equals or not name:
            raise WrongUsage(session.texts("usage-field", word=plain(each)))
        fields[name] = value
    return fields


def _preview(session: Session, wish: dict[str, Any]) -> api.OrderPreview:
    """Show what the command would do."""
    with session.asking():
        answer = session.api.post(f"{_PATH}/preview", wish)
    preview = answer.fit(api.OrderPreview)
    if not session.json:
        texts = session.texts
        numbers = {"able": preview.able, "gantries": preview.gantries}
        unable = [
            Text(f"  {plain(e.gantry)}: {plain(texts.pick(e.reason, e.reason_zh))}", "yellow")
            for e in preview.unable[:20]
        ]
        session.show(Text(texts("preview-line", **numbers)), *unable)
    return preview


def _confirmed(session: Session, method: api.MethodView, preview: api.OrderPreview) -> bool:
    """Ask a person. Raises Trouble without a yes."""
    texts = session.texts
    danger = texts.pick(preview.danger or "", preview.danger_zh or "")
    if not session.can_ask():
        raise Trouble("order-needs-yes", command=method.name, danger=danger)
    what = texts.pick(method.en, method.zh)
    question = texts("confirm-order", what=what, number=preview.able, danger=danger)
    if not session.confirm(question):
        raise Trouble("not-confirmed")
    return True


def _submitted(session: Session, wish: dict[str, Any]) -> str:
    try:
        with session.asking():
            return session.api.post(_PATH, wish).fit(api.OrderTaken).id
    except ApiError as error:
        if error.sent and (error.status is None or error.status >= 500):
            message = session.explain(error)
            raise Trouble("order-unsure", Exit.UNKNOWN, error.code, message=message) from None
        raise


def _told(session: Session, number: str) -> int:
    if session.json:
        session.show_json({"id": number})
    else:
        session.show(session.texts("order-taken", id=plain(number)))
    return Exit.FINE


def _follow(session: Session, number: str, seconds: float) -> int:
    """Wait until every outcome is final, and show all of them."""
    waited = 0.0
    with session.waiting(session.texts("order-waiting", id=plain(number))):
        while True:
            answer = session.api.get(f"{_PATH}/{number}", {"limit": 1000})
            seen = answer.fit(api.OrderView)
            if seen.over or waited >= seconds:
                break
            _pause(LOOK)
            waited += LOOK
        document, outcomes = answer.document, list(seen.outcomes)
        while after := document.get("after"):
            more = session.api.get(f"{_PATH}/{number}", {"limit": 1000, "after": after})
            outcomes += more.fit(api.OrderView).outcomes
            answer.document["outcomes"] += more.document["outcomes"]
            document = more.document
    answer.document["after"] = None
    if session.json:
        session.show_json(answer.document)
    else:
        _show(session, seen, outcomes)
    states = {each.outcome for each in outcomes}
    if not seen.over or states.intersection(_UNSURE):
        return Exit.UNKNOWN
    return Exit.FINE if states <= {"done"} else Exit.WRONG


def _show(session: Session, seen: api.OrderView, outcomes: list[api.OrderOutcome]) -> None:
    texts = session.texts
    columns = (
        *Column.each("gantry", "result", "at"),
        Column("detail", prose=True),
    )
    rows = [
        (
            *(each.gantry, word(texts, each.outcome), each.at),
            texts.pick(each.detail or "", each.detail_zh or each.detail or "")
            or (each.value and str(each.value)),
        )
        for each in outcomes
    ]
    counts = ", ".join(f"{texts.word(name)} {number}" for name, number in seen.counts.items())
    session.show(
        session.table(columns, rows), texts("order-over", id=plain(seen.id), counts=counts)
    )
    if not seen.over:
        session.show(Text(texts("order-open"), "yellow"))


def _list(session: Session, document: dict[str, Any], known: list[api.MethodView]) -> int:
    if session.json:
        session.show_json(document)
        return Exit.FINE
    texts = session.texts
    columns = (
        Column("command"),
        Column("what", prose=True),
        Column("fields", prose=True, under="what"),
        Column("note", prose=True),
    )
    rows = [
        (
            each.name,
            texts.pick(each.en, each.zh),
            " ".join(_field(field) for field in each.fields) or None,
            _note(session, each),
        )
        for each in known
    ]
    session.show(session.table(columns, rows))
    return Exit.FINE


def _field(field: api.FieldView) -> str:
    shown = f"{field.name}={'|'.join(field.choices) or '…'}"
    return shown if field.required else f"[{shown}]"


def _note(session: Session, method: api.MethodView) -> Text:
    if not method.endangers:
        return Text(NOTHING)
    danger = session.texts.pick(method.danger or "", method.danger_zh or "")
    what = session.texts.word(method.endangers)
    return Text(plain(session.texts("danger", what=what, danger=danger)), "bold red")
