"""A computer of another gantry, read from that gantry's local API.

That gantry has the computer as a device of kind `computer`; its points are taken as they are there.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

import msgspec
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from twisted_gantry.core.alarms import Rule
from twisted_gantry.core.commands.types import CommandResult, CommandType
from twisted_gantry.core.interfaces import DeviceContext, IRefreshable
from twisted_gantry.core.status import State, Status
from twisted_gantry.devices.computers.points import MEASUREMENTS, POINTS, Measured, good
from twisted_gantry.devices.polled import Poller, Refreshed
from twisted_gantry.net.http.client import BoundedClient, NoAnswer
from twisted_gantry.net.outage import MOST_SHOWN, Cause, Outage, of_status, outage, unread
from twisted_gantry.net.service import NamedService
from twisted_gantry.wire import local_api
from twisted_gantry.wire.quote import quote
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

DEADLINE = 10.0  # seconds for an answer

_NAMES = tuple(each.name for each in MEASUREMENTS)


class NotRead(Exception):
    """The other gantry told nothing; the text says why, and holds no secret."""

    def __init__(self, why: Outage) -> None:
        super().__init__(str(why))
        self.outage = why


@implementer(IRefreshable)
class RemoteComputer(NamedService):
    """Reads `remote` (empty: the first device of kind `computer`) of the gantry at `url`. `close`
    closes the connections of `client`.
    """

    kind = "computer"
    rules: tuple[Rule, ...] = ()
    commands: Mapping[str, CommandType] = MappingProxyType({})

    def __init__(
        self,
        name: str,
        identity: Mapping[str, Measured],
        context: DeviceContext,
        client: BoundedClient,
        close: Callable[[], Deferred[Any]],
        *,
        claims: Mapping[str, str],
        url: str,
        token: Secret | None,
        remote: str,
        poll: float,
    ) -> None:
        super().__init__(name)
        self.device, self._points, self.claims = name, context.points, claims
        self.status = Status(name, context.now)
        self._client, self._close = client, close
        self._url, self._token, self._remote = url.rstrip("/"), token, remote
        backs_off = frozenset({State.CONNECTING, State.OFFLINE})
        self._poller = Poller(
            context, self.status, self._read, poll, backs_off=backs_off, losing=self._losing
        )
        self.poll_seconds = self._poller.seconds
        self.attempt = self._poller.attempt
        self._refreshed = Refreshed(self._poller.now)
        self.refresh = self._refreshed.wait
        context.points.declare(name, POINTS)
        context.points.update(name, identity)

    def startService(self) -> None:
        super().startService()
        self._poller.start()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        self._poller.stop()
        return self._close()

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return fail(ValueError(f"a computer has no command {command}"))

    async def _read(self) -> None:
        try:
            remote = self._remote or await self._first()
            found = await self._ask(
                f"points?{urlencode({'prefix': f'{remote}.'})}", local_api.Points
            )
            update = _measured(remote, found)
        except (NoAnswer, NotRead) as error:
            self._poller.failed(error.outage)
        else:
            self._points.update(self.device, update)
            self._poller.good()
        finally:
            self._refreshed.done()

    async def _first(self) -> str:
        site: local_api.SiteView = await self._ask("site", local_api.SiteView)
        for device in site.devices:
            if device.kind == "computer":
                return device.name
        en = "the other gantry has no device of kind computer"
        raise NotRead(outage(Cause.WRONG_IDENTITY, en=en, zh="对方门架没有computer类设备"))

    async def _ask(self, what: str, shape: type[Any]) -> Any:
        headers = {} if self._token is None else {"Authorization": f"Bearer {self._token.reveal()}"}
        answer = await self._client.request("GET", f"{self._url}/api/v1/{what}", headers=headers)
        if answer.status != 200:
            raise NotRead(of_status(answer.status, "the other gantry", "对方门架"))
        try:
            return msgspec.json.decode(answer.body, type=shape)
        except (ValueError, RecursionError):
            en = "the other gantry's answer is not that of a local API"
            odd = unread(quote(answer.body, most=MOST_SHOWN), en)
            raise NotRead(odd) from None

    def _losing(self) -> None:
        self._points.fail(self.device, _NAMES)


def _measured(remote: str, found: local_api.Points) -> dict[str, Measured]:
    given = {each.point.removeprefix(f"{remote}."): each for each in found.points}
    if not given.keys() & set(_NAMES):
        en = f"the other gantry's device {remote[:40]!r} is no computer"
        zh = f"对方门架的设备{remote[:40]!r}不是computer类"
        raise NotRead(outage(Cause.WRONG_IDENTITY, en=en, zh=zh))
    update: dict[str, Measured] = {}
    for name in _NAMES:
        each = given.get(name)
        if each is None:
            update[name] = (None, Quality.NOT_SUPPORTED)
        elif each.quality == Quality.GOOD:
            update[name] = good(each.value)
        else:
            update[name] = (None, Quality(each.quality))
    return update
