"""A manager that answers as a test says, and the driver on it, over HTTP in memory on a Clock."""

import json
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.web.http import Request as HttpRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.devices.rig import DriverRig, Wire
from tests.support import fired
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.devices.cfos.channel import CfosChannel, Credentials
from twisted_gantry.devices.cfos.driver import Cfos, CfosSettings
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.wire.secret import Secret

URL = "http://cfos.test/"
PASSWORD = "1234abcd-pass"


@dataclass
class Asked:
    """One request that the manager got."""

    cmd: str
    args: dict[str, str]
    body: Any
    user: str
    password: str
    at: float


def evse(which: str = "E1", **fields: Any) -> dict[str, Any]:
    """Return an EVSE that charges, but for `fields`."""
    return {
        "dev_id": which,
        "device_enabled": 1,
        "com_err": False,
        "state": 3,
        "charging_enabled": True,
        "paused": False,
        "cur_charging_power": 6900,
        "total_energy": 7120572,
        **fields,
    }


def meter(which: str = "M1", **fields: Any) -> dict[str, Any]:
    """Return a meter, but for `fields`."""
    return {
        "dev_id": which,
        "device_enabled": 1,
        "com_err": False,
        "import": 15000,
        "export": 0,
        "power_w": 690,
        **{f"current_l{n}": 1000 for n in (1, 2, 3)},
        **{f"voltage_l{n}": 230 for n in (1, 2, 3)},
        **fields,
    }


@dataclass
class Manager:
    """What it answers: its devices to a poll, `answers` by command, else "ok".

    An answer is what JSON carries, bytes as they are, an HTTP status, or None for silence.
    """

    devices: list[Any] = field(default_factory=lambda: [evse(), meter()])
    params: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    admin: str = PASSWORD
    asked: list[Asked] = field(default_factory=list)

    def answer(self, asked: Asked) -> Any:
        self.asked.append(asked)
        if asked.cmd in self.answers:
            answer = self.answers[asked.cmd]
            return answer(asked) if callable(answer) else answer
        if asked.cmd == "get_dev_info":
            return {"params": self.params, "devices": self.devices}
        return "ok" if (asked.user, asked.password) == ("admin", self.admin) else 401

    def calls(self, cmd: str) -> list[Asked]:
        """Return the requests of one command."""
        return [each for each in self.asked if each.cmd == cmd]


class _Page(Resource):
    isLeaf = True

    def __init__(self, manager: Manager, seconds: Callable[[], float]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._manager, self._seconds = manager, seconds

    def render(self, request: HttpRequest) -> Any:
        args = {k.decode(): v[-1].decode() for k, v in request.args.items()}
        assert request.path == b"/cnf"
        assert request.content is not None
        body = request.content.read()
        scheme, _, pair = (request.getHeader(b"authorization") or b"").partition(b" ")
        assert scheme in (b"", b"Basic")
        user, _, password = b64decode(pair).decode().partition(":")
        cmd = args.pop("cmd")
        content = json.loads(body) if body else None
        assert request.method == (b"POST" if body else b"GET")
        asked = Asked(cmd, args, content, user, password, self._seconds())
        answer = self._manager.answer(asked)
        if answer is None:
            return NOT_DONE_YET
        if isinstance(answer, int) and 300 <= answer < 600:
            request.setResponseCode(answer)
            return b"<html>an error page</html>"
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()


class Rig(DriverRig):
    """The driver `cfos` on a manager."""

    def __init__(self, manager: Manager | None = None, **settings: Any) -> None:
        super().__init__()
        self.manager = manager or Manager()
        self.wire = Wire(self.clock, cfos=self._resource())
        stub: Any = self.wire
        given = CfosSettings(**{"url": URL, "password": Secret(PASSWORD), **settings})
        client = BoundedClient(stub, self.clock, deadline=given.patience)
        self.credentials = Credentials(given.user, given.password)
        channel = CfosChannel(given.url, self.credentials, client)
        self.device = Cfos("cfos", given, self.bench.context, channel, self.close)
        self.bench.add(self.device)

    def _resource(self) -> Resource:
        return _Page(self.manager, self.clock.seconds)

    def polls(self, count: int) -> None:
        """Let the time of so many polls pass."""
        self.clock.run(5.0 * count, 0.5)

    def names(self) -> set[str]:
        """Return the names of all its points."""
        return {point.name.removeprefix("cfos.") for point in self.bench.points.under("cfos.")}

    def do(self, command: str, seconds: float = 0.5, **args: Any) -> CommandResult:
        """Run a command through the door, and return how it ended."""
        return super().do(command, seconds, **args)

    def shown(self) -> str:
        """Return all that a person could see: the log, the audit, the errors."""
        [audit] = fired(self.bench.store.audit(100))
        return f"{self.log.getvalue()}{audit}{self.device.status.last_error}"
