"""`[tls]` and the same keys elsewhere: what is read, what wins, and what is wrong with a file."""

from pathlib import Path
from typing import Any

import pytest

from tests.authority import Authority, self_signed
from twisted_gantry.config.load import load
from twisted_gantry.net.pem import SYSTEM, Pem, TlsSettings
from twisted_gantry.settings.tables import ConfigError

SITE = Authority()
GANTRY = '[gantry]\nid = "G1"\n'
ETC = '[uplink.etc]\nurl = "https://h/monitor.do"\nauth = "code"\n'
CFOS = '[[device]]\nname = "cfos"\nkind = "cfos"\nurl = "https://h"\n'
FILES = 'ca = "ca.pem"\nclient_cert = "client.pem"\nclient_key = "client.key"\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_bytes(SITE.pem)
    SITE.sign(cn="gantry").write(tmp_path, "client")
    self_signed("DNS:other").write(tmp_path, "other")
    (tmp_path / "empty.pem").write_bytes(b"")
    (tmp_path / "cert.der").write_bytes(b"0\x82\x01\x0a\x02\x82")
    (tmp_path / "cut.pem").write_bytes(SITE.pem[:-200])
    (tmp_path / "locked.key").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    return tmp_path


def names(settings: Any) -> list[str]:
    """Return the files of settings, by name; a missing one is empty."""
    [settings] = settings if isinstance(settings, tuple) else [settings]
    pems = (settings.ca, settings.client_cert, settings.client_key)
    return [Path(each.path).name if each else "" for each in pems]


def problems(text: str, folder: Path) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        load(GANTRY + text, "site.toml", folder)
    return {each.key: each.message for each in caught.value.problems}


def test_all_take_what_they_do_not_have(folder: Path) -> None:
    """`[tls]` is for all; the keys of a device or an uplink win, the certificate with its key."""
    own = 'ca = "other.pem"\nclient_cert = "other.pem"\nclient_key = "other.key"\n'
    text = f'{GANTRY}[tls]\n{FILES}{CFOS}{ETC}{own}{CFOS.replace("cfos", "b", 1)}ca = "system"\n'
    site = load(text.replace('name = "cfos"', 'name = "a"', 1), folder=folder)
    assert names(site.devices[0].settings) == ["ca.pem", "client.pem", "client.key"]
    assert names(site.devices[1].settings) == ["system", "client.pem", "client.key"]
    assert isinstance(site.devices[1].settings, TlsSettings)
    assert site.devices[1].settings.ca == SYSTEM
    assert site.etc is not None
    assert names(site.etc) == ["other.pem", "other.pem", "other.key"]


def test_a_renewed_file_is_another_setting(folder: Path) -> None:
    """A reload compares settings: the same path with another content is a change."""
    text = f"{GANTRY}[tls]\n{FILES}{ETC}"
    before = load(text, folder=folder)
    assert load(text, folder=folder).etc == before.etc
    SITE.sign(cn="gantry").write(folder, "client")
    assert load(text, folder=folder).etc != before.etc


def test_no_key_is_shown(folder: Path) -> None:
    """Neither settings nor errors show what is in a file."""
    site = load(f"{GANTRY}[tls]\n{FILES}{ETC}", folder=folder)
    assert "BEGIN" not in repr(site)


@pytest.mark.parametrize("windows", ["\ufeff{}", "{} \r\n\t\r\n\x1a", "\ufeff{}\r\n"])
def test_pem_files_of_windows(folder: Path, windows: str) -> None:
    """A byte order mark, CRLF and blanks at the ends of a PEM file are skipped."""
    for name in ("ca.pem", "client.pem", "client.key"):
        text = (folder / name).read_text().replace("\n", "\r\n")
        (folder / name).write_bytes(windows.format(text).encode())
    site = load(f"{GANTRY}[tls]\n{FILES}", folder=folder)
    assert site.tls.client_cert is not None
    assert len(site.tls.client_cert.certificates) == 1


