"""A device that answers a GET with JSON; the settings say which member is which point.

Decisions: `docs/configuration.md`, "http-json".
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import msgspec
from twisted.internet.defer import Deferred

from twisted_gantry.core.interfaces import REPAIRED, DeviceContext
from twisted_gantry.devices.kind import DeviceKind
from twisted_gantry.devices.mapped.device import MappedDevice
from twisted_gantry.devices.mapped.points import MappedPoints, groups_of
from twisted_gantry.devices.mapped.settings import (
    MOST_POINTS,
    MappedPoint,
    MappedSettings,
    Mistakes,
)
from twisted_gantry.devices.polled import (
    NothingRead,
    NotUnderstood,
    Patience,
    PollPeriod,
    http_client,
    wrong_base_url,
    wrong_headers,
)
from twisted_gantry.net.http.client import Answer, BoundedClient, CutShort, NoAnswer
from twisted_gantry.net.outage import Cause, Outage, of_status, outage
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc.uploads import GROUPS
from twisted_gantry.wire.json import salvage
from twisted_gantry.wire.numbers import flag, number
from twisted_gantry.wire.reading import Value
from twisted_gantry.wire.secret import Secret

LONGEST_TEXT = 500  # characters
_POINTER = re.compile(r"(/([^~/]|~[01])*)*")
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


def resolve(pointer: str, document: Any) -> Any:
    """Return the value at a JSON pointer (RFC 6901), None if there is none."""
    node = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(node, dict):
            node = node.get(key)
        elif isinstance(node, list) and _INDEX.fullmatch(key) and int(key) < len(node):
            node = node[int(key)]
        else:
            return None
    return node


def _text(node: Any) -> Value:
    if isinstance(node, bool) or not isinstance(node, str | int | float):
        return None
    return str(node)[:LONGEST_TEXT]


_READ: Mapping[str, Callable[[Any], Value]] = {"number": number, "flag": flag, "text": _text}


class JsonPoint(MappedPoint, frozen=True, kw_only=True):
    """`[[device.point]]`. `pointer` is a JSON pointer, `/data/0/voltage`."""

    pointer: str
    type: Literal["number", "flag", "text"] = "number"

    @property
    def is_flag(self) -> bool:
        return self.type == "flag"

    @property
    def is_text(self) -> bool:
        return self.type == "text" or bool(self.texts)

    def value_in(self, document: Any) -> Value:
        """Return the value in an answer, None if the answer has none of that type."""
        return _READ[self.type](resolve(self.pointer, document))

    def mistakes(self) -> Mistakes:
        yield from super().mistakes()
        if len(self.pointer) > 500 or not _POINTER.fullmatch(self.pointer):
            yield ("pointer",), f"no JSON pointer such as /data/0/voltage: {self.pointer[:80]!r}"


class HttpJsonSettings(MappedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of a `[[device]]` of kind `http-json`; times in seconds."""

    url: str
    headers: dict[str, Secret] = msgspec.field(default_factory=dict)
    poll: PollPeriod = 5.0
    patience: Patience = 5.0
    point: tuple[JsonPoint, ...]

    def mistakes(self) -> Mistakes:
        if not 0 < len(self.point) <= MOST_POINTS:
            yield ("point",), f"there must be 1 to {MOST_POINTS} [[device.point]]"


class HttpJsonDevice(MappedDevice):
    """The driver. `counts` gains the number of answers that had to be repaired."""

    kind = "http-json"

    def __init__(
        self,
        name: str,
        settings: HttpJsonSettings,
        context: DeviceContext,
        client: BoundedClient,
        close: Callable[[], Deferred[None]],
    ) -> None:
        mapped = MappedPoints(name, settings.point, context.points, settings)
        super().__init__(name, context, settings.poll, mapped)
        self._settings, self._client, self._close = settings, client, close
        self.counts: Counter[str] = Counter()

    def close(self) -> Deferred[None]:
        return self._close()

    async def read(self) -> Mapping[str, Value]:
        headers = {"Accept": "application/json"}
        headers |= {name: value.reveal() for name, value in self._settings.headers.items()}
        try:
            answer = await self._client.request("GET", self._settings.url, headers=headers)
        except CutShort as cut:  # what came counts
            return self._values(cut.answer, cut.outage)
        except NoAnswer as error:
            raise NothingRead(error.outage) from None
        return self._values(answer)

    def _values(self, answer: Answer, cut: Outage | None = None) -> Mapping[str, Value]:
        """Return what is in an answer; `cut` is why it did not come whole."""
        if answer.status != 200:
            en = f"HTTP status {answer.status}"
            raise NothingRead(replace(of_status(answer.status, "it", "设备"), en=en))
        try:
            document, repairs = salvage(answer.body)
        except WireError as error:
            raise NothingRead(cut or NotUnderstood(str(error), answer.body).outage) from None
        self.counts[REPAIRED] += bool(repairs)
        values = {each.name: each.value_in(document) for each in self._settings.point}
        missing = [name for name, value in values.items() if value is None]
        if len(missing) == len(values):
            en = f"the answer has no value for {missing[0]}, nor for any other point"
            zh = f"应答中没有{missing[0]}及其他任何测点的值"
            raise NothingRead(cut or outage(Cause.MALFORMED, en=en, zh=zh))
        self.troubles = [*repairs, *map(_missing, missing)]
        return values


def _missing(name: str) -> Outage:
    en, zh = f"the answer has no value for {name}", f"应答中没有{name}的值"
    return outage(Cause.MALFORMED, en=en, zh=zh)


def _wrong_url(url: str) -> str:
    path, _, query = url.partition("?")
    if wrong := wrong_base_url(path):
        return wrong
    fit = query.isascii() and query.isprintable() and not re.search(r"[# ]", query)
    return "" if fit else f"must be http(s)://host/…, without #; it is {url!r}"


def _build(name: str, settings: HttpJsonSettings, context: DeviceContext) -> HttpJsonDevice:
    client, close = http_client(context, settings.patience, settings)
    return HttpJsonDevice(name, settings, context, client, close)


kind = DeviceKind(
    "http-json",
    HttpJsonSettings,
    _build,
    frozenset(GROUPS),
    checks={"url": _wrong_url, "headers": wrong_headers},
    groups_of=lambda settings: groups_of(settings.point),
)
