"""`gantryctl hash-password`: the hash that a configuration may hold instead of a password."""

import secrets

import click

from twisted_gantry.access.passwords import SALT_BYTES, hash_password
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.session import Session, json_option, pass_session


@click.command(
    cls=Command,
    name="hash-password",
    short_help="A hash for [web] password. · 生成 [web] password 的哈希",
)
@json_option
@pass_session
def hash_of_password(session: Session) -> int:
    """Ask for a password, and print the scrypt hash that [web] password takes in its place.

    The password is asked for twice and not shown; without a terminal it is the first line of the
    standard input. The hash does not reveal the password.

    输入密码（不显示，两次），输出可写入 [web] password 的 scrypt 哈希；无法由哈希还原密码。
    没有终端时，密码取标准输入的第一行。
    """
    hashed = hash_password(session.hidden("password"), secrets.token_bytes(SALT_BYTES))
    if session.json:
        session.show_json({"hash": hashed})
    else:
        click.echo(hashed)
    return Exit.FINE
