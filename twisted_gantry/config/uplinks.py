"""`[[uplink.etc]]` and `[[uplink.fogslink]]`: a table for one uplink, or a list for several."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec

from twisted_gantry.config.devices import Devices, wrong_name
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.settings import checks
from twisted_gantry.settings.tables import Checks, Document
from twisted_gantry.settings.tables import Path as Place
from twisted_gantry.settings.tls import with_tls
from twisted_gantry.uplinks.etc.uplink import EtcSettings
from twisted_gantry.uplinks.fogslink.uplink import FogslinkSettings
from twisted_gantry.wire.fogslink.messages import is_channel
from twisted_gantry.wire.secret import Secret

TEST_CODE = (
    "is the code of the test period, for loopback alone; set the platform's code, or "
    "allow_test_auth = true in [uplink.etc]"
)
_U = TypeVar("_U", EtcSettings, FogslinkSettings)
_ETC_CHECKS: Checks = {"url": checks.wrong_url, "auth": checks.wrong_code}
_FOGSLINK_CHECKS: Checks = {"address": checks.wrong_address}


class Uplinks:
    """The uplinks of a configuration; what is wrong is noted in `document`.

    `etc` and `fogslink` hold those that can be read. The first platform may command and has the
    white list unless the settings say otherwise: no `commands` and no `cards` is None any more.
    `wants_etc` tells whether a platform is configured, `test_auth` whether one of them allows the
    code of the test period: both also where other keys are wrong.
    """

    def __init__(
        self,
        document: Document,
        secret: Callable[[Any], Secret],
        tls: TlsSettings,
        devices: Devices,
    ) -> None:
        self._document, self._secret, self._tls, self._devices = document, secret, tls, devices
        self._names: set[str] = set()
        uplink = document.table(document.root, ("uplink",))
        document.unknown(uplink, {"etc", "fogslink"}, ("uplink",))
        given = self._tables(uplink, "etc")
        self.wants_etc = bool(given)
        self.test_auth = any(table.get("allow_test_auth") is True for _, table in given)
        self.etc = self._platforms(given)
        found = [self._fogslink(*each) for each in self._tables(uplink, "fogslink")]
        self.fogslink = tuple(each for each in found if each is not None)

    def _tables(self, uplink: Mapping[str, Any], key: str) -> list[tuple[Place, dict[str, Any]]]:
        """Return each table with its place: `[uplink.KEY]` is one, `[[uplink.KEY]]` several."""
        path, value = ("uplink", key), uplink.get(key)
        if not isinstance(value, list):
            return [(path, self._document.table(uplink, path))] if key in uplink else []
        found = [((*path, index), each) for index, each in enumerate(value)]
        if not all(isinstance(each, dict) for each in value):
            self._document.wrong(path, f"must be tables, each begun with [[uplink.{key}]]")
        return [(place, each) for place, each in found if isinstance(each, dict)]

    def _read(self, path: Place, table: dict[str, Any], to: type[_U], each: Checks) -> _U | None:
        read = self._document.read(table, to, path, self._secret, checks=each)
        if read is None:
            return None
        wrong = self._wrong_name(read.name, own=str(path[1]))
        if wrong:
            self._document.wrong((*path, "name"), wrong)
        self._names.add(read.name)
        return with_tls(self._document, path, read, self._tls)

    def _wrong_name(self, name: str, own: str) -> str:
        if name in self._names:
            return f"{name!r} is the name of another uplink"
        is_device = name in self._devices.entries
        return f"{name!r} is the name of a device" if is_device else wrong_name(name, own)

    def _platforms(self, given: list[tuple[Place, dict[str, Any]]]) -> tuple[EtcSettings, ...]:
        found = []
        for index, (path, table) in enumerate(given):
            etc = self._read(path, table, EtcSettings, _ETC_CHECKS)
            if etc is None:
                continue
            if not etc.allow_test_auth and checks.is_test_code_abroad(etc.auth, etc.url):
                self._document.wrong((*path, "auth"), TEST_CODE)
            found.append((path, _with_defaults(etc, given, is_first=index == 0)))
        self._check_cards(found)
        self._check_commands(found)
        return tuple(etc for _, etc in found)

    def _check_cards(self, found: list[tuple[Place, EtcSettings]]) -> None:
        for path, _ in [each for each in found if each[1].cards][1:]:
            text = "the white list comes from one platform, and another has cards = true"
            self._document.wrong((*path, "cards"), text)

    def _check_commands(self, found: list[tuple[Place, EtcSettings]]) -> None:
        """A command is that of the platform whose code comes with it."""
        seen: dict[str, str] = {}
        for path, etc in found:
            if etc.commands:
                first = seen.setdefault(etc.auth.reveal(), etc.name)
                if first != etc.name:
                    text = f"the commands of {first!r} and of {etc.name!r} have the same code"
                    self._document.wrong((*path, "auth"), text)

    def _fogslink(self, path: Place, table: dict[str, Any]) -> FogslinkSettings | None:
        # From the table itself: another mistake in it must not hide these.
        given = table.get("channels")
        for channel, point in given.items() if isinstance(given, dict) else ():
            place = (*path, "channels", channel)
            if not is_channel(channel):
                self._document.wrong(place, f"a channel is Px-Cy, such as P0-C1, not {channel!r}")
            wrong = self._devices.wrong_point(point) if isinstance(point, str) else ""
            if wrong:
                self._document.wrong(place, wrong)
        return self._read(path, table, FogslinkSettings, _FOGSLINK_CHECKS)


def _with_defaults(
    etc: EtcSettings, given: list[tuple[Place, dict[str, Any]]], *, is_first: bool
) -> EtcSettings:
    """Return settings that say whether the platform may command, and has the white list."""
    tables = [table for _, table in given]
    said = {key: any(table.get(key) is True for table in tables) for key in ("commands", "cards")}
    commands = is_first and not said["commands"] if etc.commands is None else etc.commands
    cards = is_first and not said["cards"] if etc.cards is None else etc.cards
    return msgspec.structs.replace(etc, commands=commands, cards=cards)
