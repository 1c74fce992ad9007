"""The console: a line is kept in the audit, run as Python, and its result shown.

It knows no transport; `service.py` and `ssh.py` bring the lines and the terminals.
"""

import ast
import codeop
import inspect
import re
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import count
from pprint import pformat
from types import CodeType
from typing import Any, NoReturn, Protocol

from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.commands.types import Argument, CommandResult, Outcome
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.manhole.lines import masked

_log = Logger(namespace="twisted_gantry.manhole")

# Lines that may wait while one runs; characters of one statement, which the audit keeps whole;
# characters of one value that are shown.
MAX_WAITING = 500
MAX_STATEMENT = 4000
MAX_SHOWN = 65_536
# Seconds for the audit to keep a line; a statement that is not kept is not run.
AUDIT_PATIENCE = 10.0

_FILE = "<manhole>"
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

_HELP = """\
This is the running gantry: a slow line stops the whole daemon, an await does not.
  site                  the whole state: points, alarms, door, store, devices, uplinks
  devices["ups1"]       a device: .status .commands .kind; uplinks["etc"] an uplink
  store                 the outbox, settings and audit: await store.ledger("etc")
  command("ups1", "SON", confirm=True, …)
                        a command, checked and audited as any other; one that can hurt
                        is refused without confirm=True
  _                     the last result; print(…) writes here; exit() or Ctrl-D leaves
A line may await: await command("ups1", "query", cmd="QAD"). A Deferred that is not awaited shows
its result when it fires. Every line is kept in the audit, secrets as ***.
"""


@dataclass(frozen=True)
class Context:
    """What every session of the manhole works with. `now` returns Unix seconds."""

    site: Site
    clock: IReactorTime
    now: Callable[[], float]


class Screen(Protocol):
    def say(self, text: str) -> None:
        """Show whole lines of text, which hold no control characters."""

    def prompt(self, *, more: bool) -> None:
        """Ask for a line, or for `more` of an incomplete statement."""

    def leave(self) -> None: ...


def printable(text: str) -> str:
    """Return a text of at most `MAX_SHOWN` characters, its control characters spelled out."""
    if len(text) > MAX_SHOWN:
        text = f"{text[:MAX_SHOWN]}… {len(text) - MAX_SHOWN} characters more"
    text = _UNPRINTABLE.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return text.encode("utf-8", "backslashreplace").decode()


