"""Lenient JSON: a fast strict decoder first, JSON5 only when that fails; keys stripped of space.

Trailing commas, unquoted keys, and white space around key names are all printed in the source
documents (`docs/protocols/README.md`, "Strict out, lenient in").
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
    """Decode UTF-8 JSON or JSON5.

    Returns plain dicts, lists and scalars, with every key stripped of white space. Of two equal
    keys the last wins. The caller bounds the length.

    Raises NotJson.
    """
    try:
        decoded = _strict.decode(data)
    except (ValueError, RecursionError):
        decoded = _loads_json5(data)
    return _clean(decoded, 0)


def _loads_json5(data: bytes) -> Any:
    try:
        return pyjson5.decode(data.decode("utf-8-sig"), MAX_DEPTH)
    except UnicodeDecodeError:
        raise NotJson("not UTF-8") from None
    except (pyjson5.Json5Exception, ValueError, RecursionError, OverflowError) as error:
        # The first argument is the parser's text; the others hold the input, secrets and all.
        raise NotJson(
            f"not JSON: {str(error.args[0])[:80] if error.args else 'malformed'}"
        ) from None


def _clean(node: Any, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise NotJson(f"nested more than {MAX_DEPTH} deep")
    if isinstance(node, dict):
        return {str(key).strip(): _clean(value, depth + 1) for key, value in node.items()}
    if isinstance(node, list):
        return [_clean(value, depth + 1) for value in node]
    if isinstance(node, float) and node - node != 0:
        raise NotJson("a number that is not finite")
    return node


def as_text(node: Any) -> Any:
    """Return `node` with each number in it as text: a number where text is promised is accepted."""
    if isinstance(node, dict):
        return {key: as_text(value) for key, value in node.items()}
    if isinstance(node, list):
        return [as_text(value) for value in node]
    if isinstance(node, int | float) and not isinstance(node, bool):
        try:
            return str(node)
        except ValueError:  # an integer of thousands of digits
            raise BadMessage("a number with too many digits") from None
    return node


def convert(node: Any, to: type[_T]) -> _T:
    """Fit decoded JSON into a typed message; numeric text becomes a number where one is due.

    Raises BadMessage, which names the place.
    """
    try:
        return msgspec.convert(node, to, strict=False)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise BadMessage(str(error)[:200]) from None


def dumps(message: Any) -> bytes:
    """Encode canonically: UTF-8, no stray spaces, no trailing commas.

    Raises CannotEncode for what JSON cannot carry: a lone surrogate, a number past all.
    """
    try:
        return _encoder.encode(message)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        # The name of the error alone: its text may quote the message, secrets and all.
        raise CannotEncode(f"no JSON can carry this: {type(error).__name__}") from None