@pytest.mark.parametrize(
    ("lines", "key", "told"),
    [
        ('ca = "none.pem"', "ca", "No such file"),
        ('ca = "."', "ca", "Is a directory"),
        ("ca = 5", "ca", "must be the path of a PEM file"),
        ('ca = "empty.pem"', "ca", "is no PEM file"),
        ('ca = "cert.der"', "ca", "is no PEM file"),
        ('ca = "cut.pem"', "ca", "has no certificate that can be read"),
        ('ca = "client.key"', "ca", "has no certificate that can be read"),
        ('client_cert = "client.pem"', "client_key", "belong together"),
        ('client_key = "client.key"', "client_cert", "belong together"),
        (
            'client_cert = "client.pem"\nclient_key = "other.key"',
            "client_key",
            "does not belong to",
        ),
        ('client_cert = "client.pem"\nclient_key = "client.pem"', "client_key", "no private key"),
        ('client_cert = "client.pem"\nclient_key = "locked.key"', "client_key", "key"),
        ('cert = "client.pem"', "cert", "unknown key"),
    ],
)
@pytest.mark.parametrize(("table", "place"), [("[tls]\n", "tls"), (CFOS, "device[1]")])
def test_a_wrong_file_is_told_once(
    folder: Path, lines: str, key: str, told: str, table: str, place: str
) -> None:
    """Each mistake has its key, and shows the path of the file and nothing of its content."""
    found = problems(f"{table}{lines}\n", folder)
    assert list(found) == [f"{place}.{key}"]
    assert told in found[f"{place}.{key}"]
    assert "BEGIN PRIVATE" not in str(found)


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("ssl:h:1:privateKey=k.pem", "client_cert"),
        ("tls:h:1:trustRoots=/x", "ca"),
        ("tls:h", "no client endpoint"),
    ],
)
def test_files_of_a_client_endpoint_are_settings(folder: Path, address: str, told: str) -> None:
    """Twisted's own options for the files of TLS would not be verified by us."""
    card = f'[[device]]\nname = "u"\nkind = "ups-card"\naddress = "{address}"\n'
    assert told in problems(card, folder)["device[1].address"]
    good = (
        f'{GANTRY}[[device]]\nname = "u"\nkind = "ups-card"\naddress = "tls:h:1"\nca = "ca.pem"\n'
    )
    assert names(load(good, folder=folder).devices[0].settings)[0] == "ca.pem"


def test_the_content_is_not_compared_by_path_alone(tmp_path: Path) -> None:
    """Two files of one content are two settings: the path is shown in errors."""
    assert Pem("a", "x") != Pem("b", "x")


SSL = 'listen = "ssl:8443:privateKey=client.key:certKey=client.pem"\n'
PRINT = "AB:" * 31 + "AB"


def test_the_files_of_a_listener_are_read(folder: Path) -> None:
    """Relative to the configuration; with whom it lets in, and anew at each reload."""
    text = (
        f'{GANTRY}[remotecontrol]\n{SSL}auth = "x"\nclient_ca = "ca.pem"\n'
        f'allowed_certificates = ["{PRINT}"]\n[monitor]\nlisten = "tcp:8082"\nauth = "x"\n'
    )
    before = load(text, folder=folder).server_tls
    assert before["web"] is before["monitor"] is None
    remote = before["remotecontrol"]
    assert remote is not None
    assert Path(remote.certificate.path) == folder / "client.pem"
    assert remote.client_ca is not None
    assert remote.fingerprints == {"ab" * 32}
    SITE.sign(cn="renewed").write(folder, "client")
    assert load(text, folder=folder).server_tls["remotecontrol"] != remote


@pytest.mark.parametrize(
    ("lines", "key", "told"),
    [
        ('listen = "ssl:8443"', "listen", "server.pem cannot be read"),
        ('listen = "ssl:8443:privateKey=client.key:certKey=other.pem"', "listen", "not belong"),
        ('listen = "ssl:8443:privateKey=cut.pem"', "listen", "no certificate that can be read"),
        ('listen = "ssl:8443:privateKey=client.key:sslmethod=SSLv3"', "listen", "leave it out"),
        ('listen = "ssl:8443:client.key:client.pem"', "listen", "name=value"),
        ('listen = "ssl:99999:privateKey=client.key"', "listen", "a port is 0 to 65535"),
        ('listen = "tcp:1"\nclient_ca = "ca.pem"', "client_ca", 'needs listen = "ssl:…"'),
        (f'listen = "tcp:1"\nallowed_certificates = ["{PRINT}"]', "allowed_certificates", "needs"),
        (f"{SSL}client_ca = 'client.key'", "client_ca", "no certificate that can be read"),
        (f"{SSL}allowed_certificates = ['AB:CD', '{PRINT}']", "allowed_certificates", "'AB:CD'"),
    ],
)
def test_a_wrong_listener_is_told(folder: Path, lines: str, key: str, told: str) -> None:
    """Each mistake has its key."""
    found = problems(f'[monitor]\nauth = "x"\n{lines}\n', folder)
    assert list(found) == [f"monitor.{key}"]
    assert told in found[f"monitor.{key}"]
