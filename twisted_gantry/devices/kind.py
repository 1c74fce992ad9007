"""A kind of device: the keys of its settings, and how one is built."""

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

from attrs import define, field
from zope.interface import implementer

from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.interfaces import DeviceContext, IDevice, IDeviceKind, WrongSetting
from twisted_gantry.net.reach import peer_of
from twisted_gantry.wire.causes import Links

_D = TypeVar("_D", bound=IDevice)


def _no_rows(group: str) -> frozenset[str]:
    return frozenset()


def _no_type(name: str) -> None:
    return None


@implementer(IDeviceKind)
@define(eq=False)
class DeviceKind(Generic[_D]):
    """A kind without groups and parts, unless they are given. See IDeviceKind.

    `checks` say what is wrong with the value of a key, empty if nothing is, each for itself.
    `groups_of` returns those of `groups` that a device with given settings has.
    """

    kind: str
    settings: type
    _build: Callable[[str, Any, DeviceContext], _D]
    groups: frozenset[str] = frozenset()
    parts: str = ""
    part_points: Callable[[str], frozenset[str]] | None = None
    row_points: Callable[[str], frozenset[str]] = field(default=_no_rows, kw_only=True)
    checks: Mapping[str, Callable[[Any], str]] = field(factory=dict, kw_only=True)
    groups_of: Callable[[Any], frozenset[str]] | None = field(default=None, kw_only=True)
    causes: Links = field(default=(), kw_only=True)
    point_type: Callable[[str], PointType | None] = field(default=_no_type, kw_only=True)

    def build(self, name: str, settings: Any, context: DeviceContext) -> _D:
        for key, check in self.checks.items():
            if wrong := check(getattr(settings, key)):
                raise WrongSetting(key, wrong)
        device = self._build(name, settings, context)
        made: Any = device
        made.peer = peer_of(settings, context.certificate_seen)
        return device
