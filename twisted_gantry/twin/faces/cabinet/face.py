"""A smart cabinet over HTTP, both ways: the ETC document, sections 1.5 to 1.8, 3 and 4."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request as HttpRequest

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.net.service import NamedService
from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import voice
from twisted_gantry.twin.faces.cabinet import readings
from twisted_gantry.twin.faces.cabinet.camera import Camera
from twisted_gantry.twin.faces.cabinet.cards import WhiteList
from twisted_gantry.twin.faces.cabinet.commands import CannotDo, perform
from twisted_gantry.twin.faces.cabinet.monitor import CardQuestions, Monitor, Reports
from twisted_gantry.twin.faces.etc import entry
from twisted_gantry.twin.faces.etc.entry import File
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.twin.faces.http import HttpFace, answer_failures
from twisted_gantry.twin.faults.settings import CABINET, Faults
from twisted_gantry.twin.times import CHINA
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import commands
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.pictures import file_name

MONITOR_URL = "http://127.0.0.1:8082/monitor.do"
REPORTS_S = 300.0
CARDS_S = 60.0
# A repeated body gets the stored answer within this time; later its time stamp is refused.
REMEMBERED_S = 2 * entry.MAX_SKEW_S
MAX_REMEMBERED = 10_000


class CabinetTwin(HttpFace, NamedService):
    """The cabinet. `now` returns Unix seconds, to which the cabinet's own clock adds its error.

    The service uploads to `monitor_url` every `period` seconds, and at once on an alarm or a door.
    It asks for the white list every `cards_period` seconds. With `quirks` the keys have the
    spaces of the document's examples. `counts` tells `code-1000` …, `replayed`, `executed`, each
    `sent-` and `lost-` method, `refused`, `forgotten`, `cards-taken`, `cards-refused`, and what
    `EtcSender` counts.
    """

    app, limits = App(), entry.LIMITS
    answer_failures(app, CABINET, entry.answer_mistake)

    def __init__(
        self,
        cabinet: Cabinet,
        faults: Faults,
        clock: IReactorTime,
        now: Callable[[], float],
        client: BoundedClient,
        *,
        gantry_id: str,
        auth: str,
        cabinet_id: str = "1",
        monitor_url: str = MONITOR_URL,
        period: float = REPORTS_S,
        cards_period: float = CARDS_S,
        quirks: bool = False,
        rate: float = entry.DEFAULT_RATE,
    ) -> None:
        HttpFace.__init__(self, CABINET, faults, clock)
        NamedService.__init__(self, CABINET)
        self.cabinet, self._wall = cabinet, now
        self._cabinet_id, self._quirks, self._gantry_id = cabinet_id, quirks, gantry_id
        self.camera = Camera(cabinet.doors)
        self._own_host = urlsplit(monitor_url).hostname or ""
        limit, taken = entry.Rate(rate, clock.seconds), etc.REMOTE_CONTROL
        self.voice = voice(Peer.CABINET)
        self._entry = entry.Entry(
            self._injector, self.voice, limit, self._now, auth, taken, gantry_id
        )
        self._executed: OrderedDict[str, tuple[float, etc.Answer]] = OrderedDict()
        self._moments = readings.Moments(self._now(), CHINA)
        self.white_list = WhiteList(self._now, lambda: cabinet.clock_good, CHINA)
        gantry = {"gantry_id": gantry_id, "auth": auth}
        sender = EtcSender(client, self._injector, self._now, **gantry, voice=self.voice)
        self.monitor = Monitor(sender, self.counts, monitor_url)
        self.reports = Reports(self.monitor, clock, cabinet, period, self._report)
        key = " curVersion" if quirks else "curVersion"
        cards = self.white_list
        self._questions = CardQuestions(self.monitor, clock, cabinet, cards_period, cards, key)
        cabinet.doors.admits = self.white_list.admits
        cabinet.observer = self._observe
        self._moments.note(cabinet, self._now())
        self._urgent_state = readings.urgent_state(cabinet)

    def startService(self) -> None:
        super().startService()
        self.reports.start()
        self._questions.start()

    def stopService(self) -> None:
        self.reports.stop()
        self._questions.stop()
        super().stopService()

    def _now(self) -> float:
        return self._wall() + self.cabinet.clock_offset_s

    def _observe(self) -> None:
        if not self.cabinet.powered:
            return
        self._moments.note(self.cabinet, self._now())
        self.camera.watch(self.cabinet.doors, self._now())
        state = readings.urgent_state(self.cabinet)
        if state != self._urgent_state:
            self._urgent_state = state
            if self.running:
                self.reports.urgent()

    def _report(self) -> Any:
        fields = readings.report(self.cabinet, self._cabinet_id, self._moments)
        return readings.with_quirks(fields) if self._quirks else fields

    @app.route("/remotecontrol.do", methods=["POST"])
    async def remote_control(self, request: HttpRequest) -> bytes:
        if not self.cabinet.powered:
            return await self._injector.cut_off(request)
        return await self._entry.serve(request, self._take)

    def _take(self, request: etc.Request, body: bytes) -> etc.Answer | File:
        """Execute a request, or return its stored answer. Raises etc.EtcRefused."""
        if request.method is etc.Method.PICTURE:
            return self._picture(request.fields)
        key = etc.digest(body)
        self._forget()
        if key in self._executed:
            self.counts["replayed"] += 1
            return self._executed[key][1]
        if len(self._executed) >= MAX_REMEMBERED:  # a repetition could not be detected
            raise etc.EtcRefused(etc.EtcCode.TOO_FREQUENT, "too many commands to remember")
        try:
            answer, harmless = self._do(request)
        except BadMessage as error:
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, str(error)) from None
        if not harmless:
            self._executed[key] = (self._clock.seconds(), answer)
        return answer

    def _picture(self, fields: Any) -> etc.Answer | File:
        """Return the file of an opening. Raises etc.EtcRefused."""
        try:
            wanted = commands.decode_picture_request(fields, CHINA)
        except BadMessage as error:
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, str(error)) from None
        if wanted.cabinet_id == self._cabinet_id:
            shot = self.camera.find(wanted.door_open_time)
            if shot is not None:
                digits = commands.file_time(shot.at, CHINA)
                return File(file_name(self._gantry_id, digits, shot.extension), shot.content)
        return etc.answer(etc.EtcCode.NO_PICTURE)

    def _forget(self) -> None:
        oldest = self._clock.seconds() - REMEMBERED_S
        while self._executed and next(iter(self._executed.values()))[0] < oldest:
            self._executed.popitem(last=False)

    def _do(self, request: etc.Request) -> tuple[etc.Answer, bool]:
        """Execute a request, and tell whether a repetition is harmless. Raises BadMessage first."""
        # The next request for a report may have the same time stamp and body.
        to_cabinet = request.method is etc.Method.CABINET_CONTROL
        control = commands.decode_control(request.fields, cabinet=to_cabinet)
        try:
            if request.method is etc.Method.COMPUTER_CONTROL:
                raise CannotDo("机柜没有工控机")
            return self._execute(control), control == commands.EtcControl(update_now=True)
        except CannotDo as error:
            return etc.answer(etc.EtcCode.CONTROL_FAILED, msg=str(error)), False

    def _execute(self, control: commands.EtcControl) -> etc.Answer:
        """Execute the parts of a control, in their order. Raises CannotDo."""
        command = control.command
        if command is not None and command.cabinet_id not in (None, etc.same_id(self._cabinet_id)):
            raise CannotDo("无此机柜")
        url = self._server(control)
        self.counts["executed"] += 1
        self.monitor.url = url
        if control.set_frequency is not None:
            self.reports.set_period(float(control.set_frequency))
        answer = etc.answer(etc.EtcCode.SUCCESS)
        if command is not None:
            answer = self._command(command, answer)
        if control.update_now:
            self.reports.urgent()
        return answer

    def _command(self, command: commands.EtcCommand, answer: etc.Answer) -> etc.Answer:
        perform(self.cabinet, command)
        if command.cmd is not commands.Cmd.BATTERY_TEST_RESULT:
            return answer
        result = readings.battery_test_result(self.cabinet.supply.test, self._moments)
        return msgspec.structs.replace(answer, batterys_test_result=result)

    def _server(self, control: commands.EtcControl) -> str:
        """Return the URL for uploads. Raises CannotDo."""
        if control.set_server is None:
            return self.monitor.url
        url = commands.server_url(control.set_server, urlsplit(self.monitor.url).scheme)
        host = urlsplit(url).hostname or ""
        # The authentication code goes only to this computer and to the configured host.
        if not (is_loopback(host) or host == self._own_host):
            raise CannotDo("服务器地址不被允许")
        return url
