"""`/api/v1/diagnose` of the local HTTP API: types as in `local_api.py`."""

from typing import Annotated

import msgspec

from twisted_gantry.wire.local_api import Name, Shape, Time, Wish, one_of


class DiagnoseBody(Wish):
    """`POST /api/v1/diagnose`: try the way to a device or an uplink, live. `wait` false: answer at
    once, the steps are read by GET.
    """

    name: Name
    wait: bool = True


STEPS = ("name", "connect", "tls", "exchange")
STEP_OUTCOMES = ("waiting", "running", "ok", "failed", "skipped")


class StepView(Shape, frozen=True, kw_only=True):
    """A step of a diagnosis. `cause` and the advice are those of a step that failed."""

    step: Annotated[str, one_of(STEPS)]
    outcome: Annotated[str, one_of(STEP_OUTCOMES)]
    seconds: float = 0.0
    message: str = ""
    message_zh: str = ""
    cause: str | None = None
    advice: str | None = None
    advice_zh: str | None = None


class DiagnosisView(Shape, frozen=True, kw_only=True):
    """The last diagnosis of a device or an uplink. `peer` is where it connects, null for none.
    `ok` is null until it has ended.
    """

    name: str
    kind: str = ""
    peer: str | None = None
    began_at: Time = None
    ended: bool = False
    ok: bool | None = None
    cause: str | None = None
    steps: list[StepView] = msgspec.field(default_factory=list)
