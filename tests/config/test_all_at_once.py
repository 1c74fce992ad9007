"""Every mistake of a file at once: none hides another, also within one table."""

import pytest

from twisted_gantry.config.load import load
from twisted_gantry.settings.tables import ConfigError

GANTRY = '[gantry]\nid = "G1"\n'
CARD = '[[device]]\nname = "ups1"\nkind = "ups-card"\naddress = "tcp:192.168.1.20:2390"\n'
LOCK = '[[interlock]]\nwhen = "ups1.mains_abnormal"\n'


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        # a second device of a name, with mistakes of its own
        (
            (
                f'{CARD}[[device]]\nname = "ups1"\nkind = "ups-card"\naddress = "pigeon"\npol = 1\n'
                'password = "0123456789abcdef"\n'
            ),
            ["device[2].name", "device[2].address", "device[2].pol", "device[2].password"],
        ),
        # no name, no required key, an unknown key, and two values that only the kind knows
        (
            '[[device]]\nkind = "ups-card"\npassword = "0123456789abcdef"\ntest_stop = "SOFF"\nx=1',
            ["name", "address", "password", "test_stop", "x"],
        ),
        (
            '[[device]]\nname = "r"\nkind = "relay"\naddress = "udp:1"\non = "xyz"\npulse = 99\n',
            ["address", "on", "pulse", "off"],
        ),
        (
            (
                '[[device]]\nname = "c"\nkind = "cabinet"\nurl = "ftp://x"\nauth = "é"\n[monitor]\n'
                'listen = "tcp:1"\nauth = "x"'
            ),
            ["url", "auth"],
        ),
        (
            '[[device]]\nname = "b"\nkind = "bms"\nurl = "ftp://x"\nheaders = { Host = "x" }\n',
            ["url", "headers", "device_uid"],
        ),
        (
            (
                '[[device]]\nname = "c"\nkind = "cfos"\nurl = "u@x"\nuser = "a:b"\npoll = 0\n'
                'feeds = [{ to = "M1", form = "ups1" }, { to = 5, period = 0 }]\n'
            ),
            ["url", "user", "poll", "feeds[1].form", "feeds[2].to", "feeds[2].period"],
        ),
        # tables of the program itself
        (
            '[gantry]\nid = ""\ntimezone = "Mars/Olympus"\nnmae = "x"\n',
            ["gantry.id", "gantry.timezone", "gantry.nmae"],
        ),
        (
            '[uplink.etc]\nurl = "ftp://x"\nauth = " x "\nperiod = 0\nperoid = 1\n',
            ["url", "auth", "period", "peroid"],
        ),
        (
            '[uplink.fogslink]\naddress = "pigeon"\nchannels = { C1 = "ups9.x", "P0-C1" = 5 }\n',
            ["eq_sn", "api_key", "address", "channels", "channels.C1", "channels.C1"],
        ),
        (
            (
                '[remotecontrol]\nlisten = "pigeon"\nauth = " x"\nallowed_clients = ["a", "b"]\n'
                'allowed_servers = ["a b"]\nrate = -1\nimage = "x"\n'
            ),
            ["listen", "auth", "allowed_clients", "allowed_servers", "rate", "image"],
        ),
        (
            '[monitor]\nallowed_clients = ["a"]\nauth = " x"\n',
            ["listen", "allowed_clients", "auth"],
        ),
        # interlocks: what is wrong with one half does not hide the other
        (
            (
                f'{CARD}[[interlock]]\nwhen = "ups1.nothing"\ndo = "ups1.X"\nfor = -1\n'
                'undo = { do = "ups9.T", arg = 1 }\n'
            ),
            ["when", "do", "for", "undo", "undo.arg"],
        ),
        (f"{CARD}{LOCK}undo = {{ do = 5 }}\n", ["do", "undo.do"]),
        # one table where several are wanted, and something else among them
        (
            '[device]\nname = "ups1"\nkind = "ups-card"\nadress = "tcp:1.2.3.4:5"\n',
            ["device", "device[1].adress", "device[1].address"],
        ),
        ('cabinet = [5, { id = "1", elec = "ups9" }]\n', ["cabinet", "cabinet[1].elec"]),
    ],
)
def test_no_mistake_hides_another(text: str, keys: list[str]) -> None:
    """Each key that is wrong is told, and nothing that is right."""
    gantry = "" if "[gantry]" in text else GANTRY
    with pytest.raises(ConfigError) as caught:
        load(text + "\n" + gantry if text.startswith("cabinet") else gantry + text)
    found = [problem.key for problem in caught.value.problems]
    assert len(found) == len(keys)
    for key in keys:
        assert any(each == key or each.endswith(f".{key}") for each in found), (key, found)
