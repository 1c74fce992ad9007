"""A program: the message as JSON on its standard input, in bounded time and with bounded output.

The command is a list of arguments, and no shell reads them. Exit code 0 is taken.
"""

import os
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.outage import Cause, Outage
from twisted_gantry.net.timers import Timer
from twisted_gantry.notify.interfaces import ISender, NotSent
from twisted_gantry.notify.settings import CalledSettings, Means
from twisted_gantry.wire.secret import shown

MOST_OUTPUT = 4096  # bytes that are read of its output
SHOWN = 200  # characters of its output in an error
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ")
"""Variables of our environment that the program gets; others may hold secrets."""


class ExecSettings(CalledSettings, frozen=True, kw_only=True):
    """`kind = "exec"`; `timeout` in seconds."""

    command: Annotated[list[str], msgspec.Meta(min_length=1, max_length=64)]
    timeout: Annotated[float, msgspec.Meta(gt=0, le=300)] = 30.0


def wrong_command(command: list[str]) -> str:
    """Return what is wrong with a command, empty if nothing is."""
    if not os.path.isabs(command[0]):  # noqa: PTH117 - a text
        return f"begins with the path of a program, such as /usr/local/bin/call: {command[0]!r}"
    return "has a zero byte" if any("\0" in each for each in command) else ""


@implementer(ISender)
class ExecSender:
    def __init__(self, settings: ExecSettings, means: Means) -> None:
        self._command, self._timeout = settings.command, settings.timeout
        self._reactor = means.reactor

    def send(self, body: bytes) -> Deferred[None]:
        run = _Run(body, self._reactor, self._timeout)
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        try:
            self._reactor.spawnProcess(
                run, self._command[0], self._command, env=environment, path="/"
            )
        except OSError as error:
            en, zh = "the program cannot be started", "程序无法启动"
            run.end(_not_sent(en, zh, f": {error.strerror}"))
        return run.done

    def close(self) -> Deferred[Any]:
        return succeed(None)


def _not_sent(en: str, zh: str, said: str = "") -> NotSent:
    return NotSent(Outage(Cause.OTHER, en + said, zh + said.replace(": ", "：", 1)))


class _Run(ProcessProtocol):
    def __init__(self, body: bytes, clock: Any, timeout: float) -> None:
        self.done: Deferred[None] = Deferred(lambda _: self._kill())
        self._body, self._timeout = body, timeout
        self._output = b""
        self._timer = Timer(clock, self._late)

    def connectionMade(self) -> None:
        self._timer.start(self._timeout)
        transport: Any = self.transport
        transport.write(self._body)
        transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        self._output += data[: MOST_OUTPUT - len(self._output)]

    errReceived = outReceived

    def processExited(self, reason: Failure) -> None:
        """Judge by the exit code: a child of the program may keep its output open."""
        transport: Any = self.transport
        transport.loseConnection()
        error: Any = reason.value
        code, signal = getattr(error, "exitCode", None), getattr(error, "signal", None)
        if code == 0:
            self.end(None)
            return
        said = f": {shown(self._output, most=SHOWN)}" if self._output else ""
        if code is None:
            en, zh = f"the program was ended by signal {signal}", f"程序被信号{signal}终止"
        else:
            en, zh = f"the program exits with {code}", f"程序退出码为{code}"
        self.end(_not_sent(en, zh, said))

    def end(self, error: NotSent | None) -> None:
        self._timer.cancel()
        if not self.done.called:
            if error is None:
                self.done.callback(None)
            else:
                self.done.errback(error)

    def _late(self) -> None:
        self._kill()
        seconds = f"{self._timeout:g}"
        self.end(
            _not_sent(f"the program did not end within {seconds} s", f"程序{seconds}秒内未结束")
        )

    def _kill(self) -> None:
        self._timer.cancel()
        transport: Any = self.transport
        try:
            if transport is not None:
                transport.signalProcess("KILL")
        except ProcessExitedAlready:
            pass
