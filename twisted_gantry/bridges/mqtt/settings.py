"""The keys of `[bridge.mqtt]`, and what is wrong with them."""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Literal

import msgspec

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.endpoints import split_endpoint
from twisted_gantry.net.pem import TlsSettings
from twisted_gantry.wire.secret import Secret

PORTS = {"tcp": 1883, "ssl": 8883, "tls": 8883}
LONGEST_TOPIC = 200  # characters of `topic`
EXAMPLE = "tcp:192.168.1.10:1883 or ssl:broker.example:8883"
_BAD_IN_TOPIC = re.compile(r"[+#\x00-\x1f\x7f]")


class MqttSettings(TlsSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[bridge.mqtt]`; `period` is seconds, 0 is never. `{id}` in `topic` is the
    number of the gantry. Without a `client_id` that number is the client's.
    """

    address: str
    user: Annotated[str, msgspec.Meta(max_length=256)] = ""
    password: Secret | None = None
    client_id: Annotated[str, msgspec.Meta(max_length=128)] = ""
    topic: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_TOPIC)] = "gantry/{id}"
    qos: Literal[0, 1, 2] = 1
    retain: bool = True
    discovery: Literal["homeassistant", ""] = "homeassistant"
    commands: bool = False
    period: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 0.0
    version: Literal["3.1.1", "5"] = "3.1.1"
    language: Literal["en", "zh"] = "en"


@dataclass(frozen=True)
class Broker:
    """Where a broker is: `tls` tells whether the connection is encrypted."""

    host: str
    port: int
    tls: bool

    @property
    def place(self) -> str:
        return f"{self.host}:{self.port}"


def broker_at(address: str) -> Broker:
    """Return the broker of an `address`. Raises ValueError, which shows no secret."""
    kind, positional, named = split_endpoint(address)
    host, port, *more = [*positional, "", ""]
    host, port = named.pop("host", host), named.pop("port", port)
    if kind not in PORTS or named or any(more) or not host or "@" in host or "/" in host:
        raise ValueError(f"must be an address such as {EXAMPLE}")
    if not re.fullmatch(r"[0-9]{0,5}", port) or not 0 < int(port or 1) <= 65_535:
        raise ValueError(f"a port is 1 to 65535; it is {port!r}")
    return Broker(host, int(port or PORTS[kind]), kind != "tcp")


def wrong_address(address: str) -> str:
    try:
        broker_at(address)
    except ValueError as error:
        return str(error)
    return ""


def wrong_topic(topic: str) -> str:
    """Return what is wrong with the first levels of the topics, empty if nothing is."""
    if _BAD_IN_TOPIC.search(topic):
        return f"must not have + or # or a control character; it is {topic!r}"
    if topic.startswith("$") or "" in topic.split("/"):
        return f"must not begin with $, and no level between / may be empty; it is {topic!r}"
    return ""


def wrong_together(settings: MqttSettings) -> dict[str, str]:
    """Return what is wrong with keys beside others, by the key."""
    wrong: dict[str, str] = {}
    broker = broker_at(settings.address)
    if settings.password is not None and not settings.user:
        wrong["user"] = "is missing: a password belongs to a user"
    if settings.commands and not is_loopback(broker.host):
        lacking = [] if settings.user else ["a user"]
        lacking += [] if broker.tls else ["TLS (an address ssl:…)"]
        if lacking:
            text = f"from a broker at {broker.host} commands need {' and '.join(lacking)}"
            wrong["commands"] = text
    return wrong


def wrong_library() -> str:
    """Return what is to be installed for the bridge, empty if nothing is."""
    try:
        found = version("paho-mqtt")
    except PackageNotFoundError:
        found = ""
    if found.partition(".")[0] == "2":
        return ""
    have = f"paho-mqtt {found} is too old" if found else "there is no paho-mqtt"
    return f"{have}: pip install 'twisted-gantry[mqtt]'"
