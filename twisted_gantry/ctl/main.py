"""The entry point of `gantryctl`: the options of all commands, errors and exit codes."""

import errno
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from twisted_gantry import __version__
from twisted_gantry.ctl import client
from twisted_gantry.ctl.centre.group import centre
from twisted_gantry.ctl.commands.backup import backup
from twisted_gantry.ctl.commands.check import check
from twisted_gantry.ctl.commands.command import command
from twisted_gantry.ctl.commands.completion import completion
from twisted_gantry.ctl.commands.diagnose import diagnose
from twisted_gantry.ctl.commands.export import export
from twisted_gantry.ctl.commands.history import history
from twisted_gantry.ctl.commands.init import init
from twisted_gantry.ctl.commands.modbus_map import modbus_map
from twisted_gantry.ctl.commands.notify import notify
from twisted_gantry.ctl.commands.outbox import outbox
from twisted_gantry.ctl.commands.password import hash_of_password
from twisted_gantry.ctl.commands.people import ack, maintenance, shelve, unack, unshelve
from twisted_gantry.ctl.commands.probe import probe
from twisted_gantry.ctl.commands.registers import registers
from twisted_gantry.ctl.commands.snmp import snmp_agent
from twisted_gantry.ctl.commands.status import status
from twisted_gantry.ctl.commands.user import user
from twisted_gantry.ctl.commands.views import alarms, audit, points
from twisted_gantry.ctl.commands.watch import watch
from twisted_gantry.ctl.errors import Exit, Trouble, WrongUsage
from twisted_gantry.ctl.help import Group
from twisted_gantry.ctl.scenario.run import scenario
from twisted_gantry.ctl.session import Session, complain, file_option
from twisted_gantry.ctl.texts.catalogue import Texts, texts_for


class _Gantryctl(Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except Trouble as trouble:
            return ctx.ensure_object(Session).fail(trouble)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = args[0].startswith("-") or self.get_command(ctx, args[0]) is not None
        if not known and not ctx.resilient_parsing:
            raise WrongUsage(_texts(ctx)("usage-command", name=args[0]), ctx)
        return super().resolve_command(ctx, args)

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> Any:
        run: Callable[..., Any] = super().main
        if not extra.pop("standalone_mode", True):
            return run(args, *rest, standalone_mode=False, **extra)
        try:
            code = run(args, *rest, standalone_mode=False, **extra)
            sys.stdout.flush()
        except click.UsageError as error:
            code = _wrong_usage(error)
        except click.ClickException as error:
            complain(_texts(None), error.format_message())
            code = Exit.WRONG
        except (click.Abort, KeyboardInterrupt):
            code = Exit.INTERRUPTED
        except OSError as error:
            if error.errno != errno.EPIPE:  # a closed output: `| head`
                raise
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the rest is dropped
            code = Exit.WRONG
        sys.exit(int(code or 0))


def _texts(context: click.Context | None) -> Texts:
    return texts_for(context.find_root().params.get("lang") if context is not None else None)


def _wrong_usage(error: click.UsageError) -> int:
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):
        error.show()
        return Exit.USAGE
    texts = _texts(error.ctx)
    message = _usage_message(texts, error)
    path = error.ctx.command_path if error.ctx is not None else "gantryctl"
    complain(texts, f"{message}\n{texts('usage-help', path=path)}")
    return Exit.USAGE


def _usage_message(texts: Texts, error: click.UsageError) -> str:
    if isinstance(error, WrongUsage):
        return error.message
    if isinstance(error, click.NoSuchOption):
        return texts("usage-option", name=error.option_name)
    if isinstance(error, click.BadParameter):
        hint = error.param_hint
        if hint is None and error.param is not None and error.ctx is not None:
            hint = error.param.get_error_hint(error.ctx)
        name = hint if isinstance(hint, str) else " ".join(hint or ())
        if isinstance(error, click.MissingParameter):
            return texts("usage-missing", name=name)
        return texts("usage-value", name=name, message=error.message)
    return texts("usage-other", message=error.format_message())


@click.group(
    cls=_Gantryctl,
    context_settings={"max_content_width": 100},
    epilog="""\b
Exit codes · 退出码
  0    in order, done · 正常，完成
  1    something is wrong; failed or refused · 有异常；失败或被拒绝
  2    the gantry cannot be reached, or breaks off · 无法连接或应答中断
  3    timeout: outcome unknown · 超时，是否执行未知
  64   wrong usage · 用法错误
  130  interrupted · 被中断

The password may also be in GANTRY_PASSWORD, the token in GANTRY_TOKEN. LC_ALL, LC_MESSAGES or LANG
gives the language.

密码也可放在 GANTRY_PASSWORD 中，令牌放在 GANTRY_TOKEN 中。语言取自 LC_ALL、LC_MESSAGES 或 LANG。
""",
)
@click.option(
    "--url",
    envvar="GANTRY_URL",
    default="http://127.0.0.1:8080",
    metavar="URL",
    help="The gantry's API, else GANTRY_URL, else http://127.0.0.1:8080; or unix:/PATH."
    " · 门架程序地址。",
)
@click.option(
    "--user",
    "account",
    envvar="GANTRY_USER",
    default="",
    metavar="NAME",
    help="The user of the password, else GANTRY_USER. · 用户名。",
)
@file_option("--password-file", "The file of the password. · 密码文件。")
@file_option("--token-file", "The file of the token. · 令牌文件。")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True, max=3600),
    default=client.TIMEOUT,
    metavar="S",
    help="Seconds for one answer (10). · 应答时限，秒（10）。",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs. · 输出 JSON。")
@click.option("--lang", type=click.Choice(["en", "zh"]), help="Language of texts. · 显示语言。")
@click.version_option(
    __version__,
    prog_name="gantryctl",
    message="%(prog)s %(version)s",
    help="Show the version. · 显示版本。",
)
@click.pass_context
def cli(
    context: click.Context,
    url: str,
    account: str,
    password_file: Path | None,
    token_file: Path | None,
    timeout: float,
    as_json: bool,
    lang: str | None,  # taken from the context
) -> None:
    """Show and operate a running gantry, through its local API.

    查看和操作运行中的门架程序（通过其本地接口）。
    """
    texts = _texts(context)
    context.obj = Session(texts, url, timeout, password_file, token_file, as_json, account)
    if password_file is not None and token_file is not None:
        raise WrongUsage(texts("usage-two-files"))


for _command in (
    *(status, watch, points, history, alarms, ack, unack, shelve, unshelve, maintenance),
    *(command, outbox, audit, registers),
    *(modbus_map, backup, export, notify),
    *(init, check, user, hash_of_password, probe, diagnose, completion, scenario, snmp_agent),
    centre,
):
    cli.add_command(_command)


def main() -> None:
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")  # for a terminal without Chinese
    cli()
