"""What the command lines of both services do with their configuration."""

import os
import sys
from collections.abc import Callable
from typing import TypeVar

from twisted.python.usage import Options

from twisted_gantry.logs import choose_log
from twisted_gantry.net.pid_file import leave_out_pid_file
from twisted_gantry.settings.tables import ConfigError, Problem, checked
from twisted_gantry.texts.phrases import preferred

_R = TypeVar("_R")


def read_or_exit(options: Options, read: Callable[[list[Problem] | None, list[Problem]], _R]) -> _R:
    """Return the settings that `read` makes, and prepare twistd for them. Mistakes are printed and
    end the program (1); so does `--check` (0). `read` takes the lists `later` and `warnings`.
    """
    later: list[Problem] | None = [] if options["check"] else None
    warnings: list[Problem] = []
    language = preferred(os.environ)
    try:
        settings = read(later, warnings)
    except ConfigError as error:
        (sys.stdout if options["check"] else sys.stderr).write(f"{error.text(language)}\n")
        sys.exit(1)
    if options["check"]:
        sys.stdout.write(checked(later or (), warnings, language))
        sys.exit(0)
    if options.parent is not None:
        choose_log(options.parent)
        leave_out_pid_file(options.parent)
    return settings
