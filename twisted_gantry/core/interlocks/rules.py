"""An interlock: its actions, and conflicts between two interlocks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.condition import Condition


@dataclass(frozen=True)
class Action:
    target: str
    command: str
    args: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Interlock:
    """When `when` has held for `delay` seconds, `do`; when it is over, `undo`, if given."""

    name: str
    when: Condition
    delay: float
    do: Action
    undo: Action | None = None

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
