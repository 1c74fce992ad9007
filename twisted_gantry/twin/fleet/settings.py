"""The settings of a fleet, checked when they are made."""

import re
from urllib.parse import urlsplit

import msgspec

from twisted_gantry.wire.etc.envelope import TEST_AUTH

MAX_GANTRIES = 20_000  # one client address has some 28,000 ports for connections to one server
MOST_WORLDS = 1_000  # a second of one takes 0.1 ms


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a fleet is set up. `platform` is the URL of a `monitor.do`, `cloud` a client endpoint; an
    empty one gets no load. Ids and `eqSN` count up from the first ones; `{eqSN}` in `api_key`
    stands for that of each gantry. `report_period` and `pack_period` are seconds, `connections` the
    most uploads at a time, `connect_rate` the most new sessions a second. Equal seeds give equal
    phases. The gantries share `worlds` simulated worlds. With a server endpoint `remotecontrol`
    each has a whole cabinet, in a world of its own. Raises ValueError for values out of range.
    """

    gantries: int
    platform: str = "http://127.0.0.1:8088/monitor.do"
    cloud: str = "tcp:127.0.0.1:63321"
    auth: str = TEST_AUTH
    api_key: str = "1234567890123456"
    first_id: str = "G000211001002110010"
    first_eq_sn: str = "10000000"
    report_period: float = 300.0
    pack_period: float = 300.0
    connections: int = 64
    connect_rate: float = 200.0
    seed: int | None = None
    worlds: int = 4
    remotecontrol: str = ""

    def __repr__(self) -> str:
        return f"FleetSettings({self.gantries}, {self.platform!r}, {self.cloud!r})"

    def __post_init__(self) -> None:
        for name, least, most in (
            ("gantries", 1, MAX_GANTRIES),
            ("report_period", 1, 86_400),
            ("pack_period", 1, 86_400),
            ("connections", 1, 1000),
            ("connect_rate", 0.1, 10_000),
            ("worlds", 1, MOST_WORLDS),
        ):
            if not least <= getattr(self, name) <= most:
                raise ValueError(f"{name} must be {least:g} to {most:g}")
        if not re.fullmatch("G[0-9]{18}", self.first_id):
            raise ValueError("first_id must be G and 18 digits")
        if not re.fullmatch("[0-9]{1,20}", self.first_eq_sn):
            raise ValueError("first_eq_sn must be 1 to 20 digits")
        for digits in (self.first_id[1:], self.first_eq_sn):
            counted(digits, self.gantries - 1)
        if self.platform:
            url = urlsplit(self.platform)
            if url.scheme not in ("http", "https") or not url.hostname:
                raise ValueError("platform must be an http or https URL")
        if not (self.platform or self.cloud):
            raise ValueError("neither a platform nor a cloud is given")
        if self.remotecontrol and not (self.platform and self.worlds >= self.gantries):
            raise ValueError("remotecontrol needs a platform, and as many worlds as gantries")


def counted(first: str, more: int) -> str:
    """Return `first` + `more` in as many digits as `first`; raises ValueError if they overflow."""
    text = f"{int(first) + more:0{len(first)}}"
    if len(text) > len(first):
        raise ValueError(f"{first} has too few digits to count {more} further")
    return text
