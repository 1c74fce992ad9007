"""Why a peer cannot be reached or read: one vocabulary for every kind of device and every uplink.

A `Cause` is a stable code. `WORDS` says each in English and in Chinese, and what to do about it.
`outage_of` finds the cause of an error of the network; who speaks a protocol knows the others.
The table in `docs/troubleshooting.md` is compared with `WORDS` by a test.
"""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from twisted.internet import error as net

MOST_SHOWN = 60  # bytes of the beginning of what a peer of another protocol sends


class Cause(StrEnum):
    """The causes, as programs see them."""

    NAME_UNKNOWN = "name-unknown"
    NO_ROUTE = "no-route"
    REFUSED = "refused"
    CONNECT_TIMEOUT = "connect-timeout"
    TLS = "tls"
    CLOSED = "closed"
    SILENT = "silent"
    NOT_PROTOCOL = "not-protocol"
    MALFORMED = "malformed"
    PASSWORD = "password"  # noqa: S105 - the name of a cause
    BUSY = "busy"
    WRONG_IDENTITY = "wrong-identity"
    CLOCK = "clock"
    ERROR_ANSWER = "error-answer"
    NO_UPLOAD = "no-upload"
    FLOOD = "flood"
    LOCAL = "local"
    OTHER = "other"


class Words(NamedTuple):
    """A cause, and the next step of a person, in both languages."""

    en: str
    zh: str
    advice: str
    advice_zh: str


WORDS: Mapping[Cause, Words] = {
    Cause.NAME_UNKNOWN: Words(
        "the name of the host is not known (DNS)",
        "主机名无法解析（DNS）",
        "Check the spelling of the name and the name server of this computer, or write the IP"
        " address.",
        "检查主机名拼写和本机DNS设置，或直接填写IP地址。",
    ),
    Cause.NO_ROUTE: Words(
        "no route to the host",
        "没有到达对端的路由",
        "Check the cable of this computer, its address, mask and gateway, and whether the peer is"
        " powered in the same network.",
        "检查本机网线、IP地址、掩码和网关，并确认对端已上电且在同一网络。",
    ),
    Cause.REFUSED: Words(
        "the connection is refused: the host is there, but nothing listens at this port",
        "连接被拒绝：主机在线，但该端口无服务",
        "Compare the port with the settings of the peer, and check that its service runs and does"
        " not block this computer.",
        "核对端口号与对端设置，确认对端服务已启动且未屏蔽本机。",
    ),
    Cause.CONNECT_TIMEOUT: Words(
        "no answer to the connection: cable, power or host dead",
        "连接无响应：网线、电源或主机故障",
        "Check power and network cable of the peer, try to ping its address, and look for a"
        " firewall in between.",
        "检查对端电源和网线，尝试ping其地址，并检查中间防火墙。",
    ),
    Cause.TLS: Words(
        "TLS fails",
        "TLS（证书或加密）失败",
        "Use the name that the certificate has, set ca to the file of the authority that signed"
        " it, renew an expired one, or set the clock; http instead of https if the peer has no"
        " TLS.",
        "使用证书中的名称，将ca设为签发机构的证书文件，更换过期证书或校准时钟；"
        "对端不支持TLS时改用http。",
    ),
    Cause.CLOSED: Words(
        "the peer closes the connection before it replied",
        "对端未应答即关闭连接",
        "Check that no other program holds the only session, that the peer allows this computer,"
        " and that the port is that of this protocol.",
        "确认没有其他程序占用唯一会话、对端允许本机访问，且端口属于该协议。",
    ),
    Cause.SILENT: Words(
        "connected, but nothing comes",
        "已连接但无应答",
        "Check that the port is that of this protocol, the terminator of commands, and restart the"
        " peer if it hangs.",
        "确认端口属于该协议，检查命令结束符（terminator）；对端死机时重启。",
    ),
    Cause.NOT_PROTOCOL: Words(
        "the peer does not speak this protocol",
        "对端使用的不是本协议",
        "Another service answers at this address: correct address, port or path, or the kind of"
        " the device.",
        "该地址上是其他服务：请更正地址、端口、路径或设备类型。",
    ),
    Cause.MALFORMED: Words(
        "the answer cannot be read",
        "应答内容无法识别",
        "Record the traffic ([record]) and compare it with the protocol; look for a bad cable or"
        " another firmware.",
        "用[record]录制报文并与协议对照；检查线路质量或固件版本。",
    ),
    Cause.PASSWORD: Words(
        "the password or code is refused",
        "密码或授权码被拒绝",
        "Set the password, auth, token or api_key of this peer in the configuration, and reload.",
        "在配置中更正该对端的password、auth、token或api_key，然后重新加载。",
    ),
    Cause.BUSY: Words(
        "the peer stays busy",
        "对端一直忙",
        "Close other programs that use the peer (it may take one session only), or raise poll.",
        "关闭占用对端的其他程序（可能只允许一个会话），或增大poll。",
    ),
    Cause.WRONG_IDENTITY: Words(
        "another one answers than the configured",
        "应答者与配置不符",
        "Compare gantry_id, cabinet_id, device_uid, eq_sn and the address with the peer.",
        "将gantry_id、cabinet_id、device_uid、eq_sn和地址与对端核对。",
    ),
    Cause.CLOCK: Words(
        "the clocks of both sides differ",
        "双方时钟不一致",
        "Set the clock of this computer (time server), or have that of the peer set.",
        "校准本机时钟（时间服务器），或请对端校准。",
    ),
    Cause.ERROR_ANSWER: Words(
        "the peer answers with an error",
        "对端返回错误",
        "Look up the code in the pages of the protocol, and at the log of the peer.",
        "在协议说明中查找该代码，并查看对端日志。",
    ),
    Cause.NO_UPLOAD: Words(
        "the peer takes commands, but what it should send to us does not come",
        "对端接受命令，但其上报未到达本机",
        "Check the server address set in the peer, our listen or callback address, and the firewall"
        " of this computer.",
        "检查对端中设置的服务器地址、本机listen或callback地址以及本机防火墙。",
    ),
    Cause.FLOOD: Words(
        "the peer floods the connection",
        "对端大量发送无用数据",
        "Restart the peer, and check that the port is that of this protocol.",
        "重启对端，并确认端口属于该协议。",
    ),
    Cause.LOCAL: Words(
        "this computer is at fault",
        "本机故障",
        "Look at the log and at disk, memory and settings of this computer.",
        "查看日志以及本机磁盘、内存和配置。",
    ),
    Cause.OTHER: Words(
        "it does not work",
        "异常",
        "Look at the log around this time.",
        "查看该时间前后的日志。",
    ),
}


