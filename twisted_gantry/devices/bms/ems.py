"""The three calls of an EMS for one battery, over HTTP."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from twisted_gantry.core.interfaces import REPAIRED
from twisted_gantry.net.http.client import Answer, BoundedClient, CutShort, NoAnswer
from twisted_gantry.net.outage import Cause, Outage, of_status, outage, outage_of, unread
from twisted_gantry.wire import bms
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.secret import Secret

UNCLEAR = (NoAnswer, WireError)
"""Errors after which the outcome of a call is unknown."""
TROUBLE = (*UNCLEAR, bms.BmsRefused)
"""All errors of a call; their texts hold no secret."""


def why(error: Exception) -> Outage:
    """Return the outage for one of TROUBLE."""
    text = str(error)
    if isinstance(error, bms.OtherDevice):
        return outage(Cause.WRONG_IDENTITY, en=text, zh="EMS返回了其他device_uid的状态")
    if isinstance(error, bms.BmsRefused):
        if error.code == bms.BmsCode.PARAMETER_FORMAT:  # the uid is all that a GET has
            en = f"the EMS does not accept this device_uid: {text}"
            return outage(Cause.WRONG_IDENTITY, en=en, zh=f"EMS不接受该device_uid：{text}")
        of_http = of_status(error.status, "the EMS", "EMS")
        cause = Cause.ERROR_ANSWER if error.code is not None else of_http.cause
        if error.status in (401, 403):
            cause = Cause.PASSWORD
        return outage(cause, text, en=text)
    if isinstance(error, WireError) and not error.quoted and text.startswith("HTTP 5"):
        return outage(Cause.ERROR_ANSWER, text, en=text)
    if isinstance(error, WireError):
        return replace(unread(error.quoted, text), en=text)
    return outage_of(error)


class EmsClient:
    """Calls `url`, without a slash at its end, for one `device_uid`. `headers` go with each call,
    and nowhere else. `counts` gains the number of answers that had to be repaired.
    """

    def __init__(
        self, url: str, device_uid: str, headers: Mapping[str, Secret], client: BoundedClient
    ) -> None:
        self._url, self._device_uid, self._client = url, device_uid, client
        self._headers = headers
        self.counts: Counter[str] = Counter()
        # An answer may quote the 1234 of `Bearer 1234` alone.
        values = [value.reveal() for value in headers.values()]
        self._hidden = frozenset(part for value in values for part in (value, *value.split()[-1:]))

    async def send(self, command: bms.BmsCommand) -> None:
        """Send a command. Raises one of TROUBLE; BmsRefused means that it was not executed."""
        body = bms.BmsControl(self._device_uid, command).encode()
        bms.expect_success(await self._call("POST", bms.CONTROL_PATH, body))

    async def sync(self) -> None:
        """Make the EMS ask the battery for its status. Raises one of TROUBLE."""
        await self._call("PUT", f"{bms.SYNC_PATH}?{bms.query(self._device_uid)}")

    async def read(self) -> bms.Status:
        """Return the last status that the EMS has, of whatever age. Raises one of TROUBLE. Of an
        answer that was cut short, what came counts.
        """
        path = f"{bms.CONTROL_PATH}?{bms.query(self._device_uid)}"
        try:
            return bms.decode_status(await self._call("GET", path), self._device_uid)
        except CutShort as cut:
            try:
                return bms.decode_status(self._read(cut.answer), self._device_uid)
            except WireError:
                raise cut from None

    async def _call(self, method: str, path: str, body: bytes | None = None) -> bms.Reply:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        headers |= {name: value.reveal() for name, value in self._headers.items()}
        answer = await self._client.request(method, self._url + path, headers=headers, body=body)
        return self._read(answer)

    def _read(self, answer: Answer) -> bms.Reply:
        reply, repairs = bms.read_reply(answer.status, answer.body, self._hidden)
        if repairs:
            self.counts[REPAIRED] += 1
        return reply
