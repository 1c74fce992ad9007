"""The EMS cloud in front of the battery stores: `bms-control`, as its document writes it.

Source: the BMS document. A GET shows the state that the cloud holds of a BMS. The cloud reads the
BMS at each PUT, and otherwise every `REFRESH_S`, so that a GET may be stale.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request as HttpRequest

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import argument
from twisted_gantry.net.http.server import Limits
from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import voice
from twisted_gantry.twin.faces.http import HttpFace, answer_failures, body_of, spoken
from twisted_gantry.twin.faults.settings import EMS, Faults, FaultSettings
from twisted_gantry.twin.world.storage import Storage
from twisted_gantry.wire import bms as wire
from twisted_gantry.wire.errors import WireError

BASE_PATH = "/wad/ems/v1/api"
LIMITS = Limits(body=16 * 1024)
REFRESH_S = 30.0
_ACTS: Mapping[wire.BmsCommand, Callable[[Storage], None]] = {
    wire.BmsCommand.RESET_FAULT: Storage.reset_fault,
    wire.BmsCommand.CLOSE_CONTACTOR: Storage.close_contactor,
    wire.BmsCommand.OPEN_CONTACTOR: Storage.open_contactor,
}

_Call = Callable[[HttpRequest], wire.Reply]


class _Wrong(Exception):
    """A request that is answered 400 and 100001; the text says why."""


@dataclass(frozen=True)
class _Heard:
    at: float
    status: wire.Status


class Ems(HttpFace):
    """The EMS; `counts` tells `control`, `read`, `sync`, `wrong`, `busy` and `code`."""

    app, limits = App(), LIMITS
    answer_failures(app, EMS)

    def __init__(self, storage: Mapping[str, Storage], faults: Faults, clock: IReactorTime) -> None:
        super().__init__(EMS, faults, clock)
        self.voice = voice(Peer.EMS)
        self._storage = storage
        self._heard = {device_uid: self._hear(device_uid) for device_uid in storage}

    @app.route(BASE_PATH + wire.CONTROL_PATH, methods=["POST"])
    async def control(self, request: HttpRequest) -> bytes:
        return await self._serve(request, self._control)

    @app.route(BASE_PATH + wire.CONTROL_PATH, methods=["GET"])
    async def read(self, request: HttpRequest) -> bytes:
        return await self._serve(request, self._read)

    @app.route(BASE_PATH + wire.SYNC_PATH, methods=["PUT"])
    async def sync(self, request: HttpRequest) -> bytes:
        return await self._serve(request, self._sync)

    def _control(self, request: HttpRequest) -> wire.Reply:
        try:
            control = wire.decode_control(body_of(request))
        except WireError as error:
            raise _Wrong(str(error)) from None
        store = self._storage.get(control.device_uid)
        if store is None:
            raise _Wrong("no such device_uid")
        _ACTS[control.command](store)
        self.counts["control"] += 1
        return wire.Reply(wire.BmsCode.SUCCESS, wire.CONTROL_DONE, "")

    def _read(self, request: HttpRequest) -> wire.Reply:
        device_uid = self._device(request)
        if self._clock.seconds() - self._heard[device_uid].at >= REFRESH_S:
            self._heard[device_uid] = self._hear(device_uid)
        self.counts["read"] += 1
        return wire.Reply(wire.BmsCode.SUCCESS, "", self._heard[device_uid].status)

    def _sync(self, request: HttpRequest) -> wire.Reply:
        device_uid = self._device(request)
        heard = self._heard[device_uid] = self._hear(device_uid)
        self.counts["sync"] += 1
        return wire.Reply(wire.BmsCode.SUCCESS, wire.SYNC_DONE, heard.status)

    def _device(self, request: HttpRequest) -> str:
        device_uid = argument(request, "device_uid")
        if device_uid not in self._storage:
            raise _Wrong("no such device_uid")
        return device_uid

    def _hear(self, device_uid: str) -> _Heard:
        store = self._storage[device_uid]
        status = wire.Status(device_uid, len(store.alarms), store.status)
        return _Heard(self._clock.seconds(), status)

    async def _serve(self, request: HttpRequest, call: _Call) -> bytes:
        faults = self._injector.faults
        try:
            status, reply = (200, call(request)) if faults.acts else self._turn_away(faults)
        except _Wrong as wrong:
            self.counts["wrong"] += 1
            code, text = wire.BmsCode.PARAMETER_FORMAT, wire.FORMAT_WRONG
            status, reply = 400, wire.Reply(code, text, str(wrong))
        request.setResponseCode(status)
        body = b""
        if reply is not None:
            request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
            body = reply.encode()
        return await spoken(self.voice, self._injector, request, body, faults)

    def _turn_away(self, faults: FaultSettings) -> tuple[int, wire.Reply | None]:
        """Return the answer of a fault; the document has no code for busy."""
        if faults.http_status is None and faults.code is not None:
            self.counts["code"] += 1
            return 200, wire.Reply(int(faults.code), "", "")
        if faults.http_status is None:
            self.counts["busy"] += 1
        return 429, None