@dataclass(frozen=True)
class Outage:
    """A cause with its particulars; the texts hold no secret."""

    cause: Cause
    en: str
    zh: str

    def __str__(self) -> str:
        return self.en

    @property
    def advice(self) -> str:
        return WORDS[self.cause].advice

    @property
    def advice_zh(self) -> str:
        return WORDS[self.cause].advice_zh

    def at(self, where: str) -> "Outage":
        """Return the same with the place before it."""
        return replace(self, en=f"{where}: {self.en}", zh=f"{where}：{self.zh}")

    def in_a_row(self, times: int) -> "Outage":
        """Return the same with the number of failures, from the second on."""
        if times < 2:
            return self
        return replace(
            self, en=f"{self.en}, {times} times in a row", zh=f"{self.zh}，连续{times}次"
        )


Reason = str | Outage
"""Why something failed. A text alone is that of a kind of device that names no cause."""


def outage(cause: Cause, detail: str = "", *, en: str = "", zh: str = "") -> Outage:
    """Return an outage. `detail` reads the same in both languages; `en` and `zh` take the place of
    the words of the cause and the detail.
    """
    words = WORDS[cause]
    return Outage(
        cause,
        en or (f"{words.en}: {detail}" if detail else words.en),
        zh or (f"{words.zh}：{detail}" if detail else words.zh),
    )


def as_outage(reason: Reason) -> Outage:
    return Outage(Cause.OTHER, reason, reason) if isinstance(reason, str) else reason


