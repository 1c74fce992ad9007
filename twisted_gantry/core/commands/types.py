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


class Endangers(StrEnum):
    """What a command can hurt."""

    TOLLING = "tolling"
    POWER = "power"
    ACCESS = "access"
    DEVICE = "device"


@dataclass(frozen=True)
class CommandType:
    """A command of a device, described in English and Chinese.

    A command that `endangers` something asks: each interface for people and programs needs their
    confirmation. `danger` is the consequence, a predicate such as "darkens the gantry". The
    platform is not asked back, and a command for `local_only` is refused to the platform.

    `locked` says why the device refuses the command as configured. Commands of a device
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
    endangers: Endangers | None = None
    local_only: bool = False

    def __post_init__(self) -> None:
        """Raise ValueError for a command that does not say what follows from it. A `danger` alone,
        as kinds of other packages may have it, is one to the device, and for local use only.
        """
        if self.endangers is None:
            if self.danger:
                object.__setattr__(self, "endangers", Endangers.DEVICE)
                object.__setattr__(self, "local_only", True)
        elif not (self.danger and self.danger_zh):
            raise ValueError(f"{self.en!r} endangers {self.endangers} and does not say how")

    @property
    def asks(self) -> bool:
        """Whether the command needs a confirmation."""
        return self.endangers is not None
