"""`gantryctl probe`: ask a device, the platform or the cloud directly, without a gantry."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from twisted_gantry.ctl.commands.steps import Steps, exit_of
from twisted_gantry.ctl.errors import Exit, WrongUsage
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column, plain, reading, table, word
from twisted_gantry.ctl.probing import request
from twisted_gantry.ctl.session import Session, complain, json_option, pass_session, read_secret

if TYPE_CHECKING:
    from twisted_gantry.ctl.probing.shown import Shown


def _options(command: Any) -> Any:
    for name, text in reversed(request.OPTIONS.items()):
        option = request.option_of(name)
        command = click.option(option, name, metavar="TEXT", help=text)(command)
    return command


@click.command(
    cls=Command, short_help="Ask a device directly, no gantry needed. · 直接查询设备或平台"
)
@click.argument("kind", metavar="KIND")
@click.argument("address", metavar="ADDRESS", default="")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Holds the password, auth, token or api_key. · 密码、授权码、令牌或 api_key 文件。",
)
@click.option("--gantry-id", metavar="ID", help="The gantry's number. · 门架编号。")
@_options
@click.option(
    "--set",
    "more",
    multiple=True,
    metavar="KEY=VALUE",
    help="Any other setting of the kind. · 该类型的其他配置项。",
)
@json_option
@pass_session
def probe(
    session: Session,
    /,
    kind: str,
    address: str,
    password_file: Path | None,
    gantry_id: str | None,
    more: tuple[str, ...],
    **given: str | None,
) -> int:
    """Try KIND at ADDRESS: name, connection, TLS, and the first exchange of its driver.

    KIND is that of a [[device]] (ups-card, ups-card-http, cfos, bms, cabinet, relay, modbus …),
    `platform` for monitor.do, or `cloud` for Fogslink. ADDRESS is what the setting `address` or
    `url` takes: tcp:HOST:PORT, http://HOST/. It changes nothing, and needs no gantry. `probe
    tcp:HOST:PORT` is a UPS card. A peer with room for one session must not be in use.

    KIND 为设备类型（ups-card、cfos、bms、cabinet 等），platform 为部平台 monitor.do，
    cloud 为 Fogslink 云平台；ADDRESS 同配置中的 address 或 url。不改变任何设置，
    不需要门架程序；只允许一个会话的设备此时不应被占用。

    \b
    Exit code · 退出码
      0  it answers as it should · 应答正常
      1  an answer was wrong, or a refusal · 应答错误或被拒绝
      2  no connection · 无法连接
      3  no answer in time, or busy · 应答超时或忙
    """
    if not address:
        kind, address = "ups-card", kind
    settings = {name: text for name, text in given.items() if text is not None}
    for pair in more:
        key, equals, text = pair.partition("=")
        if not equals or not key:
            raise WrongUsage(session.texts("usage-arg", word=key))
        settings[key] = request.value_of(text)
    if password_file is not None:
        read_secret(password_file)  # a clear error for a file that holds none
    checked = request.settings_of(
        kind, address, given=settings, secret=password_file, gantry_id=gantry_id
    )
    from twisted_gantry.ctl.probing.shown import probed

    things: tuple[Any, ...] = (*checked.devices, *checked.etc, *checked.fogslink)
    steps = Steps(session)
    found = probed(checked, things[0].name, steps)
    _show(session, address, found)
    wrong = next((e for e in found.probed.errors if e is not found.probed.diagnosis.outage), None)
    return exit_of(found.view) or (Exit.FINE if wrong is None else Exit.WRONG)


def _show(session: Session, address: str, found: "Shown") -> None:
    texts, probed = session.texts, found.probed
    good = [(kind, each) for kind, each in probed.readings if each.at is not None]
    good += [(k, e) for k, e in probed.readings if e.at is None and e.quality == "not-supported"]
    readings = {each.name.partition(".")[2]: (kind, each) for kind, each in good}
    if session.json:
        errors = [
            {"code": each.cause.value, "message": texts.pick(each.en, each.zh)}
            for each in probed.errors
        ]
        listed = [
            {
                "name": name,
                "label": {"en": kind.en, "zh": kind.zh},
                "value": each.value,
                "unit": kind.unit,
                "quality": each.quality.value,
            }
            for name, (kind, each) in readings.items()
        ]
        document = {**found.document, "address": address, "uid": probed.identity or None}
        session.show_json({**document, "readings": listed, "errors": errors})
        return
    if probed.identity:
        session.show(texts("probe-line", uid=plain(probed.identity), address=address))
    if readings:
        columns = (
            *Column.each("point", "label"),
            Column("value", number=True),
            *Column.each("unit", "quality"),
        )
        rows = [
            (
                name,
                texts.pick(kind.en, kind.zh),
                reading(texts, name, each.value),
                kind.unit,
                word(texts, each.quality.value),
            )
            for name, (kind, each) in readings.items()
        ]
        session.show(table(texts, session.console(), columns, rows))
    shown = probed.diagnosis.outage
    for each in probed.errors:
        if shown is None or each != shown:
            complain(texts, texts.pick(each.en, each.zh))
