"""`[bridge.mqtt]`: every mistake is named with its key, and what is missing with how to install."""

from importlib import metadata

import pytest

from twisted_gantry.bridges.mqtt.settings import Broker, MqttSettings, broker_at
from twisted_gantry.config.load import load
from twisted_gantry.settings.tables import ConfigError

HEAD = '[gantry]\nid = "G000211001002110010"\n[bridge.mqtt]\n'


def problems(table: str) -> list[str]:
    """Return what is wrong with a table, each with its place."""
    try:
        load(HEAD + table)
    except ConfigError as error:
        return [str(problem) for problem in error.problems]
    return []


def read(table: str) -> MqttSettings:
    found = load(HEAD + table).bridges.mqtt
    assert found is not None
    return found


def test_an_address_is_enough() -> None:
    """All else has a default: retained states, discovery, no commands."""
    found = read('address = "tcp:broker.example:1883"')
    assert (found.topic, found.qos, found.retain, found.discovery, found.commands) == (
        "gantry/{id}",
        1,
        True,
        "homeassistant",
        False,
    )


@pytest.mark.parametrize(
    ("address", "broker"),
    [
        ("tcp:h:1884", Broker("h", 1884, False)),
        ("tcp:h", Broker("h", 1883, False)),
        ("ssl:h", Broker("h", 8883, True)),
        ("tls:host=h:port=1", Broker("h", 1, True)),
        (r"tcp:\:\:1:1883", Broker("::1", 1883, False)),
    ],
)
def test_addresses(address: str, broker: Broker) -> None:
    """TCP and TLS, with a host by name or address, and a port that may be left out."""
    assert broker_at(address) == broker


@pytest.mark.parametrize(
    ("table", "key", "why"),
    [
        ('address = "mqtt://h"', "address", "must be an address such as tcp:"),
        ('address = "tcp:user@h"', "address", "must be an address"),
        ('address = "tcp:h:0"', "address", "a port is 1 to 65535"),
        ('address = "tcp:h:99999"', "address", "a port is 1 to 65535"),
        ('address = "tcp:h:1:2"', "address", "must be an address"),
        ('address = "tcp:"', "address", "must be an address"),
        ('address = "tcp:h"\ntopic = "a/#"', "topic", "must not have + or #"),
        ('address = "tcp:h"\ntopic = "/a"', "topic", "no level between / may be empty"),
        ('address = "tcp:h"\ntopic = "$SYS/a"', "topic", "must not begin with $"),
        ('address = "tcp:h"\nqos = 3', "qos", "3"),
        ('address = "tcp:h"\ndiscovery = "openhab"', "discovery", "homeassistant"),
        ('address = "tcp:h"\nversion = "4"', "version", "3.1.1"),
        ('address = "tcp:h"\npassword = "x"', "user", "a password belongs to a user"),
        ('address = "tcp:h"\nretian = true', "retian", "did you mean retain?"),
        ('qos = 1', "address", "is missing"),
    ],
)  # fmt: skip
def test_mistakes(table: str, key: str, why: str) -> None:
    """A mistake is told with its key."""
    [problem] = problems(table)
    assert f"bridge.mqtt.{key}: " in problem
    assert why in problem


@pytest.mark.parametrize(
    ("table", "lacking"),
    [
        ('address = "tcp:192.168.1.9"', "a user and TLS"),
        ('address = "ssl:192.168.1.9"', "a user"),
        ('address = "tcp:192.168.1.9"\nuser = "u"', "TLS"),
        ('address = "ssl:192.168.1.9"\nuser = "u"', ""),
        ('address = "tcp:127.0.0.1"', ""),
        ('address = "tcp:localhost"', ""),
    ],
)
def test_commands_off_loopback_need_a_user_and_tls(table: str, lacking: str) -> None:
    """Whoever may publish commands the devices: not over a network that anybody may read."""
    found = problems(f"{table}\ncommands = true")
    assert [each.partition("commands need ")[2].split(" (")[0] for each in found] == (
        [lacking] if lacking else []
    )
    assert problems(table) == []


@pytest.mark.parametrize("installed", ["", "1.6.1"])
def test_without_the_library_check_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    """A plain site has no paho-mqtt, Debian 12 has an old one."""

    def version(name: str) -> str:
        if not installed:
            raise metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("twisted_gantry.bridges.mqtt.settings.version", version)
    [problem] = problems('address = "tcp:h"')
    assert "pip install 'twisted-gantry[mqtt]'" in problem


def test_files_of_tls_come_from_the_common_table() -> None:
    """`[tls] ca` is the default of the broker's."""
    text = '[gantry]\nid = "G1"\n[tls]\nca = "system"\n[bridge.mqtt]\naddress = "ssl:h"\n'
    found = load(text).bridges.mqtt
    assert found is not None
    assert found.ca is not None
    assert found.ca.path == "system"
