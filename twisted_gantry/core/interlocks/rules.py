"""An interlock: its condition, its actions, and conflicts between two interlocks."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.wire.reading import Value

_CONDITION = re.compile(
    r"(?P<point>[^\s<>=!]+)(\s*(?P<sign><=|>=|==|!=|<|>)\s*(?P<bound>[^<>=!]*[^<>=!\s]))?"
)
_SIGNS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    ">": lambda value, bound: bool(value > bound),
    ">=": lambda value, bound: bool(value >= bound),
    "==": lambda value, bound: bool(value == bound),
    "!=": lambda value, bound: bool(value != bound),
}


@dataclass(frozen=True)
class Condition:
    """`ups1.mains_abnormal`, which must be true, or a comparison: `ups1.battery_charge < 30`."""

    point: str
    sign: str = "=="
    bound: Value = True

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse a condition. Raises ValueError."""
        match = _CONDITION.fullmatch(text.strip())
        if match is None:
            raise ValueError(f"no condition such as ups1.battery_charge < 30: {text!r}")
        if match["sign"] is None:
            return cls(match["point"])
        bound = _bound(match["bound"])
        if isinstance(bound, bool | str) and match["sign"] not in ("==", "!="):
            raise ValueError(f"{match['sign']} compares numbers: {text!r}")
        return cls(match["point"], match["sign"], bound)

    def holds(self, value: Value) -> bool | None:
        """Tell whether a value fulfils the condition; None for a missing one or another type."""
        numbers = (int, float)
        alike = type(value) is type(self.bound) or (
            isinstance(value, numbers)
            and isinstance(self.bound, numbers)
            and bool not in (type(value), type(self.bound))
        )
        return _SIGNS[self.sign](value, self.bound) if alike else None


def _bound(text: str) -> Value:
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?[0-9]{1,15}(\.[0-9]{1,15})?", text):
        return float(text)
    return text.strip("\"'")


@dataclass(frozen=True)
class Action:
    target: str
    command: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interlock:
    """When `when` has held for `delay` seconds, `do`; when it is over, `undo`, if given.

    `confirmed`: the operator has confirmed a dangerous command.
    """

    name: str
    when: Condition
    delay: float
    do: Action
    undo: Action | None = None
    confirmed: bool = False

    @property
    def key(self) -> str:
        """The identity over restarts: a digest of condition and action, which may hold a PIN."""
        when, do = self.when, self.do
        said = [when.point, when.sign, when.bound, do.target, do.command, do.args]
        return sha256(json.dumps(said, sort_keys=True, default=str).encode()).hexdigest()[:16]


def fight(first: Interlock, second: Interlock, types: Mapping[str, CommandType]) -> bool:
    """Tell whether two interlocks would work against each other.

    They do if they set the same thing differently, or if one would undo what the other still
    holds. `types` has the type of each command, by `target.command`.
    """
    pairs = [
        (one, other)
        for one in (first.do, first.undo)
        for other in (second.do, second.undo)
        if one is not None and other is not None
    ]
    return any(_same_thing(*pair, types) and _said(pair[0]) != _said(pair[1]) for pair in pairs)


def _said(action: Action) -> tuple[str, dict[str, str]]:
    return action.command, {n: str(v) for n, v in action.args.items() if v is not None}


def _same_thing(one: Action, other: Action, types: Mapping[str, CommandType]) -> bool:
    if one.target != other.target:
        return False
    kinds = [types.get(f"{each.target}.{each.command}") for each in (one, other)]
    abouts = {kind.about for kind in kinds if kind is not None}
    if one.command != other.command and (len(abouts) > 1 or abouts <= {""}):
        return False
    first, second = (
        {
            name: str(action.args[name])
            for name, argument in (kind.arguments if kind is not None else {}).items()
            if argument.subject and action.args.get(name) is not None
        }
        for action, kind in zip((one, other), kinds, strict=True)
    )
    # If one of the two names no part of the device, both may act on the same part.
    return all(first[name] == second[name] for name in first.keys() & second.keys())
