"""A command as people give it: for which gantries, and what it does there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.commands import (
    KNOWN_FIELDS,
    EtcControl,
    decode_control,
    encode_control,
)
from twisted_gantry.wire.etc.controls import CONTROLS, ControlType, names_of
from twisted_gantry.wire.etc.envelope import Method

METHODS = (Method.CABINET_CONTROL, Method.COMPUTER_CONTROL)


@dataclass(frozen=True, slots=True)
class Choice:
    """The gantries of a command: those named by `gantries`, or those of a `road`, perhaps of one
    `section` of it, or `everything`.
    """

    gantries: tuple[str, ...] = ()
    road: str = ""
    section: str = ""
    everything: bool = False


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: `who` is for the audit. `roads` are those of the person, None for all."""

    who: str
    roads: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A checked command; `fields` are those of the document in one spelling."""

    method: Method
    control: EtcControl = field(repr=False)
    fields: Mapping[str, str] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all that it does, such as `unlock-door`."""
        return names_of(self.control)

    @property
    def dangers(self) -> dict[str, ControlType]:
        """What it does that needs a confirmation, by name."""
        return {name: CONTROLS[name] for name in self.names if CONTROLS[name].endangers}


def order_of(method: str, fields: Mapping[str, Any]) -> Order:
    """Check a command. `method` is that of the document; `fields` are the document's, or one object
    of them under the name of the method. An unknown field is refused: half a command may do what
    no one asked for. Raises BadMessage.
    """
    known = next((each for each in METHODS if each.value == method), None)
    if known is None:
        expected = " or ".join(each.value for each in METHODS)
        raise BadMessage(f"the method {method[:40]!r} is not {expected}")
    if known.value in fields:
        if len(fields) > 1 or not isinstance(fields[known.value], dict):
            raise BadMessage(f"{known.value} is an object, and no field stands beside it")
        fields = fields[known.value]
    for name in sorted(fields):
        if name not in KNOWN_FIELDS:
            raise BadMessage(f"unknown field {name[:40]!r}")
    if known is Method.COMPUTER_CONTROL and fields.get("cmd") is not None:
        raise BadMessage(f"cmd is a field of {Method.CABINET_CONTROL.value}")
    control = decode_control(fields, cabinet=known is Method.CABINET_CONTROL)
    return Order(known, control, encode_control(control))
