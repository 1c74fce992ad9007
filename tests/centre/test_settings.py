"""The configuration of the centre, and the options of `twistd gantry-centre`."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from twisted.python.usage import UsageError

import twisted_gantry
from tests.test_docs import check_table
from twisted_gantry.centre.settings import (
    CentreSettings,
    CloudSettings,
    MonitorSettings,
    Settings,
    StoreSettings,
    load,
    load_demo,
)
from twisted_gantry.centre.tap import Options
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.wire.secret import Secret

DOCS = Path(twisted_gantry.__file__).parents[1] / "docs"
URL = "postgresql://centre:s3cret-pw@db1,db2/centre"


def section(name: str) -> str:
    text = (DOCS / "centre.md").read_text(encoding="utf-8")
    return text.split(f"### `[{name}]`\n")[1].split("\n\n[", 1)[0].split("\n### ")[0]


@pytest.mark.parametrize(
    ("name", "struct"),
    [("centre", CentreSettings), ("monitor", MonitorSettings), ("cloud", CloudSettings)],
)
def test_each_key_is_in_the_documentation(name: str, struct: type[msgspec.Struct]) -> None:
    check_table(section(name), struct)


def test_each_key_of_the_store_is_in_the_documentation() -> None:
    """The URL is a secret, so its default is told in words."""
    for each in msgspec.structs.fields(StoreSettings):
        assert f"| `{each.encode_name}` |" in section("store")


def test_defaults() -> None:
    """Without a file: SQLite, the ports of the documentation, a page for this computer alone."""
    settings = load("")
    assert settings.store.is_sqlite
    listening = (settings.monitor.listen, settings.cloud.listen, settings.web.listen)
    assert listening == ("tcp:8098", "tcp:63321", "tcp:8090:interface=127.0.0.1")
    assert not settings.web_given
    assert load_demo().cloud.listen == "tcp:63322:interface=127.0.0.1"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[store]\nurl = 'mysql://x/y'", "store.url: must be sqlite, or postgresql://"),
        ("[store]\nurl = 'postgresql://h'", "store.url: names no database"),
        ("[store]\nretention_days = 0", "store.retention_days"),
        ("[monitor]\nproxies = ['x']", "monitor.proxies: no IP address and no network: 'x'"),
        ("[monitor]\nunknown_gantries = 'maybe'", "must be one of refuse, register"),
        ("[monitor]\nclient_ca = 'ca.pem'", "monitor.client_ca"),
        ("[cloud]\nlisten = 'tcp:8098'", "cloud.listen: [monitor] listens there"),
        ("[web]\nlisten = 'tcp:8090'", "web.listen: tcp:8090 can be reached from other machines"),
        ("[centre]\ntimezone = 'Mars'", "centre.timezone: no such time zone"),
        ("[gantry]\nid = 'G1'", "unknown key"),
        ("[[notify]]\nkind = 'pigeon'", "unknown kind 'pigeon'"),
    ],
)
def test_mistakes_are_told_with_their_keys(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=r"configuration:\d") as caught:
        load(text)
    assert told in str(caught.value)


def test_the_password_of_the_database_is_a_secret() -> None:
    """Neither a mistake nor the settings show the URL; the log masks the password in it."""
    settings = load("").with_options({"store": URL})
    assert settings.store.url == Secret(URL)
    assert {"s3cret-pw", URL} <= set(settings.secrets())
    assert "s3cret" not in repr(settings)
    with pytest.raises(ConfigError) as caught:
        load("").with_options({"store": "postgresql://centre:s3cret-pw@db"})
    assert "s3cret" not in str(caught.value)
    assert "sqlite" not in load("").secrets()  # an ordinary word of the log


def test_the_command_line_wins() -> None:
    """Endpoints and the store; a page for others needs a password also then."""
    given = {"web": "tcp:0:interface=127.0.0.1", "monitor": "tcp:0", "cloud": "tcp:0"}
    settings = load("[web]\nlisten = 'tcp:9:interface=127.0.0.1'").with_options(given)
    assert (settings.web.listen, settings.monitor.listen) == (given["web"], "tcp:0")
    assert load("").with_options(given).web_given
    for option, endpoint in (("web", "tcp:8090"), ("monitor", "nonsense:1")):
        with pytest.raises(ConfigError, match=f"--{option}"):
            load("").with_options({option: endpoint})


def options(*words: str) -> Settings:
    parsed: Any = Options()  # type: ignore[no-untyped-call]
    parsed.parseOptions(list(words))
    settings: Settings = parsed.settings
    return settings


def test_options() -> None:
    """Roles need a database that processes share."""
    assert options("--demo").centre.name
    assert options("--role", "front", "--store", URL).store.url == Secret(URL)
    for words, why in (
        (("--role", "front"), "needs PostgreSQL"),
        (("--role", "boss"), "all, front, worker"),
        (("--demo", "--config", "x"), "one of"),
    ):
        with pytest.raises(UsageError, match=why):
            options(*words)


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--check` says what is wrong, or that nothing is, and starts nothing."""
    path = tmp_path / "centre.toml"
    for text, code, told in (("[centre]\n", 0, "in order"), ("[x]\n", 1, "centre.toml:1: x")):
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SystemExit) as caught:
            options("--config", str(path), "--check")
        assert caught.value.code == code
        assert told in capsys.readouterr().out
