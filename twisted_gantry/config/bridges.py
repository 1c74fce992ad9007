"""`[bridge.*]`: each table is read by its struct, and checked beyond single values here."""

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import msgspec

from twisted_gantry.bridges.modbus.settings import (
    ModbusServerSettings,
    ModbusTable,
    wrong_modbus,
    wrong_modbus_listen,
)
from twisted_gantry.bridges.mqtt import settings as mqtt
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.bridges.nut.settings import NutSettings, wrong_nut, wrong_nut_listen
from twisted_gantry.config.devices import Devices
from twisted_gantry.config.modbus_map import read_map
from twisted_gantry.config.settings import BridgeTables
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.settings.checks import wrong_clients
from twisted_gantry.settings.tables import Checks, Document
from twisted_gantry.settings.tables import Path as Place
from twisted_gantry.settings.tls import with_tls
from twisted_gantry.wire.secret import Secret


class Bridges:
    """Reads `[bridge.*]`; what is wrong is noted in `document`. `tls` are the defaults of all."""

    def __init__(
        self,
        document: Document,
        secret: Callable[[Any], Secret],
        tls: TlsSettings,
        folder: Path,
        devices: Devices,
    ) -> None:
        self._document, self._secret, self._tls = document, secret, tls
        self._folder, self._devices = folder, devices

    def read(self) -> BridgeTables:
        """Return the tables that are there and right."""
        table = self._document.table(self._document.root, ("bridge",))
        self._document.unknown(table, {each.name for each in fields(BridgeTables)}, ("bridge",))
        return BridgeTables(
            nut=self._nut(table) if "nut" in table else None,
            mqtt=self._mqtt(table) if "mqtt" in table else None,
            modbus=self._modbus(table) if "modbus" in table else None,
        )

    def _nut(self, bridge: Mapping[str, Any]) -> NutSettings | None:
        path = ("bridge", "nut")
        table = self._document.table(bridge, path)
        each = {"listen": wrong_nut_listen, "allowed_clients": wrong_clients}
        nut = self._document.read(table, NutSettings, path, self._secret, checks=each)
        for place, wrong in wrong_nut(nut).items() if nut is not None else ():
            self._document.wrong((*path, *place), wrong)
        return nut

    def _mqtt(self, given: Mapping[str, Any]) -> MqttSettings | None:
        place = ("bridge", "mqtt")
        checks: Checks = {"address": mqtt.wrong_address, "topic": mqtt.wrong_topic}
        table = self._document.table(given, place)
        read = self._document.read(table, MqttSettings, place, self._secret, checks=checks)
        self._complain(place, mqtt.wrong_library())
        if read is None:
            return None
        for key, wrong in mqtt.wrong_together(read).items():
            self._complain((*place, key), wrong)
        return with_tls(self._document, place, read, self._tls)

    def _complain(self, place: Place, wrong: str) -> None:
        if wrong:
            self._document.wrong(place, wrong)

    def _modbus(self, bridge: Mapping[str, Any]) -> ModbusTable | None:
        path = ("bridge", "modbus")
        table = self._document.table(bridge, path)
        each = {"listen": wrong_modbus_listen, "allowed_clients": wrong_clients}
        given = self._document.read(table, ModbusServerSettings, path, self._secret, checks=each)
        if given is None:
            return None
        own = None
        if given.map:
            own = read_map(self._document, (*path, "map"), self._folder / given.map, self._devices)
        made = ModbusTable(**msgspec.structs.asdict(given), own=own)
        for key, wrong in wrong_modbus(made).items():
            self._complain((*path, key) if key else path, wrong)
        return made
