"""Sends controls to the `remotecontrol.do` of a smart cabinet or of a gantry, each once.

Source: the ETC document, sections 1.5 to 1.7, 2.2, 3.2 and 3.3.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from attrs import define

from twisted_gantry.net.http.client import Answer as HttpAnswer
from twisted_gantry.net.http.client import BoundedClient, CutShort, NoAnswer
from twisted_gantry.net.outage import Cause, Outage, of_status, outage, unread
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope, pictures
from twisted_gantry.wire.etc.answers import decode_answer, trouble_of
from twisted_gantry.wire.etc.commands import EtcControl, encode_control
from twisted_gantry.wire.etc.pictures import PictureFile
from twisted_gantry.wire.secret import Secret, shown

MAX_PICTURE = 16 * 1024 * 1024  # bytes of a picture or video
MOST_STAMPS = 1000  # used time stamps that are remembered


@dataclass(frozen=True)
class Peer:
    """What is commanded, as texts call it."""

    en: str
    zh: str


CABINET, GANTRY = Peer("the cabinet", "机柜"), Peer("the gantry", "门架")


class TurnedDown(Exception):
    """The peer refused a control by its HTTP status, and did nothing."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(str(outage))
        self.outage = outage


TROUBLE = (NoAnswer, TurnedDown)
"""All errors of a control; their texts hold no secret. After NoAnswer its outcome is unknown."""

_CODES = {str(code.value): code for code in envelope.EtcCode}


class Stamps:
    """Time stamps unlike the last ones: two equal bodies look like a replayed capture. The clock
    may have been set back to a time that was used. `now` returns Unix seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._used: dict[int, None] = {}

    def next(self) -> int:
        stamp = int(self._now())
        while stamp in self._used:
            stamp += 1
        self._used[stamp] = None
        if len(self._used) > MOST_STAMPS:
            del self._used[next(iter(self._used))]
        return stamp


@define(eq=False)
class ControlChannel:
    """Commands the `peer` at `url`. The code `auth` goes there, in a header, and nowhere else.
    `stamp` returns the time stamp of each request, whole Unix seconds.
    """

    _url: str
    _auth: Secret
    _gantry_id: str
    _client: BoundedClient
    _stamp: Callable[[], int]
    _peer: Peer = CABINET

    async def tell(
        self, control: EtcControl, method: envelope.Method = envelope.Method.CABINET_CONTROL
    ) -> envelope.Answer:
        """Send a control once, and return the answer. Raises one of TROUBLE."""
        try:
            answer = await self._post(method, encode_control(control))
        except CutShort as cut:
            try:
                if cut.answer.status == 200:
                    return self._read(cut.answer)  # the code may be in the part that came
            except NoAnswer as error:
                raise NoAnswer(replace(error.outage, en=f"{cut}: {error}")) from None
            raise
        return self._read(answer)

    async def ask_picture(self, cabinet_id: str, opened: str) -> PictureFile | envelope.Answer:
        """Ask for the picture of a door that opened at a local time. Raises one of TROUBLE."""
        fields = {"cabinetId": cabinet_id, "doorOpenTime": opened}
        answer = await self._post(envelope.Method.PICTURE, fields, MAX_PICTURE)
        file = pictures.described(answer.headers)
        if file is None or not answer.body:
            return self._read(answer)
        given = answer.headers.get(envelope.MD5_HEADER, "").strip().lower()
        if given not in {"", envelope.digest(answer.body)}:
            raise NoAnswer("a picture whose binfile-md5 does not match")
        digits, extension = file
        digits = digits or re.sub("[^0-9]", "", opened).ljust(17, "0")
        name = pictures.file_name(self._gantry_id, digits, extension)
        return PictureFile(name, pictures.CONTENT_TYPES[extension], answer.body)

    async def _post(
        self, method: envelope.Method, fields: Any, limit: int | None = None
    ) -> HttpAnswer:
        body = envelope.encode_request(self._gantry_id, method, self._stamp(), fields)
        headers = envelope.signed_headers(body, self._auth.reveal())
        request = self._client.request
        answer = await request("POST", self._url, headers=headers, body=body, limit=limit)
        if 300 <= answer.status < 500:
            raise TurnedDown(of_status(answer.status, self._peer.en, self._peer.zh))
        if answer.status != 200:
            raise NoAnswer(of_status(answer.status, self._peer.en, self._peer.zh))
        return answer

    def _read(self, answer: HttpAnswer) -> envelope.Answer:
        try:
            return decode_answer(answer.body)
        except WireError as error:
            came = shown(answer.body, self._auth)
            en = f"{self._peer.en} answers {came!r}, which is {error}"
            raise NoAnswer(replace(unread(came, str(error)), en=en)) from None

    def words(self, answer: envelope.Answer) -> str:
        code = code_of(answer)
        if code is None:
            text, meaning = f"the unknown code {self._plain(answer.code)[:10]}", ""
        else:
            meaning = envelope.MESSAGES[code]
            text = f"{code.value} {meaning}"
        msg = self._plain(answer.msg or "")[: envelope.MAX_MSG].strip()
        return text if msg in {"", meaning} else f"{text} ({msg})"

    def why(self, answer: envelope.Answer) -> Outage:
        """Return the outage for an answer that is no success."""
        words = self.words(answer)
        cause = Cause(trouble_of(code_of(answer), answer.msg))
        return outage(cause, en=f"it answers {words}", zh=f"{self._peer.zh}应答：{words}")

    def _plain(self, text: str) -> str:
        return shown(text, self._auth)


def code_of(answer: envelope.Answer) -> envelope.EtcCode | None:
    """Return the code of an answer, None for a code that the document lacks."""
    return _CODES.get(answer.code.strip())
