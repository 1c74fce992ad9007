"""`gantryctl backup`: a copy of the running gantry's database."""

import sqlite3
from contextlib import closing
from pathlib import Path

import click

from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.files import whole_file
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import plain
from twisted_gantry.ctl.session import Session, json_option, pass_session


@click.command(cls=Command, short_help="Copy the gantry's database. · 备份门架程序的数据")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--history",
    is_flag=True,
    help="Copy the history of points (history.db). · 改为备份测点历史（history.db）。",
)
@click.option("--force", is_flag=True, help="Replace FILE. · 覆盖已有的 FILE。")
@json_option
@pass_session
def backup(session: Session, file: Path, history: bool, force: bool) -> int:
    """Write a consistent copy of the running gantry's database to FILE, and check the copy.

    The gantry goes on meanwhile. FILE holds the reports with their codes, so only its owner may
    read it. To restore, stop the gantry and put FILE into an empty data folder as gantry.db, a
    copy of the history as history.db.

    把运行中门架程序的数据库（某一时刻的一致副本）写入 FILE 并校验；程序不受影响。
    恢复时：先停止门架程序，把 FILE 放入空的数据目录，命名为 gantry.db（历史为 history.db）。
    """
    texts = session.texts
    name = plain(str(file))
    waiting = session.waiting(texts("copying", where=session.url, file=name))
    with waiting, whole_file(file, force=force) as copy:
        size = session.api.download("/api/v1/backup", {"history": history}, copy)
        copy.flush()
        _check(Path(copy.name))
    if session.json:
        session.show_json({"file": str(file), "bytes": size})
    else:
        session.show(texts("copied", file=name, bytes=size))
    return Exit.FINE


def _check(path: Path) -> None:
    try:
        uri = f"{path.resolve().as_uri()}?immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as db:
            [(verdict,), *_] = db.execute("PRAGMA quick_check(1)").fetchall()
            [(tables,)] = db.execute("SELECT count(*) FROM sqlite_schema").fetchall()
    except sqlite3.Error as error:
        verdict, tables = str(error), 0
    if verdict != "ok" or not tables:
        raise Trouble("bad-copy", reason=verdict)
