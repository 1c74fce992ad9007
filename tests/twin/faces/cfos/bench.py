"""A Power Brain on a clock, and calls to it in memory."""

import base64
import json
import random
from typing import Any
from urllib.parse import quote, urlencode

from twisted.internet.task import Clock

from tests.twin.helpers import Http, http
from twisted_gantry.twin.faces.cfos.face import ADMIN_PASSWORD, PowerBrain
from twisted_gantry.twin.faults.settings import Faults
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.mains import Mains

MONDAY_NOON = 1_790_000_000.0 // 604_800 * 604_800 + 4 * 86_400 + 4 * 3600
"""A Monday, 12:00 in China, in Unix seconds."""
PIN = "4711"
"""The PIN of the first user."""


def basic(password: str, user: str = "admin") -> dict[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {token}"}


def noon(**more: Any) -> dict[str, Any]:
    """Return a rule for 12:00 to 13:00 of a Monday, 8 A."""
    return {"days": 1, "mode": 0, "current": 8000, "time": 720, "dur": 60, **more}


class Bench:
    """A Power Brain at a charging place; clock and world move together."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.start = MONDAY_NOON
        self.mains = Mains()
        self.charging = ChargingSite(self.mains)
        self.world = dict(self.charging.variables())
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.brain = PowerBrain(self.charging, self.faults, self.clock, self.now)
        self.site = self.brain.site()
        self.password = ADMIN_PASSWORD

    def now(self) -> float:
        return self.start + float(self.clock.seconds())

    def run(self, seconds: float) -> None:
        """Let time pass, for the clock and for the world."""
        for _ in range(round(seconds)):
            self.clock.advance(1)
            self.charging.step(1)

    def put(self, name: str, value: Any) -> None:
        assert self.world[name].complaint(value) is None
        self.world[name].set(value)
        self.charging.settle()

    def set_mains(self, volts: float) -> None:
        self.mains.voltage_v.update(dict.fromkeys("rst", volts))
        self.charging.settle()

    def request(
        self,
        query: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        path: str = "/cnf",
    ) -> Http:
        """Send one request; a body makes it a POST."""
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        sent = b"" if body is None else content
        target = f"{path}?{query}" if query else path
        return http(self.site, "GET" if body is None else "POST", target, sent, headers or {})

    def open(self, cmd: str, body: Any = None, **args: Any) -> Http:
        return self.request(urlencode({"cmd": cmd, **args}, quote_via=quote), body)

    def call(self, cmd: str, body: Any = None, **args: Any) -> Any:
        """Make a call as the admin, and return its answer."""
        query = urlencode({"cmd": cmd, **args}, quote_via=quote)
        exchange = self.request(query, body, basic(self.password))
        assert exchange.status == 200, exchange.raw
        return exchange.json

    def device(self, dev_id: str) -> dict[str, Any]:
        devices = self.open("get_dev_info").json["devices"]
        found: dict[str, Any] = next(each for each in devices if each["dev_id"] == dev_id)
        return found

    def params(self) -> dict[str, Any]:
        params: dict[str, Any] = self.open("get_dev_info").json["params"]
        return params

    def change(self, dev_id: str, **settings: Any) -> None:
        assert self.call("set_device", {"dev_id": dev_id, **settings}) == "ok"

    def current(self, seconds: float = 15) -> int:
        """Return the current of the car after some time, in mA."""
        self.run(seconds)
        shown: int = self.device("E1")["current_l1"]
        return shown

    def register(self, read: str, device: str = "evse") -> Any:
        return self.open("modbus", device=device, read=read).json

    def write(self, write: str, value: int, device: str = "evse") -> Any:
        return self.call("modbus", device=device, write=write, value=value)
