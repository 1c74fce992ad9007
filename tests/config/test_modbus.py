"""`[bridge.modbus]`, its own map, and mapped devices: `check` names every mistake in its place."""

from pathlib import Path

import pytest

from twisted_gantry.config.load import check_file, load
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.texts.phrases import problems
from twisted_gantry.wire import modbus as wire

SITE = """
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:h:1"
"""
DEVICE = """
[[device]]
name = "m1"
kind = "modbus"
address = "tcp:h:502"
[[device.point]]
name = "u"
register = 0
"""


def told(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(SITE + text)
    return [f"{each.key}: {each.message}" for each in caught.value.problems]


@pytest.mark.parametrize(
    ("listen", "place"),
    [
        ("", "tcp:502:interface=127.0.0.1"),
        ('listen = "tcp:5020"', "tcp:5020:interface=127.0.0.1"),
        ('listen = "tcp:5020"\nallowed_clients = ["10.0.0.0/8"]', "tcp:5020"),
        ('listen = "unix:/run/modbus"', "unix:/run/modbus"),
    ],
)
def test_it_is_on_loopback_unless_clients_are_named(listen: str, place: str) -> None:
    """An endpoint without an interface is loopback; clients that are named open it."""
    modbus = load(f"{SITE}[bridge.modbus]\n{listen}\n").bridges.modbus
    assert modbus is not None
    assert modbus.place == place


def test_off_loopback_it_needs_clients() -> None:
    """Modbus has no password: who may connect must be said."""
    [wrong] = told('[bridge.modbus]\nlisten = "tcp:502:interface=192.168.1.5"')
    assert wrong.startswith("bridge.modbus.allowed_clients: is missing")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bridge and the kind need the extra; `check` names it."""
    monkeypatch.setattr(wire, "installed", lambda: False)
    wrong = told(f"{DEVICE}[bridge.modbus]\n")
    assert [each.partition(":")[0] for each in wrong] == ["device[2].kind", "bridge.modbus"]
    assert all("pip install 'twisted-gantry[modbus]'" in each for each in wrong)


@pytest.mark.parametrize(
    ("name", "en", "zh"),
    [
        (
            DEVICE.replace('"u"', '"温度"'),
            "small letters, digits and _, a letter first, at most 48; it is '温度'",
            "由小写字母、数字和 _ 组成，以字母开头，最多 48 个；现为 '温度'",
        ),
        (
            f'{DEVICE}[[device.command]]\nname = "a b"\nregister = 1\nvalue = 1\n',
            "letters, digits, _ and -, a letter first, at most 48; it is 'a b'",
            "由字母、数字、_ 和 - 组成，以字母开头，最多 48 个；现为 'a b'",
        ),
    ],
)
def test_what_a_name_may_be_is_said_in_words(name: str, en: str, zh: str) -> None:
    """The pattern itself tells a person nothing."""
    [wrong] = told(name)
    assert wrong.partition(": ")[2] == en
    assert problems().chinese(en) == zh


MAP = """
[[point]]
point = "ups1.input_voltage_r"
register = 10
[[point]]
point = "ups1.no_such"
register = 11
type = "s16"
scale = 0
[[bit]]
point = "ups9.x"
bit = 0
[[command]]
target = "ups1"
command = "SOFF"
coil = 0
[[command]]
target = "ups1"
command = "BZOFF"
[[command]]
target = "ups1"
command = "fly"
coil = 2
"""


@pytest.mark.parametrize(
    ("alarm", "told"),
    [
        ("ups1.mains-abnormal", []),
        ("ups1.offline", []),
        ("etc.set-aside", []),
        ("ups1.mains-abnorml", ["ups1 has no alarm 'mains-abnorml'"]),
    ],
)
def test_a_bit_of_an_alarm_that_a_device_never_has(
    tmp_path: Path, alarm: str, told: list[str]
) -> None:
    """Such a bit would be off for good: the SCADA would miss the alarm that was meant."""
    (tmp_path / "map.toml").write_text(f'[[bit]]\nalarm = "{alarm}"\nbit = 0\n')
    site = tmp_path / "site.toml"
    site.write_text(f'{SITE}[bridge.modbus]\nmap = "map.toml"\n')
    assert [each.message for each in check_file(site)] == told


def test_every_mistake_of_a_map_has_its_place(tmp_path: Path) -> None:
    """Unknown points and commands, overlaps, and what Modbus cannot reach, with file and line."""
    (tmp_path / "map.toml").write_text(MAP)
    site = tmp_path / "site.toml"
    site.write_text(f'{SITE}[bridge.modbus]\nwrites = true\nmap = "map.toml"\n')
    found = {(each.line, each.key) for each in check_file(site)}
    assert {Path(each.source).name for each in check_file(site)} == {"map.toml"}
    assert found == {
        (6, "point[2].point"),
        (9, "point[2].scale"),
        (11, "bit[1].point"),
        (17, "command[2].coil"),
    }
    text = MAP.replace("scale = 0\n", "").replace(
        'command = "BZOFF"\n', 'command = "BZOFF"\ncoil = 0\n'
    )
    (tmp_path / "map.toml").write_text(text)
    overlaps = {(each.key, each.message.partition(":")[0]) for each in check_file(site)}
    assert overlaps >= {
        ("point[2].register", "register 11 is that of point 1"),
        ("command[1].coil", "bit 0 is that of bit 1"),
    }
    (tmp_path / "map.toml").write_text(
        MAP[MAP.index("[[command]]") :].replace("coil = 0", "coil = 9")
    )
    site.write_text(f'{SITE}[bridge.modbus]\nmap = "no.toml"\n')
    [missing] = check_file(site)
    assert missing.key == "bridge.modbus.map"


def test_a_cabinet_needs_a_role() -> None:
    """A mapped device without a role of the group is no source; two names are told at once."""
    wrong = told(f'{DEVICE}[[device.point]]\nname = "u"\nregister = 1\n')
    assert wrong == ["device[2].point[2].name: point 1 has it, too"]
    wrong = told(f'{DEVICE}[[cabinet]]\nid = "1"\nelec = "m1"\n')
    assert wrong == ["cabinet[1].elec: no point of m1 has a role of elec"]
