"""NUT's instant commands, and which of a device's commands each is.

Names and descriptions are those of NUT (its page nut-names).
"""

from collections.abc import Collection, Mapping

from twisted_gantry.core.commands.types import CommandType

NAMES: Mapping[str, tuple[str, str]] = {
    "beeper.disable": ("BZOFF", "Disable the UPS beeper"),
    "beeper.enable": ("BZON", "Enable the UPS beeper"),
    "beeper.mute": ("BZOFF", "Temporarily mute the UPS beeper"),
    "load.off": ("SOFF", "Turn off the load immediately"),
    "load.on": ("SON", "Turn on the load immediately"),
    "test.battery.start": ("T", "Start a battery test"),
    "test.battery.stop": ("stop-test", "Stop the battery test"),
}
"""Our command and the description, by NUT's name."""
ALL = "all"
"""The `instcmds` of a user who may do all commands that need no confirmation."""


def wrong_names(names: Collection[str]) -> str:
    """Return what is wrong with a setting `instcmds`, empty if nothing is."""
    unknown = [name for name in names if name not in NAMES and name.lower() != ALL]
    known = ", ".join((*NAMES, ALL))
    return f"no command: {', '.join(map(repr, unknown))}; known are {known}" if unknown else ""


def allows(instcmds: Collection[str], name: str, kind: CommandType) -> bool:
    """Tell whether a user may do a command. One that asks must be named: that confirms it."""
    if name in instcmds:
        return True
    return not kind.asks and any(each.lower() == ALL for each in instcmds)
