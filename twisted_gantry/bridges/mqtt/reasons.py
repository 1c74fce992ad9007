"""Why there is no connection to a broker, in words that tell what to do."""

import socket
import ssl
from dataclasses import dataclass
from typing import Any

from twisted_gantry.bridges.mqtt.settings import Broker

# The codes of a CONNACK: those of MQTT 3.1.1 by what paho makes of them, the numbers of MQTT 5.
_CODES_OF_3 = {132: 1, 133: 2, 136: 3, 134: 4, 135: 5}
_REFUSALS = {
    132: "the broker does not speak this version of MQTT: set version",
    133: "the broker refuses the client_id",
    134: "the broker refuses the user or the password",
    135: "the broker does not let us in: check user and password, and its access list",
    136: "the broker is not available",
    137: "the broker is busy",
    138: "the broker has banned us",
    142: "another client has connected with our client_id",
    151: "the broker says that a quota is exceeded",
    159: "the broker says that we connect too often",
}
# Mistakes that only a person mends: there is no hurry to try again.
_FOR_PEOPLE = frozenset({132, 133, 134, 135, 138})
KEEPALIVE = 141

_HOW_TO_TRUST = "set ca to the PEM file of the authority that signed it"


@dataclass(frozen=True)
class Ending:
    """Why a connection ended. `for_people`: only a person can mend that."""

    reason: str
    was_online: bool = False
    for_people: bool = False
    flooded: bool = False


def refused_words(code: Any, *, is_5: bool) -> Ending:
    """Return the ending by the reason code of a CONNACK or of a broker's DISCONNECT."""
    number = code.value if is_5 else _CODES_OF_3.get(code.value, code.value)
    text = _REFUSALS.get(code.value, f"the broker ended the connection: {code}")
    return Ending(f"{text} (code {number})", for_people=code.value in _FOR_PEOPLE)


def ended_words(why: Any) -> str:
    """Return why a connection ended, by paho's reason code or by an error."""
    if isinstance(why, Exception):
        return f"what the broker sends is no MQTT ({type(why).__name__})"
    if why.value == KEEPALIVE:
        return "the broker does not answer"
    return "the broker closed the connection"


def connect_words(error: Exception, broker: Broker) -> str:
    """Return why no connection was made."""
    host, place = broker.host, broker.place
    if isinstance(error, ssl.SSLCertVerificationError):
        why = error.verify_message.rstrip(".")
        return f"the certificate of {host} is refused: {why}; {_HOW_TO_TRUST}, or use its name"
    if isinstance(error, ssl.SSLError):
        return f"no TLS with {place}: {(error.reason or 'broken').lower().replace('_', ' ')}"
    if isinstance(error, socket.gaierror):
        return f"no address is known for {host}"
    if isinstance(error, ConnectionRefusedError):
        return f"nothing listens at {place}"
    if isinstance(error, TimeoutError):
        return f"no answer from {place}"
    if isinstance(error, OSError) and error.strerror:
        return f"{place}: {error.strerror}"
    return f"{place}: {type(error).__name__}: {error}"
