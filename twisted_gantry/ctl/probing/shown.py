"""A probe for the commands: its steps as they end, and its result as the API shows one."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import msgspec

from twisted_gantry.config.settings import Settings
from twisted_gantry.core.diagnosis import Diagnosis
from twisted_gantry.ctl.commands.steps import Steps
from twisted_gantry.ctl.probing.live import Probed, probe, run
from twisted_gantry.logs import MASKS
from twisted_gantry.web.api.diagnose import view_of
from twisted_gantry.wire.local_diagnosis import DiagnosisView


@dataclass(frozen=True)
class Shown:
    """The result: as a whole, as the API's type, and as JSON."""

    probed: Probed
    view: DiagnosisView

    @property
    def document(self) -> dict[str, Any]:
        built: dict[str, Any] = msgspec.to_builtins(self.view)
        return built


def probed(settings: Settings, name: str, steps: Steps) -> Shown:
    """Try `name` of `settings`, and show the steps."""
    MASKS.set(settings.secrets())

    def progress(diagnosis: Diagnosis) -> None:
        steps.show(view_of(diagnosis, None))

    found: Probed = run(partial(probe, settings=settings, name=name, progress=progress))
    view = view_of(found.diagnosis, None)
    steps.show(view)
    return Shown(found, view)
