"""What the broker keeps for us, so that it can be taken away: also after a restart.

A retained message outlives the device that it is about. The names of what was published are in the
store; once a name is gone from the site, an empty retained message removes what the broker has.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.bridges.mqtt.changes import Topic
from twisted_gantry.bridges.mqtt.homeassistant import config_topic
from twisted_gantry.bridges.mqtt.topics import ALARMS, SET, Topics, object_id
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.net.timers import Timer

_log = Logger()

SETTING = "bridge.mqtt.published"
SAVE_S = 2.0  # seconds in which changes are gathered


class Kept(msgspec.Struct, kw_only=True):
    """What the broker keeps: `points` and `alarms` by name, each with its component of Home
    Assistant, empty without one; the `commands` that have a button. `useless` are topics that it
    need not keep any more, until it was told so.
    """

    base: str
    gantry: str
    retain: bool
    discovery: str
    points: dict[str, str] = {}
    alarms: dict[str, str] = {}
    commands: dict[str, str] = {}
    useless: list[str] = []

    def of(self, topic: Topic) -> dict[str, str]:
        return {Topic.POINT: self.points, Topic.ALARM: self.alarms}.get(topic, self.commands)

    @property
    def place(self) -> tuple[str, str, bool, str]:
        """What decides at which topics the names are."""
        return self.base, self.gantry, self.retain, self.discovery

    def topics(self) -> Iterator[str]:
        """Yield every topic with a retained message, but for the status."""
        for kind in (Topic.POINT, Topic.ALARM, Topic.COMMAND):
            for name, component in self.of(kind).items():
                yield from self.topics_of(kind, name, component)

    def topics_of(self, kind: Topic, name: str, component: str) -> Iterator[str]:
        """Yield the topics of one name: the state, and the configuration of the entity."""
        topics = Topics(self.base, "")
        if kind is Topic.POINT:
            state, own_id = topics.point(name), object_id(self.gantry, name)
        elif kind is Topic.ALARM:
            state, own_id = topics.alarm(name), object_id(self.gantry, ALARMS, name)
        else:
            target, _, command = name.partition(".")
            state, own_id = "", object_id(self.gantry, target, SET, command)
        if self.retain and state:
            yield state
        if component:
            yield config_topic(component, own_id)


class Published:
    """Keeps `now`, what the broker keeps, in the store."""

    def __init__(self, now: Kept, store: IStore, clock: IReactorTime) -> None:
        self.now, self._store = now, store
        self._save = Timer(clock, self._put)
        self._saving: Deferred[Any] | None = None

    async def load(self) -> None:
        """Take over what was kept before."""
        try:
            settings = await self._store.settings()
            before = msgspec.convert(settings.get(SETTING), Kept)
        except msgspec.ValidationError:  # nothing was published yet
            return
        except Exception:
            _log.failure("what was published before cannot be read")
            return
        if before.place == self.now.place:
            self.now = before
        else:
            self.now.useless = [*before.useless, *before.topics()]
            self._later()

    def add(self, kind: Topic, name: str, component: str) -> list[str]:
        """Note what is published; returns the topics of an earlier component, now useless."""
        names = self.now.of(kind)
        before = names.get(name)
        if before == component:
            return []
        names[name] = component
        used = set(self.now.topics_of(kind, name, component))
        gone = set(self.now.topics_of(kind, name, before)) - used if before else set()
        self.now.useless = [each for each in self.now.useless if each not in used] + [*gone]
        self._later()
        return list(gone)

    def remove(self, kind: Topic, name: str) -> list[str]:
        """Forget a name; returns its topics, now useless."""
        topics = list(self.now.topics_of(kind, name, self.now.of(kind).pop(name)))
        self.now.useless += topics
        self._later()
        return topics

    def retracted(self, topics: Iterable[str]) -> None:
        """Note that the broker does not keep these topics any more."""
        gone = set(topics)
        self.now.useless = [each for each in self.now.useless if each not in gone]
        self._later()

    def stop(self) -> None:
        """Save what was not saved yet."""
        if self._save.running:
            self._save.cancel()
            self._put()

    def _later(self) -> None:
        if not self._save.running:
            self._save.start(SAVE_S)

    def _put(self) -> None:
        self._saving = self._store.put_setting(SETTING, msgspec.to_builtins(self.now))
        self._saving.addErrback(_not_saved)


def _not_saved(failure: Failure) -> None:
    _log.failure("what was published cannot be kept", failure)
