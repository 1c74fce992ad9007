"""JSON of real peers: a fast strict decoder first, the tolerant parser only where that fails.

`loads` is for what commands: loose spelling is taken, nothing is repaired. `salvage` is for what
reports: one odd byte costs one value (`docs/protocols/README.md`, "Strict out, lenient in").
"""

import re
from typing import Any, TypeVar

import msgspec

from twisted_gantry.wire import salvage as tolerant
from twisted_gantry.wire.errors import BadMessage, CannotEncode, NotJson, TooLarge
from twisted_gantry.wire.numbers import decimal, number, whole
from twisted_gantry.wire.salvage import Limits as Limits
from twisted_gantry.wire.salvage import Salvaged as Salvaged

DEFAULT = Limits()
# The tolerant parser is slow: within these bounds it holds the reactor for under 50 ms.
_SLOW = Limits(size=256 * 1024, nodes=8_000)

_T = TypeVar("_T")
# The decoder alone takes 10 µs for a number with a great exponent, float() a tenth of that.
_strict = msgspec.json.Decoder(float_hook=float)
_encoder = msgspec.json.Encoder()


def loads(data: bytes, limits: Limits = DEFAULT) -> Any:
    """Decode JSON in strict or loose spelling, and strip every key. Raises NotJson, also for a
    message that would need a repair, and TooLarge past `limits`.
    """
    return _unrepaired(data, limits, numbers_as_text=False)


def loads_text(data: bytes, limits: Limits = DEFAULT) -> Any:
    """Decode as `loads` does, but numbers as text, `1.0` as `1`. Raises NotJson; BadMessage for a
    number of thousands of digits.
    """
    return _unrepaired(data, limits, numbers_as_text=True)


def salvage(data: bytes, limits: Limits = DEFAULT) -> Salvaged:
    """Decode as much as can be read, and strip every key. What cannot be read is None; a message
    that is cut off keeps what came whole. Raises NotJson for a damaged structure, TooLarge past
    `limits`.
    """
    return _salvaged(data, limits, numbers_as_text=False)


def salvage_text(data: bytes, limits: Limits = DEFAULT) -> Salvaged:
    """Decode as `salvage` does, but numbers as text; a number of thousands of digits is None."""
    return _salvaged(data, limits, numbers_as_text=True)


def loads_canonical(data: bytes, limits: Limits = DEFAULT) -> Any:
    """Decode JSON that is written as `dumps` writes it, without blanks around its keys: a third of
    the time of `loads`, and numbers stay numbers. Returns None for any other message, also for one
    with an array directly within an array.
    """
    odd = b"\\" in data or b' "' in data or b'" ' in data or b"[[" in data
    if odd or len(data) > limits.nodes:
        return None
    try:
        decoded = _strict.decode(data)
        # What is the same again has no key twice, and no number in an odd spelling.
        return decoded if _encoder.encode(decoded) == data else None
    except (ValueError, RecursionError):
        return None


def as_text(node: Any) -> Any:
    """Return decoded JSON with each number in it as text. Raises BadMessage."""
    if isinstance(node, dict):
        return {key: as_text(value) for key, value in node.items()}
    if isinstance(node, list):
        return [as_text(value) for value in node]
    return _scalar_text(node)


def _scalar_text(node: Any) -> Any:
    if not isinstance(node, int | float) or isinstance(node, bool):
        return node
    text = decimal(node)
    if text is None:
        raise BadMessage("a number with too many digits")
    return text


def _unrepaired(data: bytes, limits: Limits, numbers_as_text: bool) -> Any:
    try:
        return _fast(data, limits, numbers_as_text)
    except _Slow:
        value, repairs = _tolerant(data, limits)
    if repairs:
        raise NotJson(f"not JSON: {repairs[0]}")
    return as_text(value) if numbers_as_text else value


def _salvaged(data: bytes, limits: Limits, numbers_as_text: bool) -> Salvaged:
    try:
        return Salvaged(_fast(data, limits, numbers_as_text))
    except (_Slow, BadMessage):
        value, repairs = _tolerant(data, limits)
    return Salvaged(readable_text(value) if numbers_as_text else value, repairs)


def readable_text(node: Any) -> Any:
    """Return decoded JSON with each number as text, None for a number that no text can hold."""
    if isinstance(node, dict):
        return {key: readable_text(value) for key, value in node.items()}
    if isinstance(node, list):
        return [readable_text(value) for value in node]
    return decimal(node) if isinstance(node, int | float) and not isinstance(node, bool) else node


class _Slow(Exception):
    """The strict decoder cannot read this, or the message may have a key twice."""


