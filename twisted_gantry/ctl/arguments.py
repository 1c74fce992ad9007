"""The arguments of a device's command: words of the command line become typed values."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from twisted_gantry.ctl.errors import Trouble, WrongUsage
from twisted_gantry.ctl.session import Session, read_secret
from twisted_gantry.wire import local_api

# The words for true and false.
_TRUE = frozenset({"true", "yes", "on", "1", "是"})
_FALSE = frozenset({"false", "no", "off", "0", "否"})

Given = Sequence[tuple[str, str | None]]


def split(session: Session, words: Sequence[str], pairs: Sequence[str]) -> Given:
    """Return the names and values in `--name value`, `--name=value`, `--flag` and NAME=VALUE.

    A value that begins with `--` is written with `=`. Raises WrongUsage.
    """
    given: list[tuple[str, str | None]] = []
    waiting = list(words)
    while waiting:
        option = waiting.pop(0)
        name, equals, value = option.removeprefix("--").partition("=")
        if not option.startswith("--") or not name:
            raise WrongUsage(session.texts("usage-stray", word=option))
        if equals:
            given.append((name, value))
        elif waiting and not waiting[0].startswith("--"):
            given.append((name, waiting.pop(0)))
        else:
            given.append((name, None))
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            # Only the name: the value may be a secret.
            raise WrongUsage(session.texts("usage-arg", word=name))
        given.append((name, value))
    return given


def settle(session: Session, info: local_api.CommandInfo, given: Given) -> dict[str, Any]:
    """Return the arguments with the types of the command. Raises Trouble."""
    values: dict[str, Any] = {}
    for name, text in given:
        argument = _find(info, name)
        if argument.name in values:
            raise Trouble("argument-twice", name=argument.name)
        values[argument.name] = _value(session, argument, text)
    for argument in info.arguments:
        if argument.required and argument.name not in values:
            kind = "- | @FILE" if argument.secret else argument.type
            fields = {"command": info.command, "name": argument.name, "type": kind}
            raise Trouble("argument-missing", **fields)
    return values


def _find(info: local_api.CommandInfo, name: str) -> local_api.ArgumentInfo:
    """Return the argument of that name; `-`, `_` and case matter only between two matches."""
    for argument in info.arguments:
        if argument.name == name:
            return argument
    alike = [each for each in info.arguments if _folded(each.name) == _folded(name)]
    if len(alike) == 1:
        return alike[0]
    known = ", ".join(f"--{each.name}" for each in info.arguments) or "–"
    raise Trouble("no-argument", command=info.command, name=name, known=known)


def _folded(name: str) -> str:
    return name.replace("-", "").replace("_", "").casefold()


def _value(session: Session, argument: local_api.ArgumentInfo, text: str | None) -> object:
    if argument.secret:
        # A secret of any type that was given openly is neither used nor shown.
        return _convert(argument, _secret(session, argument.name, text))
    if text is None:
        if _TYPES.get(argument.type) is _bool:
            return True
        raise Trouble("argument-value", name=argument.name)
    return _convert(argument, text)


def _secret(session: Session, name: str, text: str | None) -> str:
    if text is None or text == "-":
        return session.hidden(name)
    if text.startswith("@") and len(text) > 1:
        return read_secret(Path(text[1:])).reveal()
    raise Trouble("argument-open", name=name)


def _bool(text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if text.lower() in _FALSE:
        return False
    raise ValueError


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        return int(text, 0)  # 0x1F, for a register


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError
    return number


_TYPES: Mapping[str, Callable[[str], object]] = {
    "string": str,
    "boolean": _bool,
    "integer": _int,
    "number": _float,
}


def _convert(argument: local_api.ArgumentInfo, text: str) -> object:
    convert = _TYPES.get(argument.type, msgspec.json.decode)  # a list, an object: as JSON
    try:
        return convert(text)
    except (ValueError, RecursionError):
        said = "***" if argument.secret else text
        raise Trouble("argument-type", name=argument.name, value=said, type=argument.type) from None