_ERRNO = {
    errno.ECONNREFUSED: Cause.REFUSED,
    errno.ENOENT: Cause.REFUSED,  # of a UNIX socket
    errno.ENETUNREACH: Cause.NO_ROUTE,
    errno.EHOSTUNREACH: Cause.NO_ROUTE,
    errno.ENETDOWN: Cause.NO_ROUTE,
    errno.EHOSTDOWN: Cause.NO_ROUTE,
    errno.ETIMEDOUT: Cause.CONNECT_TIMEOUT,
    errno.ECONNRESET: Cause.CLOSED,
}
_TYPES: tuple[tuple[tuple[type[BaseException], ...], Cause], ...] = (
    ((net.DNSLookupError, net.UnknownHostError), Cause.NAME_UNKNOWN),
    ((net.ConnectionRefusedError,), Cause.REFUSED),
    ((net.NoRouteError,), Cause.NO_ROUTE),
    ((net.TimeoutError, net.TCPTimedOutError), Cause.CONNECT_TIMEOUT),
)
_LOST = (net.ConnectionDone, net.ConnectionLost, net.ConnectionAborted)


def outage_of(error: BaseException | None) -> Outage:
    """Return why an attempt to connect failed, or why a connection was lost."""
    known = getattr(error, "outage", None)
    if isinstance(known, Outage):
        return known
    if type(error).__module__.startswith("OpenSSL"):
        # Imported here: OpenSSL takes long to load, and gantryctl needs the words alone.
        from twisted_gantry.net.tls import tls_words

        en, zh = tls_words(error)
        return Outage(Cause.TLS, en, zh)
    number = getattr(error, "osError", None)
    if isinstance(number, int) and number in _ERRNO:
        return outage(_ERRNO[number])
    if isinstance(error, _LOST):
        return outage(Cause.CLOSED, en="the connection was closed", zh="连接被关闭")
    for types, cause in _TYPES:
        if isinstance(error, types):
            return outage(cause)
    text = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return outage(Cause.OTHER, text, en=text)


def no_connection_within(seconds: float) -> Outage:
    """Return the outage for an attempt to connect that was given up after `seconds`."""
    zh = f"{seconds:g}秒内未能建立连接：网线、电源或主机故障"
    return outage(Cause.CONNECT_TIMEOUT, en=f"no connection within {seconds:g} s", zh=zh)


def lost(found: Outage, first: bytes, heard: bool) -> Outage:
    """Return why a connection ended, by `found`, that had brought the bytes `first`; `heard`: a
    message of the protocol was among them.
    """
    if found.cause is not Cause.CLOSED or heard:
        return found
    return not_protocol(first) if first else outage(Cause.CLOSED)


def first_bytes(data: bytes) -> str:
    """Return the first line of what came, at most `MOST_SHOWN` bytes, printable. Of a request that
    is echoed only the method is shown: the rest may hold a password.
    """
    line = re.split(rb"[\r\n]", data.lstrip(b"\r\n"), maxsplit=1)[0]
    echoed = re.match(rb"(GET|HEAD|POST|PUT|PATCH|DELETE) ", line)
    shown = echoed[0] if echoed else line[:MOST_SHOWN]
    text = shown.decode("ascii", "backslashreplace").encode("unicode_escape").decode("ascii")
    text = text.replace("\\\\", "\\")
    return text + ("…" if len(shown) < len(line) else "")


def of_status(status: int, en: str, zh: str) -> Outage:
    """Return the outage for an HTTP status that is no success; `en` and `zh` name the peer."""
    if status in (401, 403, 407):
        cause = Cause.PASSWORD
    elif status in (429, 503):
        cause = Cause.BUSY
    elif 300 <= status < 500:  # no such path or method: another service
        cause = Cause.NOT_PROTOCOL
    else:
        cause = Cause.ERROR_ANSWER
    return outage(cause, en=f"{en} answers HTTP {status}", zh=f"{zh}应答HTTP {status}")


def not_protocol(data: bytes) -> Outage:
    """Return the outage for the first bytes of another protocol."""
    return outage(Cause.NOT_PROTOCOL, first_bytes(data))


def unread(quoted: str, why: str) -> Outage:
    """Return the outage for an answer, quoted without secrets, that cannot be read: text that does
    not begin like JSON is of another protocol.
    """
    if quoted.strip() and quoted.strip()[0] not in "{[(":
        return outage(Cause.NOT_PROTOCOL, quoted[:MOST_SHOWN], en=f"{why}: {quoted}")
    words = WORDS[Cause.MALFORMED]
    return Outage(Cause.MALFORMED, f"{why}: {quoted}" if quoted else why, f"{words.zh}：{quoted}")