class _Help:
    """Shows the help, called or named; Python's own `help` would wait for a keyboard."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say

    def __call__(self, *_: object) -> None:
        self._say(_HELP)

    def __repr__(self) -> str:
        return _HELP


class Console:
    """One session of `who`, the name in the audit. Statements run one after the other."""

    def __init__(self, context: Context, who: str, screen: Screen) -> None:
        self._site, self._clock, self._now = context.site, context.clock, context.now
        self._who, self._screen = who, screen
        self._lines: deque[str] = deque()
        self._begun: list[str] = []  # lines of an incomplete statement
        self._running: Deferred[None] | None = None
        self._working = self._ending = self._closed = False
        self._numbers = count(1)
        self._compile = codeop.CommandCompiler()
        self._compile.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self.namespace = self._namespace()
        _log.info("{who} logged in", who=who)
        screen.say("twisted_gantry manhole; help() shows what you can use\n")
        screen.prompt(more=False)

    def enter(self, line: str) -> None:
        """Take a line; it runs after the lines before it."""
        if self._closed or self._ending:
            return
        if len(self._lines) >= MAX_WAITING:
            self._say(f"more than {MAX_WAITING} lines wait; this one was dropped")
            return
        self._lines.append(line.replace("\r", " "))
        self._work()

    def interrupt(self) -> None:
        """Cancel the running statement; drop waiting lines and an incomplete statement."""
        self._lines.clear()
        self._begun.clear()
        if self._running is not None:
            self._running.cancel()
        else:
            self._say("interrupted")
            self._screen.prompt(more=False)

    def end(self) -> None:
        """Leave after the lines entered so far have run; no more will come."""
        self._ending = True
        if not self._working:
            self._leave()

    def closed(self) -> None:
        """Handle the loss of the connection: the running statement is cancelled."""
        if self._closed:
            return
        self._closed = True
        self._lines.clear()
        if self._running is not None:
            self._running.cancel()
        _log.info("{who} left", who=self._who)

    # -- running lines

    def _work(self) -> None:
        if not self._working:
            self._working = True
            working = ensureDeferred(self._drain())
            working.addErrback(lambda f: _log.failure("the manhole failed", failure=f))

    async def _drain(self) -> None:
        try:
            while self._lines:
                more = await self._take(self._lines.popleft())
                if not self._closed and not self._ending:
                    self._screen.prompt(more=more)
        finally:
            self._working = False
        if self._ending:
            self._leave()

    async def _take(self, line: str) -> bool:
        """Take a line; return True if the statement needs more lines."""
        self._begun.append(line)
        source = "\n".join(self._begun)
        if len(source) > MAX_STATEMENT:
            self._begun.clear()
            self._say(f"a statement has at most {MAX_STATEMENT} characters; this one was not run")
            return False
        try:
            if self._compile(source, _FILE, "single") is None:
                return True
        except (SyntaxError, ValueError, OverflowError, RecursionError, MemoryError):
            pass  # the audit keeps the statement, running it shows the error
        self._begun.clear()
        if source.strip():
            self._running = ensureDeferred(self._statement(source))
            try:
                await self._running
            finally:
                self._running = None
        return False

    async def _statement(self, source: str) -> None:
        """Keep a statement in the audit, run it, and keep its result."""
        store = self._site.store
        number, line = self._site.door.new_id(), {"line": masked(source, self._arguments)}
        entry = AuditEntry(number, self._now(), self._who, "gantry", "manhole", line)
        try:
            kept: Deferred[Any] = store.begin_command(entry)
            await kept.addTimeout(AUDIT_PATIENCE, self._clock)
        except Exception as error:
            self._say(f"not run, because the audit failed: {type(error).__name__}")
            return
        result, detail = Outcome.DONE, ""
        try:
            await self._run(source)
        except CancelledError:
            result, detail = Outcome.TIMEOUT, "interrupted"
            self._say("interrupted")
        except SystemExit:
            self._ending = True
            self._lines.clear()
        except (Exception, KeyboardInterrupt) as error:
            result, detail = Outcome.FAILED, type(error).__name__
            self._say(_told(error))
        end: Deferred[None] = store.end_command(replace(entry, result=result.value, detail=detail))
        end.addErrback(lambda f: _log.warn("the audit failed: {why}", why=f.getErrorMessage()))

    async def _run(self, source: str) -> None:
        body = ast.parse(source, _FILE).body
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        if body:
            await self._evaluate(ast.Module(body, []), "exec")
        if isinstance(last, ast.Expr):
            self._show(await self._evaluate(ast.Expression(last.value), "eval"))

    async def _evaluate(self, tree: ast.Module | ast.Expression, mode: str) -> Any:
        code: CodeType = compile(
            tree, _FILE, mode, flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True
        )
        result = eval(code, self.namespace)  # noqa: S307 - this is what a manhole is for
        return await result if code.co_flags & inspect.CO_COROUTINE else result

    # -- output

    def _say(self, text: str) -> None:
        if not self._closed:
            self._screen.say(printable(text.removesuffix("\n")) + "\n")

    def _show(self, value: object) -> None:
        if inspect.iscoroutine(value):
            value = ensureDeferred(value)
        if isinstance(value, Deferred):
            self._show_later(value)
        elif value is not None:
            self.namespace["_"] = value
            self._say(_shown(value))

    def _show_later(self, deferred: Deferred[Any]) -> None:
        name = f"Deferred {next(self._numbers)}"
        fired = False

        def good(result: object) -> object:
            nonlocal fired
            fired = True
            if result is not None:
                self.namespace["_"] = result
            self._say(f"{name}: {_shown(result)}")
            return result

        def bad(failure: Failure) -> None:
            nonlocal fired
            fired = True
            assert failure.value is not None
            self._say(f"{name} failed: {_told(failure.value)}")

        deferred.addCallbacks(good, bad)
        if not fired:
            self._say(f"<{name}: shown when it fires>")

    def _leave(self) -> None:
        if not self._closed:
            self._screen.leave()

    # -- the namespace

    def _namespace(self) -> dict[str, Any]:
        def leave() -> NoReturn:
            raise SystemExit

        def would_block(*_: object) -> NoReturn:
            raise RuntimeError("this would stop the daemon")

        def show(*values: object, sep: str = " ", end: str = "") -> None:
            self._say(sep.join(map(str, values)) + end)

        site = self._site
        return {
            "__name__": "__manhole__",
            "site": site,
            "devices": site.devices,
            "uplinks": site.uplinks,
            "store": site.store,
            "command": self._command,
            "help": _Help(self._say),
            "print": show,
            "exit": leave,
            "quit": leave,
            "input": would_block,
            "breakpoint": would_block,
            "_": None,
        }

    def _command(
        self, target: str, command: str, /, *, confirm: bool = False, **args: Any
    ) -> Deferred[CommandResult]:
        door = self._site.door
        return door.run(Request(target, command, args, self._who, door.new_id(), confirmed=confirm))

    def _arguments(self, command: str) -> Mapping[str, Argument] | None:
        """Return the arguments of a command; secret if any device keeps them secret."""
        merged: dict[str, Argument] | None = None
        for device in self._site.devices.values():
            if command in device.commands:
                merged = merged or {}
                for name, argument in device.commands[command].arguments.items():
                    if name not in merged or argument.secret:
                        merged[name] = argument
        return merged


def _shown(value: object) -> str:
    try:
        return pformat(value, width=100, sort_dicts=False)
    except Exception as error:  # from the `__repr__` of any type
        return f"<a {type(value).__name__}, its repr fails: {type(error).__name__}>"


def _told(error: BaseException) -> str:
    """Return an error with its traceback below the entered line."""
    place = error.__traceback__
    while place is not None and place.tb_frame.f_code.co_filename != _FILE:
        place = place.tb_next
    if place is None:
        return "".join(traceback.format_exception_only(error))
    return "".join(traceback.format_exception(type(error), error, place))
