"""The configuration of a whole site: what listens, the cloud, parts of devices, interlocks."""

from contextlib import suppress

import pytest

from twisted_gantry.config.load import load
from twisted_gantry.settings.tables import ConfigError, Problem

FULL = """
[gantry]
id = "G1"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:192.168.1.20:2390"
[[device]]
name = "cfos"
kind = "cfos"
url = "http://192.168.1.30"
[[device]]
name = "bms1"
kind = "bms"
url = "http://192.168.1.31/api"
device_uid = "b"
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://192.168.1.40:3699/remotecontrol.do"
auth = "its-code"
[monitor]
listen = "tcp:8082"
auth = "cabinets"
"""


CLOUD = '[uplink.fogslink]\naddress = "tcp:h:1"\neq_sn = "1"\napi_key = "k"\n'


def problems(more: str) -> dict[str, str]:
    """Return what is wrong with the full site and `more`, by the key."""
    full = FULL.partition("[monitor]")[0] if "[monitor]" in more else FULL
    try:
        load(full + more)
    except ConfigError as error:
        return {problem.key: problem.message for problem in error.problems}
    return {}


@pytest.mark.parametrize(
    ("more", "key", "text"),
    [
        ('[[cabinet]]\nid = "1"\nelec = "cfos"', "cabinet[1].elec", "a part of it"),
        ('[[cabinet]]\nid = "1"\nelec = "cfos.X1"', "cabinet[1].elec", "a part of it"),
        ('[[cabinet]]\nid = "1"\nelec = "ups1.M1"', "cabinet[1].elec", "ups1 itself"),
        ('[[cabinet]]\nid = "1"\ndoors = "ups1"', "cabinet[1].doors", "cannot be the source"),
        (
            '[[cabinet]]\nid = "1"\nallow_power_modes = ["4"]',
            "cabinet[1].allow_power_modes",
            "must be one of 0, 1, 2, 3; it is ['4']",
        ),
        (
            (
                '[[device]]\nname = "pc8"\nkind = "computer"\nid = "8"\n'
                '[[device]]\nname = "pc9"\nkind = "computer"\nid = "9"\nmonitor = false'
            ),
            "device[6]",
            "reads this computer",
        ),
        (
            (
                '[[device]]\nname = "pc8"\nkind = "computer"\nid = "8"\nurl = "http://h"\n'
                '[[device]]\nname = "pc9"\nkind = "computer"\nid = "8"\nurl = "http://i"'
            ),
            "device[6]",
            "'pc8' reports the computer with the id '8'",
        ),
        (
            '[[device]]\nname = "pc8"\nkind = "computer"\nid = "8"\nurl = "ftp://h"',
            "device[5].url",
            "must be http(s)",
        ),
        ('[remotecontrol]\nlisten = "tcp:1"', "remotecontrol.auth", "is missing"),
        (
            '[remotecontrol]\nlisten = "tcp:1"\nauth = "123456"',
            "remotecontrol.auth",
            "for loopback alone",
        ),
        (
            '[remotecontrol]\nlisten = "pigeon:1"\nauth = "x"',
            "remotecontrol.listen",
            "no server endpoint",
        ),
        (
            '[remotecontrol]\nlisten = "tcp:1"\nauth = "x"\nallowed_clients = ["10.0.0.0/33"]',
            "remotecontrol.allowed_clients",
            "10.0.0.0/33",
        ),
        (
            '[remotecontrol]\nlisten = "tcp:1"\nauth = "x"\nremote_set_server = "maybe"',
            "remotecontrol.remote_set_server",
            "must be one of ",
        ),
        (
            '[monitor]\nlisten = "tcp:1"\nauth = "x"\nallowed_clients = ["here"]',
            "monitor.allowed_clients",
            "'here'",
        ),
        (
            '[remotecontrol]\nlisten = "tcp:8082:interface=127.0.0.1"\nauth = "x"',
            "monitor.listen",
            "[remotecontrol] listens there: tcp:8082:interface=127.0.0.1",
        ),
        ('[web]\nlisten = "tcp:127.0.0.1"', "web.listen", "no server endpoint"),
        (
            CLOUD.replace("tcp:h:1", "tcp:h:99999") + "channels = {}",
            "uplink.fogslink.address",
            "a port is 1 to 65535",
        ),
        (
            '[[device]]\nname = "ups9"\nkind = "ups-card"\naddress = "tcp:1.2.3.4:99999"',
            "device[5].address",
            "a port is 1 to 65535",
        ),
        ('[monitor]\nlisten = "tcp:1"\nauth = "123456"', "monitor.auth", "for loopback alone"),
        (
            CLOUD + 'channels = { "P0-C1" = "ups1.input_voltage_r", "P0-C2" = "ups1.nothing" }',
            "uplink.fogslink.channels.P0-C2",
            "no point 'nothing'",
        ),
        (
            CLOUD + 'channels = { "C1" = "ups1.input_voltage_r" }',
            "uplink.fogslink.channels.C1",
            "Px-Cy",
        ),
        (
            CLOUD + 'channels = { "P0-C1" = "cfos.E1.nonsense" }',
            "uplink.fogslink.channels.P0-C1",
            "no point 'E1.nonsense'",
        ),
        (
            '[uplink.fogslink]\naddress = "pigeon:h"\neq_sn = "1"\napi_key = "k"\nchannels = {}',
            "uplink.fogslink.address",
            "no client endpoint",
        ),
    ],
)
def test_what_listens_and_what_is_sent_is_checked(more: str, key: str, text: str) -> None:
    """Each mistake is told with its key, and nothing else is."""
    found = problems(more)
    assert list(found) == [key]
    assert text in found[key]


