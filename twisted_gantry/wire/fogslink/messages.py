"""The Fogslink cloud: its messages, each one JSON object on one line, and its codes.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md`. The order of the messages is
in `client.py` and `cloud.py`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Annotated, Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from twisted_gantry.wire import frames, numbers
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.etc.envelope import flag, number
from twisted_gantry.wire.json import Salvaged, convert, dumps, loads_text, salvage_text
from twisted_gantry.wire.quote import quote
from twisted_gantry.wire.reading import Quality, Value

DELIMITER = b"\n"  # CR LF is taken: JSON does not mind the CR
MAX_LINE = 64 * 1024  # both sides drop a connection with a longer line, in bytes
# And one with more malformed lines: each costs more to refuse than to send.
MAX_MALFORMED = 100
MAX_ITEMS = 200
# A pack is cut below this: its line, with the rest of the message, stays under MAX_LINE.
MAX_ITEM_BYTES = 60_000
MAX_TEXT = 100  # characters of a value that are sent; the document sets no bound
EQ_TYPE = "128"  # of every CS device

PERIODS = (1.0, 86_400.0)  # the least and the most `sPeriod`, in seconds
_PERIOD = re.compile(r"[0-9]{1,5}(\.[0-9]{1,3})?")
_CHANNEL = re.compile(r"P[0-9]{1,6}-C[0-9]{1,6}")


class FogslinkCode(StrEnum):
    """What an answer says (the table at the document's end)."""

    OK = "0"
    NO_DEVICE = "2"
    NOT_AUTHENTICATED = "3"
    RECEIVED = "8"
    FAILED = "9"
    PERIOD_SET = "10"
    TYPE_SET = "11"
    BOTH_SET = "12"


class State(StrEnum):
    """`eChanSta`: 1 is normal; the document lets anything else be abnormal."""

    ABNORMAL = "0"
    NORMAL = "1"


class ReportType(StrEnum):
    """`sType`, which the document does not explain."""

    ON_CHANGE = "0"
    EVERY_PERIOD = "1"


def _key(name: str) -> str:
    special = {"eq_sn": "eqSN", "pack_id": "packID"}
    head, *tail = name.split("_")
    return special.get(name) or head + "".join(part.title() for part in tail)


class _Message(msgspec.Struct, frozen=True, kw_only=True, rename=_key):
    """The value under the one key of a message."""


Text: TypeAlias = str | msgspec.UnsetType


class Identify(_Message, frozen=True, kw_only=True):
    """`req001`: who we are."""

    eq_sn: str
    eq_type: str = EQ_TYPE


class Identified(_Message, frozen=True, kw_only=True):
    """`res001`: `t_key` goes into every heartbeat; a refusal has none."""

    eq_sn: str = ""
    code: str | None = None
    t_key: Text = msgspec.UNSET


class Authenticate(_Message, frozen=True, kw_only=True):
    """`req002`: the key of the account."""

    eq_sn: str
    api_key: str

    def __repr__(self) -> str:
        return f"Authenticate({self.eq_sn!r})"


class Authenticated(_Message, frozen=True, kw_only=True):
    """`res002`; the document's own example has a wrong `eqSN`."""

    eq_sn: str = ""
    code: str


class Item(_Message, frozen=True, kw_only=True, gc=False):
    """The state of one channel; `e_val` is text to show, and missing in an abnormal state."""

    e_chan: str
    e_chan_sta: str = State.NORMAL.value
    e_val: Text = msgspec.UNSET


class Single(_Message, frozen=True, kw_only=True):
    """`req201`: one value."""

    eq_sn: str
    e_chan: str
    e_chan_sta: str = State.NORMAL.value
    e_val: Text = msgspec.UNSET


class SingleAnswer(_Message, frozen=True, kw_only=True):
    """`res201`: comes only for a received value."""

    eq_sn: str = ""
    e_chan: str | None = None
    code: str


class Pack(_Message, frozen=True, kw_only=True):
    """`req200`: several values; whole when `total_size` is the number of items."""

    eq_sn: str
    pack_id: str
    total_size: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    eq_data: tuple[Item, ...]


class PackAnswer(_Message, frozen=True, kw_only=True):
    """`res200`: 8, or 9 to get the same pack again."""

    eq_sn: str = ""
    pack_id: str | None = None
    code: str


class Configure(_Message, frozen=True, kw_only=True):
    """`res300`: the cloud asks for another period (seconds), another `ReportType`, or both."""

    eq_sn: str
    e_chan: str
    s_period: Text = msgspec.UNSET
    s_type: Text = msgspec.UNSET


class Configured(_Message, frozen=True, kw_only=True):
    """`req300`: what was set."""

    eq_sn: str
    e_chan: str
    code: str


class Heartbeat(_Message, frozen=True, kw_only=True):
    """`req100`."""

    eq_sn: str
    t_key: str

    def __repr__(self) -> str:
        return f"Heartbeat({self.eq_sn!r})"


class HeartbeatAnswer(_Message, frozen=True, kw_only=True):
    """`res100`."""

    eq_sn: str = ""
    code: str = FogslinkCode.OK.value


Request: TypeAlias = Identify | Authenticate | Single | Pack | Configured | Heartbeat
Response: TypeAlias = (
    Identified | Authenticated | SingleAnswer | PackAnswer | Configure | HeartbeatAnswer
)

REQUESTS: Mapping[str, type[Request]] = {
    "req001": Identify,
    "req002": Authenticate,
    "req201": Single,
    "req200": Pack,
    "req300": Configured,
    "req100": Heartbeat,
}
RESPONSES: Mapping[str, type[Response]] = {
    "res001": Identified,
    "res002": Authenticated,
    "res201": SingleAnswer,
    "res200": PackAnswer,
    "res300": Configure,
    "res100": HeartbeatAnswer,
}
NAMES: Mapping[type[Request | Response], str] = {
    kind: name for table in (REQUESTS, RESPONSES) for name, kind in table.items()
}
"""The name of each message by its type."""


class BadPack(BadMessage):
    """A malformed `req200` with a readable `pack_id`: 9 is its answer."""

    def __init__(self, pack_id: str, why: str) -> None:
        super().__init__(why)
        self.pack_id = pack_id


def encode(message: Request | Response) -> bytes:
    """Return a message as its line, the LF included. Raises CannotEncode."""
    return dumps({NAMES[type(message)]: message}) + DELIMITER


_Message_ = TypeVar("_Message_")


class Received(NamedTuple, Generic[_Message_]):
    """A message, and what was repaired to read it."""

    message: _Message_
    repairs: tuple[str, ...] = ()


def read_requests(line: bytes) -> Iterator[Received[Request] | WireError]:
    """Read a line from a device: its messages, several or none, and the error of each that cannot
    be read, of which BadPack is one.
    """
    for name, fields, repairs in _opened(line, "no request of a device", REQUESTS):
        if isinstance(fields, WireError):
            yield fields
            continue
        try:
            yield Received(_fitted(fields, REQUESTS[name]), repairs)
        except BadMessage as error:
            pack_id = fields.get("packID")
            whole = name == "req200" and isinstance(pack_id, str)
            yield BadPack(str(pack_id), str(error)) if whole else error


def read_responses(line: bytes) -> Iterable[Received[Response] | WireError]:
    """Read a line from the cloud as `read_requests` does. `res300` commands: it is not repaired."""
    try:
        decoded = loads_text(line)
        [(name, fields)] = decoded.items()
        if all(_is_plain(key, value) for key, value in fields.items()):
            return (Received(convert(fields, RESPONSES[name])),)
    except (ValueError, LookupError, AttributeError):
        pass  # it is not one message in its plain spelling
    return _read_responses(line)


def _is_plain(key: str, value: Any) -> bool:
    if type(value) is not str:
        return False
    return key not in _NUMBERS or value == "0" or (value.isdecimal() and value[0] != "0")


def _read_responses(line: bytes) -> Iterator[Received[Response] | WireError]:
    for name, fields, repairs in _opened(line, "no message of the cloud", RESPONSES):
        if isinstance(fields, WireError):
            yield fields
        elif repairs and RESPONSES[name] is Configure:
            yield BadMessage(f"a configuration that is damaged: {repairs[0]}")
        else:
            if RESPONSES[name] is not Configure:
                # The rest of a buffer behind a code is no other code; the `tKey` is echoed as is.
                numbered = {key: numbers.unpadded(fields[key]) for key in _NUMBERS if key in fields}
                fields = {**fields, **numbered}
            try:
                yield Received(convert(_spelt(fields), RESPONSES[name]), repairs)
            except BadMessage as error:
                yield BadMessage(f"{name}: {error}")


def decode_request(line: bytes) -> Request:
    """Return the first request of a line. Raises NotJson, BadMessage, of which BadPack is one."""
    return _first(read_requests(line))


def decode_response(line: bytes) -> Response:
    """Return the first message of a line from the cloud. Raises NotJson or BadMessage."""
    return _first(read_responses(line))


def _first(messages: Iterable[Received[_Message_] | WireError]) -> _Message_:
    first = next(iter(messages), None)
    if first is None:
        raise BadMessage("an empty line")
    if isinstance(first, WireError):
        raise first
    return first.message


_Opened = tuple[str, Any, tuple[str, ...]]


def _opened(line: bytes, foreign: str, known: Mapping[str, object]) -> Iterator[_Opened]:
    """Yield the name, the fields (an error if they cannot be read) and the repairs of each message
    in a line; every number is text.
    """
    for decoded, repairs in _objects(line):
        if isinstance(decoded, WireError):
            yield "", decoded, ()
            continue
        named = [each for each in _listed(decoded) if isinstance(each, dict)]
        found = [(name, each[name]) for each in named for name in each if name in known]
        if not found:
            yield "", BadMessage(f"{foreign}: {quote(line)}"), ()
        for name, values in found:
            if name == "res100" and not repairs and values in (None, ""):
                values = {}  # the name alone says that the cloud is there
            for fields in _listed(values):
                if isinstance(fields, dict):
                    yield name, {k: v for k, v in fields.items() if v is not None}, repairs
                else:
                    yield name, BadMessage(f"{name} holds no object: {quote(line)}"), ()


def _listed(node: Any) -> list[Any]:
    """Return a list, or what stands in the place of its only element."""
    return node if isinstance(node, list) and node else [node]


def _objects(line: bytes) -> Iterator[Salvaged]:
    """Yield what stands in a line. Most lines are one object; others are split by structure. An
    object that cannot be read is its error.
    """
    if not line.strip(b"\x00 \t\r\n"):
        return
    try:
        yield Salvaged(loads_text(line))
        return
    except WireError:
        pass
    for data in frames.split(line) or [line]:
        try:
            yield salvage_text(data)
        except WireError as error:
            yield Salvaged(BadMessage(f"{error}; it is {quote(data)}"))


def _fitted(fields: dict[str, Any], kind: type[Request]) -> Request:
    """Return a request; plain spellings are tried first, for a pack has many items."""
    try:
        return convert(fields, kind)
    except BadMessage:
        return convert(_spelt(fields), kind)


# Fields that hold the number of something, and a state.
_NUMBERS = ("code", "packID", "totalSize", "eqType", "sType", "sPeriod")


def _spelt(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the fields with each number in its plain spelling, and without unreadable items."""
    plain = {key: _plain(value) if key in _NUMBERS else value for key, value in fields.items()}
    items = plain.get("eqData")
    if isinstance(items, dict):
        items = [items]
    if isinstance(items, list):
        plain["eqData"] = [_spelt_item(each) for each in items if each is not None]
    return {**plain, **_state(plain)}


def _spelt_item(item: Any) -> Any:
    """Return an item with a plain state and without null members."""
    if not isinstance(item, dict):
        return item
    plain = {key: value for key, value in item.items() if value is not None}
    return {**plain, **_state(plain)}


def _state(fields: dict[str, Any]) -> dict[str, str]:
    """Return `eChanSta` in its plain spelling, if that can be told."""
    normal = numbers.flag(fields.get("eChanSta"))
    state = State.NORMAL if normal else State.ABNORMAL
    return {} if normal is None else {"eChanSta": state.value}


def _plain(value: Any) -> Any:
    """Return the number in `value` as text, `8` for `08` and `8.0`; anything else as it is."""
    number_ = numbers.whole(int(value) if isinstance(value, bool) else value)
    if number_ is None:
        return value.strip() if isinstance(value, str) else value
    return str(number_)


def same(one: str, other: str) -> bool:
    """Tell whether two texts are equal, or spell one number."""
    return one == other or (_plain(one) == _plain(other))


def readdressed(line: bytes, eq_sn: str) -> bytes:
    """Return one of our own data lines under this `eqSN`, unchanged if it has it already."""
    if line.startswith(dumps({"eqSN": eq_sn})[:-1] + b",", line.find(b":") + 1):
        return line
    return encode(msgspec.structs.replace(decode_request(line), eq_sn=eq_sn))


# -- values


def is_channel(name: str) -> bool:
    """Tell whether `name` is that of a channel: `Px-Cy`, group x, member y."""
    return _CHANNEL.fullmatch(name) is not None


def item(channel: str, value: Value, quality: Quality) -> Item:
    """Return the state of a channel: abnormal if the value is not good, or cannot be shown."""
    text = _shown(value) if quality is Quality.GOOD else None
    if text is None:
        return Item(e_chan=channel, e_chan_sta=State.ABNORMAL.value)
    return Item(e_chan=channel, e_val=text)


def _shown(value: Value) -> str | None:
    if isinstance(value, bool):
        return flag(value)
    if isinstance(value, int | float):
        try:
            finite = math.isfinite(value)
        except OverflowError:  # an integer past all floats
            return None
        return number(value) if finite and abs(value) < 1e15 else None
    if value is None:
        return None
    return value[:MAX_TEXT].encode("utf-8", "replace").decode()


def packs(items: Iterable[Item]) -> Iterator[tuple[Item, ...]]:
    """Divide items over packs in order, within the bounds of a pack."""
    pack: list[Item] = []
    size = 0
    for each in items:
        length = len(dumps(each)) + 1
        if pack and (len(pack) >= MAX_ITEMS or size + length > MAX_ITEM_BYTES):
            yield tuple(pack)
            pack, size = [], 0
        pack.append(each)
        size += length
    if pack:
        yield tuple(pack)


def period_of(text: str) -> float | None:
    """Return an `sPeriod` in seconds; None for no number, or one out of range."""
    text = text.strip()
    if not _PERIOD.fullmatch(text):
        return None
    return float(text) if PERIODS[0] <= float(text) <= PERIODS[1] else None


def report_type_of(text: str) -> ReportType | None:
    """Return an `sType`, None for an unknown one."""
    try:
        return ReportType(text.strip())
    except ValueError:
        return None
