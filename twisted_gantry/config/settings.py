"""A configuration without mistakes: the settings of each table. Keys: `docs/configuration.md`.

Settings of one room are defined there: `EtcSettings`, `RemoteControlSettings`, …
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Annotated, Any, Literal

import msgspec

from twisted_gantry.bridges.modbus.settings import ModbusTable
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.bridges.nut.settings import NutSettings
from twisted_gantry.core.bounds import Adjust
from twisted_gantry.core.flapping import AlarmSettings
from twisted_gantry.core.interfaces import IDeviceKind
from twisted_gantry.core.interlocks.rules import Interlock
from twisted_gantry.core.own_rules import OwnRule
from twisted_gantry.core.site import Cabinet
from twisted_gantry.core.stored import Destination
from twisted_gantry.logs import LogSettings
from twisted_gantry.manhole.service import ManholeSettings
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.net.tls_server import ServerTls
from twisted_gantry.recording.service import RecordSettings
from twisted_gantry.settings.listen import moved, option_tls
from twisted_gantry.settings.notify import NotifyEntry
from twisted_gantry.settings.sources import secrets_in
from twisted_gantry.settings.web import WebSettings
from twisted_gantry.uplinks.etc.uplink import EtcSettings
from twisted_gantry.uplinks.fogslink.uplink import FogslinkSettings
from twisted_gantry.web.monitor.endpoint import MonitorSettings
from twisted_gantry.web.remotecontrol.endpoint import RemoteControlSettings
from twisted_gantry.wire.causes import Graph
from twisted_gantry.wire.etc.envelope import TEST_AUTH


class GantrySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[gantry]`: its number in the network, a name for people, its time zone."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    name: str = ""
    timezone: str = "Asia/Shanghai"


class HistorySettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[history]`: a point is recorded on change, and at least every `interval` seconds."""

    interval: Annotated[float, msgspec.Meta(ge=1, le=3600)] = 60.0


Sources = str | list[str]


class CabinetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[[cabinet]]`: which devices each group of its report comes from."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=20)]
    elec: Sources = []
    rectifier: Sources = []
    ups: Sources = []
    air_conditioners: Sources = []
    thermohygrometer: Sources = []
    waterlogging_sensor: Sources = []
    doors: Sources = []
    smoke_sensor: Sources = []
    thunder_spd: Sources = []
    ups_meaning: Literal["battery", "ac"] = "battery"
    allow_power_modes: tuple[Literal["0", "1", "2", "3"], ...] = ("0", "1")
    allow_rectifier_off: bool = False


GROUPS = tuple(f.name for f in msgspec.structs.fields(CabinetSettings) if f.type == Sources)
"""The groups of a `[[cabinet]]`."""


class ActionSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    do: str
    args: dict[str, Any] = {}


class InterlockSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[[interlock]]`: when a condition holds `for` seconds, `do`; when it is over, `undo`.

    `confirm` silences the warning about a command that asks. Without a `name` the interlock has its
    number.
    """

    when: str
    do: str
    args: dict[str, Any] = {}
    lasting: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = msgspec.field(
        default=0.0, name="for"
    )
    undo: ActionSettings | None = None
    name: str = ""
    confirm: bool = False


class OwnRuleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[[alarm]]`: raised when `when` has held `for` seconds, over when `clear` holds."""

    name: str
    when: str
    message: str
    clear: str | None = None
    lasting: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = msgspec.field(
        default=0.0, name="for"
    )
    severity: Literal["warning", "critical"] = "warning"
    message_zh: str | None = None
    report: bool = False


@dataclass(frozen=True)
class DeviceEntry:
    """A `[[device]]`; `adjusts` are by the points' names without the device's. `fed_by` is the
    device that feeds this one, `mains`, or empty where that is not known.
    """

    name: str
    kind: IDeviceKind
    settings: msgspec.Struct
    adjusts: Mapping[str, Adjust] = field(default_factory=dict)
    fed_by: str = ""


@dataclass(frozen=True)
class BridgeTables:
    """`[bridge.*]`: the settings of each bridge by the name of its table; None: there is none."""

    nut: NutSettings | None = None
    mqtt: MqttSettings | None = None
    modbus: ModbusTable | None = None

    def tables(self) -> dict[str, msgspec.Struct]:
        """Return the tables that are there, by their names."""
        given = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: table for name, table in given.items() if table is not None}

    def listening(self) -> dict[str, str]:
        """Return the endpoints of those that listen, by their place: `bridge.nut`."""
        tables: dict[str, Any] = self.tables()
        return {f"bridge.{n}": t.listen for n, t in tables.items() if hasattr(t, "listen")}


@dataclass(frozen=True)
class Settings:
    gantry: GantrySettings
    devices: tuple[DeviceEntry, ...]
    cabinets: tuple[Cabinet, ...]
    etc: tuple[EtcSettings, ...]
    fogslink: tuple[FogslinkSettings, ...]
    remotecontrol: RemoteControlSettings | None
    monitor: MonitorSettings | None
    web: WebSettings
    interlocks: tuple[Interlock, ...] = ()
    manhole: ManholeSettings = field(default_factory=ManholeSettings)
    log: LogSettings = field(default_factory=LogSettings)
    history: HistorySettings = field(default_factory=HistorySettings)
    record: RecordSettings = field(default_factory=RecordSettings)
    tls: TlsSettings = field(default_factory=TlsSettings)
    server_tls: Mapping[str, ServerTls | None] = field(default_factory=dict)
    """The files of each listener with an `ssl:` endpoint, by its table."""
    bridges: BridgeTables = field(default_factory=BridgeTables)
    own_rules: tuple[OwnRule, ...] = ()
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    notify: tuple[NotifyEntry, ...] = ()

    def graph(self) -> Graph:
        """Return what explains what at this site."""
        return Graph(
            {each.name: each.fed_by for each in self.devices if each.fed_by},
            {each.name: tuple(getattr(each.kind, "causes", ())) for each in self.devices},
        )

    def destinations(self) -> list[Destination]:
        """Return the uplinks as the store knows them."""
        etc = [Destination(each.name, "etc", each.url) for each in self.etc]
        clouds = [
            Destination(each.name, "fogslink", f"{each.address} {each.eq_sn}")
            for each in self.fogslink
        ]
        return [*etc, *clouds]

    def secrets(self) -> list[str]:
        """Return every secret of the configuration but the code of the test period."""
        return [text for text in dict.fromkeys(secrets_in(self)) if text != TEST_AUTH]

    def listening_on(self, endpoint: str) -> "Settings":
        """Return these settings with another `[web] listen`. Raises ConfigError."""
        web, tls = moved(self.web, endpoint, "--web"), option_tls(endpoint, "--web")
        return replace(self, web=web, server_tls={**self.server_tls, "web": tls})

    def with_manhole(self, endpoint: str) -> "Settings":
        """Return these settings with another `[manhole] listen`. Raises ConfigError."""
        return replace(self, manhole=moved(self.manhole, endpoint, "--manhole"))
