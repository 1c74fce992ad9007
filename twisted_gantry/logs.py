"""The log: levels, lines for people or as JSON; a repeated line is counted, not repeated.

twistd -n gantry …                                      lines for people
twistd -n --logger twisted_gantry.logs.json_log gantry  one JSON object a line
"""

import json
import os
import re
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

import msgspec
from twisted.logger import ILogObserver, LogEvent, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted import logger
from twisted_gantry.texts.phrases import Language, preferred, table
from twisted_gantry.wire.secret import SHORTEST, forms_of

# Seconds for which repeats of a shown line are counted; lines that are remembered.
WINDOW = 600.0
MOST_REMEMBERED = 1000
# The longest message and traceback that are shown whole, in characters.
LONGEST_MESSAGE = 8_000
LONGEST_TRACEBACK = 32_000

Level = Literal["debug", "info", "warn", "error", "critical"]

# These libraries log each reconnection and each factory at `info`, which is of no use on a site.
QUIET: Mapping[str, Level] = {
    "twisted.application._client_service": "warn",
    "twisted.internet.protocol": "warn",
    "twisted.web": "warn",
    "twisted.conch": "warn",
    "twisted_gantry.manhole.ssh": "critical",  # conch logs under the names of our subclasses
}

# Larger numbers are shown as text; so are NaN and the infinities.
_MOST = 1e18
_LONGEST_WORD = 20
# Control characters; what separates lines or turns the direction of the text around them; what
# shows nothing. A peer could forge or hide a line with them.
_SEPARATORS = "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb"
_UNPRINTABLE = re.compile(rf"[\x00-\x08\x0b-\x1f\x7f-\x9f{_SEPARATORS}]")
_UNPRINTABLE_IN_JSON = re.compile(rf"[\x7f-\x9f{_SEPARATORS}]")


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[log]`: the lowest level that is shown, by namespace; `""` is every other namespace.
    Without a `language` the log has that of the environment.
    """

    levels: dict[str, Level] = {}
    language: Language | None = None


class Levels(logger.LogLevelFilterPredicate):
    """The lowest level that is shown, by namespace; it may change while the log is written."""

    def __init__(self) -> None:
        super().__init__()
        self.set({})

    def set(self, levels: Mapping[str, Level]) -> None:
        """Replace all levels; a namespace includes those below it, and the longest match counts."""
        self.clearLogLevels()
        for namespace, level in {**QUIET, **levels}.items():
            self.setLogLevelForNamespace(namespace, logger.LogLevel.levelWithName(level))


LEVELS = Levels()
"""The levels of this process: twistd makes its observer before the configuration is known."""


class Speech:
    """The language of the log; it may change while the log is written."""

    def __init__(self) -> None:
        self.language = preferred(os.environ)

    def set(self, language: Language | None) -> None:
        """Choose a language, None for that of the environment."""
        self.language = language or preferred(os.environ)

    def said(self, event: LogEvent) -> LogEvent:
        """Return an event in this language. A field `NAME_zh` is the Chinese of the field `NAME`;
        of other fields states are translated.
        """
        if self.language == "en" or not isinstance(given := event.get("log_format"), str):
            return event
        words = table("words")
        said = {
            name: event.get(f"{name}_zh") or (words.get(value, value) if _is_word(value) else value)
            for name, value in event.items()
        }
        return {**said, "log_format": table("log").get(given, given)}


def _is_word(value: object) -> bool:
    return isinstance(value, str) and len(value) < _LONGEST_WORD


SPEECH = Speech()
"""The language of this process."""


class Masks:
    """The secrets of the configuration, wherever a peer may say one back: plain, URL-quoted, in
    Base64, also with a user before it. Shorter secrets than `SHORTEST` would mask ordinary text.
    """

    def __init__(self) -> None:
        self._forms: re.Pattern[str] | None = None

    def set(self, secrets: Iterable[str]) -> None:
        """Replace all secrets."""
        forms = {form for each in secrets if len(each) >= SHORTEST for form in forms_of(each)}
        longest_first = sorted(forms, key=len, reverse=True)
        self._forms = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def masked(self, text: str) -> str:
        """Return a text without the secrets."""
        return text if self._forms is None else self._forms.sub("***", text)


MASKS = Masks()
"""The masks of this process. Points, states, alarms, results of commands and the log use them."""


@dataclass
class _Shown:
    event: LogEvent
    at: float
    again: int = 0


@implementer(ILogObserver)
class Repeats:
    """Passes an event on to `observer`, unless an equal one was passed in the last `window` s.

    The first event after the window is preceded by a line `repeated N times`. `seconds` is a
    monotonic clock. At most `most` lines are remembered.
    """

    def __init__(
        self,
        observer: ILogObserver,
        seconds: Callable[[], float],
        window: float = WINDOW,
        most: int = MOST_REMEMBERED,
    ) -> None:
        self._observer, self._seconds = observer, seconds
        self._window, self._most = window, most
        self._shown: OrderedDict[tuple[object, ...], _Shown] = OrderedDict()

    def __call__(self, event: LogEvent) -> None:
        now = self._seconds()
        while self._shown and now - next(iter(self._shown.values())).at >= self._window:
            self._forget_oldest()
        key = _identity(event)
        known = self._shown.get(key)
        if known is not None:
            known.again += 1
            return
        if len(self._shown) >= self._most:
            self._forget_oldest()
        self._shown[key] = _Shown(event, now)
        self._observer(event)

    def _forget_oldest(self) -> None:
        _, shown = self._shown.popitem(last=False)
        if shown.again:
            self._observer(
                {
                    **{name: shown.event.get(name) for name in ("log_level", "log_namespace")},
                    "log_time": time_of(shown.event) + self._window,
                    "log_format": "repeated {times} times: {text}",
                    "times": shown.again,
                    "text": formatEvent(SPEECH.said(shown.event)),
                }
            )


def _identity(event: LogEvent) -> tuple[object, ...]:
    failure = failure_of(event)
    why = None if failure is None else (failure.type, failure.getErrorMessage())
    names = ("log_namespace", "log_level", "log_format")
    return (*(event.get(name) for name in names), formatEvent(event), why)


def failure_of(event: LogEvent) -> Failure | None:
    """Return the failure of an event, of the old kind (`log.err`) or of the new."""
    failure = event.get("log_failure", event.get("failure"))
    return failure if isinstance(failure, Failure) else None


def time_of(event: LogEvent) -> float:
    """Return the time of an event in Unix seconds, 0 if it has none."""
    at = event.get("log_time", event.get("time"))
    return float(at) if isinstance(at, int | float) else 0.0


def json_line(event: LogEvent) -> str:
    """Return an event as one line of JSON: `{"time", "level", "namespace", "message", …}`.

    `time` is RFC 3339, in UTC; `fields` holds the arguments of the message; a failure adds
    `traceback`. No value can break the line.
    """
    failure = failure_of(event)
    said = SPEECH.said(event)
    content: dict[str, Any] = {
        "time": datetime.fromtimestamp(time_of(event), UTC).isoformat(timespec="milliseconds"),
        "level": getattr(event.get("log_level"), "name", "info"),
        "namespace": str(event.get("log_namespace", "")),
        "message": _short(formatEvent(said), LONGEST_MESSAGE),
    }
    given = {name: value for name, value in event.items() if not name.startswith("log_")}
    fields = {name: _plain(value) for name, value in given.items() if name not in _OLD_KEYS}
    if fields:
        content["fields"] = fields
    if failure is not None:
        content["traceback"] = _short(failure.getTraceback(), LONGEST_TRACEBACK)
    text = json.dumps(content, ensure_ascii=False)
    text = _UNPRINTABLE_IN_JSON.sub(lambda m: f"\\u{ord(m[0]):04x}", MASKS.masked(text))
    return _writable(text) + "\n"


# The keys that `twisted.python.log` adds to each event.
_OLD_KEYS = {"message", "time", "system", "isError", "format", "failure", "why"}


def human_line(event: LogEvent) -> str | None:
    """Return an event as twistd shows it, its control characters spelled out."""
    text = logger.formatEventAsClassicLogText(SPEECH.said(event))
    if text is None:
        return None
    text = MASKS.masked(_short(text, LONGEST_TRACEBACK).rstrip("\n"))
    return _writable(_UNPRINTABLE.sub(_spelled_out, text)) + "\n"


def _spelled_out(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"


def _plain(value: object) -> object:
    known = value is None or isinstance(value, bool)
    if known or (isinstance(value, int | float) and -_MOST < value < _MOST):
        return value
    try:
        return _short(str(value), LONGEST_MESSAGE)
    except Exception:  # from the `__str__` of any type
        return f"<a {type(value).__name__}>"


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}… {len(text) - longest} more"


def _writable(text: str) -> str:
    """Return a text without lone surrogates, which UTF-8 cannot encode."""
    return text.encode("utf-8", "backslashreplace").decode()


def observer(
    file: TextIO,
    line: Callable[[LogEvent], str | None],
    seconds: Callable[[], float] = time.monotonic,
    levels: Levels = LEVELS,
) -> ILogObserver:
    """Return an observer that writes the events that pass `levels` to `file`, repeats counted."""
    written = logger.FileLogObserver(file, line)
    filtered: ILogObserver = logger.FilteringLogObserver(Repeats(written, seconds), [levels])
    return filtered


def json_log() -> ILogObserver:
    return observer(sys.stdout, json_line)


def human_log() -> ILogObserver:
    """Return the default observer of `twistd -n gantry`: lines for people."""
    return observer(sys.stdout, human_line)


def choose_log(options: Any) -> None:
    """Let twistd use `human_log`, unless its own options choose the log.

    `options` are those of twistd, `options.parent` in a plugin, which calls this function in its
    own `postOptions`, before twistd looks up `--logger`. A log file, the syslog and a daemon's
    `twistd.log` stay as twistd makes them.
    """
    chosen = any(options.get(name) for name in ("logger", "logfile", "syslog"))
    if options.get("nodaemon") and not chosen:
        options["logger"] = f"{__name__}.{human_log.__name__}"
