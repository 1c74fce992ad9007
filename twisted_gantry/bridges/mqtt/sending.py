"""What is sent when: each state once when it changed, all of them when a session begins.

Never more than `WINDOW` messages are under way. What changes meanwhile waits as a name.
"""

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.bridges.mqtt.changes import MOST_CHANGED, Changes, Key, Topic
from twisted_gantry.bridges.mqtt.content import Content, Out
from twisted_gantry.bridges.mqtt.reasons import LATE, MUTE
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.interfaces import DROPPED, Fill
from twisted_gantry.core.points import Batch
from twisted_gantry.core.site import Site
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.timers import GuardedLoop, Timer

WINDOW = 200
"""Messages that are sent and not acknowledged, at most, but for those of one name more."""
A_TURN = 100  # names that one turn of the reactor sends
GATHER_S = 0.05  # seconds in which changes are gathered
LOOK_S = 1.0  # seconds between two looks for what came, went or is quiet
MOST_ANSWERS = 64  # outcomes of commands that wait
MUTE_S = 60.0
"""Seconds in which a broker acknowledges nothing, after which the session is of no use: such a
broker may well answer our pings.
"""
LATE_S = 300.0
"""Seconds for one message, after which the session is of no use either: what a full window holds is
then acknowledged more slowly than the site changes.
"""


class Sending:
    """Sends through `publish(message)` while online; `repeat` is the seconds after which a quiet
    point is sent again, 0 for never. `useless` is called with why when the session is of no use.
    """

    def __init__(
        self,
        content: Content,
        site: Site,
        clock: IReactorTime,
        publish: Callable[[Out], None],
        repeat: float,
        counts: Counter[str],
        useless: Callable[[Outage], object],
    ) -> None:
        self._content, self._site, self._clock = content, site, clock
        self._publish, self._repeat, self._counts = publish, repeat, counts
        self._changes = Changes()
        self._answers: deque[Out] = deque()
        self._useless, self._heard = useless, 0.0
        self._under_way: deque[float] = deque()
        """When each message that is not acknowledged was sent, the oldest first."""
        self._is_online = False
        self._sent: OrderedDict[str, float] = OrderedDict()
        """When each point was sent last, the longest ago first: seconds of the clock."""
        self._turn = Timer(clock, self._send)
        self._looks = GuardedLoop(clock, self._look, "the looks of the MQTT bridge")
        self._unsubscribe: list[Callable[[], None]] = []

    @property
    def queues(self) -> Mapping[str, Fill]:
        return {
            "changed": Fill(len(self._changes), MOST_CHANGED),
            "under-way": Fill(len(self._under_way), WINDOW),
            "answers": Fill(len(self._answers), MOST_ANSWERS),
        }

    def start(self) -> None:
        """Note from now on what changes."""
        site = self._site
        self._unsubscribe = [
            site.points.subscribe(self._points_changed),
            site.alarms.subscribe(self._alarm_changed),
            site.alarms.subscribe_changes(self._alarm_changed),
        ]
        self._looks.start(LOOK_S, now=False)

    def stop(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []
        self._looks.stop()
        self.offline()

    def online(self) -> None:
        """Send everything: a session has begun, or the neighbour has forgotten it."""
        self._is_online = True
        self._heard = self._clock.seconds()
        for key in self._content.everything():
            self._note(key)
        self._turn.start(0)

    def offline(self) -> None:
        """Forget what waits; everything is sent when a session begins."""
        self._is_online = False
        self._under_way.clear()
        self._changes.clear()
        self._answers.clear()
        self._sent.clear()
        self._turn.cancel()

    def acknowledged(self, number: int) -> None:
        """Take note that so many messages are through."""
        self._heard = self._clock.seconds()
        for _ in range(min(number, len(self._under_way))):
            self._under_way.popleft()
        if not self._under_way:
            self._content.all_taken()
        if self._answers or self._changes:
            self._turn.start(0)

    def answer(self, target: str, command: str, payload: bytes) -> None:
        """Send the outcome of a command, before what changed."""
        if not self._is_online or len(self._answers) >= MOST_ANSWERS:
            self._counts[DROPPED] += 1
            return
        topic = self._content.topics.answer(target, command)
        self._answers.append(Out(topic, payload, False))
        self._soon()

    # -- on the path of readings and alarms: names are noted, nothing else

    def _points_changed(self, _: str, batch: Batch) -> None:
        if not self._is_online:
            return
        for change in batch:
            old, new = change.old, change.new
            if old.value != new.value or old.quality is not new.quality:
                self._note((Topic.POINT, new.name))
        if self._changes:
            self._soon()

    def _alarm_changed(self, alarm: Alarm) -> None:
        self._content.raised(alarm)
        if self._is_online:
            self._note((Topic.ALARM, alarm.name))
            self._soon()

    def _note(self, key: Key) -> None:
        if key in self._changes:
            self._counts["overtaken"] += 1
        elif not self._changes.note(key):
            self._counts[DROPPED] += 1

    def _soon(self) -> None:
        if not self._turn.running and len(self._under_way) < WINDOW:
            self._turn.start(GATHER_S)

    # -- in a turn of their own

    def _look(self) -> None:
        if not self._is_online:
            return
        now = self._clock.seconds()
        if not self._under_way:
            self._heard = now
        elif now - self._heard >= MUTE_S or now - self._under_way[0] >= LATE_S:
            self._useless(MUTE if now - self._heard >= MUTE_S else LATE)
            return
        for key in self._content.look():
            self._note(key)
        for name, at in self._sent.items() if self._repeat else ():
            if now - at < self._repeat - LOOK_S / 2:
                break
            if (Topic.POINT, name) not in self._changes:
                self._note((Topic.POINT, name))
        if self._changes:
            self._soon()

    def _send(self) -> None:
        while self._answers and len(self._under_way) < WINDOW:
            self._out(self._answers.popleft())
        for _ in range(A_TURN):
            if len(self._under_way) >= WINDOW:
                return  # `acknowledged` goes on
            key = self._changes.take()
            if key is None:
                return
            messages = self._content.messages(key)
            for each in messages:
                self._out(each)
            if key[0] is Topic.POINT:
                self._sent.pop(key[1], None)
                if messages:
                    self._sent[key[1]] = self._clock.seconds()
        self._turn.start(0)

    def _out(self, message: Out) -> None:
        self._under_way.append(self._clock.seconds())
        self._counts["published"] += 1
        self._publish(message)
