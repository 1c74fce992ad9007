"""`gantryctl user`: the file of users that `[web] users` names; no gantry is needed.

The file is written whole or not at all, one writer at a time, for its owner alone (0600).
"""

import fcntl
import json
import os
import secrets
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from twisted_gantry.access.passwords import SALT_BYTES, hash_password, hash_token
from twisted_gantry.access.people import Role, same_name, wrong_name
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.files import whole_file
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column, plain
from twisted_gantry.ctl.session import Session, json_option
from twisted_gantry.settings.sources import NotYet, path_of

INSTALLED = "/etc/gantry/site.toml"
"""The configuration that scripts/install-service writes."""
TOKEN_BYTES = 32
_HEAD = "# Written by gantryctl user: hashes of passwords and tokens. Comments are not kept.\n"
_KEYS = ("name", "role", "roads", "password", "token")

Table = dict[str, Any]


@dataclass(frozen=True)
class _Place:
    """The file of users, and the users that the configuration itself has."""

    file: Path
    inline: list[Table]

    def read(self) -> list[Table]:
        """Return the users of the file, none if it does not exist. Raises Trouble."""
        return _tables(_toml(self.file).get("user")) if self.file.exists() else []

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other writers out during the block. Raises Trouble."""
        try:
            folder = os.open(self.file.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Trouble("cannot-write", file=self.file, reason=error.strerror) from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def write(self, users: list[Table]) -> None:
        """Replace the file. It stays that of its owner; a new one belongs to whom the folder
        belongs, so that the service can read what root has written. Raises Trouble.
        """
        owner = (self.file if self.file.exists() else self.file.parent).stat()
        with whole_file(self.file, force=True) as file:
            file.write("\n".join([_HEAD, *map(_written, users)]).encode())
            if os.geteuid() == 0:
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)


def _toml(path: Path) -> Table:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no TOML"
        raise Trouble("bad-file", Exit.USAGE, file=path, reason=reason) from None


def _tables(value: Any) -> list[Table]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _written(user: Table) -> str:
    lines = [f"{key} = {_value(user[key])}" for key in _KEYS if key in user]
    return "\n".join(["[[user]]", *lines, ""])


def _value(value: Any) -> str:
    if isinstance(value, dict):  # { file = "…" }
        return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")


def _place(config: Path) -> _Place:
    """Return where the users of a configuration are. Raises Trouble."""
    web = _toml(config).get("web")
    web = web if isinstance(web, dict) else {}
    name = web.get("users")
    if not isinstance(name, str) or not name:
        raise Trouble("no-users-file", Exit.USAGE, file=config)
    try:
        path = path_of(config.parent, name)
    except NotYet as error:
        raise Trouble("bad-file", Exit.USAGE, file=name, reason=str(error)) from None
    return _Place(path, _tables(web.get("user")))


def _is(name: str) -> Any:
    wanted = same_name(name)
    return lambda user: same_name(str(user.get("name"))) == wanted


def _names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Complete the name of a user of the file; nothing without the file."""
    try:
        users = _place(Path(context.params.get("config") or INSTALLED)).read()
    except Trouble:
        return []
    names = [str(each.get("name")) for each in users]
    return [each for each in names if each.startswith(incomplete)]


_CONFIG = click.option(
    "--config",
    type=click.Path(path_type=Path),
    envvar="GANTRY_CONFIG",
    default=INSTALLED,
    metavar="FILE",
    help=f"The configuration, else GANTRY_CONFIG, else {INSTALLED}. · 配置文件。",
)


@click.group(short_help="Users of the page and the API. · 用户与角色")
def user() -> None:
    """Users in the file that `users` in [web] names: names, roles, hashes of their secrets.

    A viewer reads; an operator also commands, acknowledges and retries; an admin also drops
    reports, makes backups and sees the users. Changes take effect when the service reloads:
    systemctl reload gantry.

    管理 [web] 的 users 所指文件中的用户：名称、角色、密码或令牌的哈希。viewer 只读；operator
    还可下命令、确认告警、重发；admin 还可丢弃上报、备份、查看用户。重新加载服务后生效。
    """


