"""Sends `cabinetControl` to the `remotecontrol.do` of a smart cabinet.

Source: the ETC document, sections 1.5 to 1.7 and 3.2.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from attrs import define, field

from twisted_gantry.core.interfaces import Picture
from twisted_gantry.net.http.client import Answer as HttpAnswer
from twisted_gantry.net.http.client import BoundedClient, CutShort, NoAnswer
from twisted_gantry.net.outage import Cause, Outage, of_status, outage, unread
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope, pictures
from twisted_gantry.wire.etc.answers import decode_answer, trouble_of
from twisted_gantry.wire.etc.commands import EtcControl, encode_control
from twisted_gantry.wire.secret import Secret, shown

MAX_PICTURE = 16 * 1024 * 1024  # bytes of a picture or video
MOST_STAMPS = 1000  # used time stamps that are remembered


class TurnedDown(Exception):
    """The cabinet refused a command by its HTTP status, and did nothing."""

    def __init__(self, outage: Outage) -> None:
        super().__init__(str(outage))
        self.outage = outage


TROUBLE = (NoAnswer, TurnedDown)
"""All errors of a command; their texts hold no secret. After NoAnswer its outcome is unknown."""

_CODES = {str(code.value): code for code in envelope.EtcCode}


@define(eq=False)
class CabinetChannel:
    """Commands the cabinet at `url`. The code `auth` goes there, in a header, and nowhere else.
    `now` returns Unix seconds.
    """

    _url: str
    _auth: Secret
    _gantry_id: str
    _client: BoundedClient
    _now: Callable[[], float]
    _stamps: dict[int, None] = field(factory=dict, init=False)

    async def tell(self, control: EtcControl) -> envelope.Answer:
        """Send a command once, and return the answer. Raises one of TROUBLE."""
        try:
            answer = await self._post(envelope.Method.CABINET_CONTROL, encode_control(control))
        except CutShort as cut:
            try:
                if cut.answer.status == 200:
                    return self._read(cut.answer)  # the code may be in the part that came
            except NoAnswer as error:
                raise NoAnswer(replace(error.outage, en=f"{cut}: {error}")) from None
            raise
        return self._read(answer)

    async def ask_picture(self, cabinet_id: str, opened: str) -> Picture | envelope.Answer:
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
        return Picture(pictures.file_name(self._gantry_id, digits, extension), answer.body)

    async def _post(
        self, method: envelope.Method, fields: Any, limit: int | None = None
    ) -> HttpAnswer:
        body = envelope.encode_request(self._gantry_id, method, self._stamp(), fields)
        headers = envelope.signed_headers(body, self._auth.reveal())
        request = self._client.request
        answer = await request("POST", self._url, headers=headers, body=body, limit=limit)
        if 300 <= answer.status < 500:
            raise TurnedDown(of_status(answer.status, "the cabinet", "机柜"))
        if answer.status != 200:
            raise NoAnswer(of_status(answer.status, "the cabinet", "机柜"))
        return answer

    def _read(self, answer: HttpAnswer) -> envelope.Answer:
        try:
            return decode_answer(answer.body)
        except WireError as error:
            came = shown(answer.body, self._auth)
            en = f"the cabinet answers {came!r}, which is {error}"
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
        return outage(cause, en=f"it answers {words}", zh=f"机柜应答：{words}")

    def _plain(self, text: str) -> str:
        return shown(text, self._auth)

    def _stamp(self) -> int:
        """Return a time stamp unlike the last ones: two equal bodies look like a replayed capture.
        The clock may have been set back to a time that was used.
        """
        stamp = int(self._now())
        while stamp in self._stamps:
            stamp += 1
        self._stamps[stamp] = None
        if len(self._stamps) > MOST_STAMPS:
            del self._stamps[next(iter(self._stamps))]
        return stamp


def code_of(answer: envelope.Answer) -> envelope.EtcCode | None:
    """Return the code of an answer, None for a code that the document lacks."""
    return _CODES.get(answer.code.strip())
