"""`[bridge.nut]` of a configuration: its users and files, and every mistake by its place."""

from pathlib import Path

import pytest

from tests.authority import self_signed
from tests.config.test_full import problems
from twisted_gantry.config.load import load
from twisted_gantry.wire.secret import Secret

SITE = '[gantry]\nid = "G1"\n'


def test_a_bridge_and_its_users_are_read(tmp_path: Path) -> None:
    """A table makes the bridge, with files relative to the configuration."""
    self_signed("IP:127.0.0.1").write(tmp_path, "nut")
    text = """
        [bridge.nut]
        certificate = "nut.pem"
        key = "nut.key"
        [[bridge.nut.user]]
        name = "lane1"
        password = "s3cret"
        upsmon = "secondary"
        instcmds = ["all", "load.off"]
        """
    read = load(SITE + text, folder=tmp_path)
    nut = read.bridges.nut
    assert nut is not None
    assert nut.tls is not None
    assert (nut.user[0].password, nut.user[0].upsmon) == (Secret("s3cret"), "secondary")
    assert "s3cret" in read.secrets()
    assert load(SITE).bridges.nut is None


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        ('listen = "ssl:3493:privateKey=x"', "listen", "STARTTLS"),
        ('listen = "3493"', "listen", "no server endpoint"),
        ('listen = "tcp:8082"', "listen", "[monitor] listens there"),
        ('allowed_clients = ["lane"]', "allowed_clients", "no IP address"),
        ('certificate = "/missing.pem"', "certificate", "cannot be read"),
        ("low_runtime = -1", "low_runtime", ">= 0"),
        ("low_run = 1", "low_run", "did you mean low_runtime?"),
        ('[[bridge.nut.user]]\nname = "a b"\npassword = "x"', "user[1].name", "40 letters"),
        ('[[bridge.nut.user]]\nname = "a"', "user[1].password", "is missing"),
        (
            '[[bridge.nut.user]]\nname = "a"\npassword = "x"\n' * 2,
            "user[2].name",
            "another user is named 'a'",
        ),
        (
            '[[bridge.nut.user]]\nname = "a"\npassword = "x"\ninstcmds = ["load.of"]',
            "user[1].instcmds",
            "no command: 'load.of'; known are beeper.disable",
        ),
        (
            '[[bridge.nut.user]]\nname = "a"\npassword = "x"\nupsmon = "master"',
            "user[1].upsmon",
            "must be one of primary, secondary",
        ),
        (
            '[[bridge.nut.user]]\nname = "a"\npassword = "x y"',
            "user[1].password",
            "no password with blanks",
        ),
        (
            '[[bridge.nut.user]]\nname = "a"\npassword = "scrypt$1"',
            "user[1].password",
            "a hash is",
        ),
    ],
)
def test_a_mistake_is_told_by_its_place(more: str, key: str, text: str) -> None:
    """Each mistake has the key of its table, and shows no secret."""
    listen = "" if more.startswith("listen") else 'listen = "tcp:3493"\n'
    told = problems(f"[bridge.nut]\n{listen}{more}\n")
    assert text in told[f"bridge.nut.{key}"], told


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    """Half a pair is told, by the key that is missing."""
    certificate, _ = self_signed("IP:127.0.0.1").write(tmp_path, "nut")
    told = problems(f'[bridge.nut]\ncertificate = "{certificate}"\n')
    assert told == {"bridge.nut.key": "is missing: certificate and key belong together"}