def _fast(data: bytes, limits: Limits, numbers_as_text: bool) -> Any:
    """Decode strict JSON. Raises _Slow, TooLarge, BadMessage."""
    if len(data) > limits.size:
        raise TooLarge(f"{len(data)} bytes; the bound is {limits.size}")
    # An upper bound of the values, counted before any is made.
    if len(data) > limits.nodes:
        values = data.count(b",") + data.count(b"[") + data.count(b"{")
        if values > limits.nodes:
            raise TooLarge(f"more than {limits.nodes} values")
    try:
        decoded = _strict.decode(data)
    except (ValueError, RecursionError):
        raise _Slow from None
    texts = [0]
    value = _clean(decoded, numbers_as_text, limits.depth, texts)
    if 2 * texts[0] != data.count(b'"') - data.count(b'\\"'):
        raise _Slow  # a key came twice, or a text ends with a backslash
    return value


def _clean(node: Any, numbers_as_text: bool, depth: int, texts: list[int]) -> Any:
    """Strip the keys, check depth and numbers, make the numbers text, count keys and texts: all in
    one pass.
    """
    kind = type(node)
    if kind is str:
        texts[0] += 1
        return node
    if kind is dict or kind is list:
        if depth == 0:
            raise TooLarge("nested too deep")
        depth -= 1
        if kind is list:
            return [_clean(value, numbers_as_text, depth, texts) for value in node]
        cleaned = {}
        found = 0
        for key, value in node.items():
            # Most values are text, and a call costs as much as all the rest.
            if type(value) is str:
                found += 1
                cleaned[key.strip()] = value
            else:
                cleaned[key.strip()] = _clean(value, numbers_as_text, depth, texts)
        texts[0] += found + len(cleaned)
        return cleaned
    if kind is float and node - node != 0:
        raise _Slow
    return _scalar_text(node) if numbers_as_text else node


def _tolerant(data: bytes, limits: Limits) -> Salvaged:
    if len(data) > _SLOW.size:
        raise NotJson(f"not JSON, and too long to be repaired: {len(data)} bytes")
    bounds = limits._replace(nodes=min(limits.nodes, _SLOW.nodes))
    return tolerant.parse(data, bounds)


def convert(node: Any, to: type[_T], what: str = "") -> _T:
    """Fit decoded JSON into a typed message; a number is taken in any spelling where one is due.
    Raises BadMessage, which names the place, or says that `what` is no object.
    """
    if what and not isinstance(node, dict):
        raise BadMessage(f"{what} that is no object")
    for _ in range(_MOST_RESPELT):
        try:
            return msgspec.convert(node, to, strict=False)
        except msgspec.ValidationError as error:
            respelt = _respelt(node, _PLACE.search(str(error)))
            if respelt is None:
                raise BadMessage(str(error)[:200]) from None
            node = respelt
        except (ValueError, TypeError, RecursionError, OverflowError) as error:
            raise BadMessage(str(error)[:200]) from None
    raise BadMessage("too many numbers in an odd spelling")


# Where an error of msgspec is, `$.devices[0].prio`; and the parts of such a place.
_PLACE = re.compile(r"- at `\$((?:\.[^.\[`]+|\[[0-9]+\])+)`$")
_STEPS = re.compile(r"\.([^.\[]+)|\[([0-9]+)\]")
_MOST_RESPELT = 100


def _respelt(node: Any, place: re.Match[str] | None) -> Any:
    """Return `node` with the number at `place` in its plain spelling, None if that is no help."""
    steps = [name or int(index) for name, index in _STEPS.findall(place[1])] if place else []
    value = node
    for step in steps:
        value = value.get(step) if isinstance(value, dict) else value[step]
    plain: float | None = whole(value) if isinstance(value, str | float) else None
    if plain is None and isinstance(value, str):
        plain = number(value)
    if plain is None or not steps:
        return None
    return _replaced(node, steps, plain)


def _replaced(node: Any, steps: list[Any], value: Any) -> Any:
    """Return a copy of `node` with another value at the end of `steps`."""
    if not steps:
        return value
    copy = dict(node) if isinstance(node, dict) else list(node)
    copy[steps[0]] = _replaced(copy[steps[0]], steps[1:], value)
    return copy


def dumps(message: Any) -> bytes:
    """Encode canonically: UTF-8, no stray spaces, no trailing commas. Raises CannotEncode for what
    JSON cannot carry: a lone surrogate, a number past all.
    """
    try:
        return _encoder.encode(message)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        # The name of the error alone: its text may quote the message, secrets and all.
        raise CannotEncode(f"no JSON can carry this: {type(error).__name__}") from None


def is_struct(kind: Any) -> bool:
    """Return whether `kind` is a class of msgspec.Struct."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)
