"""Discovery by Home Assistant: the configuration of an entity for each point and alarm.

Source: "MQTT", "MQTT Sensor", "MQTT Binary Sensor", "MQTT Button" and "Sensor, device class" of
Home Assistant's documentation (https://www.home-assistant.io/integrations/mqtt/). The keys are the
long ones. One message at `homeassistant/<component>/<object_id>/config` makes one entity.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted_gantry import __version__
from twisted_gantry.bridges.mqtt.topics import ALARMS, SET, STATUS, Topics, object_id
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.wire.reading import Value

PREFIX = "homeassistant"
BIRTH = f"{PREFIX}/status"
"""Where Home Assistant says `online` when it starts."""

EXPIRE_S = 300
"""Seconds after which Home Assistant takes a point without a message for unavailable."""
RESEND_S = 120.0
"""Seconds after which a quiet point is sent again: two messages may be lost before it expires."""

MANUFACTURER = "twisted_gantry"
SENSOR, BINARY_SENSOR, BUTTON = "sensor", "binary_sensor", "button"

# The device class of each unit; the unit is one that the class allows.
_CLASSES: Mapping[str, str] = {
    "V": "voltage",
    "A": "current",
    "Hz": "frequency",
    "W": "power",
    "VA": "apparent_power",
    "Wh": "energy",
    "°C": "temperature",
    "s": "duration",
    "d": "duration",
    "KiB": "data_size",
}
# Of a percentage the name tells what it is of.
_PERCENT: Mapping[str, str] = {"battery_charge": "battery", "humidity": "humidity"}
# Truths that mean trouble, by the last part of the point's name.
_TROUBLES = frozenset({"mains_abnormal", "battery_low", "overload", "is_warning"})
_GOOD = "{{ 'online' if value_json.quality == 'good' else 'offline' }}"
_LONGEST_STATE = 255  # characters of a state in Home Assistant


@dataclass(frozen=True)
class Entity:
    """The configuration of one entity, and the topic for that."""

    component: str
    object_id: str
    config: Mapping[str, Any]


def config_topic(component: str, object_id: str) -> str:
    return f"{PREFIX}/{component}/{object_id}/config"


def component_of(kind: PointType, value: Value) -> str | None:
    """Return what a point is for Home Assistant; None while no value has told."""
    if isinstance(value, bool):
        return BINARY_SENSOR
    return SENSOR if kind.unit or value is not None else None


class Entities:
    """Makes the entities of one gantry; `qos` is that of their topics."""

    def __init__(
        self, topics: Topics, gantry_id: str, gantry_name: str, qos: int, language: str
    ) -> None:
        self._topics, self._id, self._name = topics, gantry_id, gantry_name
        self._qos, self._language = qos, language

    def point(self, name: str, kind: PointType, component: str, value: Value, model: str) -> Entity:
        """Return the entity of a point; `model` is the kind of its device, empty for the gantry."""
        topic, (device, _, own) = self._topics.point(name), name.partition(".")
        part, _, last = own.rpartition(".")
        more: dict[str, Any] = {}
        if component == BINARY_SENSOR:
            more |= _on_and_off("value_json.value")
            found = "problem" if last in _TROUBLES else None
        elif isinstance(value, str):
            more["value_template"] = f"{{{{ (value_json.value | string)[:{_LONGEST_STATE}] }}}}"
            found = None
        else:
            more["value_template"] = "{{ value_json.value }}"
            more["state_class"] = "total_increasing" if kind.unit == "Wh" else "measurement"
            found = _PERCENT.get(last) if kind.unit == "%" else _CLASSES.get(kind.unit)
        if kind.unit:
            more["unit_of_measurement"] = kind.unit
        if found:
            more["device_class"] = found
        more["expire_after"] = EXPIRE_S
        label = self._label(kind.en, kind.zh)
        more["name"] = f"{part} {label}" if part and part not in label else label
        more["availability"] = [
            {"topic": self._topics.status},
            {"topic": topic, "value_template": _GOOD},
        ]
        of_device = self._device(device, model) if model else self._gantry()
        return self._entity(component, object_id(self._id, name), topic, of_device, more)

    def alarm(self, name: str, en: str, zh: str, device: str, model: str) -> Entity:
        """Return the entity of an alarm; without a `device` the alarm is the gantry's."""
        more: dict[str, Any] = {
            **_on_and_off("value_json.active"),
            "device_class": "problem",
            "name": self._label(en, zh),
            "availability": [{"topic": self._topics.status}],
        }
        of_device = self._device(device, model) if device else self._gantry()
        topic, own_id = self._topics.alarm(name), object_id(self._id, ALARMS, name)
        return self._entity(BINARY_SENSOR, own_id, topic, of_device, more)

    def command(self, target: str, command: str, en: str, zh: str, model: str) -> Entity:
        """Return the button of a command that needs neither arguments nor a confirmation."""
        config = {
            "name": self._label(en, zh),
            "command_topic": f"{self._topics.base}/{target}/{SET}/{command}",
            "payload_press": "{}",
            "availability": [{"topic": self._topics.status}],
        }
        own_id = object_id(self._id, target, SET, command)
        of_device = self._device(target, model)
        return Entity(BUTTON, own_id, {**config, **self._common(own_id, of_device)})

    def online(self) -> Entity:
        """Return the entity of the gantry itself: whether it is there."""
        more: dict[str, Any] = {
            "name": self._label("Gantry", "门架"),
            "payload_on": "online",
            "payload_off": "offline",
            "device_class": "connectivity",
        }
        own_id = object_id(self._id, STATUS)
        return self._entity(BINARY_SENSOR, own_id, self._topics.status, self._gantry(), more)

    def _entity(
        self,
        component: str,
        own_id: str,
        topic: str,
        device: Mapping[str, Any],
        more: Mapping[str, Any],
    ) -> Entity:
        config = {**more, "state_topic": topic, **self._common(own_id, device)}
        return Entity(component, own_id, config)

    def _common(self, own_id: str, device: Mapping[str, Any]) -> dict[str, Any]:
        """Return the keys of each entity. In the mode `all` each topic must say `online`."""
        origin = {"name": MANUFACTURER, "sw_version": __version__}
        common = {"unique_id": own_id, "qos": self._qos, "device": device, "origin": origin}
        return {**common, "availability_mode": "all"}

    def _label(self, en: str, zh: str) -> str:
        return zh if self._language == "zh" else en

    def _gantry(self) -> dict[str, Any]:
        return {
            "identifiers": [self._id],
            "name": self._name or self._id,
            "manufacturer": MANUFACTURER,
            "model": self._label("ETC toll gantry", "ETC 门架"),
            "sw_version": __version__,
        }

    def _device(self, name: str, model: str) -> dict[str, Any]:
        return {
            "identifiers": [object_id(self._id, name)],
            "name": f"{self._name} {name}".strip(),
            "manufacturer": MANUFACTURER,
            "model": model,
            "via_device": self._id,
        }


def _on_and_off(value: str) -> dict[str, Any]:
    """Return the keys of a binary sensor whose state is the truth of `value`."""
    template = f"{{{{ 'ON' if {value} else 'OFF' }}}}"
    return {"value_template": template, "payload_on": "ON", "payload_off": "OFF"}
