"""Types of commands, and the results of commands."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from twisted_gantry.wire.reading import Value


class Outcome(StrEnum):
    """How a command ends; `timeout` means that its outcome is unknown."""

    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"
    TIMEOUT = "timeout"


@dataclass(frozen=True)
class CommandResult:
    """The result of a command; `detail` is for people, `value` is the answer of the device."""

    result: Outcome
    detail: str = ""
    value: Value = None


@dataclass(frozen=True)
class Argument:
    """One argument of a command. A `secret` one is shown as `***` everywhere.

    `longest` counts characters. `choices`, if any, are the allowed texts. A `subject` names the
    part of the device that the command acts on, such as a door.
    """

    type: type = str
    required: bool = True
    secret: bool = False
    longest: int = 200
    choices: tuple[str, ...] = ()
    subject: bool = False


@dataclass(frozen=True)
class CommandType:
    """A command of a device, described in English and Chinese.

    A command with a `danger` needs a confirmation in every interface and never comes from the
    platform. `locked` says why the device refuses the command as configured. Commands of a device
    that set the same thing, such as on and off, have the same `about`. A command that is sent
    `once` is never sent again by itself while its outcome is unknown: a second battery test or
    power cycle does harm.
    """

    arguments: Mapping[str, Argument]
    en: str
    zh: str
    danger: str = ""
    locked: str = ""
    about: str = ""
    danger_zh: str = ""
    locked_zh: str = ""
    once: bool = False
