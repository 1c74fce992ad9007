"""The messages of each name, and which names there are: they come and go with devices."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.bridges.mqtt.changes import Key, Topic
from twisted_gantry.bridges.mqtt.homeassistant import (
    BINARY_SENSOR,
    BUTTON,
    Entities,
    Entity,
    component_of,
    config_topic,
)
from twisted_gantry.bridges.mqtt.published import Kept, Published
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.bridges.mqtt.states import AlarmType, alarm_state, alarm_types, point_state
from twisted_gantry.bridges.mqtt.topics import Topics
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.net.times import times_in
from twisted_gantry.wire.reading import Quality

GONE_S = 10.0
"""Seconds after which a device that is away is gone: a reload makes a changed device anew."""
PART_GONE_S = 60.0  # seconds online without a point, after which that is gone: parts come late
MOST_ALARMS = 2000  # names of alarms that were raised, and are remembered
ONLINE, OFFLINE = b"online", b"offline"


class Out(NamedTuple):
    """A message to the broker."""

    topic: str
    payload: bytes
    retain: bool


class Content:
    """What there is to send of a site."""

    def __init__(self, settings: MqttSettings, site: Site, clock: IReactorTime) -> None:
        self._settings, self._site, self._clock = settings, site, clock
        self._time = times_in(site.timezone)
        self.topics = Topics(settings.topic, site.gantry_id)
        qos, language = settings.qos, settings.language
        self._entities = Entities(self.topics, site.gantry_id, site.name, qos, language)
        kept = Kept(
            base=self.topics.base,
            gantry=site.gantry_id,
            retain=settings.retain,
            discovery=settings.discovery,
        )
        self._published = Published(kept, site.store, clock)
        self._types: dict[str, AlarmType] = {}
        self._alarms: dict[str, Alarm] = {}  # the last one of each name
        self._points: dict[str, None] = {}  # in the order of the catalogue
        self._were: set[str] = set()  # every device there was
        self._missing: dict[Key, float] = {}  # since when
        self._shown: set[Key] = set()  # the entities that this session has configured
        self._retracting: list[str] = []  # topics that are under way to be forgotten

    async def load(self) -> None:
        """Read what was published before."""
        await self._published.load()
        sources = {*self._site.devices, *self._site.uplinks}
        for alarm in reversed(self._site.alarms.all()):
            if alarm.active or alarm.source in sources:
                self.raised(alarm)

    def stop(self) -> None:
        self._published.stop()

    def raised(self, alarm: Alarm) -> None:
        """Take the new state of an alarm."""
        if alarm.name in self._alarms or len(self._alarms) < MOST_ALARMS:
            self._alarms[alarm.name] = alarm

    def everything(self) -> Iterator[Key]:
        """Yield all names for a session that begins. The status is last: what a broker kept from
        before is not to be taken for the present state.
        """
        self._shown.clear()
        self._retracting.clear()
        self.look()
        yield from ((Topic.RETRACTED, topic) for topic in self._published.now.useless)
        if self._settings.commands and self._settings.discovery:
            yield from ((Topic.COMMAND, name) for name in self._buttons())
        yield from ((Topic.POINT, name) for name in self._points)
        yield from ((Topic.ALARM, name) for name in self._alarm_names())
        yield (Topic.STATUS, "")

    def look(self) -> list[Key]:
        """Return the names that came, and the topics of those that are gone."""
        site = self._site
        self._were |= site.devices.keys()
        points = {point.name: None for point in site.points.under()}
        types = alarm_types(site.devices)
        found = [(Topic.POINT, name) for name in points if name not in self._points]
        found += [(Topic.ALARM, name) for name in types if name not in self._types]
        self._points, self._types = points, types
        here = {
            Topic.POINT: points.keys(),
            Topic.ALARM: set(self._alarm_names()),
            Topic.COMMAND: set(self._buttons()),
        }
        for kind, names in here.items():
            for name in [each for each in self._published.now.of(kind) if each not in names]:
                if self._is_gone((kind, name)):
                    topics = self._published.remove(kind, name)
                    found += [(Topic.RETRACTED, topic) for topic in topics]
        self._missing = {
            (kind, name): since
            for (kind, name), since in self._missing.items()
            if name not in here[kind] and name in self._published.now.of(kind)
        }
        return found

    def _is_gone(self, key: Key) -> bool:
        now, device = self._clock.seconds(), self._site.devices.get(key[1].partition(".")[0])
        since = self._missing.setdefault(key, now)
        if device is None:
            return now - since >= GONE_S
        if device.status.state is not State.ONLINE:
            self._missing[key] = now
        return now - self._missing[key] >= PART_GONE_S

    def _alarm_names(self) -> Iterator[str]:
        """Yield the alarms of the devices, and those of other sources that were raised."""
        yield from self._types
        gone = self._were - self._site.devices.keys()
        for name, alarm in self._alarms.items():
            if name not in self._types and alarm.source not in gone:
                yield name

    def _buttons(self) -> Iterator[str]:
        """Yield the commands that need neither arguments nor a confirmation."""
        if not self._settings.commands:
            return
        for name, device in self._site.devices.items():
            for command, kind in device.commands.items():
                needed = any(each.required for each in kind.arguments.values())
                if not (needed or kind.asks or kind.locked):
                    yield f"{name}.{command}"

    def all_taken(self) -> None:
        """Take note that the broker has acknowledged everything that was sent."""
        if self._retracting:
            self._published.retracted(self._retracting)
            self._retracting.clear()

    # -- the messages of a name

    def messages(self, key: Key) -> list[Out]:
        """Return what is to be sent of a name, none for a name that is gone meanwhile."""
        topic, name = key
        if topic is Topic.RETRACTED:
            if name not in self._published.now.useless:  # used again meanwhile
                return []
            self._retracting.append(name)
            return [Out(name, b"", True)]
        if topic is Topic.STATUS:
            shown = self._entity(key, self._entities.online()) if self._settings.discovery else []
            return [*shown, Out(self.topics.status, ONLINE, True)]
        if topic is Topic.POINT:
            return self._of_point(key)
        return self._of_alarm(key) if topic is Topic.ALARM else self._of_command(key)

    def _of_point(self, key: Key) -> list[Out]:
        name, points = key[1], self._site.points
        point = points.get(name)
        if point is None:
            return []
        kind, component = points.catalogue[name], ""
        found: list[Out] = []
        if self._settings.discovery and point.quality is not Quality.NOT_SUPPORTED:
            component = component_of(kind, point.value) or ""
        before = self._published.now.points.get(name, "")
        for each in self._noted(key, component or before):
            found += self.messages((Topic.RETRACTED, each))
        if component and (key not in self._shown or component != before):
            device = self._site.devices.get(name.partition(".")[0])
            model = "" if device is None else device.kind
            found += self._entity(
                key, self._entities.point(name, kind, component, point.value, model)
            )
        state = point_state(point, kind.unit, self._time)
        found.append(Out(self.topics.point(name), state, self._settings.retain))
        return found

    def _of_alarm(self, key: Key) -> list[Out]:
        name = key[1]
        last = self._alarms.get(name)
        kind = self._types.get(name)
        if kind is None:
            if last is None:
                return []
            kind = AlarmType(last.severity.value, last.condition, last.condition)
        active = next((each for each in self._site.alarms.active() if each.name == name), None)
        found: list[Out] = []
        self._noted(key, BINARY_SENSOR if self._settings.discovery else "")
        if self._settings.discovery and key not in self._shown:
            source = name.partition(".")[0]
            device = self._site.devices.get(source)
            where = ("", "") if device is None else (source, device.kind)
            found += self._entity(key, self._entities.alarm(name, kind.en, kind.zh, *where))
        state = alarm_state(name, kind, active or last, self._time)
        found.append(Out(self.topics.alarm(name), state, self._settings.retain))
        return found

    def _of_command(self, key: Key) -> list[Out]:
        target, _, command = key[1].partition(".")
        device = self._site.devices.get(target)
        kind = None if device is None else device.commands.get(command)
        if device is None or kind is None or key in self._shown:
            return []
        self._noted(key, BUTTON)
        entity = self._entities.command(target, command, kind.en, kind.zh, device.kind)
        return self._entity(key, entity)

    def _noted(self, key: Key, component: str) -> list[str]:
        """Note what the broker keeps; returns topics that it need not keep any more."""
        if not (self._settings.retain or component):
            return []
        return self._published.add(*key, component)

    def _entity(self, key: Key, entity: Entity) -> list[Out]:
        self._shown.add(key)
        topic = config_topic(entity.component, entity.object_id)
        return [Out(topic, msgspec.json.encode(entity.config), True)]
