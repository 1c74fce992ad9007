"""Why there is no connection to a broker: the cause, in words of MQTT where it has any."""

import errno
import socket
import ssl
import struct
from dataclasses import dataclass
from typing import Any

from paho.mqtt import MQTTException

from twisted_gantry.bridges.mqtt.settings import Broker
from twisted_gantry.net.outage import Cause, Outage, outage

# The codes of a CONNACK: those of MQTT 3.1.1 by what paho makes of them, the numbers of MQTT 5.
_CODES_OF_3 = {132: 1, 133: 2, 136: 3, 134: 4, 135: 5}
_REFUSALS = {
    132: (
        Cause.NOT_PROTOCOL,
        "the broker does not speak this version of MQTT: set version",
        "服务器不支持该MQTT版本：请更改version",
    ),
    133: (
        Cause.WRONG_IDENTITY,
        "the broker refuses the client_id",
        "服务器不接受client_id",
    ),
    134: (
        Cause.PASSWORD,
        "the broker refuses the user or the password",
        "服务器拒绝用户名或密码",
    ),
    135: (
        Cause.PASSWORD,
        "the broker does not let us in: user, password or its access list",
        "服务器拒绝登录：用户名、密码或访问列表",
    ),
    136: (Cause.BUSY, "the broker is not available", "服务器不可用"),
    137: (Cause.BUSY, "the broker is busy", "服务器忙"),
    138: (Cause.PASSWORD, "the broker has banned us", "服务器已封禁本机"),
    142: (
        Cause.WRONG_IDENTITY,
        "another client has connected with our client_id",
        "另一客户端使用了相同的client_id",
    ),
    151: (Cause.BUSY, "the broker says that a quota is exceeded", "服务器称已超出配额"),
    159: (Cause.BUSY, "the broker says that we connect too often", "服务器称连接过于频繁"),
}
# Mistakes that only a person mends: there is no hurry to try again.
_FOR_PEOPLE = frozenset({132, 133, 134, 135, 138})
_KEEPALIVE = 141
# What paho raises for bytes that are no MQTT.
_OF_THE_PEER = (MQTTException, struct.error, ValueError, LookupError, OSError)

CLOSED = outage(Cause.CLOSED, en="the broker closed the connection", zh="服务器关闭了连接")
FOREIGN = outage(Cause.NOT_PROTOCOL)
MUTE = outage(Cause.SILENT, en="the broker acknowledges nothing", zh="服务器不确认任何消息")
LATE = outage(
    Cause.SILENT,
    en="the broker acknowledges far too slowly",
    zh="服务器确认消息过慢",
)
TOO_LARGE = outage(
    Cause.FLOOD, en="the broker sends a packet of over 16 KiB", zh="服务器的报文超过16 KiB"
)
FLOODED = outage(Cause.FLOOD, en="the broker sends too many messages", zh="服务器发送的消息过多")


@dataclass(frozen=True)
class Ending:
    """Why a connection ended. `hurry`: whether it is of use to try again soon."""

    reason: Outage
    was_online: bool = False
    hurry: bool = True


def silent(seconds: float) -> Ending:
    """Return the ending for a broker that does not answer our CONNECT."""
    en, zh = f"no answer within {seconds:g} s", f"{seconds:g}秒内无应答"
    return Ending(outage(Cause.SILENT, en=en, zh=zh))


def refusal(code: Any, *, is_5: bool, was_online: bool = False) -> Ending:
    """Return the ending by the reason code of a CONNACK or of a broker's DISCONNECT."""
    number = code.value if is_5 else _CODES_OF_3.get(code.value, code.value)
    unknown = (Cause.ERROR_ANSWER, f"the broker ended it: {code}", f"服务器断开：{code}")
    cause, en, zh = _REFUSALS.get(code.value, unknown)
    told = outage(cause, en=f"{en} (code {number})", zh=f"{zh}（代码{number}）")
    return Ending(told, was_online, hurry=code.value not in _FOR_PEOPLE)


def loss(why: Any, *, was_online: bool) -> Ending:
    """Return why a connection ended, by paho's reason code or by an error of paho's."""
    if isinstance(why, _OF_THE_PEER):
        found = outage(Cause.NOT_PROTOCOL, type(why).__name__)
    elif isinstance(why, Exception):
        found = outage(Cause.LOCAL, f"{type(why).__name__}: {why}"[:200])
    elif why.value == _KEEPALIVE:
        found = outage(Cause.SILENT, en="the broker does not answer", zh="服务器无应答")
    else:
        found = CLOSED
    return Ending(found, was_online)


_ERRNO = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ENETUNREACH: Cause.NO_ROUTE,
    errno.EHOSTUNREACH: Cause.NO_ROUTE,
    errno.ECONNRESET: Cause.CLOSED,
}


def not_connected(error: Exception, broker: Broker) -> Ending:
    """Return why no connection was made."""
    return Ending(_not_connected(error, broker).at(broker.place))


def _not_connected(error: Exception, broker: Broker) -> Outage:
    if isinstance(error, ssl.SSLCertVerificationError):
        why, host = error.verify_message.rstrip("."), broker.host
        return outage(
            Cause.TLS,
            en=f"the certificate is refused ({why}): set ca to the PEM file of the authority that"
            f" signed it, or use its name in place of {host}",
            zh=f"证书被拒绝（{why}）：请将ca设为签发机构的PEM文件，或使用证书中的名称代替{host}",
        )
    if isinstance(error, ssl.SSLError):
        return outage(Cause.TLS, (error.reason or "broken").lower().replace("_", " "))
    if isinstance(error, socket.gaierror):
        return outage(Cause.NAME_UNKNOWN)
    if isinstance(error, TimeoutError):
        return outage(Cause.CONNECT_TIMEOUT)
    if isinstance(error, OSError) and error.errno in _ERRNO:
        return outage(_ERRNO[error.errno])
    text = str(error) or type(error).__name__
    return outage(Cause.LOCAL if isinstance(error, ValueError) else Cause.OTHER, text[:200])
