"""The topics of a gantry: one for each point and alarm, one for its status, those of commands."""

import re
from zlib import crc32

STATUS, ALARMS, SET, ANSWER = "status", "alarms", "set", "answer"  # levels below the gantry's own

# What may not stand within one level, and the sign that stands for it.
_ODD = re.compile(r"[/+#%\x00-\x1f\x7f\ud800-\udfff]")
_WORDS = r"[A-Za-z0-9]+(?:[_-][A-Za-z0-9]+)*"
_PLAIN_ID = re.compile(rf"{_WORDS}(?:\.{_WORDS})*")
_NOT_IN_ID = re.compile(r"[^A-Za-z0-9_-]")


def level(name: str) -> str:
    """Return a name as one level of a topic; different names make different levels."""
    return _ODD.sub(lambda found: f"%{ord(found[0]):02X}", name)


def object_id(*names: str) -> str:
    """Return an id of Home Assistant, letters, digits, `_` and `-`; different names differ.

    `__` stands for the `.` in names and joins them. Names with other signs gain a checksum.
    """
    text = ".".join(names)
    found = _NOT_IN_ID.sub("_", text.replace(".", "__"))
    if _PLAIN_ID.fullmatch(text):
        return found
    return f"{found}-{crc32(text.encode('utf-8', 'replace')):08x}"


class Topics:
    """The topics below `base`, the setting `topic` with the gantry's number in it."""

    def __init__(self, topic: str, gantry_id: str) -> None:
        self.base = topic.replace("{id}", level(gantry_id))
        self.status = f"{self.base}/{STATUS}"
        self.commands = f"{self.base}/+/{SET}/+"
        """The filter of all commands."""

    def point(self, name: str) -> str:
        device, _, rest = name.partition(".")
        return f"{self.base}/{level(device)}/{level(rest)}"

    def alarm(self, name: str) -> str:
        return f"{self.base}/{ALARMS}/{level(name)}"

    def answer(self, target: str, command: str) -> str:
        """Return where the outcome of a command is told; no command comes at this topic."""
        return f"{self.base}/{level(target)}/{SET}/{level(command)}/{ANSWER}"

    def command(self, topic: str) -> tuple[str, str] | None:
        """Return the device and the command that a topic names; None for another topic."""
        if not topic.startswith(f"{self.base}/"):
            return None
        levels = topic[len(self.base) + 1 :].split("/")
        if len(levels) != 3 or levels[1] != SET or not (levels[0] and levels[2]):
            return None
        return levels[0], levels[2]
