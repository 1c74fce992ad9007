"""`[[web.user]]` and the file of `[web] users`: read, and every mistake named."""

from pathlib import Path

import pytest

from twisted_gantry.access.passwords import hash_token
from twisted_gantry.access.people import Role
from twisted_gantry.config.load import load
from twisted_gantry.config.settings import Settings
from twisted_gantry.settings.tables import ConfigError, Problem

GANTRY = '[gantry]\nid = "G1"\n'
VERA = '[[web.user]]\nname = "vera"\npassword = "v"\n'
USERS = '[web]\nusers = "users.toml"\n'
OTTO = f'[[user]]\nname = "otto"\ntoken = "{hash_token("t")}"\nrole = "operator"\n'


def read(
    folder: Path, text: str, users: str = "", warnings: list[Problem] | None = None
) -> Settings:
    if users:
        file = folder / "users.toml"
        file.write_text(users, encoding="utf-8")
        file.chmod(0o600)
    return load(GANTRY + text, "site.toml", folder, warnings=warnings)


def problems(folder: Path, text: str, users: str = "") -> list[str]:
    try:
        read(folder, text, users)
    except ConfigError as error:
        return [str(each).replace(f"{folder}/", "") for each in error.problems]
    return []


def test_users_of_both_places(tmp_path: Path) -> None:
    """The users of the file come behind those of the configuration; a viewer is the default."""
    web = read(tmp_path, USERS + VERA, OTTO).web
    people = [(each.user.person.name, each.user.person.role) for each in web.user]
    assert people == [("vera", Role.VIEWER), ("otto", Role.OPERATOR)]
    assert web != read(tmp_path, USERS + VERA, OTTO.replace("operator", "admin")).web


def test_users_are_secret_enough_for_other_machines(tmp_path: Path) -> None:
    """Off loopback a user does as well as a password; a wrong one is not a second mistake."""
    listen = '[web]\nlisten = "tcp:8080"\n'
    assert "can be reached" in problems(tmp_path, listen)[0]
    assert problems(tmp_path, listen + VERA) == []
    assert problems(tmp_path, listen + 'users = "users.toml"\n', OTTO) == []
    assert len(problems(tmp_path, listen + VERA.replace('"v"', "1"))) == 1


@pytest.mark.parametrize(
    ("text", "users", "told"),
    [
        (
            '[[web.user]]\nname = "vera"\n',
            "",
            ["site.toml:3: web.user[1]: needs a password or a token"],
        ),
        (
            VERA + 'role = "root"\n',
            "",
            ["site.toml:6: web.user[1].role: must be one of admin, operator, viewer; it is 'root'"],
        ),
        (
            VERA.replace("vera", "operator"),
            "",
            [
                (
                    "site.toml:4: web.user[1].name: stands for those without an account: "
                    "local, operator and viewer are taken"
                )
            ],
        ),
        (
            VERA.replace("vera", "two words"),
            "",
            ["site.toml:4: web.user[1].name: a name has 1 to 40 letters, digits and . _ - @"],
        ),
        (VERA + VERA, "", ["site.toml:7: web.user[2].name: a second user is named 'vera'"]),
        (
            VERA.replace('"v"', '"scrypt$x"'),
            "",
            ["site.toml:5: web.user[1].password: a hash is scrypt$n$r$p$salt$hash"],
        ),
        (
            VERA + 'token = "sha256$12"\n',
            "",
            [
                (
                    "site.toml:6: web.user[1].token: the hash of a token is sha256$ and "
                    "64 hexadecimal digits"
                )
            ],
        ),
        (
            '[web]\ntoken = "t"\n[[web.user]]\nname = "vera"\ntoken = "t"\n',
            "",
            ["site.toml:7: web.user[1].token: another one has the same token"],
        ),
        (VERA + "rights = 1\n", "", ["site.toml:6: web.user[1].rights: unknown key"]),
        (
            USERS,
            "",
            [
                (
                    "site.toml:4: web.users: the file users.toml cannot be read: No such file or "
                    "directory; gantryctl user add makes it"
                )
            ],
        ),
        (
            USERS,
            "[[user]",
            ["users.toml:1: no TOML: Expected ']]' at the end of an array declaration"],
        ),
        (
            USERS + VERA,
            OTTO + OTTO.replace("otto", "vera").replace("token", "tokn"),
            [
                "users.toml:6: user[2].name: a second user is named 'vera'",
                "users.toml:7: user[2].tokn: unknown key; did you mean token?",
                "users.toml:5: user[2]: needs a password or a token",
            ],
        ),
        (USERS, "x = 1\n" + OTTO, ["users.toml:1: x: unknown key"]),
    ],
)
def test_every_mistake_is_named(tmp_path: Path, text: str, users: str, told: list[str]) -> None:
    """With the line of the file that has it, all at once, and never with a secret."""
    assert sorted(problems(tmp_path, text, users)) == sorted(told)


def test_a_file_that_everybody_may_read_is_a_warning(tmp_path: Path) -> None:
    """Hashes can be guessed at: the file is for the owner, and perhaps a group."""
    warnings: list[Problem] = []
    read(tmp_path, USERS, OTTO, warnings)
    assert warnings == []
    (tmp_path / "users.toml").chmod(0o644)
    read(tmp_path, USERS, warnings=warnings)
    [warning] = warnings
    assert (warning.key, warning.message.partition(" read ")[0]) == ("web.users", "everybody may")


def test_roads_are_for_a_centre(tmp_path: Path) -> None:
    """A gantry has one road: a user of it who is kept to roads would be kept to nothing."""
    told = "site.toml:6: web.user[1].roads: is for users of the centre: this is one gantry"
    assert problems(tmp_path, VERA + 'roads = ["G2"]\n', "") == [told]
