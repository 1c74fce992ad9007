"""What a device can be told, and how a command ends."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from twisted_gantry.wire.reading import Value


class Outcome(StrEnum):
    """How a command ends: `timeout` means that nobody knows whether the device did it."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class CommandResult:
    """The one outcome of a command; `detail` is for people, `value` what the device answered."""

    result: Outcome
    detail: str = ""
    value: Value = None


@dataclass(frozen=True)
class Argument:
    """One argument of a command. A `secret` one is shown as *** wherever a command is shown.

    `choices`, if there are any, are the texts that it may be. A `subject` says which part of the
    device the command is about, such as a door.
    """

    type: type = str
    required: bool = True
    secret: bool = False
    longest: int = 200
    choices: tuple[str, ...] = ()
    subject: bool = False


@dataclass(frozen=True)
class CommandType:
    """A command that a device can do.

    `danger` says what it may harm; it then needs a confirmation in every interface, and never
    comes from the platform. `locked` says why this device will not do it as configured. Commands
    of a device that set the same thing, such as on and off, have one `about`. What is said to
    people is said in Chinese, too.
    """

    arguments: Mapping[str, Argument]
    en: str
    zh: str
    danger: str = ""
    locked: str = ""
    about: str = ""
    danger_zh: str = ""
    locked_zh: str = ""
