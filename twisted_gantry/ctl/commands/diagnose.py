"""`gantryctl diagnose`: why a device or an uplink does not work, tried live."""

from pathlib import Path
from threading import Event
from typing import Any

import click

from twisted_gantry.ctl import completing
from twisted_gantry.ctl.commands.steps import Steps, exit_of
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire.local_diagnosis import DiagnosisView

LOOK = 0.3  # seconds between two looks at the steps
_PATH = "/api/v1/diagnose"


@click.command(cls=Command, short_help="Why is it offline? Tried live. · 为何离线？现场逐步检查")
@click.argument("name", shell_complete=completing.devices_and_uplinks)
@click.option(
    "--config",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Without a gantry, by this configuration. · 不经门架程序，按此配置检查。",
)
@json_option
@pass_session
def diagnose(session: Session, name: str, config: Path | None) -> int:
    """Try the way to the device or uplink NAME: name, connection, TLS, one exchange.

    The gantry does it, by the driver itself: a session that stands is used and not disturbed. With
    --config the driver runs here; a device with room for one session must not be in use then.

    由运行中的门架程序用其驱动逐步检查：域名、连接、TLS、一次应答；不打断现有会话。
    使用 --config 时在本机直接检查，此时设备不应被占用（部分设备只允许一个会话）。

    \b
    Exit code · 退出码
      0  all steps are good · 全部正常
      1  it answers wrongly, or refuses · 应答错误或被拒绝
      2  it cannot be reached, or no gantry · 无法连接
      3  no answer in time, or busy · 应答超时或忙
    """
    steps = Steps(session)
    if config is not None:
        return _by_config(session, steps, name, config)
    with session.asking():
        answer = session.api.post(_PATH, {"name": name, "wait": False})
    diagnosis = answer.fit(DiagnosisView)
    steps.show(diagnosis)
    while not diagnosis.ended:
        Event().wait(LOOK)
        answer = session.api.get(_PATH, {"name": name})
        diagnosis = answer.fit(DiagnosisView)
        steps.show(diagnosis)
    if session.json:
        session.show_json(answer.document)
    return exit_of(diagnosis)


def _by_config(session: Session, steps: Steps, name: str, config: Path) -> int:
    from twisted_gantry.config.load import load_file
    from twisted_gantry.ctl.probing.shown import probed
    from twisted_gantry.settings.tables import ConfigError

    try:
        settings = load_file(config)
    except ConfigError as error:
        en = "; ".join(each.text("en") for each in error.problems[:5])
        zh = "; ".join(each.text("zh") for each in error.problems[:5])
        raise Trouble(
            "diagnose-config", Exit.USAGE, file=config, message=en, message_zh=zh
        ) from None
    named: tuple[Any, ...] = (*settings.devices, *settings.etc, *settings.fogslink)
    names = [each.name for each in named]
    if name not in names:
        known = ", ".join(names)
        raise Trouble("diagnose-name", Exit.USAGE, name=name, known=known)
    found = probed(settings, name, steps)
    if session.json:
        session.show_json(found.document)
    return exit_of(found.view)