def test_a_code_that_is_wrong_elsewhere_is_not_missing_here() -> None:
    """`[remotecontrol]` has that of `[uplink.etc]`: one mistake is not two."""
    more = '[uplink.etc]\nurl = "http://h/monitor.do"\nauth = ""\n[remotecontrol]\nlisten = "tcp:1"'
    assert problems(more) == {"uplink.etc.auth": "must not be empty"}


def test_points_of_parts_and_rows_are_known_later() -> None:
    """A channel may name a point of a part or a row that shows itself at run time."""
    assert not problems(
        CLOUD + 'channels = { "P0-C1" = "cfos.M1.power", "P0-C2" = "cab1.elec.1.voltage" }'
    )


OFF = 'do = "cfos.override"\nargs = { dev_id = "E1", flags = "C" }'
ON = 'undo = { do = "cfos.override", args = { dev_id = "E1", flags = "c" } }'


def test_an_interlock_is_read() -> None:
    """The example of the documentation, with its undo."""
    site = load(f'{FULL}[[interlock]]\nwhen = "ups1.mains_abnormal"\nfor = 5\n{OFF}\n{ON}')
    [lock] = site.interlocks
    assert (lock.name, lock.when.point, lock.delay) == ("1", "ups1.mains_abnormal", 5.0)
    assert (lock.do.target, lock.do.command) == ("cfos", "override")
    assert lock.undo is not None
    assert lock.undo.args == {"dev_id": "E1", "flags": "c"}


@pytest.mark.parametrize(
    ("lines", "key", "text"),
    [
        (f'when = "ups1.mains"\n{OFF}', "when", "no point 'mains'"),
        (f'when = "ups1.mains_abnormal >"\n{OFF}', "when", "no condition"),
        ('when = "ups1.mains_abnormal"\ndo = "ups9.T"', "do", "no device 'ups9'"),
        ('when = "ups1.mains_abnormal"\ndo = "ups1.X"', "do", "cannot do 'X'"),
        ('when = "ups1.mains_abnormal"\ndo = "ups1.SOFF"', "do", "locked"),
        ('when = "ups1.mains_abnormal"\ndo = "cfos.override"', "do", "'dev_id' is missing"),
        (f'when = "ups1.mains_abnormal"\n{OFF}\nfor = -1', "for", ">= 0"),
        (f'when = "ups1.mains_abnormal"\n{OFF}\nuntil = 1', "until", "unknown key"),
        (f'when = "ups1.mains_abnormal"\n{OFF}\nundo = {{ do = "x" }}', "undo", "no device 'x'"),
    ],
)
def test_a_wrong_interlock_is_told(lines: str, key: str, text: str) -> None:
    """Points, devices, commands and arguments of an interlock are checked before it runs."""
    found = problems(f"[[interlock]]\n{lines}")
    assert list(found) == [f"interlock[1].{key}"]
    assert text in found[f"interlock[1].{key}"]


def test_a_wrong_device_is_not_a_second_mistake_of_its_interlock() -> None:
    """What is wrong with a device is told once, there."""
    broken = FULL.replace('url = "http://192.168.1.30"', 'url = "pigeon://x"')
    with pytest.raises(ConfigError) as caught:
        load(f'{broken}[[interlock]]\nwhen = "ups1.mains_abnormal"\n{OFF}')
    assert [problem.key for problem in caught.value.problems] == ["device[2].url"]


def test_interlocks_that_would_fight_are_refused() -> None:
    """Two that set the same thing differently; the other is named."""
    first = f'[[interlock]]\nname = "dark"\nwhen = "ups1.mains_abnormal"\n{OFF}\n'
    other = '[[interlock]]\nwhen = "ups1.overload"\ndo = "cfos.override"\nargs = '
    assert "'dark'" in problems(first + other + '{ dev_id = "E1", flags = "c" }')["interlock[2].do"]
    assert not problems(first + other + '{ dev_id = "E2", flags = "c" }')


def test_a_cabinet_needs_a_monitor_and_a_name_of_its_own() -> None:
    """A device must upload to a port that listens, under an id of its own."""
    silent = FULL.partition("[monitor]")[0]
    with pytest.raises(ConfigError, match=r"device\[4\].kind: it uploads to \[monitor\]"):
        load(silent)
    twice = """
[[device]]
name = "cab2"
kind = "cabinet"
url = "http://192.168.1.41:3699/remotecontrol.do"
auth = "c"
"""
    assert "'cab1' has the same" in problems(twice)["device[5].kind"]
    assert not problems(twice + 'cabinet_id = "2"')


@pytest.mark.parametrize("code", ["x ", " x", "a\\nb", "x" * 129])
def test_a_code_that_no_header_carries_is_refused(code: str) -> None:
    """It could never match."""
    found = problems(f'[uplink.etc]\nurl = "http://p/monitor.do"\nauth = "{code}"')
    assert list(found) == ["uplink.etc.auth"]


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        (OFF, ["do"]),
        (f"{OFF}\n{ON}", ["do", "undo"]),
        (f"{OFF}\nconfirm = true", []),
        ('do = "ups1.BZOFF"', []),
        ('do = "ups1.X"', []),
    ],
)
def test_an_interlock_that_nobody_is_asked_about_is_a_warning(lines: str, keys: list[str]) -> None:
    """Its author has confirmed it by writing it; `confirm = true` says that this is meant."""
    warnings: list[Problem] = []
    text = f'{FULL}[[interlock]]\nwhen = "ups1.mains_abnormal"\n{lines}'
    with suppress(ConfigError):
        load(text, warnings=warnings)
    assert [each.key for each in warnings] == [f"interlock[1].{key}" for key in keys]
    assert all("override on cfos changes the charging" in each.message for each in warnings)