@user.command(cls=Command, short_help="Add a user. · 添加用户")
@click.argument("name")
@click.option(
    "--role",
    type=click.Choice([each.value for each in Role]),
    default=Role.VIEWER.value,
    help="What the user may do (viewer). · 角色（viewer）。",
)
@click.option(
    "--road",
    "roads",
    multiple=True,
    metavar="ROAD",
    help="All that the user sees at a centre; may be given again. · 在中心只能查看和操作的路线，"
    "可多次给出。",
)
@click.option("--token", is_flag=True, help="Make a token instead of a password. · 生成令牌。")
@click.option("--replace", is_flag=True, help="Replace a user of that name. · 替换同名用户。")
@_CONFIG
@json_option
@click.pass_context
def add(
    context: click.Context,
    name: str,
    role: str,
    roads: tuple[str, ...],
    token: bool,
    replace: bool,
    config: Path,
) -> int:
    """Add the user NAME with a password, which is asked for, or with a token, which is shown once.

    Without a terminal the password is the first line of the standard input. Only hashes are kept.

    添加用户 NAME：输入密码（两次，不显示），或生成令牌（仅显示一次）。只保存哈希。
    """
    session = context.ensure_object(Session)
    place = _place(config)
    if wrong := wrong_name(name):
        raise Trouble("bad-user-name", Exit.USAGE, name=name, reason=wrong)
    made = secrets.token_urlsafe(TOKEN_BYTES) if token else ""
    entry: Table = {"name": same_name(name), "role": role}
    if roads:
        entry["roads"] = list(roads)
    if token:
        entry["token"] = hash_token(made)
    else:
        entry["password"] = hash_password(
            session.hidden("password"), secrets.token_bytes(SALT_BYTES)
        )
    with place.locked():
        users = place.read()
        others = [each for each in users if not _is(name)(each)]
        if any(map(_is(name), place.inline)) or (len(others) < len(users) and not replace):
            raise Trouble("user-exists", name=name)
        place.write([*others, entry])
    if session.json:
        session.show_json({"name": name, "role": role, **({"token": made} if token else {})})
    else:
        if token:
            click.echo(made)
        click.echo(session.texts("user-added", name=plain(name), role=role), err=token)
    return Exit.FINE


@user.command("list", cls=Command, short_help="List the users. · 列出用户")
@_CONFIG
@json_option
@click.pass_context
def list_users(context: click.Context, config: Path) -> int:
    """List names and roles, those in the configuration itself too. No secret is shown.

    列出用户名与角色（含配置文件中直接写入的用户），不显示密码与令牌。
    """
    session = context.ensure_object(Session)
    place = _place(config)
    users = [*place.inline, *place.read()]
    shown = [
        {
            "name": str(each.get("name")),
            "role": str(each.get("role", Role.VIEWER.value)),
            **({"roads": each["roads"]} if "roads" in each else {}),
            "password": "password" in each,
            "token": "token" in each,
        }
        for each in users
    ]
    if session.json:
        session.show_json({"users": shown})
    elif shown:
        rows = [(each["name"], each["role"], each["password"], each["token"]) for each in shown]
        session.show(session.table(Column.each("name", "role", "password", "token"), rows))
    else:
        session.show(session.texts("no-users"))
    return Exit.FINE


@user.command(cls=Command, short_help="Remove a user. · 删除用户")
@click.argument("name", shell_complete=_names)
@_CONFIG
@json_option
@click.pass_context
def remove(context: click.Context, name: str, config: Path) -> int:
    """Remove the user NAME from the file.

    从用户文件中删除用户 NAME。
    """
    session = context.ensure_object(Session)
    place = _place(config)
    with place.locked():
        users = place.read()
        others = [each for each in users if not _is(name)(each)]
        if len(others) == len(users):
            raise Trouble("no-such-user", name=name, file=place.file)
        place.write(others)
    if session.json:
        session.show_json({"removed": name})
    else:
        click.echo(session.texts("user-removed", name=plain(name)))
    return Exit.FINE
