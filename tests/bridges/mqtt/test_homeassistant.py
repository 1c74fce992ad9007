"""Discovery: the keys are those of Home Assistant's documentation, and each name has its own id."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.bridges.mqtt.bench import BASE, GANTRY, STATUS, MqttBench
from twisted_gantry import __version__
from twisted_gantry.bridges.mqtt.homeassistant import EXPIRE_S
from twisted_gantry.bridges.mqtt.topics import Topics, level, object_id
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.catalogue import PointType

# The long keys of MQTT sensors, binary sensors and buttons, as their pages have them.
KEYS = {
    "availability",
    "availability_mode",
    "command_topic",
    "device",
    "device_class",
    "expire_after",
    "name",
    "origin",
    "payload_off",
    "payload_on",
    "payload_press",
    "qos",
    "state_class",
    "state_topic",
    "unique_id",
    "unit_of_measurement",
    "value_template",
}
NAMES = st.lists(
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=8), min_size=1, max_size=3
)


@pytest.fixture
def bench() -> Iterator[MqttBench]:
    """A bridge with entities, whose session has told everything."""
    made = MqttBench(commands=True)
    made.read(input_voltage_r=221.5, mains_abnormal=False, state="line")
    made.online()
    yield made
    made.close()


def test_a_number(bench: MqttBench) -> None:
    """A number has its unit, a class that allows the unit, a state class and an expiry."""
    own_id = f"{GANTRY}__ups1__input_voltage_r"
    topic = f"{BASE}/ups1/input_voltage_r"
    assert bench.config("sensor", own_id) == {
        "name": "Input voltage R",
        "unique_id": own_id,
        "state_topic": topic,
        "value_template": "{{ value_json.value }}",
        "unit_of_measurement": "V",
        "device_class": "voltage",
        "state_class": "measurement",
        "expire_after": EXPIRE_S,
        "qos": 1,
        "availability": [
            {"topic": STATUS},
            {
                "topic": topic,
                "value_template": "{{ 'online' if value_json.quality == 'good' else 'offline' }}",
            },
        ],
        "availability_mode": "all",
        "device": {
            "identifiers": [f"{GANTRY}__ups1"],
            "name": "test ups1",
            "manufacturer": "twisted_gantry",
            "model": "ups-card",
            "via_device": GANTRY,
        },
        "origin": {"name": "twisted_gantry", "sw_version": __version__},
    }
    assert bench.config("sensor", f"{GANTRY}__ups1__battery_charge")["device_class"] == "battery"


def test_a_truth_a_text_and_an_alarm(bench: MqttBench) -> None:
    """A truth and an alarm are binary sensors, a text is a sensor without a unit."""
    truth = bench.config("binary_sensor", f"{GANTRY}__ups1__mains_abnormal")
    assert (truth["payload_on"], truth["payload_off"], truth["device_class"]) == (
        "ON",
        "OFF",
        "problem",
    )
    assert truth["value_template"] == "{{ 'ON' if value_json.value else 'OFF' }}"
    text = bench.config("sensor", f"{GANTRY}__ups1__state")
    assert "state_class" not in text
    assert "unit_of_measurement" not in text
    alarm = bench.config("binary_sensor", f"{GANTRY}__alarms__ups1__mains-abnormal")
    assert alarm["state_topic"] == f"{BASE}/alarms/ups1.mains-abnormal"
    assert alarm["value_template"] == "{{ 'ON' if value_json.active else 'OFF' }}"
    assert alarm["device"] == truth["device"]
    assert "expire_after" not in alarm


def test_the_gantry_itself(bench: MqttBench) -> None:
    """The gantry is the device that the others are behind; alarms of no device are its own."""
    online = bench.config("binary_sensor", f"{GANTRY}__status")
    assert (online["state_topic"], online["payload_on"]) == (STATUS, "online")
    assert online["device"]["identifiers"] == [GANTRY]
    bench.alarms.set("etc.unreachable", Severity.WARNING, "the platform", "平台")
    bench.settle()
    alarm = bench.config("binary_sensor", f"{GANTRY}__alarms__etc__unreachable")
    assert alarm["device"]["identifiers"] == [GANTRY]


def test_buttons_are_for_what_cannot_hurt(bench: MqttBench) -> None:
    """A command without arguments that asks for nothing has a button; no other has one."""
    buttons = [t.split("/")[2] for t in bench.retained() if t.startswith("homeassistant/button")]
    assert buttons == [f"{GANTRY}__ups1__set__BZOFF"]
    button = bench.config("button", buttons[0])
    assert button["command_topic"] == f"{BASE}/ups1/set/BZOFF"
    bench.tell("ups1", "BZOFF", button["payload_press"].encode())
    assert bench.ups.told == [("BZOFF", {})]


def test_the_keys_are_documented_ones(bench: MqttBench) -> None:
    """No entity has a key that Home Assistant does not know, and each has an id of its own."""
    kept = bench.retained()
    configs = {t: bench.config(*t.split("/")[1:3]) for t in kept if t.startswith("homeassistant/")}
    assert configs
    for topic, config in configs.items():
        assert config.keys() <= KEYS
        assert re.fullmatch(r"homeassistant/[a-z_]+/[a-zA-Z0-9_-]+/config", topic)
    ids = [config["unique_id"] for config in configs.values()]
    assert len(ids) == len(set(ids))
    device = PointType("unknown", "", "Unknown", "未知")
    bench.device("ups3", (device,))
    bench.passes(3)
    assert not [t for t in bench.retained() if "ups3__unknown" in t]  # of what kind it is, is open


def test_a_point_that_turns_out_to_be_a_truth(bench: MqttBench) -> None:
    """When the type of a value changes, the entity before is removed."""
    bench.read(state=True)
    bench.settle()
    kept = bench.retained()
    assert f"homeassistant/binary_sensor/{GANTRY}__ups1__state/config" in kept
    assert f"homeassistant/sensor/{GANTRY}__ups1__state/config" not in kept


def test_chinese_names() -> None:
    """With `language = "zh"` entities have the Chinese labels."""
    bench = MqttBench(language="zh")
    bench.online()
    own_id = f"{GANTRY}__ups1__input_voltage_r"
    assert bench.config("sensor", own_id)["name"] == "输入电压R"
    bench.close()


@settings(max_examples=60)
@given(NAMES, NAMES)
def test_names_make_different_topics_and_ids(one: list[str], other: list[str]) -> None:
    """Whatever a peer calls its parts: no wildcard, no further level, no second name."""
    names = [".".join(each) for each in (one, other)]
    levels, ids = [level(name) for name in names], [object_id("G1", name) for name in names]
    for each in levels:
        assert not set(each) & set("/+#\0")
        each.encode()
    for own_id in ids:
        assert re.fullmatch(r"[a-zA-Z0-9_-]+", own_id)
    assert (len(set(levels)), len(set(ids))) == (len(set(names)), len(set(names)))


@pytest.mark.parametrize("name", ["a.b_c", "a_b.c", "a.b.c", "a-b.c", "a__b.c", "a._b", "a_.b"])
def test_ids_of_names_that_look_alike(name: str) -> None:
    """Dots and underscores do not mix up two names."""
    others = {"a.b_c", "a_b.c", "a.b.c", "a-b.c", "a__b.c", "a._b", "a_.b"} - {name}
    assert object_id("G1", name) not in {object_id("G1", other) for other in others}


def test_topics() -> None:
    """The device is a level of its own; what is odd in a name is written as %XX."""
    topics: Any = Topics("road/{id}/x", "G1")
    assert topics.point("cfos.E1.power") == "road/G1/x/cfos/E1.power"
    assert topics.point("cab1.elec.a/b#.voltage") == "road/G1/x/cab1/elec.a%2Fb%23.voltage"
    assert topics.command("road/G1/x/ups1/set/BZOFF") == ("ups1", "BZOFF")
    assert topics.command("road/G1/x/ups1/set/BZOFF/answer") is None
    assert topics.command("elsewhere/ups1/set/BZOFF") is None


def test_points_of_the_gantry_itself() -> None:
    """Points that no device has, such as days until a certificate expires, are the gantry's."""
    bench = MqttBench(start=False)
    kind = PointType("own_certificate_days", "d", "Days", "天数")
    bench.points.declare("gantry", (kind,))
    bench.bridge.startService()
    bench.online()
    config = bench.config("sensor", f"{GANTRY}__gantry__own_certificate_days")
    assert config["device"]["identifiers"] == [GANTRY]
    assert config["unit_of_measurement"] == "d"
    bench.close()
