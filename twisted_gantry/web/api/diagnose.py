"""`/api/v1/diagnose`: the way to a device or an uplink, tried live."""

from collections.abc import Callable
from typing import Any

from twisted.web.server import Request

from twisted_gantry.core.diagnosis import Diagnoses, Diagnosis, StepOutcome, subject_of
from twisted_gantry.core.site import Site
from twisted_gantry.net.http.arguments import read_body
from twisted_gantry.net.http.json import HttpError, argument, refuse_foreign_origin
from twisted_gantry.wire import local_diagnosis as shapes


class DiagnoseView:
    """Diagnoses the devices and uplinks of `site`; `time` makes a time of Unix seconds."""

    def __init__(
        self, site: Site, diagnoses: Diagnoses | None, time: Callable[[float | None], str | None]
    ) -> None:
        self._site, self._diagnoses, self._time = site, diagnoses, time

    async def run(self, request: Request) -> shapes.DiagnosisView:
        """Begin a diagnosis, or join the one of this name that runs. Raises HttpError (404)."""
        refuse_foreign_origin(request)
        body = read_body(request, shapes.DiagnoseBody)
        diagnoses, thing = self._known(), self._find(body.name)
        diagnosis = diagnoses.start(subject_of(body.name, thing))
        if body.wait:
            await diagnoses.wait(diagnosis)
        return view_of(diagnosis, self._time(diagnosis.began))

    def last(self, request: Request) -> shapes.DiagnosisView:
        """Return the last diagnosis of a name. Raises HttpError (404)."""
        name = argument(request, "name")
        self._find(name)
        diagnosis = self._known().last(name)
        if diagnosis is None:
            raise HttpError(404, "not-diagnosed", f"{name} was not diagnosed yet")
        return view_of(diagnosis, self._time(diagnosis.began))

    def _known(self) -> Diagnoses:
        if self._diagnoses is None:
            raise HttpError(404, "not-found", "there is no diagnosis here")
        return self._diagnoses

    def _find(self, name: str) -> Any:
        things: dict[str, Any] = {**self._site.devices, **self._site.uplinks}
        if name not in things:
            raise HttpError(404, "unknown-name", f"there is no device or uplink {name[:64]!r}")
        return things[name]


def view_of(diagnosis: Diagnosis, began_at: str | None) -> shapes.DiagnosisView:
    subject, found = diagnosis.subject, diagnosis.outage
    bad = any(step.outcome is StepOutcome.FAILED for step in diagnosis.steps)
    return shapes.DiagnosisView(
        name=subject.name,
        kind=subject.kind,
        peer=None if subject.peer is None else subject.peer.text,
        began_at=began_at,
        ended=diagnosis.ended,
        ok=not bad if diagnosis.ended else None,
        cause=None if found is None else found.cause.value,
        steps=[
            shapes.StepView(
                step=step.link.value,
                outcome=step.outcome.value,
                seconds=round(step.seconds, 3),
                message=step.en,
                message_zh=step.zh,
                cause=None if step.outage is None else step.outage.cause.value,
                advice=None if step.outage is None else step.outage.advice,
                advice_zh=None if step.outage is None else step.outage.advice_zh,
            )
            for step in diagnosis.steps
        ],
    )
