"""`user`: hashes in the file of users, written whole, for its owner alone."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete

from tests.ctl.conftest import Ctl, FakeGantry
from twisted_gantry.access import passwords
from twisted_gantry.access.passwords import hash_token, read_hash
from twisted_gantry.config.load import check_file
from twisted_gantry.ctl.main import cli

CONFIG = '[gantry]\nid = "G000211001002110010"\n[web]\nusers = "users.toml"\n'
INLINE = '[[web.user]]\nname = "vera"\npassword = "x"\n'


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "N", 16)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "site.toml"
    path.write_text(CONFIG + INLINE, encoding="utf-8")
    return path


def users(config: Path) -> list[dict[str, Any]]:
    text = (config.parent / "users.toml").read_text(encoding="utf-8")
    return list(tomllib.loads(text)["user"])


def test_add(ctl: Ctl, gantry: FakeGantry, config: Path) -> None:
    """A password becomes a hash in a file that passes the check; no gantry is asked."""
    where = ("--config", str(config))
    result = ctl("user", "add", "王伟", "--role", "admin", *where, typed="geheim\n")
    assert result.exit_code == 0
    assert "systemctl reload gantry" in result.stdout
    [user] = users(config)
    assert (user["name"], user["role"]) == ("王伟", "admin")
    assert read_hash(user["password"]).fits(b"geheim")
    mode = (config.parent / "users.toml").stat().st_mode
    assert mode & 0o777 == 0o600
    assert sorted(each.name for each in config.parent.iterdir()) == ["site.toml", "users.toml"]
    assert check_file(config) == []
    assert gantry.seen == []


def test_a_token_is_shown_once(ctl: Ctl, config: Path) -> None:
    """The token alone is on the output, for scripts; its hash alone is in the file."""
    result = ctl("user", "add", "panel", "--token", "--config", str(config))
    [token] = result.stdout.split()
    assert users(config) == [{"name": "panel", "role": "viewer", "token": hash_token(token)}]
    shown = json.loads(
        ctl("user", "add", "hmi", "--token", "--json", "--config", str(config)).stdout
    )
    assert users(config)[1]["token"] == hash_token(shown["token"])
    assert [each["name"] for each in users(config)] == ["panel", "hmi"]


def test_one_of_a_name(ctl: Ctl, config: Path) -> None:
    """A name is taken once; `--replace` changes password and role, not those of the other file."""
    where = ("--config", str(config))
    ctl("user", "add", "otto", *where, typed="first\n")
    assert ctl("user", "add", "otto", *where, typed="second\n").exit_code == 1
    replaced = ctl("user", "add", "otto", "--role", "operator", "--replace", *where, typed="2nd\n")
    assert replaced.exit_code == 0
    [otto] = users(config)
    assert otto["role"] == "operator"
    assert read_hash(otto["password"]).fits(b"2nd")
    assert ctl("user", "add", "vera", "--replace", *where, typed="x\n").exit_code == 1
    for name in ("local", "two words", "a" * 41, ""):
        result = ctl("user", "add", name, *where, typed="x\n")
        assert result.exit_code == 64, name
    assert ctl("user", "add", "anna", *where, typed="\n").exit_code == 1
    assert len(users(config)) == 1


def test_list_and_remove(ctl: Ctl, config: Path) -> None:
    """Both places are listed, with no secret; only a user of the file can be removed."""
    where = ("--config", str(config))
    ctl("user", "add", "otto", "--role", "operator", *where, typed="geheim\n")
    shown = json.loads(ctl("user", "list", "--json", *where).stdout)["users"]
    assert shown == [
        {"name": "vera", "role": "viewer", "password": True, "token": False},
        {"name": "otto", "role": "operator", "password": True, "token": False},
    ]
    assert "scrypt" not in ctl("user", "list", *where).stdout
    assert "角色" in ctl("user", "list", *where, lang="zh").stdout
    complete = ShellComplete(cli, {}, "gantryctl", "_GANTRYCTL_COMPLETE")
    for given, names in (("o", ["otto"]), ("x", [])):
        found = complete.get_completions(["user", "remove", *where], given)
        assert [each.value for each in found] == names
    assert ctl("user", "remove", "vera", *where).exit_code == 1
    assert ctl("user", "remove", "otto", *where).exit_code == 0
    assert check_file(config) == []
    assert ctl("user", "remove", "otto", *where).exit_code == 1


def test_what_it_cannot_do(ctl: Ctl, tmp_path: Path) -> None:
    """A configuration without such a file, or a file that is broken, is told and left alone."""
    config = tmp_path / "site.toml"
    assert ctl("user", "list", "--config", str(config)).exit_code == 64
    config.write_text('[gantry]\nid = "G1"\n', encoding="utf-8")
    result = ctl("user", "add", "otto", "--config", str(config), typed="x\n")
    assert result.exit_code == 64
    assert 'users = "users.toml"' in result.stderr
    config.write_text(CONFIG, encoding="utf-8")
    assert ctl("user", "list", "--config", str(config)).stdout == "There are no users yet.\n"
    (tmp_path / "users.toml").write_text("[[user", encoding="utf-8")
    assert ctl("user", "add", "otto", "--config", str(config), typed="x\n").exit_code == 64
    assert (tmp_path / "users.toml").read_text(encoding="utf-8") == "[[user"


def test_what_is_not_ours_in_the_file_stays(ctl: Ctl, config: Path) -> None:
    """A secret that a person keeps in a file of its own is written again as it was."""
    file = config.parent / "users.toml"
    (config.parent / "secret").write_text("s3cret\n", encoding="utf-8")
    file.write_text('[[user]]\nname = "a"\npassword = { file = "secret" }\n', encoding="utf-8")
    ctl("user", "add", "otto", "--config", str(config), typed="x\n")
    assert users(config)[0] == {"name": "a", "password": {"file": "secret"}}
    assert check_file(config) == []


def test_roads(ctl: Ctl, config: Path) -> None:
    """The roads of a user of a centre are written, listed, and kept when another user is added."""
    where = ("--config", str(config))
    ctl("user", "add", "gao", "--token", "--road", "G2", "--road", "G3", *where)
    ctl("user", "add", "otto", "--token", *where)
    assert users(config)[0]["roads"] == ["G2", "G3"]
    shown = json.loads(ctl("user", "list", "--json", *where).stdout)["users"]
    assert [each.get("roads") for each in shown] == [None, ["G2", "G3"], None]
