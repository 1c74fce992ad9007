"""A message as a text for people: a title of one line, and lines of the alarms."""

from collections.abc import Mapping
from datetime import datetime

from twisted_gantry.notify.notice import CRITICAL, AlarmTold, Event, Message

Words = Mapping[str, tuple[str, str]]

_WORDS: Words = {
    Event.RAISED: ("Alarm", "告警"),
    Event.REPEATED: ("Not acknowledged", "未确认"),
    Event.CLEARED: ("Recovered", "恢复"),
    CRITICAL: ("critical", "严重"),
    "warning": ("warning", "警告"),
    "since": ("since", "开始"),
    "until": ("until", "结束"),
    "value": ("value", "数值"),
    "also": ("also", "连带"),
    "more": ("and {n} more", "等共{total}条"),
}
MOST_LINES = 20  # alarms that are shown
MOST_ALSO = 5  # consequences of an alarm that are shown
LONGEST_MESSAGE = 300  # characters of the message of one alarm


class Wording:
    """Texts in one `language`, `en` or `zh`, for the gantry `name`."""

    def __init__(self, language: str, name: str) -> None:
        self._zh, self._name = language == "zh", name

    def _word(self, key: str) -> str:
        pair = _WORDS.get(key, (key, key))
        return pair[self._zh]

    def _more(self, n: int, total: int) -> str:
        return self._word("more").format(n=n, total=total)

    def _said(self, alarm: AlarmTold) -> str:
        text = alarm.message_zh if self._zh else alarm.message
        return " ".join(text.split())[:LONGEST_MESSAGE]

    def title(self, message: Message) -> str:
        """Return one line: what happened, where, and the first alarm."""
        first, more = message.alarms[0], len(message.alarms) - 1
        where = self._name or message.gantry_id
        text = self._said(first)
        if more:
            text += (" " if not self._zh else "") + self._more(more, more + 1)
        event = self._word(message.event)
        return f"【{event}】{where}：{text}" if self._zh else f"[{event}] {where}: {text}"

    def lines(self, message: Message) -> list[str]:
        """Return the lines below the title, at most `MOST_LINES` alarms."""
        lines = ["  ".join(filter(None, (message.gantry_id, _time(message.at))))]
        lines += [self._line(each) for each in message.alarms[:MOST_LINES]]
        more = len(message.alarms) - MOST_LINES
        return [*lines, self._more(more, len(message.alarms))] if more > 0 else lines

    def text(self, message: Message, most: int) -> str:
        """Return title and lines, at most `most` bytes of UTF-8."""
        return cut("\n".join([self.title(message), *self.lines(message)]), most)

    def _line(self, alarm: AlarmTold) -> str:
        parts = [f"{self._word(alarm.severity)}  {self._said(alarm)}  ({alarm.alarm})"]
        parts.append(f"{self._word('since')} {_time(alarm.raised_at)}")
        if alarm.cleared_at is not None:
            parts.append(f"{self._word('until')} {_time(alarm.cleared_at)}")
        # The message of a condition says what a true or a false means.
        if alarm.value is not None and not isinstance(alarm.value, bool):
            parts.append(f"{self._word('value')} {str(alarm.value)[:40]}")
        if alarm.consequences:
            shown = list(alarm.consequences[:MOST_ALSO])
            left = len(alarm.consequences) - len(shown)
            if left:
                shown.append(self._more(left, len(alarm.consequences)))
            parts.append(f"{self._word('also')} {('、' if self._zh else ', ').join(shown)}")
        return "- " + ("；" if self._zh else "; ").join(parts)


def cut(text: str, most: int) -> str:
    """Return a text of at most `most` bytes of UTF-8; a text that was cut ends with `…`."""
    data = text.encode("utf-8", "replace")
    if len(data) <= most:
        return text
    return data[: most - 3].decode("utf-8", "ignore") + "…"


def _time(text: str) -> str:
    """Return a time of the message as people read it, with the seconds."""
    try:
        return datetime.fromisoformat(text).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text
