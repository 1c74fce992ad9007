"""`gantryctl probe`: ask a UPS card directly, without a gantry, for ratings and live values."""

import random
import select
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from math import inf
from pathlib import Path
from typing import Any

import click
from rich.text import Text

from twisted_gantry.core.secret import Secret
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.help import Command as HelpedCommand
from twisted_gantry.ctl.output import Column, plain, scalar, table, word
from twisted_gantry.ctl.session import Session, json_option, pass_session, read_secret
from twisted_gantry.devices.upscard.points import LABELS
from twisted_gantry.wire.errors import BadMessage, FrameTooLong, WireError
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard.messages import MAX_PASSWORD, CardRefusal, ErrorCode, Result
from twisted_gantry.wire.upscard.session import Ending, Exchange, NoReply, StayedBusy, Unread
from twisted_gantry.wire.upscard.session import Session as CardSession
from twisted_gantry.wire.upscard.values import Readings, Values, read_live, read_ratings

DEADLINE = 5.0  # seconds for the connection, and for each of the two questions


class _Timer:
    """The clock of a session, and the one call that a session schedules at a time."""

    def __init__(self) -> None:
        self.seconds = time.monotonic
        self._due = inf
        self._call: Callable[[], None] = self.cancel

    def callLater(self, delay: float, call: Callable[[], None], /) -> "_Timer":
        self._due, self._call = self.seconds() + delay, call
        return self

    def cancel(self) -> None:
        self._due = inf

    def left(self) -> float:
        return max(self._due - self.seconds(), 0.0)

    def run_due(self) -> None:
        if self.left() == 0:
            self.cancel()
            self._call()


class Card:
    """A card's connection and session, without a reactor; `address` is for messages."""

    def __init__(self, host: str, port: int, address: str, password: Secret | None) -> None:
        self.address = address
        self._framer, self._timer = ObjectFramer(), _Timer()
        self._heard = 0  # bytes since the question
        try:
            self._socket = socket.create_connection((host, port), DEADLINE)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise Trouble(
                "card-unreachable", Exit.UNREACHABLE, address=address, reason=reason
            ) from None
        self._session = CardSession(
            self._socket.sendall,
            self._timer,
            lambda: str(random.randrange(10_000_000, 100_000_000)),  # noqa: S311 - no secret
            lambda: None if password is None else password.reveal(),
        )

    def close(self) -> None:
        self._socket.close()

    def ask(self, cmd: str) -> Result:
        """Return the answer to `cmd`. Raises Trouble."""
        endings: list[Ending] = []
        self._heard = 0
        self._session.opened()
        try:
            self._session.submit(Exchange(cmd, endings.append, DEADLINE, DEADLINE))
            while not endings:
                self._step()
        except FrameTooLong as error:
            raise self._trouble("card-odd", cmd, detail=error) from None
        except OSError:
            raise self._trouble("card-closed", cmd) from None
        finally:
            self._framer.reset()
            self._session.closed()
        ending = endings[0]
        seconds = f"{DEADLINE:g}"
        match ending:
            case Result():
                return ending
            case CardRefusal(result=ErrorCode.PASSWORD_ERROR):
                raise self._trouble("card-password", cmd, name=ending.name)
            case CardRefusal():
                raise self._trouble("card-refused", cmd, name=ending.name)
            case Unread():
                raise self._trouble("card-odd", cmd, detail=ending)
            case StayedBusy():
                raise self._trouble("card-busy", cmd, Exit.UNKNOWN, seconds=seconds)
            case NoReply():
                heard = self._heard
                raise self._trouble("card-silent", cmd, Exit.UNKNOWN, seconds=seconds, heard=heard)
        raise self._trouble("card-odd", cmd, detail=ending)

    def _step(self) -> None:
        readable, _, _ = select.select([self._socket], [], [], self._timer.left())
        if readable:
            data = self._socket.recv(65536)
            if not data:
                raise ConnectionError
            self._heard += len(data)
            for frame in self._framer.feed(data):
                self._session.received(frame)
        self._timer.run_due()

    def _trouble(
        self, key: str, cmd: str, exit_code: int = Exit.WRONG, /, **fields: object
    ) -> Trouble:
        return Trouble(key, exit_code, cmd=cmd, address=self.address, **fields)


