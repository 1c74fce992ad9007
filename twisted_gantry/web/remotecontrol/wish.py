"""What the parts of `remotecontrol.do` share: a wish of one device, and why there can be none."""

from collections.abc import Mapping
from dataclasses import dataclass


class CannotDo(Exception):
    """The site cannot or may not do what is asked, 1007; `msg` says why, for the platform."""

    def __init__(self, msg: str) -> None:
        super().__init__(msg)
        self.msg = msg


@dataclass(frozen=True)
class Wish:
    """What one device is told."""

    target: str
    command: str
    args: Mapping[str, str]


def device_of(source: str) -> str:
    """Return the device of a source, which may be a part of one (`cfos.M1`)."""
    return source.partition(".")[0]
