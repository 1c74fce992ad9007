"""Lenient JSON: a fast strict decoder first, JSON5 only when that fails; keys stripped of space.

The source documents print trailing commas, unquoted keys and white space around key names
(`docs/protocols/README.md`, "Strict out, lenient in").
"""

from typing import Any, TypeVar

import msgspec
import pyjson5

from twisted_gantry.wire.errors import BadMessage, CannotEncode, NotJson

# Deeper than any message of the five protocols; it bounds the recursion below.
MAX_DEPTH = 32

_T = TypeVar("_T")
_strict = msgspec.json.Decoder()
_encoder = msgspec.json.Encoder()


def loads(data: bytes) -> Any:
    """Decode UTF-8 JSON or JSON5, and strip every key; of two equal keys the last wins. The caller
    bounds the length. Raises NotJson.
    """
    return _clean(_decode(data), numbers_as_text=False)


def loads_text(data: bytes) -> Any:
    """Decode as `loads` does, but numbers as text. Raises NotJson; BadMessage past some digits."""
    return _clean(_decode(data), numbers_as_text=True)


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
    try:
        return str(node)
    except ValueError:  # an integer of thousands of digits
        raise BadMessage("a number with too many digits") from None


def _decode(data: bytes) -> Any:
    try:
        return _strict.decode(data)
    except (ValueError, RecursionError):
        pass
    try:
        return pyjson5.decode(data.decode("utf-8-sig"), MAX_DEPTH)
    except UnicodeDecodeError:
        raise NotJson("not UTF-8") from None
    except (pyjson5.Json5Exception, ValueError, RecursionError, OverflowError) as error:
        # The first argument is the parser's text; the others hold the input, secrets and all.
        told = str(error.args[0])[:80] if error.args else "malformed"
        raise NotJson(f"not JSON: {told}") from None


def _clean(node: Any, numbers_as_text: bool, depth: int = 0) -> Any:
    """Strip the keys, check depth and numbers, and make the numbers text: all in one pass."""
    if depth > MAX_DEPTH:
        raise NotJson(f"nested more than {MAX_DEPTH} deep")
    if isinstance(node, dict):
        return {
            str(key).strip(): _clean(value, numbers_as_text, depth + 1)
            for key, value in node.items()
        }
    if isinstance(node, list):
        return [_clean(value, numbers_as_text, depth + 1) for value in node]
    if isinstance(node, float) and node - node != 0:
        raise NotJson("a number that is not finite")
    return _scalar_text(node) if numbers_as_text else node


def convert(node: Any, to: type[_T], what: str = "") -> _T:
    """Fit decoded JSON into a typed message; numeric text becomes a number where one is due. Raises
    BadMessage, which names the place, or says that `what` is no object.
    """
    if what and not isinstance(node, dict):
        raise BadMessage(f"{what} that is no object")
    try:
        return msgspec.convert(node, to, strict=False)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise BadMessage(str(error)[:200]) from None


def dumps(message: Any) -> bytes:
    """Encode canonically: UTF-8, no stray spaces, no trailing commas. Raises CannotEncode for what
    JSON cannot carry: a lone surrogate, a number past all.
    """
    try:
        return _encoder.encode(message)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        # The name of the error alone: its text may quote the message, secrets and all.
        raise CannotEncode(f"no JSON can carry this: {type(error).__name__}") from None