def parse_address(address: str) -> tuple[str, int]:
    """Return host and port out of `tcp:HOST:PORT`; an IPv6 host in brackets. Raises Trouble."""
    scheme, _, rest = address.partition(":")
    host, _, port = rest.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    good = host and (bracketed or ":" not in host) and port.isascii() and port.isdigit()
    if scheme != "tcp" or not good or len(port) > 5 or not 0 < int(port) < 65536:
        raise Trouble("bad-address", Exit.USAGE, address=address)
    return host.strip("[]"), int(port)


def _password(path: Path | None) -> Secret | None:
    if path is None:
        return None
    password = read_secret(path)
    if len(password.reveal()) > MAX_PASSWORD:
        raise Trouble("bad-card-password", Exit.USAGE)
    return password


@click.command(
    cls=HelpedCommand, short_help="Ask a UPS card directly, no gantry needed. · 直接查询UPS管理卡"
)
@click.argument("address", metavar="tcp:HOST:PORT")
@click.option(
    "--password-file",
    type=click.Path(path_type=Path),
    metavar="F",
    help="Holds the card's password. · 管理卡密码文件。",
)
@click.option(
    "--runtime-unit",
    type=click.Choice(["s", "min"]),
    default="s",
    help="In what the card counts the time left (s). · 剩余时间单位（s）。",
)
@json_option
@pass_session
def probe(session: Session, address: str, password_file: Path | None, runtime_unit: str) -> int:
    """Ask the UPS card at tcp:HOST:PORT for its ratings (RTD) and live values (QAD).

    It changes nothing, and needs no gantry. Each question has 5 s.

    直接查询UPS管理卡的额定值（RTD）与实时值（QAD），不改变任何设置，不需要门架程序，每次限时5秒。

    \b
    Exit code · 退出码
      0  both were answered · 均有应答
      1  an answer was wrong, or a refusal · 应答错误或被拒绝
      2  no connection · 无法连接
      3  no answer in time · 应答超时
    """
    host, port = parse_address(address)
    texts = session.texts
    decoders: Mapping[str, Callable[[str], Values]] = {
        "RTD": read_ratings,
        "QAD": lambda value: read_live(value, runtime_unit=runtime_unit),
    }
    readings: Readings = {}
    troubles: dict[str, Trouble] = {}
    uid: str | None = None
    password = _password(password_file)
    asking = session.waiting(texts("asking", where=address))
    with asking, closing(Card(host, port, address, password)) as card:
        for cmd, decode in decoders.items():
            try:
                result = card.ask(cmd)
                uid = result.uid
                values = decode(result.value)
                readings |= values.readings
                if values.wrong:
                    raise BadMessage(values.wrong[0])
            except WireError as error:
                troubles[cmd] = Trouble("card-odd", cmd=cmd, address=address, detail=error)
            except Trouble as trouble:
                troubles[cmd] = trouble
    _show(session, address, uid, readings, troubles)
    return max((trouble.exit_code for trouble in troubles.values()), default=Exit.FINE)


def _show(
    session: Session,
    address: str,
    uid: str | None,
    readings: Readings,
    troubles: Mapping[str, Trouble],
) -> None:
    texts = session.texts
    if session.json:
        errors = [
            {"command": cmd, "code": trouble.code, "message": session.explain(trouble)}
            for cmd, trouble in troubles.items()
        ]
        listed: list[dict[str, Any]] = [
            {
                "name": name,
                "label": {"en": LABELS[name][0], "zh": LABELS[name][1]},
                "value": each.value,
                "unit": each.unit,
                "quality": each.quality.value,
            }
            for name, each in readings.items()
        ]
        session.show_json({"address": address, "uid": uid, "readings": listed, "errors": errors})
        return
    if readings:
        columns = (
            *Column.each("point", "label"),
            Column("value", number=True),
            *Column.each("unit", "quality"),
        )
        rows = [
            (
                name,
                texts.pick(*LABELS[name]),
                scalar(texts, each.value),
                each.unit,
                word(texts, each.quality.value),
            )
            for name, each in readings.items()
        ]
        head = Text(texts("card-line", uid=plain(uid or ""), address=address), "bold")
        session.show(head, table(texts, session.console(), columns, rows))
    for trouble in troubles.values():
        session.fail(trouble)
