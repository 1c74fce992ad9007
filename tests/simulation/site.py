"""A whole gantry against a whole twin, both in memory, on one simulated clock."""

import sqlite3
from collections.abc import Mapping
from random import Random
from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.simulation.reactor import MemoryReactor
from tests.support import fired, in_no_thread, memory_history
from twisted_gantry.config.load import load
from twisted_gantry.core.commands.door import Request
from twisted_gantry.daemon.threads import InThreads
from twisted_gantry.daemon.tree import GantryTree
from twisted_gantry.store.alarms import at_start
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter
from twisted_gantry.twin.service import TwinSettings, build_twin

START = 1_796_054_400.0
"""Unix seconds: 2026-12-01 00:00 in China, when a simulated day begins."""

# The site of the demo without its computer, polled as often as a slow site would be.
SITE = """
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:2390"
poll = {poll}
[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:2380/"
callback = "http://127.0.0.1:9000/post"
poll = {poll}
[[device]]
name = "cfos"
kind = "cfos"
url = "http://127.0.0.1:4700"
user = "admin"
password = "1234abcd"
poll = {poll}
[[device]]
name = "bms1"
kind = "bms"
url = "http://127.0.0.1:4800/wad/ems/v1/api"
device_uid = "bms-0001"
poll = {poll}
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:3700/remotecontrol.do"
auth = "123456"
[[cabinet]]
id = "1"
elec = ["ups1", "ups2"]
ups = ["ups1", "ups2"]
rectifier = "cab1"
air_conditioners = "cab1"
thermohygrometer = "cab1"
waterlogging_sensor = "cab1"
doors = "cab1"
smoke_sensor = "cab1"
thunder_spd = "cab1"
[uplink.etc]
url = "http://127.0.0.1:8088/monitor.do"
auth = "123456"
[uplink.fogslink]
address = "tcp:127.0.0.1:63321"
eq_sn = "12345678"
api_key = "1234567890123456"
period = 60.0
[uplink.fogslink.channels]
"P0-C1" = "ups1.input_voltage_r"
[[notify]]
kind = "webhook"
url = "http://127.0.0.1:8081/twin/v1/notifications"
secret = "demo-notify-secret"
[monitor]
listen = "tcp:8082:interface=127.0.0.1"
auth = "123456"
[remotecontrol]
listen = "tcp:3699:interface=127.0.0.1"
"""


class SimulatedSite:
    """The gantry `tree` and its `twin`, which speaks `dialects`; `run` lets time pass."""

    def __init__(self, dialects: Mapping[str, Any], poll: float = 10.0) -> None:
        self.reactor = MemoryReactor(START)
        reactor, now = self.reactor, self.reactor.now
        settings = TwinSettings(seed=1, step=1.0, dialects=dict(dialects))
        self.twin = build_twin(settings, reactor, now)
        self._poll, self._disk = poll, f"file:{id(self)}?mode=memory&cache=shared"
        self._kept = sqlite3.connect(self._disk, uri=True)  # keeps what is on the disk
        for script in MIGRATIONS:
            self._kept.executescript(script)
        self.tree = self._tree()
        self.alarms = self.tree.site.alarms

    def _tree(self) -> GantryTree:
        reactor, now = self.reactor, self.reactor.now
        db = sqlite3.connect(self._disk, uri=True, isolation_level=None)
        store = SqliteStore(InlineWriter(db), reactor.moment, alarms_at_start=at_start(db))
        return GantryTree(
            load(SITE.format(poll=self._poll)),
            store=store,
            history=memory_history(now),
            reactor=reactor,
            now=now,
            random=Random(1),
            threads=InThreads(*[in_no_thread] * 5),
        )

    def start(self) -> None:
        self.twin.startService()
        self.tree.startService()

    def restart(self) -> None:
        """Let the gantry end, and another one begin on its data."""
        self.tree.stopService()
        self.run(5.0)
        self.tree = self._tree()
        self.alarms = self.tree.site.alarms
        self.tree.startService()

    def run(self, seconds: float) -> None:
        self.reactor.run_until(self.reactor.seconds() + seconds)

    def command(self, target: str, command: str, seconds: float = 30.0, **args: Any) -> Any:
        """Send a command through the door, let time pass, and return its outcome."""
        door = self.tree.site.door
        request = Request(target, command, args, "simulation", door.new_id(), True, seconds)
        ended = fired(ensureDeferred(door.run(request)))
        self.run(seconds)
        return ended[0] if ended else None

    def stop(self) -> list[Any]:
        """Stop both, and return the failures of that."""
        failures: list[Any] = []
        for service in (self.tree, self.twin):
            ended = fired(service.stopService())
            self.run(30.0)
            failures += [each for each in ended if each is not None and not isinstance(each, list)]
        self._kept.close()
        return failures
