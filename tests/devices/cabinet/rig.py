"""A driver of a cabinet, and a cabinet that a test scripts, over HTTP in memory on a Clock."""

import copy
from collections.abc import Callable
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.devices.rig import DriverRig, Wire
from tests.support import TestClock
from tests.wire.material import document
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.devices.cabinet.driver import DEADLINE, CabinetSettings, SmartCabinet
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.remote.channel import ControlChannel, Stamps
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import Cmd, EtcControl, decode_control
from twisted_gantry.wire.json import loads_text
from twisted_gantry.wire.secret import Secret

AUTH = "hunter2-code"
URL = "http://cabinet.test:3699/remotecontrol.do"
SAMPLE: dict[str, Any] = loads_text(document("etc-3.1.3"))["cabinetStatus"]


def report(**changes: Any) -> dict[str, Any]:
    """Return the document's example of an upload, with other fields in its groups.

    A dictionary changes fields of an object, or of the first row of an array; anything else
    replaces the group.
    """
    fields = copy.deepcopy(SAMPLE)
    for group, change in changes.items():
        if isinstance(change, dict):
            rows = fields[group] if isinstance(fields[group], list) else [fields[group]]
            rows[0].update(change)
        else:
            fields[group] = change
    return fields


class FakeCabinet(Resource):
    """A cabinet that checks commands as the document demands, and answers as it is set.

    `answer` and `updated` are for commands and for `updateNow`: a code, a status and a body, or
    None for no answer. With `uploads` it reports after each `updateNow` that it takes.
    """

    isLeaf = True

    def __init__(self, clock: TestClock) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.answer: Any = etc.EtcCode.SUCCESS
        self.updated: Any = etc.EtcCode.SUCCESS
        self.uploads = True
        self.msg = ""
        self.upload: Callable[[], None] = lambda: None
        self.told: list[tuple[float, EtcControl]] = []
        self.bodies: list[bytes] = []
        self.refused: list[str] = []
        self._clock = clock

    def render_POST(self, request: Request) -> Any:
        """Take a command."""
        assert request.content is not None
        body = request.content.read()
        headers = {
            name.decode().lower(): values[-1].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        try:
            taken = etc.check_request(
                body,
                headers,
                auth=AUTH,
                methods=etc.REMOTE_CONTROL,
                gantry_id="G000211001002110010",
                now=self._clock.now(),
                skew=300.0,
            )
        except etc.EtcRefused as refused:
            self.refused.append(str(refused))
            return etc.answer(refused.code).encode()
        control = decode_control(taken.fields, cabinet=True)
        self.told.append((self._clock.seconds(), control))
        self.bodies.append(body)
        how = self.updated if control.update_now else self.answer
        if control.update_now and self.uploads and how is etc.EtcCode.SUCCESS:
            self._clock.callLater(0.2, self.upload)
        if how is None:
            request.notifyFinish().addErrback(lambda _: None)
            return NOT_DONE_YET
        if isinstance(how, tuple):
            request.setResponseCode(how[0])
            return how[1]
        if isinstance(how, etc.EtcCode):
            return etc.answer(how, msg=self.msg).encode()
        return etc.Answer(how, self.msg).encode()

    def asked(self) -> list[float]:
        """Return when it was asked to report."""
        return [at for at, control in self.told if control.update_now]

    def commands(self) -> list[tuple[Cmd, str | None, dict[str, str]]]:
        """Return what else it was told."""
        given = [control.command for _, control in self.told if control.command is not None]
        return [(each.cmd, each.cabinet_id, each.fields) for each in given]


class Rig(DriverRig):
    """A driver named `cab1` on a cabinet."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.cabinet = FakeCabinet(self.clock)
        self.cabinet.upload = self.upload
        self.wire = Wire(self.clock, cabinet=self.cabinet)
        given = CabinetSettings(url=URL, auth=Secret(AUTH), **settings)
        stub: Any = self.wire
        client = BoundedClient(stub, self.clock, deadline=DEADLINE)
        gantry_id = given.gantry_id or self.bench.context.gantry_id
        channel = ControlChannel(URL, given.auth, gantry_id, client, Stamps(self.clock.now).next)
        self.device = SmartCabinet("cab1", given, self.bench.context, channel, self.close)
        self.bench.add(self.device)
        self.report = report()
        self.clock_good = True

    def start(self, seconds: float = 1.0) -> Any:
        """Start the driver, and let some time pass."""
        return super().start(seconds)

    def settle(self) -> None:
        """Let the cabinet upload no more."""
        self.cabinet.upload = lambda: None
        self.clock.run(1.0, 0.5)

    def upload(self, **changes: Any) -> None:
        """Upload at once; with `changes`, what is uploaded from now on."""
        if changes:
            self.report = report(**changes)
        self.device.uploaded(copy.deepcopy(self.report), clock_good=self.clock_good)

    def do(self, command: str, seconds: float = 11.0, **args: Any) -> CommandResult:
        """Ask for a command through the door, let time pass, and return its outcome."""
        return super().do(command, seconds, **args)
