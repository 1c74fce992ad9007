"""`gantryctl check`: checks a configuration; no gantry is needed."""

from pathlib import Path

import click

from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import plain
from twisted_gantry.ctl.session import Session, json_option, pass_session


@click.command(cls=Command, short_help="Check a configuration file. · 检查配置文件")
@click.argument("config", type=click.Path(path_type=Path))
@json_option
@pass_session
def check(session: Session, config: Path) -> int:
    """Report every problem of the file CONFIG with its line and key. Needs no gantry.

    检查配置文件，列出每个问题的行号与键；不需要运行中的门架程序。

    \b
    Exit code · 退出码
      0  nothing is wrong · 无误
      1  something is wrong · 有误
    """
    # Imported here: this module imports every kind of device.
    from twisted_gantry.config.load import check_file
    from twisted_gantry.settings.tables import Problem

    texts = session.texts
    with session.waiting(texts("checking", file=config)):
        later: list[Problem] = []
        warnings: list[Problem] = []
        problems = check_file(config, later, warnings)
    if session.json:
        shown = {
            name: [{"line": p.line, "key": p.key, "message": p.message} for p in each]
            for name, each in (("problems", problems), ("later", later), ("warnings", warnings))
        }
        session.show_json({"ok": not problems, **shown})
        return Exit.WRONG if problems else Exit.FINE
    for each in warnings:
        click.echo(texts("config-warning", problem=plain(each.text(texts.language))))
    for each in later:
        click.echo(plain(each.text(texts.language)))
    if later:
        click.echo(texts("config-later", count=len(later)))
    if problems:
        for problem in problems:
            click.echo(plain(problem.text(texts.language)))
        click.echo(texts("config-wrong", count=len(problems)), err=True)
    else:
        click.echo(texts("config-fine", file=plain(str(config))))
    return Exit.WRONG if problems else Exit.FINE
