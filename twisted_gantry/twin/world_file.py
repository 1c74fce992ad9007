"""The file of `--world`: variables to begin with, dialects, further cabinets, and relays.

```toml
mains.voltage = 210
ups1.dialect = "cr-terminated"          # or a list of names
[[cabinet]]
name = "cab2"
id = "2"
[[relay]]
on = "a00101a2"
off = "a00100a1"
switches = "loads.toll_computers_on"
```
"""

import random
import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import Voices, parted, voice
from twisted_gantry.twin.world.model import World

_MOST = 16  # cabinets, and relays
_OTHERS = {"cfos": Peer.CFOS, "bms1": Peer.EMS, "etc": Peer.PLATFORM, "fogslink": Peer.CLOUD}
_CABINET_PORT, _RELAY_PORT = 3699, 2400  # of the demo, plus the number of each


class CabinetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A further cabinet: the prefix of its variables, its id, and where it takes commands.

    The default of `listen` is a port on loopback: 3701 for `cab2`, 3702 for `cab3`, ….
    """

    name: Annotated[str, Meta(pattern=r"^cab[2-9][0-9]?$")]
    id: Annotated[str, Meta(pattern=r"^[1-9][0-9]{0,3}$")]
    listen: str = ""

    @property
    def endpoint(self) -> str:
        port = _CABINET_PORT + int(self.name.removeprefix("cab"))
        return self.listen or f"tcp:{port}:interface=127.0.0.1"


class RelaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A relay: what it hears and answers, bytes as hex, and the variable that it switches.

    The default of `listen` is a port on loopback: 2401 for the first relay, 2402 for the second, ….
    """

    on: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2}){1,256}$")]
    off: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2}){1,256}$")]
    switches: str
    confirm: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{2}){0,256}$")] = ""
    listen: str = ""

    def endpoint(self, number: int) -> str:
        return self.listen or f"tcp:{_RELAY_PORT + number}:interface=127.0.0.1"


class WorldFile(msgspec.Struct, frozen=True):
    """What a file holds; `world` are variables by dotted names, `dialects` names by endpoint."""

    world: dict[str, Any]
    dialects: dict[str, Any]
    cabinets: tuple[CabinetSettings, ...] = ()
    relays: tuple[RelaySettings, ...] = ()


def read_world(text: str) -> WorldFile:
    """Read and check a file. Raises ValueError, WorldError or LookupError, which say what."""
    document = tomllib.loads(text)
    cabinets = _tables(document, "cabinet", CabinetSettings)
    relays = _tables(document, "relay", RelaySettings)
    values, dialects = parted(dict(_flat(document)))
    world = World(random.Random(0), [each.name for each in cabinets])  # noqa: S311 - a check only
    world.check(values)
    for relay in relays:
        world.check({relay.switches: True})
        if relay.on.lower() == relay.off.lower():
            raise ValueError("relay: off is the same as on")
    peers = dict.fromkeys(world.ups, Peer.UPS) | dict.fromkeys(world.cabinets, Peer.CABINET)
    Voices({name: voice(peer) for name, peer in (_OTHERS | peers).items()}).speak(dialects)
    return WorldFile(values, dialects, cabinets, relays)


def _tables(document: dict[str, Any], key: str, kind: Any) -> Any:
    form = Annotated[tuple[kind, ...], Meta(max_length=_MOST)]
    try:
        rows = msgspec.convert(document.pop(key, []), form)
    except msgspec.ValidationError as error:
        raise ValueError(f"{key}: {error}") from None
    for name in ("name", "id"):
        given = [getattr(row, name, None) for row in rows if hasattr(row, name)]
        if len(set(given)) < len(given):
            raise ValueError(f"{key}: two have the same {name}")
    return rows


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Write nested tables as dotted names; `[mains]` and `"mains.voltage"` may both be used."""
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
